"""A server's side of the text protocol, in bytes, and a PyMySQL connection that reads them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pymysql

MAX_PACKET = 0xFFFFFF
TEXT, BINARY = 45, 63  # collations: utf8mb4_general_ci, binary
VAR_STRING = 253

Row = Sequence[bytes | None]


def length_encoded(value: bytes | None) -> bytes:
    if value is None:
        return b"\xfb"
    size = len(value)
    if size < 0xFB:
        return bytes([size]) + value
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + value
    if size < 1 << 24:
        return b"\xfd" + size.to_bytes(3, "little") + value
    return b"\xfe" + size.to_bytes(8, "little") + value


def row_payload(row: Row) -> bytes:
    return b"".join(map(length_encoded, row))


def eof(*, warnings: int = 0, status: int = 2) -> bytes:
    return b"\xfe" + struct.pack("<HH", warnings, status)


def error(number: int, text: str) -> bytes:
    return b"\xff" + struct.pack("<H", number) + b"#HY000" + text.encode()


def ok() -> bytes:
    return b"\x00\x00\x00\x02\x00\x00\x00"


def column_definition(name: str, charset: int = BINARY) -> bytes:
    names = [b"def", b"shop", b"t", b"t", name.encode(), name.encode()]
    fixed = struct.pack("<BHIBHBH", 12, charset, 1024, VAR_STRING, 0, 0, 0)
    return b"".join(map(length_encoded, names)) + fixed


def packets(payloads: Iterable[bytes], sequence: int = 1) -> bytes:
    """Frame payloads as packets, those of 16 MB and more as several."""
    framed = []
    for payload in payloads:
        pieces = [payload[start : start + MAX_PACKET] for start in range(0, len(payload) + 1, MAX_PACKET)]
        for piece in pieces:
            framed.append(len(piece).to_bytes(3, "little") + bytes([sequence & 0xFF]) + piece)
            sequence += 1
    return b"".join(framed)


def result_set(rows: Iterable[Row], columns: Sequence[str] = ("c",), *, last: bytes | None = None) -> bytes:
    """Return all the packets that answer a query."""
    definitions = [column_definition(name) for name in columns]
    head = [bytes([len(columns)]), *definitions, eof()]
    return packets([*head, *map(row_payload, rows), eof() if last is None else last])


class Server(io.RawIOBase):
    """Both ends of a socket: each command that is sent is answered with the next of `answers`, in pieces of `sizes`."""

    def __init__(self, answers: Iterable[Iterable[bytes]], sizes: Iterable[int] = ()) -> None:
        self._answers = iter(answers)
        self._sizes = iter(sizes)
        self._answer: Iterator[bytes] = iter(())
        self._piece = memoryview(b"")

    def sendall(self, data: bytes) -> None:
        if data[4:] != b"\x01":  # COM_QUIT
            self._answer = iter(next(self._answers))

    def settimeout(self, seconds: float | None) -> None: ...

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._piece:
            self._piece = memoryview(next(self._answer, b""))
        count = min(len(buffer), len(self._piece), next(self._sizes, 1 << 30))
        buffer[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count


def connection(*answers: bytes | Iterable[bytes], sizes: Iterable[int] = ()) -> pymysql.connections.Connection[Any]:
    """Return a connection to a server that answers each query with the next of `answers`."""
    made: Any = pymysql.connections.Connection(defer_connect=True)
    server = Server(([answer] if isinstance(answer, bytes) else answer for answer in answers), sizes)
    made._sock = server
    made._rfile = io.BufferedReader(server)
    made._current_timeout = None
    made._closed = False
    return made  # type: ignore[no-any-return]
