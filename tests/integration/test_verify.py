"""Files against their manifest, and against the table that they came from."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from rds_to_s3.table_list import TableSpec
from rds_to_s3_ops.bucket import Bucket
from rds_to_s3_ops.reconciliation import Reconciler, Reconciliation
from rds_to_s3_ops.verification import Verification, manifests_for, verify_files
from tests.integration.pipeline import Pipeline
from tests.integration.test_types import make_table
from tests.support.every_type import ONLY_MYSQL, TABLES

ORDERS = """CREATE TABLE orders (
    id INT, part VARCHAR(9), note VARCHAR(50) NULL, amount DECIMAL(40,3), raw VARBINARY(9),
    createdDate DATETIME NOT NULL DEFAULT '2025-01-01 00:00:00', modifiedDate DATETIME NULL,
    PRIMARY KEY (id, part), KEY (createdDate), KEY (modifiedDate))"""
ROWS = (
    "INSERT INTO orders (id, part, note, amount, raw) VALUES (1,'a','x',1.5,x'00'),(2,'a','',2,NULL),(3,'b',NULL,3,x'')"
)
SETTINGS: list[dict[str, Any]] = [
    {"format": "csv"},
    {"format": "csv", "compression": "gzip", "target_file_bytes": 100},
    {"format": "parquet"},
]


@pytest.fixture(params=SETTINGS, ids=lambda settings: "-".join(map(str, settings.values())))
def orders(request: pytest.FixtureRequest, pipeline: Pipeline) -> Pipeline:
    pipeline.database.execute(ORDERS, ROWS)
    pipeline.defaults, pipeline.tables = request.param, ["orders"]
    return pipeline


def reconcile(pipeline: Pipeline, table: str = "orders", **settings: Any) -> Reconciliation:
    spec = TableSpec.model_validate({"name": table, **pipeline.defaults, **settings})
    connection = pipeline.connect(60)
    try:
        bucket = Bucket(pipeline.s3_client, pipeline.bucket)
        return Reconciler(connection, bucket, pipeline.s3_client, memory="200MB").reconcile(spec)
    finally:
        connection.close()


def files(pipeline: Pipeline, table: str | None = None) -> Verification:
    bucket = Bucket(pipeline.s3_client, pipeline.bucket)
    return verify_files(bucket, pipeline.s3_client, manifests_for(bucket, None, table), table)


def counts(result: Reconciliation) -> dict[str, int]:
    assert result.error is None, result.error
    return {"equal": result.equal} | {kind: count for kind, count in result.counts.items() if count}


def test_what_two_runs_left_is_the_table(orders: Pipeline) -> None:
    orders.run()
    orders.database.execute(
        "UPDATE orders SET note = 'changed', modifiedDate = NOW() WHERE id = 1",
        "INSERT INTO orders (id, part, createdDate) VALUES (4, 'c', NOW())",
    )
    orders.run()
    assert counts(reconcile(orders)) == {"equal": 4}
    checked = files(orders, "orders")
    assert (checked.is_fine, checked.rows) == (True, 5)


def test_rows_that_are_missing_different_extra_or_pending_are_told_apart(orders: Pipeline) -> None:
    orders.database.execute("INSERT INTO orders (id, part) VALUES (5, 'e'), (6, 'f')")
    orders.run()
    orders.database.execute(
        "INSERT INTO orders (id, part) VALUES (4, 'unseen')",
        "INSERT INTO orders (id, part, createdDate) VALUES (7, 'later', NOW() + INTERVAL 1 HOUR)",
        "UPDATE orders SET note = NULL WHERE id = 2",
        "UPDATE orders SET note = 'new', modifiedDate = NOW() + INTERVAL 1 HOUR WHERE id = 5",
        "DELETE FROM orders WHERE id = 3",
    )
    result = reconcile(orders)
    assert counts(result) == {"equal": 2, "missing": 1, "different": 1, "extra": 1, "pending": 2}
    assert result.samples["missing"] == [{"id": "4", "part": "unseen"}]
    assert result.samples["different"] == [{"id": "2", "part": "a"}]
    assert result.samples["extra"] == [{"id": "3", "part": "b"}]
    assert not result.is_fine()


def test_deleted_and_quarantined_rows_are_no_fault_where_the_bucket_tells_of_them(orders: Pipeline) -> None:
    checks = {"note": {"not_null": True}}
    orders.defaults = orders.defaults | {"deletes": "track", "checks": checks, "on_violation": "quarantine"}
    orders.run()
    orders.database.execute("DELETE FROM orders WHERE id = 1")
    orders.run()
    assert counts(reconcile(orders)) == {"equal": 1, "deleted": 1, "quarantined": 1}
    checked = files(orders, "orders")
    assert (checked.is_fine, checked.rows) == (True, 4)


def test_a_column_that_came_later_is_not_looked_for_in_older_files(orders: Pipeline) -> None:
    orders.run()
    orders.database.execute(
        "ALTER TABLE orders ADD COLUMN later INT DEFAULT 7",
        "UPDATE orders SET note = 'changed', modifiedDate = NOW() WHERE id = 1",
    )
    orders.run()
    result = reconcile(orders)
    assert counts(result) == {"equal": 3}
    assert "have no later" in result.notes[0]
    orders.database.execute("UPDATE orders SET later = 8, modifiedDate = '2025-01-02' WHERE id = 1")
    assert counts(reconcile(orders)) == {"equal": 2, "different": 1}


def test_every_type_compares_as_it_is(pipeline: Pipeline) -> None:
    tables = {**TABLES, **ONLY_MYSQL}
    for name, columns in tables.items():
        make_table(pipeline.database, name, columns)
    pipeline.tables = [*tables]
    for file_format in ("csv", "parquet"):
        pipeline.defaults = {"format": file_format}
        pipeline.run()
        for name in pipeline.tables:
            result = reconcile(pipeline, name)
            assert (name, result.error, result.equal) == (name, None, result.source_rows)


def test_a_table_in_full_is_compared_with_its_newest_files_only(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE bare (n INT, note TEXT)", "INSERT INTO bare VALUES (1, 'a'), (1, 'a'), (2, '')"
    )
    any_pipeline.tables, any_pipeline.defaults = ["bare"], {"mode": "full"}
    any_pipeline.run()
    assert counts(reconcile(any_pipeline, "bare")) == {"equal": 3}
    any_pipeline.database.execute("INSERT INTO bare VALUES (3, NULL)")
    assert counts(reconcile(any_pipeline, "bare")) == {"equal": 3, "missing": 1}


def test_a_file_that_is_not_what_the_manifest_says_is_named(orders: Pipeline) -> None:
    orders.run()
    key = orders.data_keys("orders", orders.defaults["format"])[0]
    body = orders.body(key)
    orders.store.put(key, gzip.compress(b"id,part\n") if key.endswith(".gz") else body[:-1])
    found = files(orders)
    assert not found.is_fine
    assert [check.key for check in found.broken] == [key]
    assert any(problem.startswith("sha256") for problem in found.broken[0].problems)
    orders.store.delete(key)
    assert [check.problems for check in files(orders).broken] == [["is missing"]]
