"""The peers that are Python libraries."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

import pymysql

from benchmarks.contenders.limit import Read, connect

CHUNK_ROWS = 50_000


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


def chdb(file_format: str) -> Callable[[str, Path], Read]:
    """Read with ClickHouse in this process, by its table function ``mysql()``."""

    def prepare(table: str, path: Path) -> Read:
        import chdb as library  # noqa: PLC0415

        url = urlsplit(os.environ["BENCHMARK_URL"])
        place = f"'{url.hostname}:{url.port}', '{url.path.strip('/')}', '{table}', '{url.username}', '{url.password}'"

        def read() -> int:
            into = f"INTO OUTFILE '{path}' FORMAT {file_format}"
            return int(library.query(f"SELECT * FROM mysql({place}) {into}").rows_read())

        return read

    return prepare


def duckdb(file_format: str) -> Callable[[str, Path], Read]:
    """Read with DuckDB's scanner, which its own package brings, so that nothing is downloaded."""

    def prepare(table: str, path: Path) -> Read:
        import duckdb as library  # noqa: PLC0415
        import duckdb_extension_mysql_scanner as scanner  # noqa: PLC0415

        url = urlsplit(os.environ["BENCHMARK_URL"])
        (extension,) = Path(scanner.__file__).parent.glob("extensions/*/mysql_scanner.duckdb_extension")
        where = f"mysql://{url.username}:{quote(str(url.password))}@{url.hostname}:{url.port}{url.path}"
        connection = library.connect()
        connection.execute(f"LOAD '{extension}'")
        connection.execute(f"ATTACH '{where}?ssl-mode=disabled' AS source (TYPE mysql, READ_ONLY)")

        def read() -> int:
            copied = f"COPY (SELECT * FROM source.{table}) TO '{path}' (FORMAT {file_format})"
            (rows,) = connection.execute(copied).fetchall()[0]
            return int(rows)

        return read

    return prepare
