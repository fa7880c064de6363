"""Rows with one more value after their first columns."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import numpy as np

from rds_to_s3.rows.block import HEADER, Block, length_prefix
from rds_to_s3.rows.spooled import SpooledRow


def with_value(
    rows: Block | SpooledRow, numbers: Sequence[int], columns: int, values: Sequence[bytes]
) -> Block | SpooledRow:
    """Return some rows, each with its first columns and one more value.

    Parameters
    ----------
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
            file.write(length_prefix(rows.length(column)))
            for piece in rows.pieces(column):
                file.write(piece)
        file.write(length_prefix(len(values[0])) + values[0])
        return SpooledRow(file, columns + 1)
    view = rows.data.data
    packets = [
        bytes(HEADER)
        + view[rows.bounds[0, number] : rows.bounds[columns, number]].tobytes()
        + length_prefix(len(value))
        + value
        for number, value in zip(numbers, values, strict=True)
    ]
    ends = np.cumsum([len(packet) for packet in packets])
    data = np.frombuffer(b"".join(packets), np.uint8)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    return Block.decode(data, starts, len(data), columns + 1)
