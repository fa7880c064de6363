"""The newest stamp below the window, which later runs compare with: found by indexes, or in one scan."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.integration.pipeline import Pipeline, entry

pytestmark = pytest.mark.bucket_in_memory

INDEXES = ", KEY (createdDate), KEY (modifiedDate)"


def test_a_run_scans_a_table_without_indexes_three_times_at_most(pipeline: Pipeline) -> None:
    rows = 500
    pipeline.database.execute(
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, createdDate DATETIME, modifiedDate DATETIME)",
        "INSERT INTO t (createdDate) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n "
        f"WHERE i < {rows}) SELECT NOW() - INTERVAL 1 HOUR FROM n",
    )
    pipeline.tables = [{"name": "t", "prove_bytes": 0}]

    def scans(run: Callable[[], object]) -> float:
        counter = "SHOW GLOBAL STATUS LIKE 'Innodb_rows_read'"
        before = int(pipeline.database.rows(counter)[0][1])
        run()
        return (int(pipeline.database.rows(counter)[0][1]) - before) / rows

    assert scans(pipeline.run) < 3  # the newest stamps, and the rows themselves
    assert entry(pipeline.run(), "t")["status"] == "UNCHANGED"
    assert scans(pipeline.run) < 4  # also the rows without a stamp


@pytest.mark.parametrize("kind", ["DATETIME", "DATETIME(6)", "TIMESTAMP(3)", "DATE"])
def test_the_newest_stamp_below_the_window_is_the_same_with_indexes_and_without(
    any_pipeline: Pipeline, kind: str
) -> None:
    database, random_, tables = any_pipeline.database, random.Random(kind), ("indexed", "scanned")
    any_pipeline.tables = [{"name": name, "prove_bytes": 0} for name in tables]
    for name in tables:
        indexes = INDEXES if name == "indexed" else ""
        database.execute(
            f"CREATE TABLE {name} (id INT PRIMARY KEY AUTO_INCREMENT, createdDate {kind} NULL, modifiedDate {kind} NULL"
            f"{indexes})"
        )
    for _ in range(4):
        ((now,),) = database.rows("SELECT NOW(6)")
        ages = [random_.choice([None, 20_000_000.0, random_.uniform(-5, 9), 90_000.0]) for _ in range(24)]
        stamps = ["NULL" if age is None else f"'{now - timedelta(seconds=age)}'" for age in ages]
        values = ", ".join(f"({created}, {modified})" for created, modified in pairwise(stamps))
        for name in tables:
            database.execute(f"INSERT INTO {name} (createdDate, modifiedDate) VALUES {values}")
        any_pipeline.run()
        states = [json.loads(any_pipeline.body(f"_state/tables/{name}/csv.json")) for name in tables]
        indexed, scanned = [(state["commit"]["settled"]["newest"], state["commit"]["watermark"]) for state in states]
        assert indexed == scanned
        assert indexed[0]
