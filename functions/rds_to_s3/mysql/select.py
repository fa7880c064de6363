"""Builds the SELECTs of a read: which rows, in which order, resumed where. Text only, nothing connects.

A window's rows are read in an order that an index already has. So the server neither sorts, nor scans more than it
sends, and a read can be resumed after any row. An InnoDB secondary index is ordered by its columns and then by the
primary key (https://dev.mysql.com/doc/refman/8.4/en/innodb-index-types.html), so ``(modified, key)`` is such an order.
With one condition ``modified > x OR created > x`` the server would use neither index, so its two halves are read one
after the other.

Never by ``IS NULL``: of a zero date in a NOT NULL column it is true in one plan and false in another
(https://dev.mysql.com/doc/refman/8.4/en/comparison-operators.html#operator_is-null).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(rb"-?\d+(\.\d*)?([eE][-+]?\d+)?")


def quoted(name: str) -> str:
    """Quote an identifier."""
    return "`" + name.replace("`", "``") + "`"


def account(user: str) -> str:
    """Write ``CURRENT_USER()`` as an account in SQL.

    Examples
    --------
    >>> account("reader@%")
    "'reader'@'%'"
    """
    name, _, host = user.rpartition("@")
    return "'" + name.replace("'", "''") + "'@'" + host.replace("'", "''") + "'"


def literal(value: bytes, kind: str, character_set: str = "utf8mb4") -> str:
    """Write a value from the wire as a literal that compares as its column does.

    Parameters
    ----------
    kind : {"numeric", "temporal", "text", "binary"}
        Of the column. Text and binary values become hexadecimal, which needs no escaping in any SQL mode; a text
        literal takes the collation of the column that it is compared with.
    character_set : str
        Of the bytes of a text.
    """
    if kind == "numeric":
        if not _NUMBER.fullmatch(value):
            raise ValueError(f"not a number: {value!r}")
        return value.decode("ascii")
    if kind == "binary":
        return f"x'{value.hex()}'"
    return f"_{character_set} x'{value.hex()}'"


@dataclass(frozen=True)
class SelectColumn:
    """One column of the select list.

    Attributes
    ----------
    own_bytes : str or None
        The character set of a text whose stored bytes are read for a position: converted to UTF-8 and back it may be
        other bytes.
    is_null : bool
        Whether NULL is read in its place.
    by_number : bool
        Whether the number of an ENUM, SET or BIT is read, by which it sorts.
    """

    name: str
    data_type: str
    kind: str
    own_bytes: str | None = None
    is_null: bool = False
    by_number: bool = False

    @property
    def expression(self) -> str:
        if self.is_null:
            return f"NULL AS {quoted(self.name)}"
        # No alias for these two: ORDER BY would take it for the column.
        if self.own_bytes:
            return f"CAST({quoted(self.name)} AS BINARY)"
        if self.by_number:
            return f"CAST({quoted(self.name)} AS UNSIGNED)"
        # The server writes a FLOAT with six digits; as a DOUBLE it writes all digits.
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
        A total order of the rows. Empty where the table has none; then the segment cannot be resumed.
    index : str, optional
        The index with this order.
    """

    condition: str
    order: tuple[SelectColumn, ...]
    index: str | None = None


@dataclass(frozen=True)
class Cursor:
    """One cursor column of a window.

    Attributes
    ----------
    after : str
        The window's lower end, exclusive, as the column writes it.
    index : str or None
        An index with this first column.
    order : tuple of SelectColumn, optional
        The columns, the key among them, that order rows with the same value in that index; None without such an order.
    """

    column: SelectColumn
    after: str
    index: str | None
    order: tuple[SelectColumn, ...] | None = None

    @property
    def is_later(self) -> str:
        """A condition: the column's value lies in the window."""
        return f"{quoted(self.column.name)} > {literal(self.after.encode(), 'temporal')}"


def window_segments(cursors: Sequence[Cursor], key: Sequence[SelectColumn]) -> list[Segment]:
    """Split a window into segments.

    Parameters
    ----------
    cursors : sequence of Cursor
        The created column and then the modified one, those that exist. A row is in the window if either value is.
        Without cursors everything is read, also rows without a stamp.
    key : sequence of SelectColumn
        The ordered key; empty if the table has none.

    Returns
    -------
    list of Segment
        In reading order. Together they hold each row of the window once. A row that changes during the read moves from
        the created half to the modified half. So that half comes last, and the newer version gets the later file.
    """
    if not cursors:
        return [Segment("TRUE", tuple(key))]
    if len(cursors) == 1 or not all(cursor.index for cursor in cursors):
        condition = " OR ".join(cursor.is_later for cursor in cursors)
        if len(cursors) == 1:
            return [Segment(condition, *_order(cursors[0], key))]
        return [Segment(f"({condition})", tuple(key))]
    created, modified = cursors
    return [
        Segment(f"{created.is_later} AND ({modified.is_later}) IS NOT TRUE", *_order(created, key)),
        Segment(modified.is_later, *_order(modified, key)),
    ]


def _order(cursor: Cursor, key: Sequence[SelectColumn]) -> tuple[tuple[SelectColumn, ...], str | None]:
    if cursor.index is None:
        return tuple(key), None
    if not key:
        return (), cursor.index
    if cursor.order is not None:
        return (cursor.column, *cursor.order), cursor.index
    return (cursor.column, *(column for column in key if column.name != cursor.column.name)), cursor.index


def select_page(
    table: str,
    columns: Sequence[SelectColumn],
    segment: Segment,
    *,
    position: Sequence[bytes] | None,
    rows: int | None,
) -> str:
    """Write the SELECT of one page.

    Parameters
    ----------
    position : sequence of bytes, optional
        The values of the order in the last row read.
    rows : int, optional
        The page's size; None reads the segment to its end.
    """
    parts = [f"SELECT {', '.join(column.expression for column in columns)} FROM {quoted(table)}"]  # noqa: S608
    if segment.index:
        parts.append(f"FORCE INDEX ({quoted(segment.index)})")
    parts.append(f"WHERE {segment.condition}")
    if position is not None:
        parts.append(f"AND {beyond(segment.order, position)}")
    if segment.order:
        parts.append("ORDER BY " + ", ".join(quoted(column.name) for column in segment.order))
    if rows is not None:
        parts.append(f"LIMIT {rows}")
    return " ".join(parts)


def beyond(order: Sequence[SelectColumn], position: Sequence[bytes]) -> str:
    """Write a condition: the row is after a position in an order. No column of the order may be NULL."""
    return _on_one_side(order, position, ">", ">")


def not_beyond(order: Sequence[SelectColumn], position: Sequence[bytes]) -> str:
    """Write a condition: the row is not after a position in an order. No column of the order may be NULL."""
    return _on_one_side(order, position, "<", "<=")


def _on_one_side(order: Sequence[SelectColumn], position: Sequence[bytes], side: str, last: str) -> str:
    """Write ``(a, b) > (x, y)`` in a form that the server reads as a range.

    Row constructors are not always turned into ranges, and a NOT is not either:
    https://dev.mysql.com/doc/refman/8.4/en/row-constructor-optimization.html
    """
    condition = ""
    for column, value in reversed(list(zip(order, position, strict=True))):
        name, bound = compared(column, value)
        if condition:
            condition = f"({name} {side} {bound} OR ({name} = {bound} AND {condition}))"
        else:
            condition = f"{name} {last} {bound}"
    if len(order) > 1:
        name, bound = compared(order[0], position[0])
        return f"{name} {side}= {bound} AND {condition}"
    return condition


def literal_of(column: SelectColumn, value: bytes) -> str:
    """Write a value of a column as a literal that compares as the column does."""
    return literal(value, column.kind, column.own_bytes or "utf8mb4")


def compared(column: SelectColumn, value: bytes) -> tuple[str, str]:
    """Write a column and a value of it so that they can be compared."""
    if column.by_number:
        return column.expression, literal(value, "numeric")
    if column.data_type in {"date", "datetime"} and _is_beyond_its_month(value):
        # MySQL refuses to compare with a date such as February 31 (error 1525), and holds it. As numbers they compare.
        return f"({quoted(column.name)} + 0)", re.sub(rb"[-: ]", b"", value).decode("ascii")
    return quoted(column.name), literal_of(column, value)


def _is_beyond_its_month(value: bytes) -> bool:
    year, month, day = (int(part) for part in value[:10].split(b"-"))
    return 1 <= month <= 12 and day > calendar.monthrange(year or 1, month)[1]
