"""A run of many small tables: everything arrives, at a cost in connections, requests and objects that is counted.

``MANY_TABLES=500 pytest tests/integration/test_many_tables.py`` takes a few minutes. What the state machine makes of
500 tables is tried in ``tests/statemachine/test_load.py``.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from rds_to_s3.errors import TableListError
from rds_to_s3.mysql.connection import Connection
from tests.integration.pipeline import Json, Pipeline
from tests.support.schemas import validate_manifest

TABLES = int(os.environ.get("MANY_TABLES", "40"))
AT_ONCE = 5
# docs/tune.md reckons with these: requests of one table in a window with rows.
MOST_WRITES, MOST_READS = 13, 7
WRITES = {"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "ListObjectsV2"}
WRITES |= {"ListMultipartUploads"}
READS = {"GetObject", "HeadObject"}


def make_tables(pipeline: Pipeline) -> None:
    pipeline.database.execute(
        "CREATE TABLE t_0000 (id INT PRIMARY KEY, createdDate DATETIME DEFAULT '2025-01-01', modifiedDate DATETIME, "
        "KEY (createdDate), KEY (modifiedDate))",
        "INSERT INTO t_0000 (id) VALUES (1), (2), (3)",
    )
    for number in range(1, TABLES):
        pipeline.database.execute(
            f"CREATE TABLE t_{number:04} LIKE t_0000", f"INSERT INTO t_{number:04} SELECT * FROM t_0000"
        )
    pipeline.tables = ["t_*"]


class Connections:
    """Counts how many connections are open at once."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._connect = pipeline.connect
        self._lock = threading.Lock()
        self._open = 0
        self.most = 0

    def __call__(self, read_seconds: int) -> Connection:
        connection = self._connect(read_seconds)
        with self._lock:
            self._open += 1
            self.most = max(self.most, self._open)
        close = connection.close

        def closed() -> None:
            with self._lock:
                self._open -= 1
            close()

        connection.close = closed  # type: ignore[method-assign]
        return connection


@contextmanager
def counted_requests(client: Any) -> Iterator[Counter[str]]:
    counts: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        counts[model.name] += 1

    client.meta.events.register("before-call.s3", count)
    try:
        yield counts
    finally:
        client.meta.events.unregister("before-call.s3", count)


def run(pipeline: Pipeline, name: str) -> tuple[Json, Counter[str]]:
    """Play a run with as many extractors at once as the state machine has; count what they ask of S3."""
    execution = pipeline.execution(name)
    plan = pipeline.plan(execution)
    names = [item["table"] for item in plan["tables"]]
    assert len(json.dumps(plan)) < 256 * 1024 / 4
    with counted_requests(pipeline.s3_client) as counts, ThreadPoolExecutor(AT_ONCE) as extractors:
        results = list(extractors.map(lambda table: pipeline.iterate(name, table), names))
    return pipeline.report(execution, plan=plan, results=results), counts


def test_many_tables_arrive_and_cost_what_the_documentation_reckons_with(pipeline: Pipeline) -> None:
    make_tables(pipeline)
    connections = Connections(pipeline)
    pipeline.connect = connections  # type: ignore[method-assign]
    first, counts = run(pipeline, "first")
    validate_manifest(first)
    assert (first["status"], first["totals"]["tables"], first["totals"]["rows"]) == ("SUCCEEDED", TABLES, 3 * TABLES)
    assert connections.most <= AT_ONCE
    assert sum(counts[name] for name in WRITES) <= MOST_WRITES * TABLES, counts
    assert sum(counts[name] for name in READS) <= MOST_READS * TABLES, counts
    # A state, a record and a ledger each; the plan and the history.
    assert len(pipeline.keys("_state/")) == 3 * TABLES + 3  # with the plan, what is reported, and the history
    assert len(pipeline.keys("runs/first/")) == 2

    pipeline.database.execute("INSERT INTO t_0007 (id, createdDate) VALUES (4, NOW() - INTERVAL 1 HOUR)")
    pipeline.set_watermark("t_0007", "2025-01-01 00:00:00")
    second, _ = run(pipeline, "second")
    statuses = Counter(entry["status"] for entry in second["tables"])
    assert statuses == {"UNCHANGED": TABLES - 1, "SUCCEEDED": 1}
    # Two records each; the table that was read again has a run in its ledger beside the block.
    assert len(pipeline.keys("_state/")) == 4 * TABLES + 6


def test_more_tables_than_an_execution_holds_are_refused_before_anything_is_read(pipeline: Pipeline) -> None:
    pipeline.tables = [f"t_{number:04}" for number in range(2_001)]
    with pytest.raises(TableListError, match="2,001 tables, and one execution holds"):
        pipeline.plan(pipeline.execution("many"))
    assert pipeline.keys("_state/") == []


def test_a_list_in_the_bucket_is_read_by_the_plan_and_its_version_is_in_the_manifest(pipeline: Pipeline) -> None:
    make_tables(pipeline)
    names = [f"t_{number:04}" for number in range(TABLES)]
    pipeline.store.put("lists/all.json", json.dumps({"tables": names}).encode())
    pointer = {"document": json.dumps({"from": f"s3://{pipeline.bucket}/lists/all.json"})}
    execution = pipeline.execution("stored", tables=["t_000?"])
    plan = pipeline.plan(execution, table_list=pointer)
    assert [item["table"] for item in plan["tables"]] == names[:10]
    document = pipeline.report(execution, plan=plan, results=[pipeline.iterate("stored", name) for name in names[:10]])
    validate_manifest(document)
    assert (document["status"], document["table_list"]["from"]) == (
        "SUCCEEDED",
        json.loads(pointer["document"])["from"],
    )
    assert document["table_list"]["version"]
