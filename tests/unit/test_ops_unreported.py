"""Files that no manifest names are named: by `verify` and by `doctor`, with what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rds_to_s3.bucket_keys import manifest_key, state_key
from rds_to_s3.commit.entries import TableEntry
from rds_to_s3.commit.state import Commit, TableState
from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.verify.unreported import check_unreported, unreported_files
from tests.support.deployed_command import Deployed
from tests.support.manifests import entry_json, manifest_json

KEY = "orders/csv/orders_data_20250402_120000.csv"
FILE = {"key": KEY, "rows": 1, "bytes": 1, "sha256": "0" * 64}
ENTRY = entry_json("orders", files=[FILE], columns=[{"name": "id", "type": "int", "nullable": False}])


def bucket_of(deployed: Deployed) -> Bucket:
    return Bucket(deployed.s3, deployed.stack.bucket)


def put(deployed: Deployed, key: str, body: str = "") -> None:
    deployed.s3.put_object(Bucket=deployed.stack.bucket, Key=key, Body=body.encode())


def put_manifest(deployed: Deployed, run_id: str, *entries: dict[str, Any], year: int = 2025) -> None:
    moment = f"{year}-04-02T12:00:00.000Z"
    manifest = manifest_json(*entries, run_id=run_id, started_at=moment, finished_at=moment, window_end=None)
    put(deployed, manifest_key(run_id), json.dumps(manifest))
    put(deployed, "runs/latest.json", json.dumps(manifest))


def put_state(deployed: Deployed, entry: dict[str, Any], *, applied: bool = True) -> None:
    commit = Commit(
        run_id="stopped",
        token="t",
        planned_at=1.0,
        server_utc=0.0,
        watermark="2025-04-02 12:00:00",
        watermark_before=None,
        read_from=None,
        files=[],
        applied=applied,
        record=TableEntry.model_validate(entry),
    )
    state = TableState(table="orders", format="csv", commit=commit)
    put(deployed, state_key("orders", "csv"), state.model_dump_json())


def found(deployed: Deployed, *running: str) -> list[tuple[str, str | None]]:
    files = unreported_files(bucket_of(deployed), lambda: running)
    return [(file.key, file.run_id) for file in files]


def test_a_file_of_a_stopped_run_is_named_with_the_run_and_the_remedy(deployed: Deployed) -> None:
    put(deployed, KEY)
    put_state(deployed, ENTRY)
    assert found(deployed) == [(KEY, "stopped")]
    finding = check_unreported(unreported_files(bucket_of(deployed), list))
    assert finding.verdict == "fail"
    assert KEY in finding.message
    assert "rds-to-s3 run --table orders" in finding.remedy
    assert found(deployed, "stopped") == [], "it is still running, and is going to report it"
    put_manifest(deployed, "later", ENTRY)
    assert found(deployed) == []


@pytest.mark.parametrize("kind", ["quarantine", "deletes", "superseded"])
def test_files_of_every_kind_are_looked_for(deployed: Deployed, kind: str) -> None:
    place = "csv" if kind == "superseded" else kind
    key = f"orders/{place}/orders_{'data' if kind == 'superseded' else kind}_20250402_120000_part0002.csv"
    put(deployed, key)
    put_state(deployed, ENTRY)
    put_manifest(deployed, "first", ENTRY)
    assert found(deployed) == [(key, None)]
    put_manifest(deployed, "later", ENTRY | {kind: [FILE | {"key": key}]})
    assert found(deployed) == []


def test_files_from_before_the_first_manifest_are_not_looked_for(deployed: Deployed) -> None:
    put(deployed, KEY)
    put_state(deployed, ENTRY | {"files": []})
    assert found(deployed) == []
    put_manifest(deployed, "first", ENTRY | {"files": []}, year=2999)
    assert found(deployed) == []
