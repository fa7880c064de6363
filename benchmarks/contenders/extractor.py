"""The extractor, and stages of it."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.contenders.limit import Read, connect


def our_connection(table: str) -> tuple[Any, str, list[Any]]:
    """Connect as the extractor does, write its select, and describe the table's columns to an encoder."""
    from rds_to_s3.formats import OutputColumn  # noqa: PLC0415
    from rds_to_s3.mysql.catalogue.tables import read_table  # noqa: PLC0415
    from rds_to_s3.mysql.connection import Connection  # noqa: PLC0415
    from rds_to_s3.mysql.select import SelectColumn  # noqa: PLC0415

    connection = connect(Connection)
    described = read_table(connection, connection.db.decode(), table)
    assert described is not None
    selected = ", ".join(SelectColumn(c.name, c.data_type, c.kind).expression for c in described.columns)
    output = [OutputColumn(c.name, c.column_type, c.kind, c.nullable) for c in described.columns]
    return connection, f"SELECT {selected} FROM {table}", output


def ours(file_format: str, compression: str, *, isal: bool = True) -> Callable[[str, Path], Read]:
    def prepare(table: str, path: Path) -> Read:
        if not isal:
            # As on Lambda, where there is none.
            sys.modules["isal"] = None  # type: ignore[assignment]
        from rds_to_s3.formats import open_encoder  # noqa: PLC0415
        from rds_to_s3.mysql.wire.result_set import query  # noqa: PLC0415

        connection, select, columns = our_connection(table)
        open_encoder(file_format, compression, columns, lambda _: None)

        def read() -> int:
            with path.open("wb", buffering=0) as file, query(connection, select) as result:
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

        connection, select, columns = our_connection(table)
        if file_format:
            open_encoder(file_format, "none", columns, lambda _: None)

        def read() -> int:
            encoder = open_encoder(file_format, "none", columns, lambda _: None) if file_format else None
            with query(connection, select) as result:
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
        # A divided table would only be divided here.
        spec = {"name": table, "format": file_format, "compression": compression, "mode": mode, "readers": 1}
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
