"""Reads the one row of a contender's output as it is written: bytes and quotes of text, typed values of Parquet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CSV = re.compile(rb'("(?:[^"]|"")*"|[^,"\r\n]*)(,|\r?\n|$)')
_SQL = re.compile(rb'("(?:\\.|[^"\\])*"|[^,()"]+)([,)])', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPES = {b"0": b"\0", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a"}


@dataclass(frozen=True)
class Text:
    """A value in a text file.

    Attributes
    ----------
    written : bytes
        With its quotes and escapes.
    value : bytes
        Without them.
    """

    written: bytes
    value: bytes


def find(folder: Path, name: str, table: str) -> Path:
    """Return the file that a contender has written.

    Raises
    ------
    RuntimeError
        There is none.
    """
    patterns = {
        "rivet": f"out/*.{name.rsplit(maxsplit=1)[-1]}",
        "dlt": f"out.dlt/out/*/{table}/*",
        "sling": "out.csv",
        "mydumper": f"out/*.{table}.*sql",
        "mariadb": "out.tsv",
    }
    found = sorted(folder.glob(patterns.get(name.split(maxsplit=1)[0], "out")))
    if not found:
        raise RuntimeError("it has written no file")
    return found[0]


def read_row(path: Path, name: str, columns: list[str]) -> dict[str, Any] | None:
    """Return the row's values by column: `Text`, or what Parquet gives; None if the file has no row."""
    if name.endswith("parquet"):
        from pyarrow import parquet  # noqa: PLC0415

        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return rows[0] if rows else None
    content = path.read_bytes()
    if name == "mydumper":
        return sql_row(content, columns)
    return tsv_row(content) if name == "mariadb client" else csv_row(content)


def csv_row(content: bytes) -> dict[str, Any] | None:
    r"""Read the first row of a CSV file with a header.

    Examples
    --------
    >>> csv_row(b'a,b\n"",x\n')
    {'a': Text(written=b'""', value=b''), 'b': Text(written=b'x', value=b'x')}
    """
    lines: list[list[bytes]] = [[]]
    for field in _CSV.finditer(content):
        lines[-1].append(field[1])
        if field[2] != b",":
            lines.append([])
        if len(lines) == 3:
            break
    names = [_unquoted(name).decode() for name in lines[0]]
    if len(lines) < 3 or len(lines[1]) != len(names):
        return None
    return {name: Text(field, _unquoted(field)) for name, field in zip(names, lines[1], strict=True)}


def _unquoted(field: bytes) -> bytes:
    return field[1:-1].replace(b'""', b'"') if field.startswith(b'"') else field


def tsv_row(content: bytes) -> dict[str, Any] | None:
    """Read the first row that the ``mariadb`` client printed."""
    names, row, *_ = [*content.split(b"\n"), b""]
    if not row:
        return None
    fields = zip(names.decode().split("\t"), row.split(b"\t"), strict=True)
    return {name: Text(field, _unescaped(field)) for name, field in fields}


def sql_row(content: bytes, columns: list[str]) -> dict[str, Any] | None:
    """Read the first row of mydumper's INSERT statement."""
    _, found, row = content.partition(b" VALUES")
    if not found:
        return None
    written = []
    for field in _SQL.finditer(row, row.index(b"(") + 1):
        written.append(field[1])
        if field[2] == b")":
            break
    return {
        name: Text(field, _unescaped(field.strip(b'"') if field.startswith(b'"') else field))
        for name, field in zip(columns, written, strict=True)
    }


def _unescaped(field: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), field)
