"""How a table's columns differ from those of its last commit. Pure: two lists of columns in, a list of changes out."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, Literal

from rds_to_s3.commit.entries import DriftEntry, DriftKind
from rds_to_s3.commit.state import Commit
from rds_to_s3.errors import DriftError
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.scope.written import as_stored
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.rows.column_type import ColumnType

Column = dict[str, Any]  # name, type, nullable: as the manifest's `columns` has them

_TEXT_BYTES = {"tinytext": 255, "text": 65_535, "mediumtext": 2**24 - 1, "longtext": 2**32 - 1}
_BLOB_BYTES = {"tinyblob": 255, "blob": 65_535, "mediumblob": 2**24 - 1, "longblob": 2**32 - 1}
_UTF8MB4_BYTES = 4
# Bytes: a row has 65,535, so a column with more characters than a quarter of that has another character set.
_LONGEST_VARCHAR = 65_534
_SAME = {"geometrycollection": "geomcollection", "year(4)": "year"}  # as servers of different releases write them


def find_drift(before: Sequence[Column], after: Sequence[Column]) -> list[DriftEntry]:
    """Compare a table's columns with those before.

    A column that is gone, with a new one of the same type in its place, counts as renamed. An integer's display width
    is no difference, except with ZEROFILL.

    Parameters
    ----------
    before, after : sequence of dict
        ``name``, ``type`` and ``nullable`` of each column, in the table's order.

    Examples
    --------
    >>> old = [{"name": "id", "type": "int", "nullable": False}]
    >>> [change.sentence() for change in find_drift(old, [{"name": "id", "type": "bigint", "nullable": False}])]
    ['column id was widened from int to bigint']
    """
    return [*_changed_columns(before, after), *_reordered(before, after)]


def _changed_columns(before: Sequence[Column], after: Sequence[Column]) -> list[DriftEntry]:
    renamed = _renamed(before, after)
    old: dict[str, Column] = {renamed.get(name := str(column["name"]), name): column for column in before}
    names = {column["name"] for column in after}
    changes = [_change("renamed", new, name, new) for name, new in renamed.items()]
    changes += [_change("dropped", name, column["type"], None) for name, column in old.items() if name not in names]
    for column in after:
        name, former = column["name"], old.get(column["name"])
        if former is None:
            changes.append(_change("added", name, None, column["type"]))
            continue
        if (kind := compare_types(former["type"], column["type"])) is not None:
            changes.append(_change(kind, name, former["type"], column["type"]))
        if former["nullable"] != column["nullable"]:
            changes.append(_change("nullability", name, _nullability(former), _nullability(column)))
    return changes


def _reordered(before: Sequence[Column], after: Sequence[Column]) -> list[DriftEntry]:
    """Return a change if the common columns have another order."""
    renamed = _renamed(before, after)
    old = [renamed.get(name := str(column["name"]), name) for column in before]
    names = [str(column["name"]) for column in after]
    kept_before = [name for name in old if name in names]
    kept_after = [name for name in names if name in old]
    if kept_before == kept_after:
        return []
    moved = next(name for name, was in zip(kept_after, kept_before, strict=True) if name != was)
    return [_change("reordered", moved, ", ".join(kept_before), ", ".join(kept_after))]


def concerning(
    changes: Sequence[DriftEntry], written_before: Collection[str], written_now: Collection[str]
) -> list[DriftEntry]:
    """Return the changes of columns that the files have or had. Other columns may change freely."""
    written = {*written_before, *written_now}
    return [change for change in changes if change.column in written or change.before in written]


def compare_types(before: str, after: str) -> Literal["widened", "narrowed", "retyped"] | None:
    """Classify a change of type: wider, narrower, or another type.

    Parameters
    ----------
    before, after : str
        As ``information_schema.columns.column_type`` has them.

    Returns
    -------
    str or None
        None where the two hold the same values, written in the same way.
    """
    if _SAME.get(before, before) == _SAME.get(after, after):
        return None
    old, new = _extent(before), _extent(after)
    if old is None or new is None or old[0] != new[0]:
        return "retyped"
    (_, holds_before), (_, holds_after) = old, new
    if holds_before == holds_after:
        return None if old[0] == "integer" else "retyped"
    if all(one <= other for one, other in zip(holds_before, holds_after, strict=True)):
        return "widened"
    if all(one >= other for one, other in zip(holds_before, holds_after, strict=True)):
        return "narrowed"
    return "retyped"


def _extent(column_type: str) -> tuple[str, tuple[Any, ...]] | None:
    """Return a type's family, and quantities that grow with its range."""
    mysql = ColumnType.parse(column_type)
    extent: tuple[str, tuple[Any, ...]] | None = None
    if mysql.zerofill:
        extent = None
    elif mysql.bits:
        half = 2 ** (mysql.bits - 1)
        extent = ("integer", (0, 2 * half) if mysql.unsigned else (half, half))
    elif mysql.name == "decimal":
        extent = ("decimal", (mysql.precision - mysql.scale, mysql.scale, not mysql.unsigned))
    elif mysql.name in {"float", "double"}:
        extent = (f"approximate{mysql.numbers}", (mysql.name == "double", not mysql.unsigned))
    elif mysql.name in {"char", "varchar"}:
        length = mysql.length or 0
        extent = ("text", (min(length * _UTF8MB4_BYTES, _LONGEST_VARCHAR) + length / 2**17,))
    elif mysql.name in _TEXT_BYTES:
        extent = ("text", (_TEXT_BYTES[mysql.name],))
    elif mysql.name in {"binary", "varbinary"}:
        extent = ("bytes", (mysql.length or 0,))
    elif mysql.name in _BLOB_BYTES:
        extent = ("bytes", (_BLOB_BYTES[mysql.name],))
    elif mysql.name in {"datetime", "timestamp", "time", "bit"}:
        extent = (mysql.name, (mysql.length or 0,))
    elif mysql.members:
        extent = (mysql.name, (frozenset(mysql.members),))
    return extent


def _renamed(before: Sequence[Column], after: Sequence[Column]) -> dict[str, str]:
    """Return the new name of each column that may only be renamed: same place between its neighbours, same type."""
    names_before, names_after = {c["name"] for c in before}, {c["name"] for c in after}
    gone, new = _places(before, names_after), _places(after, names_before)
    return {
        column["name"]: new[place]["name"]
        for place, column in gone.items()
        if place in new and compare_types(column["type"], new[place]["type"]) is None
    }


def _places(columns: Sequence[Column], others: Collection[str]) -> dict[tuple[str | None, int], Column]:
    """Return the columns that the other side lacks, by the last common column before them and their number after it."""
    places: dict[tuple[str | None, int], Column] = {}
    anchor, number = None, 0
    for column in columns:
        if column["name"] in others:
            anchor, number = column["name"], 0
        else:
            places[anchor, number] = column
            number += 1
    return places


def _change(kind: DriftKind, column: str, before: str | None, after: str | None) -> DriftEntry:
    return DriftEntry(change=kind, column=column, before=before, after=after)


def _nullability(column: Column) -> str:
    return "NULL" if column["nullable"] else "NOT NULL"


def drift_of(table: Table, selection: Selection, last: Commit | None) -> list[DriftEntry]:
    """Return how the columns of the files have changed in the database since the last commit."""
    if last is None:
        return []
    before, after = (
        last.table_columns or last.columns,
        [as_stored(column, selection.masked) for column in table.columns],
    )
    return [_with_new_names(change, selection) for change in _drift_of(before, after, selection, last)]


def _drift_of(
    before: Sequence[Column], after: Sequence[Column], selection: Selection, last: Commit
) -> list[DriftEntry]:
    written_before = {column["name"] for column in last.columns}
    written_now = {column.name for column in selection.columns}
    changes = concerning(_changed_columns(before, after), written_before, written_now)
    changes += _of_where(selection, last)
    if selection.own_order:
        return changes
    # Columns that the files leave out may be in any place.
    return changes + _reordered(
        [column for column in before if column["name"] in written_before],
        [column for column in after if column["name"] in written_now],
    )


def _with_new_names(change: DriftEntry, selection: Selection) -> DriftEntry:
    """Name columns as the files do."""
    names = {"column": selection.name_of(change.column)}
    if change.change == "renamed" and change.before is not None and change.after is not None:
        names |= {"before": selection.name_of(change.before), "after": selection.name_of(change.after)}
    if change.change == "reordered" and change.before is not None and change.after is not None:
        for side, text in (("before", change.before), ("after", change.after)):
            names[side] = ", ".join(selection.name_of(name) for name in text.split(", "))
    return change.model_copy(update=names)


def _of_where(selection: Selection, last: Commit) -> list[DriftEntry]:
    before = last.read_as.where if last.read_as is not None else None
    now = selection.where_text
    return [] if before == now else [_change("where", "*", before, now)]


def refused_drift(name: str, drift: Sequence[DriftEntry]) -> DriftError:
    """Return the error of a table that may not drift; its message says how to accept the change."""
    lines = "; ".join(change.sentence() for change in drift)
    return DriftError(
        f'table {name!r} has changed since its last commit, and its on_drift is "fail": {lines}. Nothing was read. To '
        'accept this, set its on_drift to "evolve" in the table list, redrive this run or start one of '
        f'{{"tables": [{json.dumps(name, ensure_ascii=False)}]}}, and set it back; that run covers these rows too.'
    )
