"""Rows with one more value behind their first columns."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import numpy as np

from rds_to_s3.rows.block import HEADER, Block
from rds_to_s3.rows.spooled import SpooledRow


def with_value(
    rows: Block | SpooledRow, numbers: Sequence[int], columns: int, values: Sequence[bytes]
) -> Block | SpooledRow:
    """Return some rows, each with a value behind its first columns and without what stood there.

    Parameters
    ----------
    rows : Block or SpooledRow
    numbers : sequence of int
        Which rows, in order.
    columns : int
        How many columns are kept, from the first.
    values : sequence of bytes
        One for each of `numbers`.
    """
    if isinstance(rows, SpooledRow):
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the row closes it
        for column in range(columns):
            file.write(b"\xfb" if (length := rows.length(column)) is None else _length(length))
            for piece in rows.pieces(column):
                file.write(piece)
        file.write(_length(len(values[0])) + values[0])
        return SpooledRow(file, columns + 1)
    view = rows.data.data
    packets = [
        bytes(HEADER)
        + view[rows.bounds[0, number] : rows.bounds[columns, number]].tobytes()
        + _length(len(value))
        + value
        for number, value in zip(numbers, values, strict=True)
    ]
    ends = np.cumsum([len(packet) for packet in packets])
    data = np.frombuffer(b"".join(packets), np.uint8)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    return Block.decode(data, starts, len(data), columns + 1)


def _length(length: int) -> bytes:
    """Write a length as the protocol does."""
    if length < 0xFB:
        return bytes([length])
    for mark, width in ((0xFC, 2), (0xFD, 3)):
        if length < 1 << (8 * width):
            return bytes([mark]) + length.to_bytes(width, "little")
    return b"\xfe" + length.to_bytes(8, "little")
