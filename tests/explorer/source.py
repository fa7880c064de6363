"""A scripted database in place of MySQL: one table whose rows change at every plan and every connection.

The statements of the extractor are answered by SQLite, whose answers are kept: the same statement at the same moment
of the script is asked once a process.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Self

import numpy as np

from rds_to_s3.mysql.catalogue.schema import Index, Table, TableColumn
from rds_to_s3.rows import Block
from rds_to_s3.rows.block import HEADER

TABLE = "orders"
BEGIN = datetime(2025, 4, 2, 12, 0, 0)
SPACING = timedelta(minutes=10)
SETTLE = timedelta(minutes=1)
RESTLESS = 4  # the key of a row that every event updates

COLUMNS = (
    TableColumn("id", "int", "int", False),
    TableColumn("note", "varchar", "varchar(60)", True, character_set="utf8mb4", collation="utf8mb4_bin"),
    TableColumn("createdDate", "datetime", "datetime", False),
    TableColumn("modifiedDate", "datetime", "datetime", True),
)
INDEXES = (
    Index("PRIMARY", True, ("id",)),
    Index("by_created", False, ("createdDate",)),
    Index("by_modified", False, ("modifiedDate",)),
)


def moment(number: int) -> datetime:
    """Return when the script's nth event happens, by the server's clock."""
    return BEGIN + number * SPACING


def until(number: int) -> datetime:
    """Return the bound that a plan finds at the nth event: what comes later has a later stamp."""
    return moment(number) - SETTLE


@cache
def rows_after(script: str) -> dict[int, tuple[str, datetime, datetime | None]]:
    """Return the table by key after the events ``p`` (writes, then a plan) and ``c`` (a write, then a connection)."""
    rows: dict[int, tuple[str, datetime, datetime | None]] = {}
    for key in range(1, 5):
        rows[key] = (f"{key} v0", BEGIN - timedelta(days=1), None)
    for number, event in enumerate(script):
        now = moment(number)
        stamp = now - 5 * SETTLE if event == "p" else now
        rows[10 + number] = (f"{10 + number} v{number}", stamp, None)
        rows[RESTLESS] = (f"{RESTLESS} v{number}", rows[RESTLESS][1], now)
        if event == "p":
            key = 1 + number % 3
            rows[key] = (f"{key} v{number}", rows[key][1], stamp)
            gone = [key for key in sorted(rows) if 10 <= key < 10 + number]
            if number > 2:
                del rows[gone[0]]
    return rows


@cache
def _server(script: str) -> sqlite3.Connection:
    server = sqlite3.connect(":memory:", check_same_thread=False)
    server.create_function("IF", 3, lambda condition, yes, no: yes if condition else no)
    server.execute(f"CREATE TABLE {TABLE} (id INT, note TEXT, createdDate TEXT, modifiedDate TEXT)")
    for key, (note, created, modified) in rows_after(script).items():
        server.execute(
            f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?)", (key, note, str(created), str(modified) if modified else None)
        )
    return server


def _sqlite(sql: str) -> str:
    sql = re.sub(r"FORCE INDEX \([^)]*\)", "", sql)
    return re.sub(r"_utf8mb4 x'([0-9a-f]*)'", lambda match: f"'{bytes.fromhex(match[1]).decode()}'", sql)


@cache
def _answer(script: str, sql: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    cursor = _server(script).execute(_sqlite(sql))
    return tuple(column[0].lower() for column in cursor.description), cursor.fetchall()


@cache
def _block(script: str, sql: str) -> Block | None:
    names, rows = _answer(script, sql)
    if not rows:
        return None
    packets = [bytes(HEADER) + b"".join(map(_length_encoded, row)) for row in rows]
    starts = np.cumsum([0, *(len(packet) for packet in packets)])
    data = np.frombuffer(b"".join(packets), np.uint8)
    return Block.decode(data, starts[:-1].astype(np.int64), len(data), len(names))


def _length_encoded(value: object) -> bytes:
    if value is None:
        return b"\xfb"
    text = str(value).encode()
    return bytes([len(text)]) + text


class SourceConnection:
    """What the extractor asks of a connection, in one snapshot."""

    is_mariadb = False
    db = ""

    def __init__(self, script: str) -> None:
        self.script = script
        self.open = True
        self._found = 0

    def use(self, database: str) -> None:
        """Have one database only."""
        self.db = database

    def run(self, sql: str, *, table: str | None = None) -> None:
        """Take a statement without rows."""

    def rows(self, sql: str, arguments: tuple[object, ...] = ()) -> list[dict[str, Any]]:
        if "FOUND_ROWS()" in sql:
            return [{"sent": self._found}]
        names, rows = _answer(self.script, sql)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def row(self, sql: str, arguments: tuple[object, ...] = ()) -> dict[str, Any]:
        return self.rows(sql, arguments)[0]

    def query(self, sql: str) -> SourceRows:
        """Stand in for `rds_to_s3.mysql.wire.result_set.query`."""
        block = _block(self.script, sql)
        self._found = 0 if block is None else block.rows
        return SourceRows(block)

    def close(self) -> None:
        self.open = False


class SourceRows:
    """Stand in for `rds_to_s3.mysql.wire.result_set.ResultSet`."""

    def __init__(self, block: Block | None) -> None:
        self._block = block

    def __iter__(self) -> Iterator[Block]:
        if self._block is not None:
            yield self._block

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def abandon(self) -> None:
        """Nothing is open."""


def describe_table(*, average_row_bytes: int) -> Table:
    """Stand in for `rds_to_s3.mysql.catalogue.tables.snapshot.open_snapshot`."""
    return Table(TABLE, False, COLUMNS, INDEXES, estimated_rows=10, average_row_bytes=average_row_bytes)
