"""What reads the benchmark's tables: the extractor, its stages, and the peers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders.extractor import ours, stage, to_s3
from benchmarks.contenders.libraries import chdb, connectorx, dlt, duckdb, original, pandas_chunks
from benchmarks.contenders.limit import Read, socket

CONTENDERS: dict[str, Callable[[str, Path], Read]] = {
    "socket": socket,
    "stage: rows": stage(None),
    "stage: csv": stage("csv"),
    "stage: parquet": stage("parquet"),
    "rds-to-s3 csv": ours("csv", "none"),
    "rds-to-s3 csv.gz": ours("csv", "gzip"),
    "rds-to-s3 csv.gz, zlib": ours("csv", "gzip", isal=False),
    "rds-to-s3 parquet": ours("parquet", "snappy"),
    "rds-to-s3 csv to S3": to_s3("csv", "none"),
    "rds-to-s3 csv.gz to S3": to_s3("csv", "gzip"),
    "rds-to-s3 parquet to S3": to_s3("parquet", "snappy"),
    "connectorx to csv": connectorx,
    "chdb csv": chdb("CSVWithNames"),
    "chdb parquet": chdb("Parquet"),
    "duckdb csv": duckdb("csv"),
    "duckdb parquet": duckdb("parquet"),
    "dlt connectorx": dlt("connectorx"),
    "dlt pyarrow": dlt("pyarrow"),
    "pandas in chunks": pandas_chunks,
    "the original": original,
}
