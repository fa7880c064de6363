"""What the end of a run writes, on a bucket in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rds_to_s3.bucket_keys import HISTORY_KEY, LATEST_MANIFEST_KEY, manifest_key, plan_key, record_key, report_key
from rds_to_s3.manifest.write_manifest import write_manifest
from tests.support.memory_store import MemoryStore
from tests.unit.test_manifest import record
from tests.unit.test_plan import plan


def execution(name: str = "run-1") -> dict[str, Any]:
    arn = f"arn:aws:states:eu-central-1:1:execution:m:{name}"
    return {"Id": arn, "Name": name, "StartTime": "2025-04-02T12:00:00Z", "Input": {}}


@pytest.fixture
def store() -> MemoryStore:
    """A bucket with a planned run whose two tables were extracted."""
    store = MemoryStore()
    bound = {"decided_by": "clock", "server_now": "2025-04-02 12:00:02.000005", "settle_seconds": 2.0}
    store.put(plan_key("run-1"), plan(planned_at=1743595200.0, bound=bound).to_json())
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
