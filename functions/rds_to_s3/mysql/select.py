"""Builds the SELECTs of a read: which rows, in which order, taken up again where. Text only, nothing connects.

A window's rows are read in an order that an index already has, so that the server neither sorts nor scans more than
it sends, and a read can be taken up again after any row. An InnoDB secondary index is ordered by its columns and then
by the primary key (https://dev.mysql.com/doc/refman/8.4/en/innodb-index-types.html), so ``(modified, key)`` is such an
order. One condition ``modified > x OR (modified IS NULL AND created > x)`` would keep the server from using either
index; its two halves are read one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(rb"-?\d+(\.\d*)?([eE][-+]?\d+)?")


def quoted(name: str) -> str:
    """Quote an identifier."""
    return "`" + name.replace("`", "``") + "`"


def literal(value: bytes | None, kind: str) -> str:
    """Write a value as it came over the wire as a literal that compares as its column does.

    Parameters
    ----------
    value : bytes or None
    kind : {"numeric", "temporal", "text", "binary"}
        Of the column. Text and binary values become hexadecimal, which needs no escaping in any SQL mode; a text
        literal takes the collation of the column that it is compared with.
    """
    if value is None:
        return "NULL"
    if kind == "numeric":
        if not _NUMBER.fullmatch(value):
            raise ValueError(f"not a number: {value!r}")
        return value.decode("ascii")
    if kind == "binary":
        return f"x'{value.hex()}'"
    return f"_utf8mb4 x'{value.hex()}'"


@dataclass(frozen=True)
class SelectColumn:
    """One column of the select list."""

    name: str
    data_type: str
    kind: str

    @property
    def expression(self) -> str:
        # The server writes a FLOAT with six digits; as a DOUBLE it writes all it holds.
        if self.data_type == "float":
            return f"CAST({quoted(self.name)} AS DOUBLE) AS {quoted(self.name)}"
        return quoted(self.name)


@dataclass(frozen=True)
class Segment:
    """A part of a window that one index has in order.

    Attributes
    ----------
    condition : str
        SQL.
    order : tuple of SelectColumn
        A total order of the rows; empty where the table has none, and then the segment cannot be taken up again.
    index : str, optional
        The index that has it.
    """

    condition: str
    order: tuple[SelectColumn, ...]
    index: str | None = None


def window_segments(
    *,
    created: SelectColumn | None,
    modified: SelectColumn | None,
    after: str | None,
    key: Sequence[SelectColumn],
    created_index: str | None,
    modified_index: str | None,
) -> list[Segment]:
    """Split a window into segments.

    Parameters
    ----------
    created, modified : SelectColumn, optional
        The cursor columns; the stamp of a row is ``coalesce(modified, created)``.
    after : str or None
        Lower end, exclusive, as the server writes a timestamp; None reads everything, unstamped rows included.
    key : sequence of SelectColumn
        The ordered key; empty if the table has none.
    created_index, modified_index : str or None
        Indexes whose first column is the cursor's.

    Returns
    -------
    list of Segment
        In reading order. Together they hold each row of the window once.
    """
    if after is None:
        return [Segment("TRUE", tuple(key))]
    bound = literal(after.encode(), "temporal")
    if modified is None or created is None:
        cursor = modified or created
        index = modified_index if modified else created_index
        if cursor is None:
            raise ValueError("a window needs a cursor column")
        condition = f"{quoted(cursor.name)} > {bound}"
        return [Segment(condition, *_order(cursor, key, index))]
    by_modified = f"{quoted(modified.name)} > {bound}"
    by_created = f"{quoted(modified.name)} IS NULL AND {quoted(created.name)} > {bound}"
    if modified_index and created_index:
        return [
            Segment(by_modified, *_order(modified, key, modified_index)),
            Segment(by_created, *_order(created, key, created_index)),
        ]
    return [Segment(f"({by_modified} OR ({by_created}))", tuple(key))]


def _order(
    cursor: SelectColumn, key: Sequence[SelectColumn], index: str | None
) -> tuple[tuple[SelectColumn, ...], str | None]:
    if index is None:
        return tuple(key), None
    if not key:
        return (), index
    return (cursor, *(column for column in key if column.name != cursor.name)), index


def select_page(
    table: str,
    columns: Sequence[SelectColumn],
    segment: Segment,
    *,
    position: Sequence[bytes | None] | None,
    rows: int | None,
) -> str:
    """Write the SELECT of one page.

    Parameters
    ----------
    table : str
    columns : sequence of SelectColumn
    segment : Segment
    position : sequence of bytes, optional
        The order's values of the last row already read.
    rows : int, optional
        The page's size; None reads the segment to its end.
    """
    parts = [f"SELECT {', '.join(column.expression for column in columns)} FROM {quoted(table)}"]  # noqa: S608
    if segment.index:
        parts.append(f"FORCE INDEX ({quoted(segment.index)})")
    parts.append(f"WHERE {segment.condition}")
    if position is not None:
        parts.append(f"AND {_beyond(segment.order, position)}")
    if segment.order:
        parts.append("ORDER BY " + ", ".join(quoted(column.name) for column in segment.order))
    if rows is not None:
        parts.append(f"LIMIT {rows}")
    return " ".join(parts)


def _beyond(order: Sequence[SelectColumn], position: Sequence[bytes | None]) -> str:
    """Write ``(a, b) > (x, y)`` so that the server makes a range of it.

    Row constructors are not always turned into ranges:
    https://dev.mysql.com/doc/refman/8.4/en/row-constructor-optimization.html
    """
    condition = ""
    for column, value in reversed(list(zip(order, position, strict=True))):
        name, bound = quoted(column.name), literal(value, column.kind)
        condition = f"({name} > {bound} OR ({name} = {bound} AND {condition}))" if condition else f"{name} > {bound}"
    if len(order) > 1:
        first = f"{quoted(order[0].name)} >= {literal(position[0], order[0].kind)}"
        return f"{first} AND {condition}"
    return condition
