"""Parquet with MySQL's types, exactly: see `rds_to_s3.formats.arrow_types` for the table of types.

A value is never a Python object: Arrow takes a column's bytes out of a block by their offsets, and parses them all at
once.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rds_to_s3.errors import RowTooLargeError, SettingsError
from rds_to_s3.formats.arrow_types import arrow_type, has_statistics, may_be_null, parse
from rds_to_s3.formats.encoder import Rows, Sink
from rds_to_s3.rows import Block, SpooledRow
from rds_to_s3.rows.columns import OutputColumn

# The size of a row group before it is encoded: it bounds the memory, and is still large enough for a reader to skip.
ROW_GROUP_BYTES = 16 << 20
ROW_GROUP_ROWS = 1 << 20
SMALLEST_GROUP = 1 << 16
SAMPLE_ROWS = 1 << 14
LARGEST_ROW_BYTES = 128 << 20
_PIECE_BYTES = 1 << 20


has_codec = pa.Codec.is_available


class ParquetEncoder:
    """One Parquet file.

    It needs memory for `ROW_GROUP_BYTES` of values and for encoding them. A value must be in memory as a whole, so a
    row larger than a row group takes up to five times its size. Rows have a size limit.

    Parameters
    ----------
    target_bytes : int, optional
        Of the file. Its size is known only after each row group, so a row group is at most a quarter of it.

    Raises
    ------
    SettingsError
        This pyarrow does not have the compression: each build has its own.
    """

    extension = "parquet"

    def __init__(
        self,
        columns: Sequence[OutputColumn],
        sink: Sink,
        compression: str = "snappy",
        *,
        target_bytes: int | None = None,
    ) -> None:
        if compression != "none" and not has_codec(compression):
            raise SettingsError(
                f"pyarrow {pa.__version__} was built without {compression}, which the table list asks for: write "
                '"compression": "none" there, or deploy with a layer whose pyarrow has it (AwsSdkPandasLayerArn)'
            )
        self._row_group_bytes = min(ROW_GROUP_BYTES, max((target_bytes or 4 * ROW_GROUP_BYTES) // 4, SMALLEST_GROUP))
        self._schema = pa.schema(
            [pa.field(column.name, arrow_type(column), nullable=may_be_null(column)) for column in columns]
        )
        self._lost = [0] * len(columns)
        self._batches: list[pa.RecordBatch] = []
        self._bytes = self._rows = 0
        self._statistics = [column.name for column in columns if has_statistics(column)]
        self._output = _Output(sink)
        self._compression = compression
        self._writer: pq.ParquetWriter | None = None

    @property
    def inexact(self) -> dict[str, int]:
        """How many values of each column could not be stored exactly."""
        found = {}
        for field, lost in zip(self._schema, self._lost, strict=True):
            if lost and pa.types.is_string(field.type):
                found[f"of `{field.name}` not UTF-8, stored with U+FFFD for what could not be decoded"] = lost
            elif lost:
                found[f"of `{field.name}` not a date of the calendar (such as 0000-00-00), stored as NULL"] = lost
        return found

    def write(self, rows: Rows) -> None:
        """Write rows.

        Raises
        ------
        RowTooLargeError
            A row has more than `LARGEST_ROW_BYTES`.
        """
        if not rows.rows:
            return
        if isinstance(rows, SpooledRow):
            self._make_room(rows)
        arrays = []
        for column, field in enumerate(self._schema):
            texts = column_texts(rows, column)
            values, lost = parse(texts, field.type)
            self._lost[column] += lost
            arrays.append(values)
        batch = pa.record_batch(arrays, schema=self._schema)
        self._batches.append(batch)
        self._bytes += batch.nbytes
        self._rows += batch.num_rows
        if self._bytes >= self._row_group_bytes or self._rows >= ROW_GROUP_ROWS:
            self._write_row_group()

    def close(self) -> None:
        """Write the last row group and the footer."""
        self._write_row_group()
        writer = self._writer or self._open(self._schema.empty_table())
        writer.close()

    def _make_room(self, row: SpooledRow) -> None:
        if row.bytes > LARGEST_ROW_BYTES:
            raise RowTooLargeError(
                f"a row of {row.bytes / 1e6:.0f} MB does not fit into Parquet, which takes up to "
                f"{LARGEST_ROW_BYTES >> 20} MiB: extract the table with format csv, which has no limit, or leave its "
                "long column out with exclude_columns"
            )
        if self._bytes + row.bytes > self._row_group_bytes:
            self._write_row_group()

    def _write_row_group(self) -> None:
        if self._batches:
            table = pa.Table.from_batches(self._batches)
            self._batches = []
            self._bytes = self._rows = 0
            if self._writer is None:
                self._writer = self._open(table)
            self._writer.write_table(table, row_group_size=table.num_rows)

    def _open(self, first: pa.Table) -> pq.ParquetWriter:
        sample = first.slice(0, SAMPLE_ROWS)
        return pq.ParquetWriter(
            self._output,
            self._schema,
            compression=self._compression,
            compression_level=1 if self._compression == "gzip" else None,
            write_statistics=self._statistics,
            # A dictionary of values that hardly repeat is built, found too large and discarded: twice the time.
            use_dictionary=[
                name for name in sample.column_names if 2 * pc.count_distinct(sample[name]).as_py() <= sample.num_rows
            ],
        )


class _Output(io.RawIOBase):
    """A sink as a file."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        # The writer reuses its buffer, and a page may be as large as a value.
        pages = memoryview(data).cast("B")
        for start in range(0, len(pages), _PIECE_BYTES):
            self._sink(bytes(pages[start : start + _PIECE_BYTES]))
        return len(pages)


def column_texts(rows: Rows, column: int) -> pa.Array:
    """Return a column's values as the server sent them, as an array of binary."""
    return _spooled_column(rows, column) if isinstance(rows, SpooledRow) else _block_column(rows, column)


def _spooled_column(row: SpooledRow, column: int) -> pa.Array:
    value = row.buffer(0, column)
    valid = None if value is not None else pa.py_buffer(b"\0")
    offsets = pa.py_buffer(np.array([0, len(value or b"")], np.int32))
    return pa.Array.from_buffers(pa.binary(), 1, [valid, offsets, pa.py_buffer(value or b"")])


def _block_column(block: Block, column: int) -> pa.Array:
    """Return a column's values as an array."""
    rows = block.rows
    # For Arrow, value, gap, value, gap .. are the elements of one array; every second one is taken.
    offsets = np.empty(2 * rows, np.int32)
    offsets[::2] = block.starts(column)
    offsets[1::2] = block.bounds[column + 1]
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(block.data)]
    # pa.array would import pandas, to check whether it got a Series.
    every_second = pa.Array.from_buffers(pa.int64(), rows, [None, pa.py_buffer(np.arange(0, 2 * rows, 2))])
    values = pa.Array.from_buffers(pa.binary(), 2 * rows - 1, buffers).take(every_second)
    nulls = block.nulls(column)
    if nulls is None:
        return values
    valid = pa.py_buffer(np.packbits(~nulls, bitorder="little"))
    return pa.Array.from_buffers(pa.binary(), rows, [valid, *values.buffers()[1:]])
