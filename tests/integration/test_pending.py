"""What `verify` calls pending is what the next run reads, whatever happened since the last one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from rds_to_s3.bucket_keys import state_key
from rds_to_s3.plan.table_list import parse_table_list
from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.verify.comparison import Reconciliation
from rds_to_s3_ops.verify.reconciliation import Reconciler
from tests.integration.conftest import Database, fresh_database
from tests.integration.pipeline import Pipeline, entry

TABLE = """CREATE TABLE t (id INT PRIMARY KEY, createdDate DATETIME NOT NULL, modifiedDate DATETIME NULL,
    KEY (createdDate), KEY (modifiedDate))"""
MINUTES = {10: 3 * 1440, 11: 180, 12: 30, 13: 4, 14: -60}
"""How long before now each row is stamped that turns up after the run, by its key."""


@pytest.fixture
def stamped(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(TABLE, "INSERT INTO t VALUES (1, NOW() - INTERVAL 10 DAY, NULL)")
    any_pipeline.database.execute("INSERT INTO t VALUES (2, NOW() - INTERVAL 2 HOUR, NULL)")
    any_pipeline.tables = [{"name": "t", "prove_bytes": 0}]  # a proof delivers what is missing, too
    return any_pipeline


@pytest.fixture
def other(any_database: Database) -> Iterator[Database]:
    with fresh_database(any_database.server) as database:
        yield database


def reconcile(pipeline: Pipeline) -> Reconciliation:
    listed = parse_table_list(json.dumps({"defaults": pipeline.defaults, "tables": pipeline.tables}))
    s3 = pipeline.s3_client
    reconciler = Reconciler(
        lambda: closing(pipeline.connect(60)), Bucket(s3, pipeline.bucket), memory="200MB", samples=None
    )
    result = reconciler.reconcile(listed.resolve([])[0])
    assert result.error is None, result.error
    return result


def late_rows(pipeline: Pipeline) -> None:
    for key, minutes in MINUTES.items():
        pipeline.database.execute(f"INSERT INTO t VALUES ({key}, NOW() - INTERVAL {minutes} MINUTE, NULL)")


def nothing(pipeline: Pipeline) -> None:
    pass


def turned_back(pipeline: Pipeline) -> None:
    """Let the last commit know a clock that was an hour ahead of the present one."""
    key = state_key("t", "csv")
    state = json.loads(pipeline.body(key))
    state["commit"]["server_utc"] += 3600
    state["commit"]["clock_lead"] += 3600
    pipeline.store.put(key, json.dumps(state).encode())


def rewound(pipeline: Pipeline) -> None:
    pipeline.set_watermark("t", str(pipeline.database.rows("SELECT NOW() - INTERVAL 1 HOUR")[0][0])[:19])


def without_watermark(pipeline: Pipeline) -> None:
    pipeline.store.delete("t/csv/last_extract.txt")


def without_state(pipeline: Pipeline) -> None:
    pipeline.store.delete(state_key("t", "csv"))


def in_another_zone(pipeline: Pipeline) -> None:
    pipeline.defaults = {"time_zone": "-01:00"}


def in_full(pipeline: Pipeline) -> None:
    pipeline.defaults = {"mode": "full"}


def with_a_longer_lookback(pipeline: Pipeline) -> None:
    pipeline.defaults = {"lookback_seconds": 7200}


SINCE: dict[str, tuple[dict[str, Any], Callable[[Pipeline], None], set[int]]] = {
    "nothing": ({}, nothing, {14}),
    "a clock that was turned back": ({}, turned_back, {12, 13, 14}),
    "a rewind": ({}, rewound, {12, 13, 14}),
    "a watermark that was deleted": ({}, without_watermark, {10, 11, 12, 13, 14}),
    "a state that was lost": ({}, without_state, {14}),
    "another zone": ({}, in_another_zone, {12, 13, 14}),
    "a longer lookback": ({}, with_a_longer_lookback, {14}),
    "a lookback": ({"lookback_seconds": 7200}, nothing, {12, 13, 14}),
    "a change to full": ({}, in_full, {10, 11, 12, 13, 14}),
    "a change from full": ({"mode": "full"}, lambda pipeline: pipeline.defaults.clear(), {14}),
}


@pytest.mark.parametrize("since", SINCE)
def test_what_is_pending_is_what_the_next_run_delivers(stamped: Pipeline, since: str) -> None:
    settings, change, expected = SINCE[since]
    stamped.defaults = dict(settings)
    stamped.run()
    change(stamped)
    compare_with_the_next_run(stamped, expected)


def test_what_is_pending_on_another_server_is_what_the_next_run_delivers(stamped: Pipeline, other: Database) -> None:
    stamped.run()
    name = stamped.database.name
    other.execute(f"CREATE TABLE t LIKE `{name}`.t", f"INSERT INTO t SELECT * FROM `{name}`.t")
    compare_with_the_next_run(replace(stamped, database=other), {12, 13, 14})


def compare_with_the_next_run(pipeline: Pipeline, expected: set[int]) -> None:
    late_rows(pipeline)
    found = reconcile(pipeline)
    pending = {int(key["id"]) for key in found.samples.get("pending", [])}
    missing = {int(key["id"]) for key in found.samples.get("missing", [])}
    assert pending | missing >= set(MINUTES)
    files = [file["key"] for file in entry(pipeline.run(), "t")["files"]]
    delivered = {int(row["id"] or 0) for row in pipeline.delivered("t", files)}
    assert pending & set(MINUTES) == delivered & set(MINUTES) == expected
    assert not missing & delivered
    assert reconcile(pipeline).counts["missing"] == len(MINUTES) - len(expected)


def test_a_table_that_the_next_run_refuses_is_not_compared(stamped: Pipeline) -> None:
    stamped.run()
    stamped.database.execute("ALTER TABLE t DROP COLUMN modifiedDate")
    with pytest.raises(AssertionError, match="was extracted by its modified_column"):
        reconcile(stamped)
