"""Files of rows: start with `open_encoder`."""

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
    compression : {"none", "gzip", "zstd", "snappy"}
        CSV takes ``none``, ``gzip`` and ``zstd``, Parquet ``none``, ``gzip`` and ``snappy``.
    columns : sequence of OutputColumn
        The file's columns: the first columns of every row. Further columns of the rows are left out.
    sink : callable
        Takes the file's bytes in order. It may keep the buffers: they do not change afterwards.
    target_bytes : int, optional
        The approximate size of the file.

    Raises
    ------
    ValueError
        An unknown format, or a compression that the format does not have.
    """
    if file_format == "csv" and compression in ("none", "gzip", "zstd"):
        from rds_to_s3.formats.csv import CsvEncoder  # noqa: PLC0415 - each format brings its own libraries

        return CsvEncoder(columns, sink, compression)
    if file_format == "parquet" and compression in ("none", "gzip", "snappy"):
        # pyarrow takes half a second to import: a CSV extraction does not wait for it.
        from rds_to_s3.formats.parquet import ParquetEncoder  # noqa: PLC0415

        return ParquetEncoder(columns, sink, compression, target_bytes=target_bytes)
    raise ValueError(f"no format {file_format!r} with compression {compression!r}")
