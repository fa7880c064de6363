"""Rows with the HMAC-SHA-256 of some values in the place of these values.

https://datatracker.ietf.org/doc/html/rfc2104
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from rds_to_s3.rows.block import HEADER, Block, length_prefix
from rds_to_s3.rows.spooled import SpooledRow

HASH_CHARACTERS = 64
_NULL = length_prefix(None)
_PREFIX = length_prefix(HASH_CHARACTERS)
_BLOCK_BYTES = 64


class Masks:
    """Hashes some columns of rows.

    Parameters
    ----------
    columns : mapping
        Position of each column to hash, and whether its values are binary: their text is upper-case hexadecimal then.
    key : bytes

    Attributes
    ----------
    key_id : str
        Distinguishes this key from others, and says nothing about it.
    """

    def __init__(self, columns: Mapping[int, bool], key: bytes) -> None:
        self._columns = dict(sorted(columns.items()))
        short = key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()
        padded = short.ljust(_BLOCK_BYTES, b"\0")
        # Both halves begin with a block that depends on the key alone.
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
        self.key_id = self.hashed([b"rds-to-s3 key id"]).decode()[:16]

    def hashed(self, pieces: Iterable[bytes]) -> bytes:
        """Return the hash of a text that comes in pieces, as lower-case hexadecimal."""
        inner, outer = self._inner.copy(), self._outer.copy()
        for piece in pieces:
            inner.update(piece)
        outer.update(inner.digest())
        return outer.hexdigest().encode()

    def apply(self, rows: Block | SpooledRow) -> Block | SpooledRow:
        """Return the rows with these columns hashed. NULL stays NULL."""
        if not rows.rows:
            return rows
        return self._of_block(rows) if isinstance(rows, Block) else self._of_spooled(rows)

    def _of_block(self, rows: Block) -> Block:
        view = rows.data.data
        begins = (rows.bounds[0] - HEADER).tolist()
        pieces: list[Sequence[bytes | memoryview]] = []
        for column, is_binary in self._columns.items():
            ends = rows.bounds[column].tolist()
            pieces.append([view[begin:end] for begin, end in zip(begins, ends, strict=True)])
            pieces.append(self._hashes(rows, column, is_binary=is_binary))
            begins = rows.bounds[column + 1].tolist()
        pieces.append([view[begin:end] for begin, end in zip(begins, rows.bounds[-1].tolist(), strict=True)])
        packets = list(map(b"".join, zip(*pieces, strict=True)))
        ends = np.cumsum([len(packet) for packet in packets])
        data = np.frombuffer(b"".join(packets), np.uint8)
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        return Block.decode(data, starts, len(data), rows.columns)

    def _hashes(self, rows: Block, column: int, *, is_binary: bool) -> list[bytes]:
        """Return the column's new values with their lengths. A value that occurs again is hashed once."""
        view, nulls = rows.data.data, rows.nulls(column)
        places = zip(rows.starts(column).tolist(), rows.bounds[column + 1].tolist(), strict=True)
        values = [bytes(view[begin:end]) for begin, end in places]
        known = {value: _PREFIX + self.hashed([_text(value, is_binary=is_binary)]) for value in set(values)}
        hashes = [known[value] for value in values]
        for row in () if nulls is None else np.flatnonzero(nulls).tolist():
            hashes[row] = _NULL
        return hashes

    def _of_spooled(self, row: SpooledRow) -> SpooledRow:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the row closes it
        for column in range(row.columns):
            is_binary = self._columns.get(column)
            if is_binary is None:
                file.write(length_prefix(row.length(column)))
                for piece in row.pieces(column):
                    file.write(piece)
            elif row.length(column) is None:
                file.write(_NULL)
            else:
                texts = (_text(piece, is_binary=is_binary) for piece in row.pieces(column))
                file.write(_PREFIX + self.hashed(texts))
        return SpooledRow(file, row.columns)


def _text(value: bytes, *, is_binary: bool) -> bytes:
    """Return a value's text as a file would have it."""
    return value.hex().upper().encode() if is_binary else value
