"""One row that is larger than a block, kept in a temporary file."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray

from rds_to_s3.rows.block import DIGEST_BYTES, NULL, PREFIX_WIDTH, Block, MalformedRowError

PIECE_BYTES = 1 << 20


class SpooledRow:
    """A row whose payload is in an unlinked temporary file; it takes no memory however long its values are.

    Parameters
    ----------
    file : binary file
        Holds the row's payload (the packet without its headers) and nothing else. It is closed with this object.

    Raises
    ------
    MalformedRowError
        The payload does not hold exactly `columns` values.
    """

    def __init__(self, file: IO[bytes], columns: int) -> None:
        file.flush()
        self._descriptor = file.fileno()
        self._finalizer = weakref.finalize(self, file.close)
        self.columns = columns
        self.bytes = os.fstat(self._descriptor).st_size
        self._values: list[tuple[int, int] | None] = []
        self._ends: list[int] = []
        position = 0
        for _ in range(columns):
            prefix = os.pread(self._descriptor, 9, position)
            if not prefix or prefix[0] == 0xFF:
                raise MalformedRowError(f"a row packet does not hold exactly {columns} values")
            width = int(PREFIX_WIDTH[prefix[0]])
            if prefix[0] == NULL:
                self._values.append(None)
                position += 1
                self._ends.append(position)
                continue
            length = prefix[0] if width == 1 else int.from_bytes(prefix[1:width], "little")
            self._values.append((position + width, length))
            position += width + length
            self._ends.append(position)
        if position != self.bytes:
            raise MalformedRowError(f"a row packet does not hold exactly {columns} values")

    @property
    def rows(self) -> int:
        """One."""
        return 1

    @property
    def payload_bytes(self) -> int:
        """Size of the row."""
        return self.bytes

    def rows_within(self, size: int) -> int:
        """Return 1 where the row has at most `size` bytes, 0 where it has more."""
        return int(self.bytes <= size)

    def slice(self, start: int, stop: int) -> SpooledRow | Block:
        """Return the row, or no row."""
        return self if start <= 0 < stop else Block.empty(self.columns)

    def keep(self, mask: NDArray[np.bool_] | Sequence[bool]) -> SpooledRow | Block:
        """Return the row if the mask's only element is true, or no row."""
        return self if mask[0] else Block.empty(self.columns)

    def fixed(self, column: int, width: int) -> NDArray[np.bytes_]:
        """Return a short value as `Block.fixed` does."""
        length = self.length(column) or 0
        if length > width:
            raise ValueError(f"a value of {length} bytes does not fit into {width}")
        return np.array([self.value(0, column) or b""], f"S{width}")

    def texts(self, column: int, most: int) -> NDArray[np.bytes_]:
        """Return a short value as `Block.texts` does."""
        return self.fixed(column, most)

    def length(self, column: int) -> int | None:
        """Return a value's length in bytes, None where it is NULL."""
        value = self._values[column]
        return None if value is None else value[1]

    def value(self, row: int, column: int) -> bytes | None:
        """Return one value, all of it in memory; `row` is 0."""
        value = self.buffer(row, column)
        return None if value is None else bytes(value)

    def buffer(self, row: int, column: int) -> bytearray | None:
        """Return one value as `value` does, without having it in memory twice on the way."""
        if row != 0:
            raise IndexError(row)
        if self._values[column] is None:
            return None
        value = bytearray(self.length(column) or 0)
        filled = 0
        for piece in self.pieces(column):
            value[filled : filled + len(piece)] = piece
            filled += len(piece)
        return value

    def pieces(self, column: int) -> Iterator[bytes]:
        """Yield a value `PIECE_BYTES` at a time, nothing where it is NULL or empty."""
        value = self._values[column]
        if value is not None:
            yield from self._read(*value)

    def digest(self, row: int = 0) -> bytes:
        """Return the same digest as `Block.digest`; `row` is 0."""
        if row != 0:
            raise IndexError(row)
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for piece in self._read(0, self.bytes):
            digest.update(piece)
        return digest.digest()

    def digest_of(self, columns: int) -> bytes:
        """Return the digest of the first columns, as `rds_to_s3.rows.keys.digests_of` has it."""
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for piece in self._read(0, self._ends[columns - 1]):
            digest.update(piece)
        return digest.digest()

    def close(self) -> None:
        """Give the disk space back now."""
        self._finalizer()

    def _read(self, position: int, length: int) -> Iterator[bytes]:
        end = position + length
        while position < end:
            piece = os.pread(self._descriptor, min(PIECE_BYTES, end - position), position)
            if not piece:
                raise EOFError("the spooled row is shorter than it was")
            yield piece
            position += len(piece)
