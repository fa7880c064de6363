"""Converts values in Arrow, before DuckDB, to the same type on both sides."""

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
    """Yield a Parquet file's rows, with the columns that the table still has, in their current types."""
    wanted = {column.name: column for column in columns}
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name in wanted]
        for number in range(file.num_row_groups):
            # A group has 16 MB of values, however wide its rows are.
            group = file.read_row_group(number, columns=names)
            yield pa.table({name: _converted(group.column(name), arrow_type(wanted[name])) for name in names})


def parsed_rows(result: Any, columns: Sequence[OutputColumn], longest_row: int) -> Iterator[pa.Table]:
    """Yield rows of MySQL's text in the types of the table's Parquet files.

    Parameters
    ----------
    result : DuckDBPyConnection
        The result of a query: the columns as text. Binary columns are and stay hexadecimal.
    columns : sequence of OutputColumn
    longest_row : int
        Its size in bytes limits the number of rows per batch.
    """
    while rows := result.fetchmany(max(1, min(MOST_ROWS, MOST_BYTES // max(longest_row, 1)))):
        texts = [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
        yield pa.table([_parsed(text, column) for text, column in zip(texts, columns, strict=True)], _names(columns))


def from_server(texts: pa.Array, column: OutputColumn, file_format: str) -> pa.Array:
    """Return the server's values in the type of the comparison for this file format."""
    if file_format == "csv":
        return parse(texts, pa.binary() if column.kind == "binary" else pa.string())[0]
    return _held(parse(texts, arrow_type(column))[0])


def _parsed(texts: pa.Array, column: OutputColumn) -> pa.Array:
    if column.kind == "binary":
        return texts
    try:
        return _held(parse(pc.cast(texts, pa.binary()), arrow_type(column))[0])
    except pa.ArrowInvalid:  # written when the column had another type
        return texts


def _converted(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return an older file's values in the current type; as text, and so different, if it cannot hold them."""
    for by_text in (False, True):  # an integer becomes a DECIMAL only through text
        with contextlib.suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return _held(pc.cast(pc.cast(values, pa.string()) if by_text else values, kind))
    return pc.cast(values, pa.string())


def _held(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    # DuckDB's DECIMAL has at most 38 digits; it would read a longer one as a DOUBLE.
    return pc.cast(values, pa.string()) if pa.types.is_decimal256(values.type) else values


def _names(columns: Sequence[OutputColumn]) -> list[str]:
    return [column.name for column in columns]
