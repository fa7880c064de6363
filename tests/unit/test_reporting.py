"""What the end of a run writes, on a bucket in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rds_to_s3.bucket_keys import (
    HISTORY_KEY,
    LATEST_MANIFEST_KEY,
    gate_key,
    manifest_key,
    plan_key,
    record_key,
    report_key,
)
from rds_to_s3.manifest.cost import ExtractSize
from rds_to_s3.manifest.write_manifest import write_manifest
from tests.support.memory_store import MemoryStore
from tests.unit.test_manifest import record
from tests.unit.test_plan import LISTED, plan


def execution(name: str = "run-1") -> dict[str, Any]:
    arn = f"arn:aws:states:eu-central-1:1:execution:m:{name}"
    return {"Id": arn, "Name": name, "StartTime": "2025-04-02T12:00:00Z", "Input": {}}


BOUND = {"decided_by": "clock", "server_now": "2025-04-02 12:00:02.000005", "settle_seconds": 2.0}


@pytest.fixture
def store() -> MemoryStore:
    """A bucket with a planned run whose two tables were extracted."""
    store = MemoryStore()
    store.put(plan_key("run-1"), plan(planned_at=1743595200.0, bound=BOUND).to_json())
    for table in ("orders", "menu"):
        store.put(record_key("run-1", table), json.dumps(record(table)).encode())
    return store


def told(store: MemoryStore, **state: Any) -> tuple[dict[str, float], list[BaseException]]:
    lags: dict[str, float] = {}
    problems: list[BaseException] = []
    write_manifest(execution(), state, store, on_lags=lags.update, on_problem=problems.append)
    return lags, problems


def body(store: MemoryStore, key: str) -> bytes:
    stored = store.get(key)
    assert stored is not None, key
    return stored.body


def test_a_run_leaves_manifest_report_and_history_and_tells_how_far_its_tables_are_behind(store: MemoryStore) -> None:
    lags, problems = told(store)
    assert problems == []
    assert body(store, manifest_key("run-1")) == body(store, LATEST_MANIFEST_KEY)
    assert body(store, report_key("run-1")).startswith(b"<!DOCTYPE html>")
    assert set(lags) == {"orders", "menu"}
    assert min(lags.values()) > 0
    assert set(json.loads(body(store, HISTORY_KEY))["freshness"]["until"]) == {"orders", "menu"}


def test_the_manifest_has_what_the_run_cost_where_the_functions_size_is_known(store: MemoryStore) -> None:
    told(store)
    assert "cost" not in json.loads(body(store, manifest_key("run-1")))
    write_manifest(execution(), {}, store, size=ExtractSize(1769, "arm64"))
    cost = json.loads(body(store, manifest_key("run-1")))["cost"]
    assert cost["amount"] > 0
    assert b"Cost at least" in body(store, report_key("run-1"))


def test_a_run_of_fewer_tables_than_the_last_one_names_them_and_keeps_their_lag(store: MemoryStore) -> None:
    told(store)
    store.put(plan_key("run-1"), plan(planned_at=1743609600.0, bound=BOUND, tables=LISTED.tables[1:]).to_json())
    lags, _ = told(store)
    warnings = json.loads(body(store, manifest_key("run-1")))["warnings"]
    assert [warning for warning in warnings if "covered: orders." in warning] != []
    assert set(lags) == {"orders", "menu"}
    assert lags["orders"] > lags["menu"] - 1


def test_a_redrive_that_only_the_gate_has_noticed_is_counted(store: MemoryStore) -> None:
    told(store)
    noticed = {"started_at": "2025-04-02T12:00:00.000Z", "outcome": "", "sent_again": True, "attempt": 0, "redrives": 2}
    store.put(gate_key("run-1"), json.dumps(noticed).encode())
    store.put(record_key("run-1", "menu"), json.dumps(record("menu", attempts=2)).encode())
    outcome = write_manifest(execution(), {"plan": {"redrives": 0}}, store)
    manifest = json.loads(body(store, manifest_key("run-1")))
    assert (outcome["redrives"], manifest["redrives"]) == (2, 2)
    assert {entry["table"]: entry["redrive"] for entry in manifest["tables"]} == {"orders": 0, "menu": 2}


@pytest.mark.parametrize(
    "damaged",
    [
        *("", "[]", '{"runs": [{}]}', '{"runs": [{"run_id": "a"}]}', '{"freshness": {"of_a_newer": 1}}'),
        '{"freshness": {"until": null, "server_now": null, "planned_at": 0}}',
        '{"freshness": {"until": {"orders": "yesterday"}, "server_now": null, "planned_at": 0}}',
        '{"freshness": {"until": {}, "server_now": "today", "planned_at": 0}}',
        '{"freshness": {"until": {}, "server_now": null, "planned_at": "now"}}',
    ],
)
def test_a_damaged_history_is_begun_anew_and_silences_no_alarm(store: MemoryStore, damaged: str) -> None:
    store.put(HISTORY_KEY, damaged.encode())
    lags, problems = told(store)
    assert (set(lags), problems) == ({"orders", "menu"}, [])


def test_half_a_character_in_an_error_keeps_no_manifest_from_being_written(store: MemoryStore) -> None:
    told(store, plan_error={"Error": "SomeError", "Cause": "not a table: \ud800"})
    manifest = json.loads(body(store, manifest_key("run-1")))
    assert manifest["error"] == {"type": "SomeError", "message": "not a table: \ud800"}
