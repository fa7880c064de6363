"""The connection of the Python contenders, and the socket alone, which is the limit."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql

Read = Callable[[], int]


def connect(make: Any = pymysql.connect, **options: Any) -> Any:
    url = urlsplit(os.environ["BENCHMARK_URL"])
    return make(
        host=url.hostname or "127.0.0.1",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        database=url.path.strip("/"),
        ssl_disabled=True,
        **options,
    )


def socket(table: str, _: Path) -> Read:
    """Read the query's bytes and discard them: the limit."""
    connection = connect()

    def read() -> int:
        connection.query(f"SELECT * FROM {table}", unbuffered=True)
        stream = connection._rfile
        connection._result.unbuffered_active = False
        buffer = memoryview(bytearray(1 << 20))
        end = b""
        while not (end[-9:-6] == b"\x05\x00\x00" and end[-5] == 0xFE):
            end = (end + buffer[: stream.readinto1(buffer)])[-9:]
        with connection.cursor() as cursor:
            cursor.execute("SELECT FOUND_ROWS()")
            return int(cursor.fetchone()[0])

    return read
