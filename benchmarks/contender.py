"""One contender's read of one table, in its own process: ``python -m benchmarks.contender NAME TABLE FILE``.

``BENCHMARK_URL`` is the database's URL, and ``BENCHMARK_BUCKET`` the bucket of contenders that write to S3. Prints one
line of JSON: rows, seconds and CPU seconds from the query on, without imports and the connection. No connection is
encrypted, because not every contender supports it.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pymysql

CHUNK_ROWS = 50_000
Read = Callable[[], int]


def connect(make: Any = pymysql.connect, **options: Any) -> Any:
    url = urlsplit(os.environ["BENCHMARK_URL"])
    return make(
        host=url.hostname or "127.0.0.1",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        database=url.path.strip("/"),
        ssl_disabled=True,
        **options,
    )


def socket(table: str, _: Path) -> Read:
    """Read the query's bytes and discard them: the limit."""
    connection = connect()

    def read() -> int:
        connection.query(f"SELECT * FROM {table}", unbuffered=True)
        stream = connection._rfile
        connection._result.unbuffered_active = False
        buffer = memoryview(bytearray(1 << 20))
        end = b""
        while not (end[-9:-6] == b"\x05\x00\x00" and end[-5] == 0xFE):
            end = (end + buffer[: stream.readinto1(buffer)])[-9:]
        with connection.cursor() as cursor:
            cursor.execute("SELECT FOUND_ROWS()")
            return int(cursor.fetchone()[0])

    return read


def our_connection(table: str) -> tuple[Any, list[Any]]:
    """Connect as the extractor does, and describe the table's columns to an encoder."""
    from rds_to_s3.formats import OutputColumn  # noqa: PLC0415
    from rds_to_s3.mysql.catalogue.tables import read_table  # noqa: PLC0415
    from rds_to_s3.mysql.connection import Connection  # noqa: PLC0415

    connection = connect(Connection)
    described = read_table(connection, connection.db.decode(), table)
    assert described is not None
    return connection, [OutputColumn(c.name, c.column_type, c.kind, c.nullable) for c in described.columns]


def ours(file_format: str, compression: str, *, isal: bool = True) -> Callable[[str, Path], Read]:
    def prepare(table: str, path: Path) -> Read:
        if not isal:
            # As on Lambda, where there is none.
            sys.modules["isal"] = None  # type: ignore[assignment]
        from rds_to_s3.formats import open_encoder  # noqa: PLC0415
        from rds_to_s3.mysql.wire.result_set import query  # noqa: PLC0415

        connection, columns = our_connection(table)
        open_encoder(file_format, compression, columns, lambda _: None)

        def read() -> int:
            with path.open("wb", buffering=0) as file, query(connection, f"SELECT * FROM {table}") as result:
                encoder = open_encoder(file_format, compression, columns, file.write)
                for block in result:
                    encoder.write(block)
                encoder.close()
                return result.rows_read

        return read

    return prepare


def stage(file_format: str | None) -> Callable[[str, Path], Read]:
    """Read and convert rows without writing them: measures the stages of the read."""

    def prepare(table: str, _: Path) -> Read:
        from rds_to_s3.formats import open_encoder  # noqa: PLC0415
        from rds_to_s3.mysql.wire.result_set import query  # noqa: PLC0415

        connection, columns = our_connection(table)
        if file_format:
            open_encoder(file_format, "none", columns, lambda _: None)

        def read() -> int:
            encoder = open_encoder(file_format, "none", columns, lambda _: None) if file_format else None
            with query(connection, f"SELECT * FROM {table}") as result:
                for block in result:
                    if encoder:
                        encoder.write(block)
                return result.rows_read

        return read

    return prepare


def to_s3(file_format: str, compression: str) -> Callable[[str, Path], Read]:
    """Run the whole extractor, as the Lambda does: window, tail, checks of the count, staged upload, commit."""

    def prepare(table: str, _: Path) -> Read:
        from rds_to_s3.extract.extract_table import run_extraction  # noqa: PLC0415
        from rds_to_s3.mysql import connection  # noqa: PLC0415
        from rds_to_s3.mysql.credentials import Credentials  # noqa: PLC0415
        from rds_to_s3.plan.plan_run import plan_run  # noqa: PLC0415
        from rds_to_s3.s3.objects import ObjectStore  # noqa: PLC0415
        from rds_to_s3.settings import PlanSettings  # noqa: PLC0415

        url = urlsplit(os.environ["BENCHMARK_URL"])
        credentials = Credentials(
            host=str(url.hostname), port=url.port or 3306, username=str(url.username), password=str(url.password),
            database=url.path.strip("/"),
        )  # fmt: skip

        def open_connection(seconds: int) -> connection.Connection:
            return connection.connect(lambda _: credentials, connection.Tls("off"), read_seconds=seconds)

        importlib.import_module(f"rds_to_s3.formats.{file_format}")
        bucket = os.environ["BENCHMARK_BUCKET"]
        store = ObjectStore(bucket)
        # Only `orders` has cursor columns; its first load is measured.
        mode = "incremental" if table == "orders" else "full"
        spec = {"name": table, "format": file_format, "compression": compression, "mode": mode}
        run_id = uuid4().hex
        began = datetime.now(UTC).isoformat()
        plan_run(
            {"Name": run_id, "Id": run_id, "StartTime": began, "Input": {}, "RedriveCount": 0},
            {"table_list": {"document": json.dumps({"tables": [spec]})}},
            PlanSettings(data_bucket=bucket, database_credentials="ssm:/unused"),
            store,
            open_connection,
        )

        def read() -> int:
            return run_extraction(run_id, table, store, open_connection, time_left=lambda: 900.0).rows

        return read

    return prepare


def original(table: str, path: Path) -> Read:
    """Read as the original Lambda did: the whole table into one frame."""
    import pandas as pd  # noqa: PLC0415

    connection = connect()

    def read() -> int:
        frame = pd.read_sql(f"SELECT * FROM {table}", connection)
        frame.to_csv(path, index=False)
        return len(frame)

    return read


def pandas_chunks(table: str, path: Path) -> Read:
    import pandas as pd  # noqa: PLC0415

    connection = connect(cursorclass=pymysql.cursors.SSCursor)

    def read() -> int:
        rows = 0
        with path.open("w") as file:
            for frame in pd.read_sql(f"SELECT * FROM {table}", connection, chunksize=CHUNK_ROWS):
                frame.to_csv(file, index=False, header=not rows)
                rows += len(frame)
        return rows

    return read


def dlt(backend: str) -> Callable[[str, Path], Read]:
    def prepare(table: str, path: Path) -> Read:
        import dlt as library  # noqa: PLC0415
        from dlt.sources.sql_database import sql_table  # noqa: PLC0415

        url = os.environ["BENCHMARK_URL"].replace("mysql://", "mysql+pymysql://")
        folder = path.with_suffix(".dlt")
        pipeline = library.pipeline(
            f"benchmark_{backend}",
            pipelines_dir=str(folder / "work"),
            destination=library.destinations.filesystem(str(folder / "out")),
        )

        def read() -> int:
            options = {"conn": os.environ["BENCHMARK_URL"]} if backend == "connectorx" else {}
            rows = sql_table(url, table=table, backend=backend, chunk_size=CHUNK_ROWS, backend_kwargs=options)
            pipeline.run(rows, loader_file_format="csv")
            return int(pipeline.last_trace.last_normalize_info.row_counts[table])

        return read

    return prepare


def connectorx(table: str, path: Path) -> Read:
    import connectorx as library  # noqa: PLC0415
    from pyarrow import csv  # noqa: PLC0415

    def read() -> int:
        rows = library.read_sql(os.environ["BENCHMARK_URL"], f"SELECT * FROM {table}", return_type="arrow")
        csv.write_csv(rows, path)
        return int(rows.num_rows)

    return read


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
    "dlt connectorx": dlt("connectorx"),
    "dlt pyarrow": dlt("pyarrow"),
    "pandas in chunks": pandas_chunks,
    "the original": original,
}


def main() -> None:
    name, table, path = sys.argv[1:]
    read = CONTENDERS[name](table, Path(path))
    began, cpu = time.perf_counter(), time.process_time()
    rows = read()
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
