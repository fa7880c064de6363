"""All manifests of a bucket, one after the other: however many there are, a few are in memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from rds_to_s3.reported.manifest import Manifest
from rds_to_s3_ops.deployment import bucket as bucket_module
from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.errors import NotFoundError
from rds_to_s3_ops.verify.reading.stored_files import named_files
from rds_to_s3_ops.verify.verification import manifests_for
from rds_to_s3_ops.verify.wanted import Wanted
from tests.support.manifests import entry_json, manifest_json


class Watched(Manifest):
    """A manifest that can be watched."""

    __hash__ = object.__hash__


class CountingBucket(Bucket):
    """A bucket of many manifests that counts how many of them somebody holds."""

    def __init__(self, manifests: int, table: str = "orders") -> None:
        super().__init__(cast("Any", None), "data")
        self.count, self.table = manifests, table
        self.held: weakref.WeakSet[Watched] = weakref.WeakSet()
        self.most_held = 0

    def _manifest_keys(self) -> list[tuple[datetime, str]]:
        begin = datetime(2025, 1, 1, tzinfo=UTC)
        return [(begin + timedelta(hours=n), f"runs/{n}/manifest.json") for n in range(self.count)]

    def _manifest(self, key: str) -> Manifest | None:
        number = key.split("/")[1]
        if number == "7":
            return None  # deleted since the keys were listed
        keys = f"orders/csv/{number}.csv", "orders/csv/same.csv"
        files = [{"key": key, "rows": 1, "bytes": 1, "sha256": "0" * 64} for key in keys]
        found = Watched.model_validate(manifest_json(entry_json(self.table, files=files), run_id=number))
        self.held.add(found)
        self.most_held = max(self.most_held, len(self.held))
        return found


def files_of(bucket: Bucket) -> Iterator[tuple[str, str]]:
    wanted = Wanted(["orders"])
    for run_id, _, file in named_files(manifests_for(bucket, None, wanted), wanted):
        yield run_id, file.key


def test_the_files_of_a_table_are_named_once_and_a_few_manifests_are_held_at_a_time() -> None:
    bucket = CountingBucket(1000)
    named = list(files_of(bucket))
    assert [run_id for run_id, key in named if key != "orders/csv/same.csv"] == [
        str(number) for number in range(1000) if number != 7
    ]
    assert [run_id for run_id, key in named if key == "orders/csv/same.csv"] == ["0"]
    assert bucket.most_held <= 3 * bucket_module._READERS


def test_a_table_that_no_manifest_names_is_an_error_once_all_were_looked_at() -> None:
    with pytest.raises(NotFoundError, match="no run has extracted a table 'orders'"):
        list(files_of(CountingBucket(30, table="menu")))
