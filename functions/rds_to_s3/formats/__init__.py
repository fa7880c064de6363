"""Files of rows: `open_encoder` is the way in."""

from __future__ import annotations

from collections.abc import Sequence

from rds_to_s3.formats.encoder import RowEncoder, Rows, Sink
from rds_to_s3.rows.columns import Kind, OutputColumn

__all__ = ["Kind", "OutputColumn", "RowEncoder", "Rows", "Sink", "open_encoder"]


def open_encoder(
    file_format: str,
    compression: str,
    columns: Sequence[OutputColumn],
    sink: Sink,
    *,
    target_bytes: int | None = None,
) -> RowEncoder:
    """Start a file.

    Parameters
    ----------
    compression : {"none", "gzip", "snappy"}
        CSV takes ``none`` and ``gzip``, Parquet all three.
    columns : sequence of OutputColumn
        The file's columns: the first columns of every row that is written. What the rows have beyond them is left out.
    sink : callable
        Takes the file's bytes in order. It may keep what it is given: nothing writes to that again.
    target_bytes : int, optional
        What the file is to come to, about.

    Raises
    ------
    ValueError
        An unknown format, or a compression that the format does not take.
    """
    if file_format == "csv" and compression in ("none", "gzip"):
        from rds_to_s3.formats.csv import CsvEncoder  # noqa: PLC0415 - each format brings its own libraries

        return CsvEncoder(columns, sink, compression)
    if file_format == "parquet" and compression in ("none", "gzip", "snappy"):
        # pyarrow takes half a second to import, which a CSV extraction need not wait for.
        from rds_to_s3.formats.parquet import ParquetEncoder  # noqa: PLC0415

        return ParquetEncoder(columns, sink, compression, target_bytes=target_bytes)
    raise ValueError(f"no format {file_format!r} with compression {compression!r}")
