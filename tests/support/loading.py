"""Loads extracted files back into an empty copy of their table, and lets the server compare the two."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Protocol

import pyarrow.parquet as pq

from rds_to_s3.mysql.select import SelectColumn, quoted
from tests.support.csv_reading import read_csv

Row = dict[str, Any]

# What a server must be told to take back whatever it once held.
SESSION = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'"


class Server(Protocol):
    """What is needed of a database."""

    def execute(self, *statements: str) -> None: ...

    def rows(self, query: str) -> list[tuple[Any, ...]]: ...


def columns_of(database: Server, table: str) -> list[tuple[SelectColumn, bool]]:
    """Return the table's columns, invisible ones included, and whether a value can be inserted into each."""
    from rds_to_s3.mysql.catalogue.schema import TableColumn  # noqa: PLC0415

    found = database.rows(
        "SELECT column_name, data_type, column_type, character_set_name, extra FROM information_schema.columns "
        f"WHERE table_schema = DATABASE() AND table_name = {literal(table, 'text')} ORDER BY ordinal_position"
    )
    columns = []
    for name, data_type, column_type, character_set, extra in found:
        kind = TableColumn(name, str(data_type), str(column_type), True, 0, character_set).kind
        columns.append((SelectColumn(name, str(data_type), kind), " GENERATED" not in f" {extra.upper()}"))
    return columns


def rows_of_csv(body: bytes, columns: Iterable[SelectColumn]) -> list[Row]:
    """Return the rows of a CSV file: text as text, binary values as bytes."""
    binary = {column.name for column in columns if column.kind == "binary"}
    rows: list[Row] = []
    for row in read_csv(body):
        rows.append({n: bytes.fromhex(v) if v is not None and n in binary else v for n, v in row.items()})
    return rows


def rows_of_parquet(body: bytes) -> list[Row]:
    """Return the rows of a Parquet file as Python values."""
    rows: list[Row] = pq.read_table(io.BytesIO(body)).to_pylist()
    return rows


def load(database: Server, table: str, rows: Sequence[Row]) -> None:
    """Insert rows into a table."""
    columns = [column for column, insertable in columns_of(database, table) if insertable]
    database.execute(SESSION)
    names = ", ".join(quoted(column.name) for column in columns)
    for start in range(0, len(rows), 500):
        tuples = ", ".join(
            "(" + ", ".join(literal(row[column.name], column.kind) for column in columns) + ")"
            for row in rows[start : start + 500]
        )
        database.execute(f"INSERT INTO {quoted(table)} ({names}) VALUES {tuples}")


def literal(value: Any, kind: str) -> str:
    """Write a value from a file as SQL, in whatever SQL mode."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, int | Decimal):
        return str(value) if isinstance(value, int) else f"{value:f}"
    text = str(value)
    # A number goes in as text, as LOAD DATA would have it: the literal -0.0 is a DECIMAL, and those know no -0.
    return f"'{text}'" if kind == "numeric" else f"CONVERT(x'{text.encode().hex()}' USING utf8mb4)"


def differing_rows(database: Server, table: str, copy: str) -> int:
    """Let the server count the rows that one of two tables has and the other has not, every byte of them compared."""
    digest = row_digest([column for column, _ in columns_of(database, table)])
    both = f"SELECT {digest} AS h, 1 AS n FROM {quoted(table)} UNION ALL SELECT {digest}, -1 FROM {quoted(copy)}"
    return int(
        database.rows(f"SELECT COALESCE(SUM(ABS(n)), 0) FROM (SELECT SUM(n) AS n FROM ({both}) AS b GROUP BY h) AS g")[
            0
        ][0]
    )


def row_digest(columns: Iterable[SelectColumn]) -> str:
    """Write an expression that differs wherever two rows do."""
    return "SHA2(CONCAT_WS(':', " + ", ".join(_bytes(column) for column in columns) + "), 256)"


def _bytes(column: SelectColumn) -> str:
    name = quoted(column.name)
    if column.kind == "binary":
        text = f"HEX({name})"
    elif column.data_type == "float":
        text = f"CAST({name} AS DOUBLE)"
    else:
        text = f"HEX(CAST({name} AS BINARY))"
    return f"IFNULL({text}, 'NULL')"
