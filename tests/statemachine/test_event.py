"""The event that says that a run has finished: whatever happened, once a round, and never at the run's cost."""

from __future__ import annotations

from typing import Any

import pytest

import check_run.handler
from rds_to_s3.errors import DatabaseUnreachableError, TableNotFoundError, TablesFailed
from rds_to_s3.s3.objects import ObjectStore
from tests.statemachine import definition as definitions
from tests.statemachine.conftest import NINE
from tests.statemachine.engine import Execution, Machine
from tests.statemachine.functions import Functions, LambdaFaultError, Step

GONE = TableNotFoundError("create it")
DOWN: list[Step] = [LambdaFaultError("EventBridge.InternalException")] * 3


def detail(run: Execution, **but: Any) -> dict[str, Any]:
    return {
        "run_id": run.name,
        "status": "SUCCEEDED",
        "redrives": 0,
        "bucket": definitions.BUCKET,
        "manifest": f"runs/{run.name}/manifest.json",
        "failed": [],
        "rows": len(NINE),
        **but,
    }


def details(functions: Functions) -> list[dict[str, Any]]:
    return [event["Detail"] for event in functions.events]


def test_a_run_that_succeeded_says_so_once(machine: Machine, functions: Functions) -> None:
    run = machine.run()
    assert details(functions) == [detail(run)]
    (event,) = functions.events
    assert (event["Source"], event["DetailType"], event["EventBusName"]) == ("rds-to-s3", "Run finished", "default")


def test_a_run_with_a_failed_table_names_it(machine: Machine, functions: Functions) -> None:
    functions.tables["menu"] = [GONE]
    run = machine.run()
    assert run.error == "TablesFailed"
    assert details(functions) == [detail(run, status="FAILED", failed=["menu"], rows=8)]


def test_a_run_that_could_not_be_planned_says_so_too(machine: Machine, functions: Functions) -> None:
    functions.plan = [DatabaseUnreachableError("no answer")] * 8
    run = machine.run()
    assert run.error == "PlanFailed"
    assert details(functions) == [detail(run, status="FAILED", rows=0)]
    again = run.redrive()
    assert details(functions)[1:] == [detail(again, redrives=1)]


def test_each_redrive_says_it_again(machine: Machine, functions: Functions) -> None:
    functions.tables = {"menu": [GONE, GONE]}
    run = machine.run()
    run.redrive().redrive()
    assert details(functions) == [
        detail(run, status="FAILED", failed=["menu"], rows=8),
        detail(run, status="FAILED", failed=["menu"], rows=8, redrives=1),
        detail(run, redrives=2),
    ]


def test_it_comes_when_the_manifest_is_there_and_before_the_run_ends(machine: Machine, functions: Functions) -> None:
    machine.run()
    assert [name for name, _ in functions.calls][-3:] == ["WriteManifest", "AnnounceRun", "CheckRun"]


def test_without_a_manifest_there_is_no_event(machine: Machine, functions: Functions) -> None:
    functions.manifest_faults = [LambdaFaultError("Sandbox.Timedout")] * 4
    machine.run()
    assert functions.events == []


def test_a_moment_without_eventbridge_costs_no_event(machine: Machine, functions: Functions) -> None:
    functions.event_faults = DOWN[:2]
    run = machine.run()
    assert details(functions) == [detail(run)]


@pytest.mark.parametrize("faults", [DOWN, ["1", "1", "1"]], ids=["an error", "an entry that is refused"])
def test_without_eventbridge_a_run_succeeds_and_the_gate_is_told(
    machine: Machine, functions: Functions, faults: list[Step]
) -> None:
    if faults is not DOWN and "ItemProcessor" not in machine.definition["States"]["ExtractTables"]:
        pytest.skip("a function in the place of EventBridge has no count of refused entries")
    functions.event_faults = list(faults)
    run = machine.run()
    assert (run.status, functions.events) == ("SUCCEEDED", [])
    (gate,) = functions.called("CheckRun")
    assert gate["state"]["announced"]["Error"]


def test_without_eventbridge_a_failed_run_is_redriven_at_its_gate_all_the_same(
    machine: Machine, functions: Functions
) -> None:
    functions.tables["menu"] = [GONE]
    functions.event_faults = list(DOWN)
    run = machine.run()
    assert run.error == "TablesFailed"
    again = run.redrive()
    assert (again.status, again.story()[0]) == ("SUCCEEDED", "CheckRun")
    assert details(functions) == [detail(run, redrives=1)]


@pytest.mark.parametrize("failed", [[], ["menu"]])
def test_the_gate_reports_an_event_that_was_not_sent(
    failed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {
        "DATA_BUCKET": "shop-data",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "POWERTOOLS_METRICS_NAMESPACE": "RdsToS3",
        "POWERTOOLS_SERVICE_NAME": "shop",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ObjectStore, "get", lambda *_: None)
    status = "FAILED" if failed else "SUCCEEDED"
    outcome = {"status": status, "failed": failed, "redrives": 0, "manifest": "runs/a/manifest.json"}
    state = {"outcome": outcome, "announced": {"Error": "EventBridge.FailedEntry", "Cause": "no bus"}}
    try:
        check_run.handler.handler(
            {"execution": {"Name": "a", "StartTime": "2025-04-02T12:00:00.000Z"}, "state": state}, None
        )
    except TablesFailed:
        assert failed
    assert '"EventsNotSent":[1.0]' in capsys.readouterr().out.replace(" ", "")
