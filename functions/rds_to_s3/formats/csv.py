"""CSV: the values are MySQL's text; only the bytes between them change.

RFC 4180, UTF-8, a header row, LF line ends. NULL is written as nothing (so in a file of one column it is an empty
line), the empty string as ``""``, binary values as upper-case hexadecimal. A value is quoted if it is empty, or
contains a separator, a quote or a line end, and if it is one of `WORDS`.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from rds_to_s3.formats.encoder import Rows, Sink
from rds_to_s3.formats.framing import WORDS, Framing
from rds_to_s3.formats.gzip_stream import GzipStream
from rds_to_s3.formats.zstd_stream import ZstdStream
from rds_to_s3.rows import Block, SpooledRow
from rds_to_s3.rows.columns import OutputColumn

EXTENSIONS = {"none": "csv", "gzip": "csv.gz", "zstd": "csv.zst"}
STREAMS: dict[str, Callable[[Sink], GzipStream | ZstdStream]] = {"gzip": GzipStream, "zstd": ZstdStream}
_SPECIAL = re.compile(rb'[,"\r\n]')


class CsvEncoder:
    """One CSV file.

    Attributes
    ----------
    extension : str
        ``csv``, ``csv.gz`` or ``csv.zst``.
    """

    inexact: Mapping[str, int] = MappingProxyType({})

    def __init__(self, columns: Sequence[OutputColumn], sink: Sink, compression: str = "none") -> None:
        self._stream = STREAMS[compression](sink) if compression in STREAMS else None
        self._sink = self._stream.write if self._stream else sink
        self.extension = EXTENSIONS[compression]
        self._columns = len(columns)
        self._binary = [index for index, column in enumerate(columns) if column.kind == "binary"]
        self._sink(b",".join(quoted(column.name.encode()) for column in columns) + b"\n")

    def write(self, rows: Rows) -> None:
        """Write rows."""
        if isinstance(rows, SpooledRow):
            self._write_large(rows)
        elif rows.rows:
            framing = Framing(rows, self._columns, self._binary)
            text = framing.text()
            self._sink(self._text_by_row(rows) if text is None else text)

    def close(self) -> None:
        """End the file."""
        if self._stream:
            self._stream.close()

    def _text_by_row(self, block: Block) -> bytes:
        """Write a block whose text is not UTF-8, which a server with damaged data may send: slowly, byte for byte."""
        lines = []
        for row in range(block.rows):
            values = (block.value(row, column) for column in range(self._columns))
            lines.append(b",".join(self._field(value, column) for column, value in enumerate(values)))
        return b"\n".join(lines) + b"\n"

    def _field(self, value: bytes | None, column: int) -> bytes:
        if value is None:
            return b""
        return quoted(binascii.hexlify(value).upper() if column in self._binary else value)

    def _write_large(self, row: SpooledRow) -> None:
        for column in range(self._columns):
            if column:
                self._sink(b",")
            if column in self._binary and row.length(column):
                for piece in row.pieces(column):
                    self._sink(binascii.hexlify(piece).upper())
            elif _needs_quotes(row, column):
                self._sink(b'"')
                for piece in row.pieces(column):
                    self._sink(piece.replace(b'"', b'""'))
                self._sink(b'"')
            else:
                for piece in row.pieces(column):
                    self._sink(piece)
        self._sink(b"\n")


def _needs_quotes(row: SpooledRow, column: int) -> bool:
    length = row.length(column)
    if length is not None and length <= len(WORDS[0]):
        value = b"".join(row.pieces(column))
        return quoted(value) != value
    return any(_SPECIAL.search(piece) for piece in row.pieces(column))


def quoted(value: bytes) -> bytes:
    """Return a value as a CSV field, in quotes where needed."""
    if value and value not in WORDS and not _SPECIAL.search(value):
        return value
    return b'"' + value.replace(b'"', b'""') + b'"'
