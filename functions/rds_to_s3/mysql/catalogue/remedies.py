"""Remedies as SQL that runs as printed: every name is quoted, and every account is complete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rds_to_s3.mysql.catalogue.schema import DeniedColumns, Index, Table
from rds_to_s3.mysql.select import account, quoted
from rds_to_s3.wording import nearest

LONGEST_NAME = 64


def qualified(table: Table) -> str:
    """Write a table's name, with its database if known."""
    return f"{quoted(table.database)}.{quoted(table.name)}" if table.database else quoted(table.name)


def create_index(table: Table, columns: Sequence[str]) -> str:
    """Write the statement that creates an index, with a name that no index of the table has.

    Examples
    --------
    >>> create_index(Table("my table", False, ()), ["modifiedDate", "id"])
    'CREATE INDEX `my table_modifiedDate` ON `my table` (`modifiedDate`, `id`)'
    """
    taken = {index.name.lower() for index in (*table.indexes, *table.unused_indexes)}
    wanted = f"{table.name}_{columns[0]}"
    name, number = wanted[:LONGEST_NAME].rstrip(), 1
    while name.lower() in taken:
        number += 1
        ending = f"_{number}"
        name = wanted[: LONGEST_NAME - len(ending)] + ending
    # The MEMORY engine would create a hash index, which has no order.
    using = " USING BTREE" if table.engine.upper() == "MEMORY" else ""
    return f"CREATE INDEX {quoted(name)}{using} ON {qualified(table)} ({', '.join(map(quoted, columns))})"


def bring_back_index(table: Table, index: Index) -> str:
    """Write the statement that makes an invisible or ignored index usable again."""
    how = "VISIBLE" if index.unused == "invisible" else "NOT IGNORED"
    return f"ALTER TABLE {qualified(table)} ALTER INDEX {quoted(index.name)} {how}"


def grant_select(table: Table, denied: DeniedColumns, names: Iterable[str] | None = None) -> str:
    """Write the statement that lets the user read columns, by default all denied ones."""
    columns = ", ".join(map(quoted, denied.names if names is None else names))
    return f"GRANT SELECT ({columns}) ON {qualified(table)} TO {account(denied.user)}"


def key_grant(table: Table, denied: DeniedColumns) -> str | None:
    """Write the statement that lets the user read a table's key; None if it may, or the table has no key."""
    hidden = [name for index in table.indexes if index.unique for name in index.columns if name in denied]
    return grant_select(table, denied, dict.fromkeys(hidden)) if hidden else None


def column_missing(table: Table, name: str, role: str, denied: DeniedColumns) -> str:
    """Write that a table has no such column, or that the user may not read it, and what helps.

    Parameters
    ----------
    role : str
        The place that names it: ``named in "columns" in the table list``.
    """
    if name in denied:
        return (
            f"the database user may not read column {name!r} of table {table.name!r}, {role}: "
            f"{grant_select(table, denied, [name])}"
        )
    names = [column.name for column in table.columns]
    close = nearest(name, names)
    hint = f"did you mean {close!r}?" if close else f"it has {', '.join(names[:30])}."
    return f"table {table.name!r} has no column {name!r}, {role}; {hint}"
