"""Values as Arrow holds them before DuckDB does: the same type on both sides, whatever a file was written with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rds_to_s3.formats import OutputColumn
from rds_to_s3.formats.arrow_types import arrow_type, parse

MOST_ROWS, MOST_BYTES = 1 << 16, 16 << 20


def parquet_rows(path: Path, columns: Sequence[OutputColumn]) -> Iterator[pa.Table]:
    """Yield a Parquet file's rows, those of its columns that the table still has, as the types that they have now."""
    wanted = {column.name: column for column in columns}
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name in wanted]
        for number in range(file.num_row_groups):
            # A group has 16 MB of values, however wide its rows are.
            group = file.read_row_group(number, columns=names)
            yield pa.table({name: _converted(group.column(name), arrow_type(wanted[name])) for name in names})


def parsed_rows(result: Any, columns: Sequence[OutputColumn], longest_row: int) -> Iterator[pa.Table]:
    """Yield rows of text, as MySQL writes it, as the types that a Parquet file of the table has.

    Parameters
    ----------
    result : DuckDBPyConnection
        What a query yields: text of the columns, binary ones as hexadecimal, which they stay.
    columns : sequence of OutputColumn
    longest_row : int
        Its bytes bound how many rows are taken at once.
    """
    while rows := result.fetchmany(max(1, min(MOST_ROWS, MOST_BYTES // max(longest_row, 1)))):
        texts = [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
        yield pa.table([_parsed(text, column) for text, column in zip(texts, columns, strict=True)], _names(columns))


def from_server(texts: pa.Array, column: OutputColumn, file_format: str) -> pa.Array:
    """Return values as the server sent them as the type that a file of that format is compared by."""
    if file_format == "csv":
        return parse(texts, pa.binary() if column.kind == "binary" else pa.string())[0]
    return _held(parse(texts, arrow_type(column))[0])


def _parsed(texts: pa.Array, column: OutputColumn) -> pa.Array:
    if column.kind == "binary":
        return texts
    try:
        return _held(parse(pc.cast(texts, pa.binary()), arrow_type(column))[0])
    except pa.ArrowInvalid:  # of a time when the column had another type
        return texts


def _converted(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return values of an earlier file as the present type; as text, and so different, where it cannot hold them."""
    for by_text in (False, True):  # an integer becomes a DECIMAL by way of its text only
        with contextlib.suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return _held(pc.cast(pc.cast(values, pa.string()) if by_text else values, kind))
    return pc.cast(values, pa.string())


def _held(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    # DuckDB's DECIMAL ends at 38 digits, and it would read a longer one as a DOUBLE.
    return pc.cast(values, pa.string()) if pa.types.is_decimal256(values.type) else values


def _names(columns: Sequence[OutputColumn]) -> list[str]:
    return [column.name for column in columns]
