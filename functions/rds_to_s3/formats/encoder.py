"""What the formats have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from rds_to_s3.rows import Block, SpooledRow

Rows = Block | SpooledRow
Sink = Callable[[bytes | bytearray | memoryview], object]


class RowEncoder(Protocol):
    """One file being written."""

    @property
    def extension(self) -> str:
        """The file's extension without a leading dot: ``csv``, ``csv.gz``, ``csv.zst`` or ``parquet``."""
        ...

    @property
    def inexact(self) -> Mapping[str, int]:
        """How many values the file cannot store exactly, by what happened to them; complete after `close`."""
        ...

    def write(self, rows: Rows) -> None:
        """Write rows."""
        ...

    def close(self) -> None:
        """Write the end of the file. A file that is discarded need not be closed."""
        ...
