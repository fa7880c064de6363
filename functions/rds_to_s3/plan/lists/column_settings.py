"""Settings about single columns: what of them can be told to contradict another setting without the table."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from rds_to_s3.checks.expressions import column_names, parse_expression
from rds_to_s3.checks.vocabulary import TABLE

MaskWay = Literal["hash", "null"]
CHECKS_OF_A_HASH = {"not_null", "unique"}


def refuse_masks(
    mask: Mapping[str, MaskWay], cursors: Collection[str | None], where: str | None, checks: Mapping[str, Any]
) -> None:
    """Refuse to mask a column that another setting has to read.

    Raises
    ------
    ValueError
    """
    ways = {name.lower(): way for name, way in mask.items()}
    for cursor in cursors:
        if cursor is not None and cursor.lower() in ways:
            raise ValueError(
                f'"mask" names {_shown(cursor)}, by which rows are found: a cursor column cannot be masked'
            )
    for name in column_names(parse_expression(where)) if where is not None else ():
        if name.lower() in ways:
            raise ValueError(
                f'"where" reads {_shown(name)}, which "mask" masks: which rows there are would show its values'
            )
    for name, rules in checks.items():
        if name == TABLE:
            for text in rules.get("expressions") or ():
                if masked := [each for each in column_names(parse_expression(text)) if each.lower() in ways]:
                    raise ValueError(f'the expression {text!r} reads {_shown(masked[0])}, which "mask" masks')
        elif (way := ways.get(name.lower())) is not None:
            wrong = sorted(set(rules) - CHECKS_OF_A_HASH) if way == "hash" else sorted(rules)
            if wrong:
                allowed = ": only not_null and unique can be checked of a hash" if way == "hash" else ", so it is NULL"
                raise ValueError(f'the check {wrong[0]} of {_shown(name)}, which "mask" masks{allowed}')


def refuse_renames(rename: Mapping[str, str], columns: Sequence[str] | None) -> None:
    """Refuse to give two columns one name.

    Raises
    ------
    ValueError
    """
    seen: dict[str, str] = {}
    for name, new in rename.items():
        if (other := seen.get(new.lower())) is not None:
            raise ValueError(f'"rename" gives {_shown(name)} and {_shown(other)} the same name, {_shown(new)}')
        seen[new.lower()] = name
    moved = {name.lower() for name in rename}
    for column in columns or ():
        if column.lower() in seen and column.lower() not in moved:
            raise ValueError(
                f'"rename" gives {_shown(seen[column.lower()])} the name of another column, {_shown(column)}'
            )


def _shown(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
