"""A block's CSV text, written into a copy of its packets.

A row packet has a length prefix where CSV has a separator, and a header. Writing separators over the prefixes and
deleting the headers makes CSV. Where values are quoted, a separator is first written as one of a few bytes that UTF-8
never uses. These bytes are then replaced by the separator and its quotes.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rds_to_s3.rows import Block
from rds_to_s3.rows.block import HEADER, NULL, PREFIX_WIDTH, Bytes, Offsets

# Bytes that no UTF-8 text holds (https://www.rfc-editor.org/rfc/rfc3629: nothing above 0xF4), and what they stand for.
_DELETE, _QUOTE, _OPEN, _CLOSE, _CLOSE_OPEN, _HEX, _COMMA = 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0xFA, 0xF9
_LOWEST_MARK = _COMMA
_COMMAS = bytes.maketrans(bytes([_COMMA]), b",")
_MARKS = {_OPEN: b',"', _CLOSE: b'",', _CLOSE_OPEN: b'","', _QUOTE: b'"'}

_SPECIAL = b',"\r\n'
# PostgreSQL's COPY before 18 ends at the second, and several readers take the first for NULL:
# https://www.postgresql.org/docs/17/sql-copy.html, https://clickhouse.com/docs/interfaces/formats/CSV
WORDS = (b"\\N", b"\\.")
_DENSE = 1  # special bytes a row; from there on it is cheaper to sort all values' bounds
_TRANSLATED = 8  # bytes for each one between values; up to there one pass over all bytes is cheaper than many jumps
_SHORT = 64  # bytes; up to there it is cheaper to loop over bytes than over values
_ROOM = 2  # behind the last row, for its line's end


class Framing:
    """The CSV text of one block.

    Parameters
    ----------
    block : Block
        At least one row.
    columns : int
        The number of the block's columns to write, from the first.
    binary : sequence of int
        The columns among them that are written in hexadecimal.
    """

    def __init__(self, block: Block, columns: int, binary: Sequence[int]) -> None:
        self._block = block
        self._binary = binary
        self._prefixes = block.prefixes[:columns]
        if binary or block.columns > columns:
            self._text, self._bounds = self._cut(columns)
        else:
            self._text = bytearray(block.data.data[block.begin : block.end + _ROOM])
            self._text += bytes(block.end - block.begin + _ROOM - len(self._text))
            self._bounds = block.bounds[:columns] - block.begin if block.begin else block.bounds[:columns]
        self._bytes = np.frombuffer(self._text, np.uint8)

    def text(self) -> bytearray | bytes | None:
        """Return the CSV text of all rows, or None where a value holds bytes that are not UTF-8.

        It can be called once.
        """
        hexadecimal = self._mark_binary()
        framing = self._mark_framing()
        if np.count_nonzero(self._bytes >= _LOWEST_MARK) != framing + len(hexadecimal):
            return None
        special = [byte for byte in _SPECIAL if byte in self._text]
        self._separate(self._quoted(special))
        if len(self._text) <= _TRANSLATED * framing:
            text = self._text.translate(_COMMAS, bytes([_DELETE]))
        else:
            text = self._text.replace(bytes([_DELETE]), b"").replace(bytes([_COMMA]), b",")
        if ord('"') in special:
            text = text.replace(b'"', b'""')
        for mark, meaning in _MARKS.items():
            if mark in text:
                text = text.replace(bytes([mark]), meaning)
        return _insert(text, hexadecimal) if hexadecimal else text

    def _mark_framing(self) -> int:
        """Write `_COMMA` between values, and `_DELETE` over other bytes of no value; return the number of both."""
        text, bounds = self._bytes, self._bounds
        text[bounds[1:]] = _COMMA
        for before in range(HEADER + 1):
            text[bounds[0] - before] = _DELETE
        text[-_ROOM:] = _DELETE
        count = bounds.size + HEADER * bounds.shape[1] + _ROOM
        for column, highest in enumerate(self._block.highest_prefixes[: len(bounds)]):
            if highest > NULL:
                width = PREFIX_WIDTH[self._prefixes[column]]
                for byte in range(1, int(width.max())):
                    wide = bounds[column, width > byte] + byte
                    text[wide] = _DELETE
                    count += len(wide)
        return int(count)

    def _quoted(self, special: Sequence[int]) -> NDArray[np.bool_]:
        """Return which values need quotes, shape (columns, rows)."""
        empty: NDArray[np.bool_] = self._prefixes == 0
        self._quote_words(empty)
        if not special:
            return empty
        found = self._bytes == special[0]
        for byte in special[1:]:
            found |= self._bytes == byte
        places = np.flatnonzero(found)
        # The values' bounds ascend, row by row: a special byte belongs to the value with the last bound before it.
        columns, rows = self._bounds.shape
        if len(places) < _DENSE * rows:
            row = np.searchsorted(self._bounds[0], places, side="right") - 1
            empty[np.count_nonzero(self._bounds[:, row] < places, axis=0) - 1, row] = True
            return empty
        holding = np.zeros(rows * columns, np.bool_)
        holding[np.searchsorted(self._bounds.T.ravel(), places) - 1] = True
        return empty | holding.reshape(rows, columns).T

    def _quote_words(self, quoted: NDArray[np.bool_]) -> None:
        """Add the values that a reader takes for something else unless they are quoted: see `WORDS`."""
        if WORDS[0][0] not in self._text:
            return
        short = self._prefixes == len(WORDS[0])
        first = self._bounds[short] + 1
        found = np.zeros(len(first), np.bool_)
        for word in WORDS:
            found |= (self._bytes[first] == word[0]) & (self._bytes[first + 1] == word[1])
        quoted[short] |= found

    def _separate(self, quoted: NDArray[np.bool_]) -> None:
        """Write line ends and quotes."""
        text, bounds = self._bytes, self._bounds
        # The next packet's header has room for the last value's quote and the line end.
        line_ends = np.append(bounds[0, 1:] - HEADER, len(text) - _ROOM)
        text[line_ends + 1] = ord("\n")
        for column in np.flatnonzero(quoted.any(axis=1)).tolist():
            before = bounds[column, quoted[column]]
            if column == 0:
                text[before] = _QUOTE
            else:
                text[before] = np.where(text[before] == _CLOSE, _CLOSE_OPEN, _OPEN)
            if column + 1 < len(bounds):
                text[bounds[column + 1, quoted[column]]] = _CLOSE
            else:
                text[line_ends[quoted[column]]] = _QUOTE

    # --- binary and hidden columns: their bytes are left out of the copy ---

    def _cut(self, columns: int) -> tuple[bytearray, Offsets]:
        """Copy the block without its hidden columns, and with only the first byte of each binary value."""
        block = self._block
        cuts = [(column, block.starts(column) + 1, block.bounds[column + 1]) for column in self._binary]
        if block.columns > columns:
            cuts.append((columns, block.bounds[columns], block.bounds[-1]))
        removed = np.stack([np.maximum(ends - starts, 0) for _, starts, ends in cuts])
        kept = np.ones(block.end, np.bool_)
        kept[: block.begin] = False
        for (_, starts, _), lengths in zip(cuts, removed, strict=True):
            _clear(kept, starts, lengths)
        text = bytearray(block.data[: block.end][kept])
        text += bytes(_ROOM)
        by_row = removed.sum(axis=0)
        bounds = block.bounds[:columns] - (np.cumsum(by_row) - by_row + block.begin)
        for index, (column, _, _) in enumerate(cuts):
            bounds[column + 1 :] -= removed[index]
        return text, bounds

    def _mark_binary(self) -> list[bytes]:
        """Write `_HEX` over the remaining byte of each binary value; return their hexadecimal text, row by row."""
        if not self._binary:
            return []
        block = self._block
        starts = np.stack([block.starts(column) for column in self._binary], axis=1)
        lengths = np.stack([block.bounds[column + 1] for column in self._binary], axis=1) - starts
        left = self._bounds[self._binary].T + (starts - block.bounds[self._binary].T)
        present = lengths > 0
        self._bytes[left[present]] = _HEX
        text = binascii.hexlify(_gather(block.data, starts[present], lengths[present])).upper()
        stops = (2 * np.cumsum(lengths[present])).tolist()
        return [text[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]


def _clear(kept: NDArray[np.bool_], starts: Offsets, lengths: Offsets) -> None:
    """Make `kept` false in many ranges."""
    longest = int(lengths.max())
    if longest <= _SHORT:
        for byte in range(longest):
            kept[starts[lengths > byte] + byte] = False
    else:
        for start, end in zip(starts.tolist(), (starts + lengths).tolist(), strict=True):
            kept[start:end] = False


def _gather(data: Bytes, starts: Offsets, lengths: Offsets) -> bytes:
    """Return the bytes of many values, one value after the other."""
    if not len(starts):
        return b""
    width = int(lengths[0])
    if (lengths == width).all():
        # One element of `windows` begins at each byte; the selected ones are copied at once.
        windows = np.ndarray((len(data) - width + 1,), f"V{width}", data, strides=(1,))
        return windows[starts].tobytes()
    view = data.data
    ends = starts + lengths
    return b"".join([view[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)])


def _insert(text: bytearray, values: Sequence[bytes]) -> bytes:
    """Replace each `_HEX` in `text` by the next of `values`."""
    pieces: list[bytes | bytearray] = [b""] * (2 * len(values) + 1)
    pieces[::2] = text.split(bytes([_HEX]))
    pieces[1::2] = values
    return b"".join(pieces)
