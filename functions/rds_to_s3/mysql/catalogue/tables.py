"""Reads the catalogue of a database: tables, columns, keys and indexes.

Each list is compared with a count. A count is one row, so a limit on results cannot make the two agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rds_to_s3.errors import RowCountError
from rds_to_s3.mysql.catalogue.schema import Index, Table, TableColumn
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import quoted

_TABLES = "FROM information_schema.tables WHERE table_schema = %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')"
# By bytes: MariaDB compares these names without case, and `Shop` beside `shop` is another database.
_OTHERS = (
    "FROM information_schema.tables WHERE CAST(table_schema AS BINARY) <> CAST(%s AS BINARY) "
    "AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND "
    "table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
)
_COLUMNS = "FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
_COUNTS = f"""
SELECT (SELECT COUNT(*) {_COLUMNS}) AS columns_counted,
       (SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = %s AND table_name = %s) AS parts_counted
"""  # noqa: S608 - a constant
# Somebody may create or alter a table between a list and its count.
_ATTEMPTS = 3


def table_names(connection: Connection, database: str) -> list[str]:
    """Return the base tables of a database, views left out.

    Raises
    ------
    RowCountError
        The server lists another number of tables than it counts.
    """
    for _ in range(_ATTEMPTS):
        rows = connection.rows(f"SELECT table_name AS name {_TABLES} ORDER BY table_name", (database,))
        counted = int(connection.row(f"SELECT COUNT(*) AS counted {_TABLES}", (database,))["counted"])
        if len(rows) == counted:
            return [row["name"] for row in rows]
    raise _incomplete(f"{len(rows)} tables of database {database!r}", counted)


def tables_of_other_databases(connection: Connection, database: str) -> list[tuple[str, str]]:
    """Return database and name of the base tables of all other databases that the user sees, except the server's own.

    Raises
    ------
    RowCountError
        The server lists another number of tables than it counts.
    """
    for _ in range(_ATTEMPTS):
        rows = connection.rows(f"SELECT table_schema AS db, table_name AS name {_OTHERS}", (database,))
        counted = int(connection.row(f"SELECT COUNT(*) AS counted {_OTHERS}", (database,))["counted"])
        if len(rows) == counted:
            return sorted((row["db"], row["name"]) for row in rows)
    raise _incomplete(f"{len(rows)} tables of other databases", counted)


def read_table(connection: Connection, database: str, name: str) -> Table | None:
    """Describe one table; None where it does not exist or the user may not see it.

    Raises
    ------
    RowCountError
        The server lists another number of columns, or of columns of indexes, than it counts.
    """
    tables = connection.rows(
        "SELECT table_name AS name, table_type AS kind, table_rows AS estimate, "
        "avg_row_length AS row_bytes, engine AS engine "
        "FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
        (database, name),
    )
    # A case-insensitive server would find `Orders` for `orders`, but the keys in the bucket would differ.
    tables = [table for table in tables if table["name"] == name]
    if not tables:
        return None
    for _ in range(_ATTEMPTS):
        columns = connection.rows(
            "SELECT column_name AS name, data_type AS type, column_type AS full_type, is_nullable AS nullable, "
            "datetime_precision AS digits, character_set_name AS charset, collation_name AS collation "
            f"{_COLUMNS} ORDER BY ordinal_position",
            (database, name),
        )
        # SHOW INDEX, not information_schema: the column of an invisible index has another name on each server.
        parts = connection.rows(f"SHOW INDEX FROM {quoted(name)} FROM {quoted(database)}")
        counted = connection.row(_COUNTS, (database, name) * 2)
        if (len(columns), len(parts)) == (int(counted["columns_counted"]), int(counted["parts_counted"])):
            break
    else:
        raise _incomplete(
            f"{len(columns)} columns and {len(parts)} columns of indexes of table {name!r}",
            f"{counted['columns_counted']} and {counted['parts_counted']}",
        )
    indexes = _indexes(parts)
    return Table(
        name=name,
        is_view="VIEW" in tables[0]["kind"],
        columns=tuple(_column(row) for row in columns),
        indexes=tuple(index for index in indexes if index.unused is None),
        unused_indexes=tuple(index for index in indexes if index.unused is not None),
        database=database,
        estimated_rows=int(tables[0]["estimate"] or 0),
        average_row_bytes=int(tables[0]["row_bytes"] or 0),
        engine=str(tables[0]["engine"]),
        checks_ascii=not connection.is_mariadb,
    )


def _column(row: dict[str, Any]) -> TableColumn:
    return TableColumn(
        name=row["name"],
        data_type=_text(row["type"]).lower(),
        column_type=_text(row["full_type"]),
        nullable=row["nullable"] == "YES",
        fraction_digits=int(row["digits"] or 0),
        character_set=row["charset"],
        collation=row["collation"],
    )


def _indexes(rows: Sequence[dict[str, Any]]) -> tuple[Index, ...]:
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_name.setdefault(row["key_name"], []).append(row)
    return tuple(_index(index_name, parts) for index_name, parts in by_name.items())


def _index(name: str, parts: Sequence[dict[str, Any]]) -> Index:
    are_whole = [part["sub_part"] is None and bool(part["column_name"]) for part in parts]
    return Index(
        name=name,
        unique=not int(parts[0]["non_unique"]),
        columns=tuple(part["column_name"] or "" for part in parts),
        whole=all(are_whole),
        whole_parts=[*are_whole, False].index(False),
        ascending=all(part["collation"] == "A" for part in parts),
        descending=all(part["collation"] == "D" for part in parts),
        unused=_unused(parts[0]),
    )


def _unused(part: dict[str, Any]) -> str | None:
    """Return why no read can use an index. MySQL has invisible ones, MariaDB ignored ones."""
    if part.get("visible", "YES") != "YES":
        return "invisible"
    if part.get("ignored", "NO") != "NO":
        return "ignored"
    kind = str(part["index_type"])
    return None if kind == "BTREE" else f"of the kind {kind}, which has no order"


def _incomplete(listed: str, counted: object) -> RowCountError:
    return RowCountError(
        f"the server lists {listed}, and counts {counted}. If this persists, something between here and the server "
        "limits what a query returns, such as a rule of a proxy: remove it for this user."
    )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
