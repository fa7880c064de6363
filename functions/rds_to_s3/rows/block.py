"""Many rows at once: the bytes that the server sent, and the offsets of the values in them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]

HEADER = 4  # a packet's header: three bytes of length, one of sequence
NULL = 0xFB
_TWO_BYTES, _THREE_BYTES, _EIGHT_BYTES, _INVALID = 0xFC, 0xFD, 0xFE, 0xFF

# The width of a length-encoded integer by its first byte:
# https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html
PREFIX_WIDTH = np.ones(256, np.uint8)
PREFIX_WIDTH[[_TWO_BYTES, _THREE_BYTES, _EIGHT_BYTES]] = 3, 4, 9

# From a one-byte prefix to the next value's.
_STEP = np.arange(1, 257, dtype=np.int64)
_STEP[NULL] = 1

DIGEST_BYTES = 16


def length_prefix(length: int | None) -> bytes:
    """Write a value's length as the protocol does; None is that of NULL."""
    if length is None:
        return bytes([NULL])
    if length < NULL:
        return bytes([length])
    for mark, width in ((_TWO_BYTES, 2), (_THREE_BYTES, 3)):
        if length < 1 << (8 * width):
            return bytes([mark]) + length.to_bytes(width, "little")
    return bytes([_EIGHT_BYTES]) + length.to_bytes(8, "little")


class MalformedRowError(ValueError):
    """A row packet does not hold as many values as the result set has columns."""


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of a text result set, each one packet: a header, then for each column a length-encoded string.

    The packets follow each other without a gap. Values are copied only on request.
    Layout: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html

    Attributes
    ----------
    data : ndarray of uint8, shape (bytes,)
        The packets, perhaps with other bytes before and after them.
    bounds : ndarray of int64, shape (columns + 1, rows)
        ``bounds[c]`` has the offsets in `data` of column ``c``'s length prefixes, ``bounds[-1]`` the ends of the rows.
    prefixes : ndarray of uint8, shape (columns, rows)
        The first byte of each length prefix: the length itself up to 250, `NULL`, or the mark of a wider prefix.
    """

    data: Bytes
    bounds: Offsets
    prefixes: Bytes

    @classmethod
    def decode(cls, data: Bytes, packets: Offsets, end: int, columns: int) -> Block:
        """Find the values of all rows, one column after the other.

        Parameters
        ----------
        packets : ndarray of int64, shape (rows,)
            The offset of each row's packet header.
        end : int
            Where the last row ends.

        Raises
        ------
        MalformedRowError
            A row's values do not end where its packet does.
        """
        rows = len(packets)
        bounds = np.empty((columns + 1, rows), np.int64)
        prefixes = np.empty((columns, rows), np.uint8)
        np.add(packets, HEADER, out=bounds[0])
        for column in range(columns):
            prefix, following = prefixes[column], bounds[column + 1]
            # "clip" saves a bounds check per value: a row that points beyond the data cannot end at its packet's end.
            np.take(data, bounds[column], out=prefix, mode="clip")
            np.add(bounds[column], prefix, out=following)
            following += 1
            if rows and (highest := prefix.max()) >= NULL:
                np.add(bounds[column], _STEP[prefix], out=following)
                if highest > NULL:
                    _skip_wide_prefixes(data, bounds[column], prefix, following)
        if not np.array_equal(bounds[-1, :-1], packets[1:]) or (rows and bounds[-1, -1] != end):
            raise MalformedRowError(f"a row packet does not hold exactly {columns} values")
        return cls(data, bounds, prefixes)

    @classmethod
    def empty(cls, columns: int) -> Block:
        """Return a block without rows."""
        return cls(np.empty(0, np.uint8), np.empty((columns + 1, 0), np.int64), np.empty((columns, 0), np.uint8))

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.bounds.shape[1])

    @property
    def columns(self) -> int:
        """Number of columns, hidden ones included."""
        return int(self.bounds.shape[0]) - 1

    @property
    def begin(self) -> int:
        """Where the first row's packet starts in `data`."""
        return int(self.bounds[0, 0]) - HEADER if self.rows else 0

    @property
    def end(self) -> int:
        """Where the last row ends in `data`."""
        return int(self.bounds[-1, -1]) if self.rows else 0

    @cached_property
    def highest_prefixes(self) -> list[int]:
        """The highest prefix byte of each column: below `NULL` where all its values are short and none is NULL."""
        return [int(top) for top in self.prefixes.max(axis=1, initial=0)]

    def starts(self, column: int) -> Offsets:
        """Where the column's values start in `data`; they end at ``bounds[column + 1]``."""
        wide = self.highest_prefixes[column] > NULL
        starts: Offsets = self.bounds[column] + (PREFIX_WIDTH[self.prefixes[column]] if wide else 1)
        return starts

    def nulls(self, column: int) -> NDArray[np.bool_] | None:
        """Which values of the column are NULL; None where none is."""
        if self.highest_prefixes[column] < NULL:
            return None
        return np.asarray(self.prefixes[column] == NULL)

    def value(self, row: int, column: int) -> bytes | None:
        """Return one value as the server sent it."""
        prefix = self.prefixes[column, row]
        if prefix == NULL:
            return None
        start = self.bounds[column, row] + PREFIX_WIDTH[prefix]
        return self.data[start : self.bounds[column + 1, row]].tobytes()

    def fixed(self, column: int, width: int) -> NDArray[np.bytes_]:
        """Return what `texts` does as an array of S{width}, whatever the values' lengths."""
        return self.texts(column, width).astype(f"S{width}", copy=False)

    def texts(self, column: int, most: int) -> NDArray[np.bytes_]:
        """Return a column of short values as an array, for comparing all of them at once.

        Parameters
        ----------
        most : int
            How long a value may be, in bytes.

        Returns
        -------
        ndarray of S{n}, shape (rows,)
            `n` is the longest value's length, and at least 1. NULL is the empty string, which sorts before every value.

        Raises
        ------
        ValueError
            A value is longer than `most`.
        """
        starts = self.starts(column)
        lengths = self.bounds[column + 1] - starts
        longest, shortest = int(lengths.max(initial=0)), int(lengths.min(initial=most))
        if longest > most:
            raise ValueError(f"a value of {longest} bytes does not fit into {most}")
        width = max(longest, 1)
        data = self.data
        if self.end + width > len(data):
            data = np.concatenate([data, np.zeros(width, np.uint8)])
        windows: NDArray[np.bytes_] = np.ndarray((len(data) - width + 1,), f"S{width}", data, strides=(1,))
        values = windows[starts]
        if shortest < width:
            values[lengths == 0] = b""
            between = np.flatnonzero((lengths > 0) & (lengths < width))
            if len(between):
                part = values[between]
                part.view(np.uint8).reshape(-1, width)[np.arange(width) >= lengths[between, None]] = 0
                values[between] = part
        return values

    def payload(self, row: int) -> memoryview:
        """Return a row's packet without its header."""
        return self.data.data[self.bounds[0, row] : self.bounds[-1, row]]

    def digest(self, row: int) -> bytes:
        """Return the BLAKE2b of a row's payload, `DIGEST_BYTES` long."""
        return hashlib.blake2b(self.payload(row), digest_size=DIGEST_BYTES).digest()

    @property
    def payload_bytes(self) -> int:
        """Size of all rows as they came over the wire, headers included."""
        return self.end - self.begin

    def rows_within(self, size: int) -> int:
        """Return how many leading rows have at most `size` bytes together."""
        return int(np.searchsorted(self.bounds[-1], self.begin + size, side="right"))

    def slice(self, start: int, stop: int) -> Block:
        """Return consecutive rows, without a copy of their bytes."""
        return Block(self.data, self.bounds[:, start:stop], self.prefixes[:, start:stop])

    def keep(self, mask: NDArray[np.bool_] | Sequence[bool]) -> Block:
        """Return the rows for which `mask` is true."""
        kept = np.asarray(mask, np.bool_)
        if kept.all():
            return self
        if not kept.any():
            return self.slice(0, 0)
        edges = np.flatnonzero(np.diff(kept, prepend=False, append=False))
        firsts, lasts = edges[::2], edges[1::2] - 1
        begins, ends = self.bounds[0, firsts] - HEADER, self.bounds[-1, lasts]
        view = self.data.data
        runs = [view[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        moved = begins - np.concatenate([[0], np.cumsum(ends - begins)[:-1]])
        data = np.frombuffer(b"".join(runs), np.uint8)
        return Block(data, self.bounds[:, kept] - np.repeat(moved, lasts - firsts + 1), self.prefixes[:, kept])


def _skip_wide_prefixes(data: Bytes, starts: Offsets, prefix: Bytes, following: Offsets) -> None:
    """Correct `following` where the prefix is wider than a byte."""
    wide = np.flatnonzero(prefix > NULL)
    first = prefix[wide]
    if first.max() == _INVALID:
        raise MalformedRowError("a value starts with a byte that no length starts with")
    starts = starts[wide]
    width = PREFIX_WIDTH[first].astype(np.int64)
    length = np.zeros(len(wide), np.int64)
    for byte in range(8):
        present = byte + 1 < width
        length[present] |= data.take(starts[present] + byte + 1, mode="clip").astype(np.int64) << (8 * byte)
    if length.min() < 0 or length.max() > len(data):
        raise MalformedRowError("a value claims to be longer than its packet")
    following[wide] = starts + width + length
