"""The manifest: what it makes of records, of the Map's results, and of their absence."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from rds_to_s3.commit.entries import TableEntry
from rds_to_s3.manifest.model import KnownState, build_manifest, is_newer, outcome_of
from rds_to_s3.reported.manifest import Manifest
from tests.support.manifests import entry_json, manifest_json
from tests.support.schemas import validate_manifest
from tests.unit.test_plan import plan

EXECUTION = {
    "Id": "arn:aws:states:eu-central-1:1:execution:m:run-1",
    "Name": "run-1",
    "StartTime": "2025-04-02T12:00:00.5Z",
}
FILE = {"key": "orders.csv", "rows": 3, "bytes": 30, "sha256": "0" * 64}


def record(table: str, status: str = "SUCCEEDED", **changes: Any) -> dict[str, Any]:
    error = {"type": "ReadInterruptedError", "message": "gone"} if status == "FAILED" else None
    return {
        "table": table,
        "status": status,
        "rows": 3,
        "source_rows": 3,
        "window": {"after": "2025-04-02 08:00:00.000000", "until": "2025-04-02 12:00:00.000000"},
        "format": "csv",
        "attempts": 1,
        "seconds": 0.1,
        "files": [{"key": f"{table}.csv", "rows": 3, "bytes": 30, "sha256": "0" * 64}] if status == "SUCCEEDED" else [],
        "columns": [],
        "warnings": [],
        "error": error,
    } | changes


def build(
    records: list[dict[str, Any]],
    results: list[dict[str, Any]],
    committed: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    arguments: dict[str, Any] = {"plan_error": None, "finished_at": datetime(2025, 4, 2, 12, 1, tzinfo=UTC)}
    built = build_manifest(
        EXECUTION | {"RedriveCount": 2},
        plan(),
        {entry["table"]: TableEntry.model_validate(entry) for entry in records},
        results,
        state_of=lambda *_: KnownState(
            4, TableEntry.model_validate(committed) if committed else None, "2025-04-02 04:00:00.000000"
        ),
        **(arguments | changes),
    )
    manifest: dict[str, Any] = json.loads(built.to_json())
    validate_manifest(manifest)
    return manifest


def ended(table: str, status: str = "SUCCEEDED", error: str | None = None) -> dict[str, Any]:
    return {"table": table, "status": status} | ({"error": error} if error else {})


@pytest.mark.parametrize(
    ("ends", "status", "kind"),
    [
        (["DIVIDED", "RANGE_READ", "SUCCEEDED"], "SUCCEEDED", None),
        (["DIVIDED", "SUCCEEDED", "RANGE_READ"], "SUCCEEDED", None),
        (["DIVIDED", "FAILED ReadInterruptedError", "RANGE_READ"], "FAILED", "ReadInterruptedError"),
        (["DIVIDED", "RANGE_READ", "FAILED ReadInterruptedError"], "FAILED", "ReadInterruptedError"),
        # The record has the error of whichever range failed last.
        (
            ["DIVIDED", "FAILED DatabaseUnreachableError", "FAILED ReadInterruptedError"],
            "FAILED",
            "ReadInterruptedError",
        ),
        (["DIVIDED", "FAILED ReadInterruptedError", "FAILED Sandbox.Timedout"], "FAILED", "ReadInterruptedError"),
        (["DIVIDED", "FAILED Sandbox.Timedout", "RANGE_READ"], "FAILED", "Sandbox.Timedout"),
    ],
)
def test_a_divided_table_ends_as_its_ranges_do(ends: list[str], status: str, kind: str | None) -> None:
    results = [ended("orders", *each.split()) for each in ends]
    found = build([record("orders", status), record("menu")], [*results, ended("menu")])["tables"][0]
    assert found["status"] == status
    assert (found["error"] or {}).get("type") == kind
    if kind == "ReadInterruptedError":
        assert found["error"]["message"] == "gone"


def test_records_become_the_manifest_and_its_totals() -> None:
    manifest = build([record("orders"), record("menu", "UNCHANGED", rows=0)], [ended("orders"), ended("menu")])
    assert manifest["status"] == "SUCCEEDED"
    assert manifest["totals"] == {"tables": 2, "succeeded": 2, "failed": 0, "rows": 3, "files": 1, "bytes": 30}
    assert (manifest["started_at"], manifest["finished_at"]) == ("2025-04-02T12:00:00.500Z", "2025-04-02T12:01:00.000Z")
    assert (manifest["redrives"], manifest["window_end"]) == (2, "2025-04-02 12:00:00.000000")


def test_a_function_that_died_without_a_word_is_in_the_manifest_with_its_attempts() -> None:
    manifest = build([record("orders")], [ended("orders"), ended("menu", "FAILED", "Sandbox.Timedout")])
    menu = manifest["tables"][1]
    assert (menu["status"], menu["attempts"], menu["error"]["type"]) == ("FAILED", 4, "Sandbox.Timedout")
    assert (menu["readers"], menu["proof"]) == (1, None)
    assert menu["window"]["after"] == "2025-04-02 04:00:00.000000"
    assert outcome_of(Manifest.model_validate(manifest), "key")["failed"] == ["menu"]


def test_a_table_that_never_got_its_turn_is_failed_too() -> None:
    assert build([record("orders")], [])["tables"][1]["error"]["type"] == "NoAnswer"


def test_a_failures_own_words_count_unless_a_later_attempt_died() -> None:
    failed = record("menu", "FAILED")
    said = build([record("orders"), failed], [ended("menu", "FAILED", "ReadInterruptedError")])
    assert said["tables"][1]["error"]["message"] == "gone"
    died = build([record("orders"), failed], [ended("menu", "FAILED", "Runtime.ExitError")])
    assert died["tables"][1]["error"]["type"] == "Runtime.ExitError"
    assert "gone" in died["tables"][1]["error"]["message"]


def test_a_commit_is_the_truth_whatever_the_map_says() -> None:
    results = [ended("orders", "FAILED", "Lambda.Unknown"), ended("menu")]
    assert build([record("orders"), record("menu")], results)["status"] == "SUCCEEDED"


def test_a_stale_failure_gives_way_to_the_commit_in_the_tables_state() -> None:
    results = [ended("orders"), ended("menu")]
    manifest = build([record("orders"), record("menu", "FAILED")], results, committed=record("menu"))
    assert manifest["tables"][1]["status"] == "SUCCEEDED"


def test_an_error_of_the_map_itself_is_why_its_tables_failed() -> None:
    error = {"Error": "States.DataLimitExceeded", "Cause": "the output is too large"}
    orders, menu = build([record("orders")], [], map_error=error)["tables"]
    assert (orders["status"], menu["error"]["type"]) == ("SUCCEEDED", "States.DataLimitExceeded")
    assert "the output is too large" in menu["error"]["message"]


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("Sandbox.Timedout", "raise ExtractTimeout"),
        ("Runtime.ExitError", "raise ExtractMemorySize"),
        ("SettingsError", "rds-to-s3 history"),
    ],
)
def test_a_function_without_an_answer_is_given_the_advice_that_fits_its_end(error: str, advice: str) -> None:
    menu = build([record("orders")], [ended("menu", "FAILED", error)])["tables"][1]
    assert advice in menu["error"]["message"]


def test_a_redrive_keeps_the_records_of_the_tables_that_did_not_run_again() -> None:
    manifest = build([record("orders"), record("menu")], [ended("menu")])
    assert manifest["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            {
                "Error": "TableListError",
                "Cause": json.dumps({"errorMessage": "bad list", "errorType": "TableListError"}),
            },
            {"type": "TableListError", "message": "bad list"},
        ),
        ({"Error": "States.Runtime"}, {"type": "States.Runtime", "message": ""}),
    ],
)
def test_a_run_that_could_not_be_planned_says_why(error: dict[str, str], expected: dict[str, str]) -> None:
    finished = datetime(2025, 4, 2, tzinfo=UTC)
    manifest = build_manifest(
        EXECUTION, None, {}, [], state_of=lambda *_: KnownState(), plan_error=error, finished_at=finished
    ).model_dump()
    validate_manifest(manifest)
    assert (manifest["status"], manifest["error"], manifest["tables"]) == ("FAILED", expected, [])


@pytest.mark.parametrize("cause", ["timed out", '{"errorType": "Sandbox.Timedout", "errorMessage": "timed out"}'])
def test_a_plan_that_was_killed_for_its_time_has_a_remedy(cause: str) -> None:
    error = {"Error": "Sandbox.Timedout", "Cause": cause}
    manifest = build_manifest(
        EXECUTION, None, {}, [], state_of=lambda *_: KnownState(), plan_error=error, finished_at=datetime.now(UTC)
    )
    assert manifest.error is not None
    assert manifest.error.type == "Sandbox.Timedout"
    assert manifest.error.message.startswith("timed out PlanRun was killed while it waited")
    assert "rds-to-s3 doctor" in manifest.error.message


def test_the_newest_manifest_is_the_one_that_started_last() -> None:
    earlier, later = "2025-04-02T12:00:00Z", "2025-04-02T12:00:01Z"
    assert is_newer(later, earlier)
    assert is_newer(earlier, None)
    assert not is_newer(earlier, later)


def test_a_manifest_of_a_newer_release_is_read_and_written_as_it_is() -> None:
    entry = entry_json("orders", proof=None, masked=["name"], files=[FILE | {"storage_class": "STANDARD"}])
    document = manifest_json(entry, bound={"decided_by": "clock", "zone": "UTC"}, seals=[{"by": "KMS"}])
    assert json.loads(Manifest.from_json(json.dumps(document).encode()).to_json()) == document
