"""Reads what the database says about its tables: columns, keys and indexes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import quoted
from rds_to_s3.schema import Index, Table, TableColumn


def table_names(connection: Connection, database: str) -> list[str]:
    """Return the base tables of a database, views left out."""
    rows = connection.rows(
        "SELECT table_name AS name FROM information_schema.tables "
        "WHERE table_schema = %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name",
        (database,),
    )
    return [row["name"] for row in rows]


def read_table(connection: Connection, database: str, name: str) -> Table | None:
    """Describe one table; None where it does not exist or the user may not see it."""
    tables = connection.rows(
        "SELECT table_name AS name, table_type AS kind, table_rows AS estimate, "
        "avg_row_length AS row_bytes, engine AS engine "
        "FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
        (database, name),
    )
    # A case-insensitive server would find `Orders` for `orders`, and the keys in the bucket would tell them apart.
    tables = [table for table in tables if table["name"] == name]
    if not tables:
        return None
    columns = connection.rows(
        "SELECT column_name AS name, data_type AS type, column_type AS full_type, is_nullable AS nullable, "
        "datetime_precision AS digits, character_set_name AS charset, collation_name AS collation "
        "FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        (database, name),
    )
    return Table(
        name=name,
        is_view="VIEW" in tables[0]["kind"],
        columns=tuple(_column(row) for row in columns),
        indexes=_indexes(connection, database, name),
        estimated_rows=int(tables[0]["estimate"] or 0),
        average_row_bytes=int(tables[0]["row_bytes"] or 0),
        engine=str(tables[0]["engine"]),
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


def _indexes(connection: Connection, database: str, name: str) -> tuple[Index, ...]:
    # SHOW INDEX, not information_schema: the column that tells an invisible index has another name on each server.
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in connection.rows(f"SHOW INDEX FROM {quoted(name)} FROM {quoted(database)}"):
        if row["index_type"] == "BTREE" and row.get("visible", "YES") == "YES" and row.get("ignored", "NO") == "NO":
            by_name.setdefault(row["key_name"], []).append(row)
    return tuple(_index(index_name, parts) for index_name, parts in by_name.items())


def _index(name: str, parts: Sequence[dict[str, Any]]) -> Index:
    return Index(
        name=name,
        unique=not int(parts[0]["non_unique"]),
        columns=tuple(part["column_name"] or "" for part in parts),
        whole=all(part["sub_part"] is None and part["column_name"] for part in parts),
        ascending=all(part["collation"] == "A" for part in parts),
    )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
