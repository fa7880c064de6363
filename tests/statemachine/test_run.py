"""How a run goes: what is retried, what is caught, how it ends."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import TimeoutSeconds

from rds_to_s3.errors import (
    RAISED_BY,
    DatabaseBusyError,
    DatabaseUnreachableError,
    LeaseLostError,
    ReadInterruptedError,
    ReplicaBehindError,
    ReplicaStoppedError,
    StorageUnavailableError,
    TableNotFoundError,
)
from tests.statemachine.conftest import NINE
from tests.statemachine.engine import Machine
from tests.statemachine.functions import CONTINUE, Functions, LambdaFaultError
from tests.statemachine.test_redrive import LONGEST_WAIT, wait


def test_a_run_extracts_every_listed_table_once_and_succeeds(machine: Machine, functions: Functions) -> None:
    run = machine.run()
    assert run.status == "SUCCEEDED"
    assert sorted(functions.extracted()) == sorted(NINE)
    assert run.output == {
        "status": "SUCCEEDED",
        "failed": [],
        "redrives": 0,
        "manifest": f"runs/{run.name}/manifest.json",
    }


def test_the_history_reads_like_a_story(machine: Machine, functions: Functions) -> None:
    run = machine.run({"tables": ["orders"]})
    assert run.story() == [
        "TakeInput",
        "ReadTableList",
        "ListRunningRuns",
        "PlanRun",
        "ExtractTables",
        "ExtractTable",
        "TableFinished?",
        "TableFinished",
        "ReadRanges",
        "WriteManifest",
        "AnnounceRun",
        "CheckRun",
        "RetryFailed?",
        "RunFinished",
    ]


def test_an_iterations_input_names_its_table(machine: Machine, functions: Functions) -> None:
    run = machine.run({"tables": ["menu"]})
    inputs = [data for name, data in run._entered() if name == "ExtractTable"]
    assert inputs == [{"run_id": run.name, "table": "menu"}]
    assert functions.called("ExtractTable") == inputs


def test_a_run_over_no_table_writes_its_manifest_and_succeeds(machine: Machine, functions: Functions) -> None:
    run = machine.run({"tables": []})
    assert run.status == "SUCCEEDED"
    assert len(functions.called("WriteManifest")) == 1


def test_a_permanent_error_fails_its_table_at_once_and_the_others_finish(
    machine: Machine, functions: Functions
) -> None:
    functions.tables["menu"] = [TableNotFoundError("create the table menu or take it from the list")]
    run = machine.run()
    assert (run.status, run.error) == ("FAILED", "TablesFailed")
    assert "menu: TableNotFoundError: create the table menu or take it from the list" in run.cause
    assert f"runs/{run.name}/manifest.json" in run.cause
    assert functions.attempts() == dict.fromkeys(NINE, 1)
    assert [t["table"] for t in functions.manifests[run.name]["tables"] if t["status"] != "FAILED"] == [
        name for name in NINE if name != "menu"
    ]


def test_no_permanent_error_is_asked_again(machine: Machine, functions: Functions) -> None:
    functions.tables = {error.__name__: [error("no"), error("no")] for error in RAISED_BY["ExtractTable"]}
    functions.listed = list(functions.tables)
    functions.document = '{"tables": ["*"]}'
    machine.put_table_list(functions.document)
    assert machine.run().error == "TablesFailed"
    assert functions.attempts() == dict.fromkeys(functions.tables, 1)
    assert machine.slept == []


@pytest.mark.parametrize("error", [DatabaseUnreachableError, ReadInterruptedError, LeaseLostError, KeyError])
def test_every_other_error_is_retried_and_may_recover(
    machine: Machine, functions: Functions, error: type[Exception]
) -> None:
    functions.tables["orders"] = [error("busy"), error("busy")]
    run = machine.run()
    assert run.status == "SUCCEEDED"
    assert functions.attempts() == dict.fromkeys(NINE, 1) | {"orders": 3}
    assert len(machine.slept) == 2


def test_retries_come_to_an_end(machine: Machine, functions: Functions) -> None:
    functions.tables["orders"] = [StorageUnavailableError("S3 does not answer")] * 10
    run = machine.run({"tables": ["orders", "menu"]})
    assert (run.status, run.error) == ("FAILED", "TablesFailed")
    assert functions.attempts() == {"orders": 4, "menu": 1}
    assert "orders: StorageUnavailableError: S3 does not answer" in run.cause


@pytest.mark.parametrize(
    "error",
    [DatabaseUnreachableError, DatabaseBusyError, ReadInterruptedError, ReplicaBehindError, ReplicaStoppedError],
)
def test_a_failover_of_the_database_fails_no_table(
    machine: Machine, functions: Functions, error: type[Exception]
) -> None:
    functions.tables["orders"] = [error("the server restarts")] * 7
    run = machine.run({"tables": ["orders", "menu"]})
    assert run.status == "SUCCEEDED"
    assert functions.attempts() == {"orders": 8, "menu": 1}
    if "ItemProcessor" in machine.definition["States"]["ExtractTables"]:  # the translation knows no longest delay
        assert machine.slept == [10, 20, 40, 80, 90, 90, 90]


def test_a_database_that_stays_down_fails_its_table_in_the_end(machine: Machine, functions: Functions) -> None:
    functions.tables["orders"] = [DatabaseUnreachableError("no answer")] * 8
    run = machine.run({"tables": ["orders", "menu"]})
    assert run.error == "TablesFailed"
    assert functions.attempts() == {"orders": 8, "menu": 1}


def test_a_failover_of_the_database_fails_no_plan(machine: Machine, functions: Functions) -> None:
    functions.plan = [*[DatabaseBusyError("it shuts down")] * 3, *[DatabaseUnreachableError("no answer")] * 4]
    assert machine.run().status == "SUCCEEDED"


def test_lambdas_own_faults_are_retried_more_patiently(machine: Machine, functions: Functions) -> None:
    functions.tables["orders"] = [LambdaFaultError("Lambda.TooManyRequestsException")] * 6
    assert machine.run({"tables": ["orders"]}).status == "SUCCEEDED"
    assert functions.attempts() == {"orders": 7}


def test_a_table_that_says_continue_is_called_again_until_it_is_done(machine: Machine, functions: Functions) -> None:
    functions.tables["orders"] = [CONTINUE] * 5
    run = machine.run()
    assert run.status == "SUCCEEDED"
    assert functions.attempts() == dict.fromkeys(NINE, 1) | {"orders": 6}


def test_each_continuation_has_its_own_retries(machine: Machine, functions: Functions) -> None:
    lost = ReadInterruptedError("connection lost")
    functions.tables["orders"] = [*[lost] * 7, CONTINUE, *[lost] * 7, CONTINUE]
    assert machine.run({"tables": ["orders"]}).status == "SUCCEEDED"


@pytest.mark.parametrize("name", ["Runtime.ExitError", "Sandbox.Timedout", "Lambda.Unknown"])
def test_a_function_that_dies_without_an_answer_is_in_the_results(
    machine: Machine, functions: Functions, name: str
) -> None:
    functions.tables["orders"] = [LambdaFaultError(name)] * 4
    run = machine.run()
    assert run.error == "TablesFailed"
    assert f"orders: {name}" in run.cause
    results = functions.called("WriteManifest")[0]["state"]["extracted"]["results"]
    assert {"table": "orders", "status": "FAILED", "error": name} in results
    assert len(results) == 9


def test_a_function_that_outlives_its_tasks_time_out_is_called_again(
    machine: Machine, functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = machine.definition["States"]["ExtractTables"]
    (tables.get("ItemProcessor") or tables["Iterator"])["States"]["ExtractTable"]["TimeoutSeconds"] = 1
    again = threading.Event()
    functions.tables["orders"] = [lambda: wait(again), again.set]
    # The second call has as long as it takes: a machine may stand still for a second.
    seconds = TimeoutSeconds._eval_seconds
    limits = iter([1])
    monkeypatch.setattr(
        TimeoutSeconds,
        "_eval_seconds",
        lambda limit, env: next(limits, 60) if limit.timeout_seconds == 1 else seconds(limit, env),
    )
    assert machine.run({"tables": ["orders"]}).status == "SUCCEEDED"
    assert functions.attempts() == {"orders": 2}


def test_only_the_errors_name_travels_on_from_a_failed_table(machine: Machine, functions: Functions) -> None:
    functions.tables["orders"] = [TableNotFoundError("x" * 10_000)]
    machine.run({"tables": ["orders"]})
    assert functions.called("WriteManifest")[0]["state"]["extracted"]["results"] == [
        {"table": "orders", "status": "FAILED", "error": "TableNotFoundError"}
    ]


def test_an_answer_that_is_not_the_contracts_fails_its_table_only(machine: Machine, functions: Functions) -> None:
    def answer_nonsense(payload: Any) -> Any:
        return {"surprise": True} if payload["table"] == "orders" else extract(payload)

    extract, functions._extract_table = functions._extract_table, answer_nonsense  # type: ignore[method-assign]
    run = machine.run({"tables": ["orders", "menu"]})
    assert run.error == "TablesFailed"
    assert [t["table"] for t in functions.manifests[run.name]["tables"] if t["status"] == "FAILED"] == ["orders"]


@pytest.mark.parametrize("document", ["{", '{"tables": 3', "[]"])
def test_a_malformed_table_list_leaves_a_manifest_and_fails_the_run(
    machine: Machine, functions: Functions, document: str
) -> None:
    functions.document = document
    machine.put_table_list(document)
    run = machine.run()
    assert (run.status, run.error) == ("FAILED", "PlanFailed")
    assert "TableListError" in run.cause
    assert functions.manifests[run.name]["error"]["type"] == "TableListError"
    assert len(functions.called("PlanRun")) == 1
    assert functions.extracted() == []


@pytest.mark.parametrize("input", [[], [{"tables": ["menu"]}], "orders", 7, True, {"tables": ["nonesuch"]}])
def test_an_input_that_makes_no_sense_ends_with_its_reason(machine: Machine, functions: Functions, input: Any) -> None:
    run = machine.run(input)
    assert (run.status, run.error) == ("FAILED", "PlanFailed")
    assert "InputError" in run.cause
    assert functions.extracted() == []


@pytest.mark.parametrize(
    "input",
    [
        {"decision": "RETRY_FAILED", "tables": ["menu"]},
        {"plan_error": {"Error": "x", "Cause": "y"}, "tables": ["menu"]},
        {"outcome": {"status": "SUCCEEDED"}, "results": [], "tables": ["menu"]},
    ],
)
def test_no_input_can_pass_for_the_runs_own_data(machine: Machine, functions: Functions, input: Any) -> None:
    assert machine.run(input).status == "SUCCEEDED"
    assert functions.extracted() == ["menu"]
    assert set(functions.called("PlanRun")[0]["state"]) == {"input", "table_list", "running"}
    assert set(functions.called("WriteManifest")[0]["state"]) == {
        "input",
        "table_list",
        "running",
        "plan",
        "extracted",
        "range_results",
    }


def test_a_database_that_is_down_for_a_moment_does_not_fail_the_plan(machine: Machine, functions: Functions) -> None:
    functions.plan = [DatabaseUnreachableError("no answer"), LambdaFaultError("Lambda.ServiceException")]
    assert machine.run().status == "SUCCEEDED"
    assert len(functions.called("PlanRun")) == 3


def test_a_plan_that_keeps_failing_reaches_the_manifest_and_the_gate(machine: Machine, functions: Functions) -> None:
    functions.plan = [DatabaseUnreachableError("no answer from db:3306 within 10 s")] * 8
    run = machine.run()
    assert (run.status, run.error) == ("FAILED", "PlanFailed")
    assert "no answer from db:3306 within 10 s" in run.cause
    assert run.story() == [
        "TakeInput",
        "ReadTableList",
        "ListRunningRuns",
        "PlanRun",
        "WriteManifest",
        "AnnounceRun",
        "CheckRun",
    ]


def test_a_fault_of_the_manifests_function_is_retried(machine: Machine, functions: Functions) -> None:
    functions.manifest_faults = [StorageUnavailableError("S3 does not answer")] * 3
    assert machine.run().status == "SUCCEEDED"


def test_a_manifest_that_cannot_be_written_fails_the_run_with_its_own_error(
    machine: Machine, functions: Functions
) -> None:
    functions.manifest_faults = [StorageUnavailableError("S3 does not answer")] * 4
    run = machine.run()
    assert (run.status, run.error) == ("FAILED", "StorageUnavailableError")


def test_lambdas_faults_at_the_gate_are_retried_but_its_verdict_is_not(machine: Machine, functions: Functions) -> None:
    functions.gate_faults = [LambdaFaultError("Lambda.TooManyRequestsException")] * 2
    functions.tables["menu"] = [TableNotFoundError("create it")]
    assert machine.run().error == "TablesFailed"
    assert len(functions.called("CheckRun")) == 3


def test_a_table_list_parameter_that_is_missing_leaves_a_manifest(machine: Machine, functions: Functions) -> None:
    if "ItemProcessor" not in machine.definition["States"]["ExtractTables"]:
        pytest.skip("the translation has a function in place of Parameter Store")
    machine.definition["States"]["ReadTableList"]["Parameters"]["Name"] = "/gone"
    run = machine.run()
    assert (run.status, run.error) == ("FAILED", "PlanFailed")
    assert "ParameterNotFound" in run.cause


def test_no_more_tables_are_read_at_once_than_the_plan_allows(machine: Machine, functions: Functions) -> None:
    if "MaxConcurrencyPath" not in machine.definition["States"]["ExtractTables"]:
        pytest.skip("the translation has a fixed concurrency")
    functions.max_concurrency = 2
    together = threading.Barrier(2, timeout=LONGEST_WAIT)

    def meet() -> None:
        together.wait()

    functions.tables = {name: [meet] for name in NINE[:8]}
    assert machine.run().status == "SUCCEEDED"
    assert functions.most_at_once == 2


def test_the_gate_is_shown_the_outcome_and_whether_the_event_was_sent_and_nothing_else(
    machine: Machine, functions: Functions
) -> None:
    machine.run()
    (payload,) = functions.called("CheckRun")
    assert set(payload) == {"execution", "state", "entry"}
    assert set(payload["state"]) == {"outcome", "announced"}
    assert payload["entry"]["RetryCount"] == 0


def test_the_plan_sees_which_runs_are_running(machine: Machine, functions: Functions) -> None:
    if "ItemProcessor" not in machine.definition["States"]["ExtractTables"]:
        pytest.skip("the translation has no list in place of Step Functions'")
    run = machine.run()
    (payload,) = functions.called("PlanRun")
    assert payload["state"]["running"] == {"names": [run.name]}


def test_a_list_of_runs_that_cannot_be_had_does_not_fail_the_plan(machine: Machine, functions: Functions) -> None:
    if "ItemProcessor" not in machine.definition["States"]["ExtractTables"]:
        pytest.skip("the translation has no list in place of Step Functions'")
    parameters = machine.definition["States"]["ListRunningRuns"]["Parameters"]
    del parameters["StateMachineArn.$"]
    parameters["StateMachineArn"] = "arn:aws:states:us-east-1:123456789012:stateMachine:gone"
    assert machine.run().status == "SUCCEEDED"
    (payload,) = functions.called("PlanRun")
    assert "running_error" in payload["state"]
