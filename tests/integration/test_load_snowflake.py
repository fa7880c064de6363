"""`load` into Snowflake: its statements on fakesnow, in an environment of its own (``make test-snowflake``).

Fakesnow does not judge COPY's reader (see ``fakesnow_process.py``), the transaction, and DECIMALs above 38 digits.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.errors import ConflictError
from rds_to_s3_ops.load.loader import Loader, TableResult
from rds_to_s3_ops.load.snowflake_warehouse import SnowflakeWarehouse
from rds_to_s3_ops.warehouses.deliveries import histories
from rds_to_s3_ops.warehouses.types import Names
from tests.integration.pipeline import Pipeline
from tests.integration.test_load import LIST, STEPS, TABLES, play
from tests.support.warehouse import copy_bucket

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("FAKESNOW_PYTHON") or ROOT / ".local/fakesnow/bin/python")

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="fakesnow has 350 MB: make test-snowflake")


class SnowflakeError(Exception):
    """An error with the members of the connector's."""

    def __init__(self, message: str, errno: int, sqlstate: str | None) -> None:
        super().__init__(message)
        self.errno, self.sqlstate = errno, sqlstate


class Fakesnow:
    """A connection to fakesnow in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._rows: list[list[Any]] = []

    def cursor(self) -> Fakesnow:
        return self

    def execute(self, statement: str) -> Fakesnow:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(statement) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise SnowflakeError(answer["error"], answer["errno"], answer["sqlstate"])
        self._rows = answer["rows"]
        return self

    def fetchall(self) -> list[list[Any]]:
        return self._rows

    def close(self) -> None:
        """Keep the process: another load follows."""


@pytest.fixture
def snowflake(tmp_path: Path) -> Iterator[Fakesnow]:
    process = [str(PYTHON), str(ROOT / "tests/support/fakesnow_process.py"), str(tmp_path / "copy")]
    with subprocess.Popen(process, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        yield Fakesnow(started)
        assert started.stdin is not None
        started.stdin.close()


def load(pipeline: Pipeline, snowflake: Fakesnow, copy: Path, **given: Any) -> dict[str, TableResult]:
    copy_bucket(pipeline, copy)
    bucket = Bucket(pipeline.s3_client, pipeline.bucket)
    warehouse = SnowflakeWarehouse(snowflake, bucket, Names(stage="mine"), **given)
    return {each.table: each for each in Loader(bucket.name, warehouse).load(histories(bucket.every_manifest()))}


def differing(pipeline: Pipeline, snowflake: Fakesnow) -> dict[str, Any]:
    found = {}
    for table in TABLES:
        names = [row[0] for row in pipeline.database.rows(f"SHOW COLUMNS FROM {table}")]
        theirs = pipeline.database.rows(f"SELECT {', '.join(names)} FROM {table}")
        columns = ", ".join(f'"{name}"' for name in names)
        ours = snowflake.execute(f'SELECT {columns} FROM "{table}"').fetchall()
        sides = [Counter(tuple(None if v is None else str(v) for v in row) for row in rows) for rows in (ours, theirs)]
        if sides[0] != sides[1]:
            found[table] = sides
    return found


def test_the_schema_equals_the_source_after_every_run(pipeline: Pipeline, snowflake: Fakesnow, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    snowflake.execute(f"CREATE STAGE \"mine\" URL = 'file://{copy}/'")
    for ddl, settings in LIST:
        pipeline.database.execute(ddl.format(settings["name"]))
        pipeline.tables.append(settings)
    for step in STEPS:
        play(pipeline, step)
        results = load(pipeline, snowflake, copy)
        assert {table: result.error for table, result in results.items()} == dict.fromkeys(results)
        assert differing(pipeline, snowflake) == {}
        assert {result.status for result in load(pipeline, snowflake, copy).values()} == {"CURRENT"}


def test_a_load_that_another_one_overtakes_applies_nothing(
    pipeline: Pipeline, snowflake: Fakesnow, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    snowflake.execute(f"CREATE STAGE \"mine\" URL = 'file://{copy}/'")
    (log,) = (settings for _, settings in LIST if settings["name"] == "log")
    pipeline.database.execute(*(ddl.format("log") for ddl, settings in LIST if settings["name"] == "log"))
    pipeline.database.execute("INSERT INTO log (message) VALUES ('once')")
    pipeline.tables = [log]
    pipeline.run()

    def overtake(step: str) -> None:
        if step == "staged":
            load(pipeline, snowflake, copy)

    with pytest.raises(ConflictError, match="another load has changed table 'log'"):
        load(pipeline, snowflake, copy, on_step=overtake)
    assert snowflake.execute('SELECT COUNT(*) FROM "log"').fetchall() == [[1]]


def test_a_load_that_ended_before_its_transaction_is_repeated_and_a_short_file_is_named(
    pipeline: Pipeline, snowflake: Fakesnow, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    snowflake.execute(f"CREATE STAGE \"mine\" URL = 'file://{copy}/'")
    pipeline.database.execute(*(ddl.format("log") for ddl, settings in LIST if settings["name"] == "log"))
    pipeline.database.execute("INSERT INTO log (message) VALUES ('once')")
    pipeline.tables = [settings for _, settings in LIST if settings["name"] == "log"]
    pipeline.run()

    def die(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(pipeline, snowflake, copy, on_step=die)
    assert snowflake.execute('SELECT COUNT(*) FROM "log"').fetchall() == [[0]]
    assert load(pipeline, snowflake, copy)["log"].status == "LOADED"
    assert snowflake.execute('SELECT COUNT(*) FROM "log"').fetchall() == [[1]]
    pipeline.database.execute("INSERT INTO log (message, createdDate) VALUES ('again', NOW(6))")
    key = pipeline.run()["tables"][0]["files"][0]["key"]
    pipeline.store.put(key, b"message,createdDate\n", content_type="text/csv")
    result = load(pipeline, snowflake, copy)["log"]
    assert key in str(result.error)
    assert snowflake.execute('SELECT COUNT(*) FROM "log"').fetchall() == [[1]]
