"""Reads CSV as the contract writes it, telling NULL from the empty string."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator

_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)')


def read_fields(text: str) -> Iterator[list[str | None]]:
    """Yield each line's fields; nothing between the separators is None."""
    position = 0
    line: list[str | None] = []
    while position < len(text):
        match = _FIELD.match(text, position)
        assert match, f"not RFC 4180 at {position}: {text[position : position + 60]!r}"
        quoted, plain, end = match.groups()
        line.append(quoted.replace('""', '"') if quoted is not None else plain or None)
        position = match.end()
        if end == "\n":
            yield line
            line = []
    assert not line, "the last line has no end"


def read_csv(body: bytes) -> Iterator[dict[str, str | None]]:
    """Yield each row by column name."""
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    lines = read_fields(body.decode("utf-8"))
    header = [str(name) for name in next(lines)]
    for line in lines:
        yield dict(zip(header, line, strict=True))
