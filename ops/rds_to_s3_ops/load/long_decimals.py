"""Parquet files with a DECIMAL of more than 38 digits: read by Arrow, with these values as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_MOST_DIGITS = 76  # of a decimal256


def parquet_with_text(path: Path) -> pa.RecordBatchReader:
    """Return a file's rows."""
    file = pq.ParquetFile(path)
    schema = pa.schema([pa.field(field.name, _held(field.type)) for field in file.schema_arrow])
    return pa.RecordBatchReader.from_batches(schema, _batches(file, schema))


def _batches(file: pq.ParquetFile, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with file:
        for batch in file.iter_batches():
            arrays = [_text(array) if pa.types.is_decimal256(array.type) else array for array in batch.columns]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _held(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_decimal256(kind) else kind


def _text(numbers: pa.Array) -> pa.Array:
    """Return numbers as MySQL writes them. Arrow's own text has exponents: ``1E-30``."""
    scale = numbers.type.scale
    whole = pa.Array.from_buffers(
        pa.decimal256(_MOST_DIGITS, 0), len(numbers), numbers.buffers(), numbers.null_count, numbers.offset
    )
    digits = pc.cast(whole, pa.string())
    if not scale:
        return digits
    sign = pc.if_else(pc.starts_with(digits, "-"), "-", "")
    digits = pc.utf8_lpad(pc.utf8_ltrim(digits, "-"), scale + 1, "0")
    before, after = pc.utf8_slice_codeunits(digits, 0, -scale), pc.utf8_slice_codeunits(digits, -scale)
    return pc.binary_join_element_wise(pc.binary_join_element_wise(sign, before, ""), after, ".")
