"""The vocabulary of a table's ``checks``. The names are pandera's, so that anyone who knows it can read a table list.

``{"total": {"ge": 0}, "status": {"isin": ["NEW", "PAID"]}, "*": {"min_rows": 1}}``: a key is a column's name, or
``"*"`` for the table itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rds_to_s3.checks.expressions import parse_expression
from rds_to_s3.checks.patterns import check_pattern

TABLE = "*"
Bound = int | float | Decimal | str


class ColumnChecks(BaseModel):
    """The checks of one column. NULL passes every one but `not_null`.

    Attributes
    ----------
    not_null : bool
        No value is NULL.
    unique : bool
        No value occurs twice in the window (NULLs aside).
    ge, gt, le, lt : int, float, Decimal or str, optional
        Bounds: a number for numeric columns, text such as ``"2020-01-01"`` for temporal ones.
    isin : list, optional
        The allowed values, as MySQL writes them.
    matches : str, optional
        A regular expression that must match the whole value, within bounds of time: `rds_to_s3.checks.patterns`.
    min_length, max_length : int, optional
        In characters; for a binary column in bytes.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    not_null: bool = False
    unique: bool = False
    ge: Bound | None = None
    gt: Bound | None = None
    le: Bound | None = None
    lt: Bound | None = None
    isin: Annotated[list[int | float | str], Field(min_length=1)] | None = None
    matches: str | None = None
    min_length: Annotated[int, Field(ge=0)] | None = None
    max_length: Annotated[int, Field(ge=0)] | None = None

    @field_validator("isin", mode="before")
    @classmethod
    def _holds_values(cls, value: Any) -> Any:
        for index, member in enumerate(value if isinstance(value, list) else []):
            if isinstance(member, bool) or not isinstance(member, int | float | str):
                raise ValueError(f"isin[{index}] must be a number or a text, not {json.dumps(member)}")  # noqa: TRY004
        return value

    @field_validator("matches")
    @classmethod
    def _is_a_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            check_pattern(value)
        return value


class TableChecks(BaseModel):
    """The checks of the table as a whole.

    Attributes
    ----------
    min_rows : int, optional
        The least number of rows of a window.
    max_age_seconds : int, optional
        The table's newest row may be at most this much older than the window's end.
    expressions : list of str
        Conditions over columns that every row must fulfil, such as ``"total >= discount"``; a condition that is
        unknown, because a value in it is NULL, is fulfilled.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    min_rows: Annotated[int, Field(ge=0)] | None = None
    max_age_seconds: Annotated[int, Field(ge=0)] | None = None
    expressions: list[str] = Field(default_factory=list)

    @field_validator("expressions")
    @classmethod
    def _can_be_read(cls, value: list[str]) -> list[str]:
        for text in value:
            parse_expression(text)
        return value


def parse_checks(checks: Mapping[str, Any]) -> tuple[dict[str, ColumnChecks], TableChecks]:
    """Turn a table's ``checks`` into objects.

    Raises
    ------
    ValueError
        A check is not in the vocabulary; the message names the column and the key.
    """
    columns: dict[str, ColumnChecks] = {}
    table = TableChecks()
    for name, rules in checks.items():
        where = f"checks of {json.dumps(name, ensure_ascii=False)}"
        if not isinstance(rules, Mapping):
            problem = f'must be an object such as {{"not_null": true}}, not {json.dumps(rules)}'
            raise ValueError(f"{where}: {problem}")  # noqa: TRY004 - pydantic takes ValueError only
        try:
            if name == TABLE:
                table = TableChecks.model_validate(rules)
            else:
                columns[name] = ColumnChecks.model_validate(rules)
        except ValidationError as error:
            detail = error.errors()[0]
            key = ".".join(str(part) for part in detail["loc"][:1])
            known = ", ".join((TableChecks if name == TABLE else ColumnChecks).model_fields)
            problem = (
                f"unknown check {json.dumps(key)} (known: {known})"
                if detail["type"] == "extra_forbidden"
                else f"{key}: {detail['msg'].removeprefix('Value error, ')}".removeprefix(": ")
            )
            raise ValueError(f"{where}: {problem}") from None
    return columns, table
