"""What the tests of ``verify`` share: a table of every kind of key and value, and the comparisons made of it."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.verify.comparison import Reconciliation
from rds_to_s3_ops.verify.reconciliation import Reconciler
from rds_to_s3_ops.verify.verification import Verification, manifests_for, verify_files
from rds_to_s3_ops.verify.wanted import Wanted
from tests.integration.pipeline import Pipeline

ORDERS = """CREATE TABLE orders (
    id INT, part VARCHAR(9), note VARCHAR(50) NULL, amount DECIMAL(40,3), raw VARBINARY(9),
    createdDate DATETIME NOT NULL DEFAULT '2025-01-01 00:00:00', modifiedDate DATETIME NULL,
    PRIMARY KEY (id, part), KEY (createdDate), KEY (modifiedDate))"""
ROWS = (
    "INSERT INTO orders (id, part, note, amount, raw) VALUES (1,'a','x',1.5,x'00'),(2,'a','',2,NULL),(3,'b',NULL,3,x'')"
)
FIRST_ROW = ROWS.partition(",(2")[0]
SETTINGS: list[dict[str, Any]] = [
    {"format": "csv"},
    {"format": "csv", "compression": "gzip", "target_file_bytes": 100},
    {"format": "csv", "compression": "zstd", "target_file_bytes": 100},
    {"format": "parquet"},
]


def with_orders(pipeline: Pipeline, settings: dict[str, Any]) -> Pipeline:
    pipeline.database.execute(ORDERS, ROWS)
    pipeline.defaults, pipeline.tables = settings, ["orders"]
    return pipeline


def reconcile(
    pipeline: Pipeline, table: str = "orders", *, memory: str = "200MB", samples: int | None = 10, **settings: Any
) -> Reconciliation:
    spec = TableSpec.model_validate({"name": table, **pipeline.defaults, **settings})
    bucket = Bucket(pipeline.s3_client, pipeline.bucket)
    reconciler = Reconciler(
        lambda: closing(pipeline.connect(60)),
        bucket,
        memory=memory,
        samples=samples,
        mask_key=lambda: pipeline.mask_key,
    )
    return reconciler.reconcile(spec)


def files(pipeline: Pipeline, table: str | None = None) -> Verification:
    bucket = Bucket(pipeline.s3_client, pipeline.bucket)
    wanted = None if table is None else Wanted([table])
    return verify_files(bucket, manifests_for(bucket, None, wanted), wanted)


def counts(result: Reconciliation) -> dict[str, int]:
    assert result.error is None, result.error
    return {"equal": result.equal} | {kind: count for kind, count in result.counts.items() if count}


def next_second() -> None:
    """Let the next window end later than the last: two of one second share a stamp."""
    time.sleep(1.05 - time.time() % 1)
