"""A block's CSV text, made in a copy of its packets.

A row packet has a byte where CSV has one, a value's length prefix, and some more: writing separators over the prefixes
and deleting the rest makes CSV. Where values are quoted, a separator is first written as one of a few bytes that UTF-8
never uses, and these are then replaced by what they stand for.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rds_to_s3.rows import Block
from rds_to_s3.rows.block import HEADER, NULL, PREFIX_WIDTH, Offsets

# Bytes that no UTF-8 text holds (https://www.rfc-editor.org/rfc/rfc3629: nothing above 0xF4), and what they stand for.
_DELETE, _QUOTE, _OPEN, _CLOSE, _CLOSE_OPEN, _HEX = 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0xFA
_LOWEST_MARK = _HEX
_MARKS = {_OPEN: b',"', _CLOSE: b'",', _CLOSE_OPEN: b'","', _QUOTE: b'"', _DELETE: b""}

_SPECIAL = b',"\r\n'
# Indexed by whether the value before is quoted, plus twice whether the one behind is.
_SEPARATOR = np.array([ord(","), _CLOSE, _OPEN, _CLOSE_OPEN], np.uint8)
_ROOM = 2  # behind the last row, for its line's end


class Framing:
    """The CSV text of one block.

    Parameters
    ----------
    block : Block
        At least one row.
    columns : int
        How many of the block's columns, from the first, are written.
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
            self._text = bytearray(block.end - block.begin + _ROOM)
            self._text[:-_ROOM] = block.data.data[block.begin : block.end]
            self._bounds = block.bounds[:columns] - block.begin if block.begin else block.bounds[:columns]
        self._bytes = np.frombuffer(self._text, np.uint8)

    def text(self) -> bytearray | bytes | None:
        """Return the CSV text of all rows, or None where a value holds bytes that are not UTF-8.

        It can be called once.
        """
        hexadecimal = self._mark_binary()
        marks = self._delete_framing() + len(hexadecimal)
        if np.count_nonzero(self._bytes >= _LOWEST_MARK) != marks:
            return None
        special = [byte for byte in _SPECIAL if byte in self._text]
        quoted = self._quoted(special)
        if quoted is None:
            self._separate()
        else:
            self._separate_quoted(quoted)
        text = self._text
        if ord('"') in special:
            text = text.replace(b'"', b'""')
        for mark, meaning in _MARKS.items():
            if mark == _DELETE or quoted is not None:
                text = text.replace(bytes([mark]), meaning)
        return _insert(text, hexadecimal) if hexadecimal else text

    def _delete_framing(self) -> int:
        """Write `_DELETE` over all bytes that are not a value's; return how many these are."""
        text, bounds = self._bytes, self._bounds
        text[bounds] = _DELETE
        for before in range(1, HEADER + 1):
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

    def _quoted(self, special: Sequence[int]) -> NDArray[np.bool_] | None:
        """Return which values need quotes, shape (columns, rows); None where none does."""
        empty = self._prefixes == 0
        if not special:
            return empty if empty.any() else None
        found = self._bytes == special[0]
        for byte in special[1:]:
            found |= self._bytes == byte
        # The values' bounds, row by row, ascend; a special byte belongs to the value whose bound is the last before it.
        values = np.searchsorted(self._bounds.T.ravel(), np.flatnonzero(found)) - 1
        quoted = np.ascontiguousarray(empty.T)
        quoted.reshape(-1)[values] = True
        return quoted.T

    def _separate(self) -> None:
        text, bounds = self._bytes, self._bounds
        text[bounds[1:]] = ord(",")
        text[bounds[0, 1:] - HEADER] = ord("\n")
        text[-1] = ord("\n")

    def _separate_quoted(self, quoted: NDArray[np.bool_]) -> None:
        text, bounds = self._bytes, self._bounds
        text[bounds[1:]] = _SEPARATOR[quoted[:-1] + 2 * quoted[1:].view(np.uint8)]
        # A line's end has room in the next packet's header: for the quote of the last value, and for itself.
        text[bounds[0]] = np.where(quoted[0], _QUOTE, _DELETE)
        line_ends = np.append(bounds[0, 1:] - HEADER, len(text) - _ROOM)
        text[line_ends] = np.where(quoted[-1], _QUOTE, _DELETE)
        text[line_ends + 1] = ord("\n")

    # --- binary and hidden columns: their bytes are left out of the copy ---

    def _cut(self, columns: int) -> tuple[bytearray, Offsets]:
        """Copy the block without its hidden columns and without its binary values, but for the first byte of each."""
        block = self._block
        cuts = [(column, block.starts(column) + 1, block.bounds[column + 1]) for column in self._binary]
        if block.columns > columns:
            cuts.append((columns, block.bounds[columns], block.bounds[-1]))
        starts = np.stack([np.minimum(start, end) for _, start, end in cuts], axis=1).ravel()
        ends = np.stack([end for _, _, end in cuts], axis=1).ravel()
        view = block.data.data
        kept = zip([block.begin, *ends.tolist()], [*starts.tolist(), block.end], strict=True)
        text = bytearray(b"").join([*(view[start:end] for start, end in kept), bytes(_ROOM)])
        removed = (ends - starts).reshape(-1, len(cuts))
        before_row = np.cumsum(removed.sum(axis=1)) - removed.sum(axis=1) + block.begin
        bounds = block.bounds[:columns] - before_row
        for index, (column, _, _) in enumerate(cuts):
            bounds[column + 1 :] -= removed[:, index]
        return text, bounds

    def _mark_binary(self) -> list[bytes]:
        """Write `_HEX` over what is left of each binary value; return their hexadecimal text, row by row."""
        if not self._binary:
            return []
        block = self._block
        starts = np.stack([block.starts(column) for column in self._binary], axis=1).ravel()
        ends = np.stack([block.bounds[column + 1] for column in self._binary], axis=1).ravel()
        for column in self._binary:
            present = (self._prefixes[column] != 0) & (self._prefixes[column] != NULL)
            width = PREFIX_WIDTH[self._prefixes[column][present]]
            self._bytes[self._bounds[column, present] + width] = _HEX
        view = block.data.data
        present = ends > starts
        raw = b"".join([view[a:b] for a, b in zip(starts[present].tolist(), ends[present].tolist(), strict=True)])
        text = binascii.hexlify(raw).upper()
        stops = (2 * np.cumsum((ends - starts)[present])).tolist()
        return [text[a:b] for a, b in zip([0, *stops], stops, strict=False)]


def _insert(text: bytearray, values: Sequence[bytes]) -> bytes:
    """Replace each `_HEX` in `text` by the next of `values`."""
    pieces: list[bytes | bytearray] = [b""] * (2 * len(values) + 1)
    pieces[::2] = text.split(bytes([_HEX]))
    pieces[1::2] = values
    return b"".join(pieces)
