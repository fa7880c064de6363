"""Which index a window is read by, and whether a read can be resumed in its order.

A page is read without sorting only if the index has the rows in the order of the page. An index on ``(modified,
status)`` has them by ``(modified, status, key)``, so that is the order to read in. Positions must compare as the index
does. So an order has no column that may be NULL, that sorts differently from its values (ENUM), or whose text may come
back as other bytes. Without such an order the server sorts the rest of the window for each page.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rds_to_s3.mysql.catalogue.charsets import round_trips
from rds_to_s3.mysql.catalogue.remedies import bring_back_index, create_index
from rds_to_s3.mysql.catalogue.schema import Index, Table

_COMPARED_AS_SORTED = {
    *("tinyint", "smallint", "mediumint", "int", "bigint", "decimal"),
    *("date", "datetime", "time", "char", "varchar", "binary", "varbinary"),
}
"""Not TIMESTAMP: its text is ambiguous in an hour that occurs twice."""
_NAMED_IN_ADVICE = {"invisible", "ignored"}


@dataclass(frozen=True)
class ReadIndex:
    """The index that finds the rows of a window.

    Attributes
    ----------
    order : tuple of str or None
        The columns of its order, from the cursor column to the last one of the key. None where the server has to sort.
    """

    name: str
    order: tuple[str, ...] | None


def read_index(table: Table, cursor: str, read: Collection[str]) -> ReadIndex | None:
    """Choose the index on a cursor column.

    Parameters
    ----------
    read : collection of str
        The columns that the read selects in any case. An index adds none, since a row's digest depends on all columns
        and would change with the index.
    """
    found = [
        ReadIndex(index.name, _order(table, index, read))
        for index in sorted(table.indexes, key=lambda index: len(index.columns))
        if _begins_with(index, cursor)
    ]
    return min(found, key=lambda choice: choice.order is None, default=None)


def index_advice(table: Table, cursor: str, read: Collection[str]) -> tuple[str, str] | None:
    """Return what is wrong with the indexes on a cursor column, and the statement that helps, or None."""
    found = read_index(table, cursor, read)
    if found is not None and (found.order is not None or not table.ordered_key):
        return None
    unused = [index for index in table.unused_indexes if _begins_with(index, cursor)]
    if found is not None:
        wrong = (
            f"the index {found.name} on column {cursor} does not have the rows in the order that a read is resumed in, "
            "so the server sorts the rest of the window for every page"
        )
    elif unused:
        wrong = f"the index {unused[0].name} on column {cursor} is {unused[0].unused}, so every run scans the table"
    else:
        wrong = f"column {cursor} has no index, so every run scans the whole table"
    for index in unused:
        if index.unused in _NAMED_IN_ADVICE and _order(table, index, read) is not None:
            return wrong, bring_back_index(table, index)
    alone = Index("", False, (cursor,))
    is_enough = not table.ordered_key or _order(table, alone, read) is not None
    columns = [cursor] if is_enough else [cursor, *(name for name in table.ordered_key if name != cursor)]
    return wrong, create_index(table, columns)


def _begins_with(index: Index, column: str) -> bool:
    return index.columns[0].lower() == column.lower()


def _order(table: Table, index: Index, read: Collection[str]) -> tuple[str, ...] | None:
    """Return the index's columns up to the one that makes the order total; None if a read cannot resume in it."""
    if not (index.ascending or index.descending) or not table.ordered_key:
        return None
    columns = list(index.ordered_columns)
    is_total = index.unique and index.whole
    if index.ascending and not is_total:
        # A descending index is read backwards: the columns that the engine appends would then be descending.
        columns += table.appended_to(index)
    missing = {name.lower() for name in table.ordered_key}
    for place, name in enumerate(columns):
        is_key = name.lower() in missing
        if place and not is_key and not _can_be_resumed_after(table, name, read):
            return None
        missing.discard(name.lower())
        if not missing:
            return tuple(columns[: place + 1])
    return tuple(columns) if is_total else None


def _can_be_resumed_after(table: Table, name: str, read: Collection[str]) -> bool:
    column = table.column(name)
    return (
        column is not None
        and column.name in read
        and not column.nullable
        and column.data_type in _COMPARED_AS_SORTED
        and column.sorts_as_it_compares
        and round_trips(table, column)
    )
