"""What a redrive does, played with AWS's rules: the state that failed uncaught runs again, in the same execution."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from moto.stepfunctions.parser.asl.component.program import program

from rds_to_s3.errors import DatabaseUnreachableError, StorageUnavailableError, TableListError, TableNotFoundError
from tests.statemachine.conftest import NINE
from tests.statemachine.engine import Execution, Machine
from tests.statemachine.functions import Functions

GONE = TableNotFoundError("create it")
LONGEST_WAIT = 60.0  # for what comes at once, except on a machine that stands still for a while


@pytest.fixture
def unseen(functions: Functions) -> None:
    """A redriven Task sees the ``RedriveCount`` of before: AWS does not document that it sees the new one."""
    functions.counts_redrives = False


def extracted_by(functions: Functions, run: Execution) -> tuple[Execution, list[str]]:
    """Redrive, and say which tables were extracted."""
    before = len(functions.calls)
    again = run.redrive()
    return again, sorted(p["table"] for name, p in functions.calls[before:] if name == "ExtractTable")


def statuses(functions: Functions, run: Execution) -> dict[str, str]:
    return {table["table"]: table["status"] for table in functions.manifests[run.name]["tables"]}


def test_a_redrive_runs_the_failed_table_again_and_only_that(machine: Machine, functions: Functions) -> None:
    functions.tables["menu"] = [GONE]
    run = machine.run()
    again, tables = extracted_by(functions, run)
    assert tables == ["menu"]
    assert again.status == "SUCCEEDED"
    assert again.output["redrives"] == 1
    assert statuses(functions, run) == dict.fromkeys(NINE, "SUCCEEDED")


@pytest.mark.usefixtures("unseen")
def test_the_gate_knows_a_redrive_without_its_number(machine: Machine, functions: Functions) -> None:
    functions.tables = {"menu": [GONE], "orders": [GONE, GONE, GONE]}
    run = machine.run()
    assert run.error == "TablesFailed"
    for expected, error, count in (
        (["menu", "orders"], "TablesFailed", 1),
        (["orders"], "TablesFailed", 2),
        (["orders"], None, 3),
    ):
        run, tables = extracted_by(functions, run)
        assert (tables, run.error) == (expected, error)
        assert functions.called("CheckRun")[-1]["state"]["outcome"]["redrives"] == count
    assert run.output["redrives"] == 3


@pytest.mark.usefixtures("unseen")
def test_the_gate_knows_a_redrive_of_a_failed_plan_without_its_number(machine: Machine, functions: Functions) -> None:
    functions.plan = [TableListError("not JSON")]
    run = machine.run()
    assert run.error == "PlanFailed"
    again, tables = extracted_by(functions, run)
    assert (again.status, tables) == ("SUCCEEDED", sorted(NINE))


@pytest.mark.parametrize("counts", [True, False])
def test_a_gate_whose_answer_is_lost_is_not_a_redrive(machine: Machine, functions: Functions, counts: bool) -> None:
    functions.counts_redrives = counts
    functions.tables["menu"] = [GONE, GONE]
    functions.lost_answers = 2
    run = machine.run()
    assert (run.error, functions.attempts()["menu"], len(functions.called("CheckRun"))) == ("TablesFailed", 1, 3)
    functions.lost_answers = 1  # and a redrive whose answer is lost is one still
    again, tables = extracted_by(functions, run)
    assert (again.error, tables) == ("TablesFailed", ["menu"])
    again, tables = extracted_by(functions, again)
    assert (again.status, tables) == ("SUCCEEDED", ["menu"])


def test_a_failed_table_that_the_redrive_skips_lets_the_run_succeed(machine: Machine, functions: Functions) -> None:
    functions.tables["menu"] = [GONE, "SKIPPED"]
    run = machine.run()
    again, tables = extracted_by(functions, run)
    assert (again.status, tables) == ("SUCCEEDED", ["menu"])
    assert statuses(functions, run) == dict.fromkeys(NINE, "SUCCEEDED") | {"menu": "SKIPPED"}


def test_a_redrive_starts_at_the_gate_and_goes_round(machine: Machine, functions: Functions) -> None:
    functions.tables["menu"] = [GONE]
    again = machine.run().redrive()
    assert again.story() == [
        "CheckRun",
        "RetryFailed?",
        "TakeFailedTables",
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


def test_the_plan_of_a_redrive_sees_the_failed_tables_and_the_list_as_it_is_now(
    machine: Machine, functions: Functions
) -> None:
    functions.tables["menu"] = [GONE]
    machine.run({"tables": ["menu", "orders"]}).redrive()
    state = functions.called("PlanRun")[1]["state"]
    assert (state["decision"], state["tables"]) == ("RETRY_FAILED", ["menu"])
    assert set(state) == {"decision", "tables", "table_list", "running"}


def test_several_failed_tables_run_again_together(machine: Machine, functions: Functions) -> None:
    functions.tables = {name: [GONE] for name in ("menu", "orders", "location")}
    again, tables = extracted_by(functions, machine.run())
    assert tables == ["location", "menu", "orders"]
    assert again.status == "SUCCEEDED"


def test_one_table_recovers_while_another_fails_at_each_redrive(machine: Machine, functions: Functions) -> None:
    functions.tables = {"menu": [GONE], "orders": [GONE, GONE, GONE]}
    run = machine.run()
    first, tables = extracted_by(functions, run)
    assert (first.error, tables) == ("TablesFailed", ["menu", "orders"])
    assert "1 of 9 tables failed" in first.cause
    second, tables = extracted_by(functions, first)
    assert (second.error, tables) == ("TablesFailed", ["orders"])
    third, tables = extracted_by(functions, second)
    assert (third.status, tables) == ("SUCCEEDED", ["orders"])
    assert statuses(functions, run) == dict.fromkeys(NINE, "SUCCEEDED")


def test_ten_redrives_are_each_a_new_attempt(machine: Machine, functions: Functions) -> None:
    functions.tables["menu"] = [GONE] * 10
    run = machine.run()
    for count in range(1, 11):
        run, tables = extracted_by(functions, run)
        assert tables == ["menu"]
        assert run.status == ("SUCCEEDED" if count == 10 else "FAILED")
    assert run.output["redrives"] == 10


def test_a_redriven_run_that_fails_again_does_not_go_round_by_itself(machine: Machine, functions: Functions) -> None:
    functions.tables["menu"] = [GONE, GONE]
    machine.run().redrive()
    assert functions.attempts()["menu"] == 2


def test_a_redrive_after_a_newer_scheduled_run_still_asks_for_its_own_tables(
    machine: Machine, functions: Functions
) -> None:
    functions.tables["menu"] = [GONE]
    failed = machine.run()
    assert machine.run().status == "SUCCEEDED"
    again, tables = extracted_by(functions, failed)
    assert (again.status, tables) == ("SUCCEEDED", ["menu"])
    assert functions.called("ExtractTable")[-1]["run_id"] == failed.name


def test_a_run_that_could_not_be_planned_is_planned_anew(machine: Machine, functions: Functions) -> None:
    functions.plan = [DatabaseUnreachableError("no answer")] * 8
    run = machine.run({"tables": ["menu", "orders"]})
    assert run.error == "PlanFailed"
    again, tables = extracted_by(functions, run)
    assert (again.status, tables) == ("SUCCEEDED", ["menu", "orders"])
    assert functions.manifests[run.name]["error"] is None


def test_a_plan_that_fails_in_a_redrive_forgets_no_failed_table(machine: Machine, functions: Functions) -> None:
    functions.tables["menu"] = [GONE]
    run = machine.run()
    functions.plan = [DatabaseUnreachableError("no answer")] * 8
    first = run.redrive()
    assert first.error == "PlanFailed"
    assert "menu" in first.cause
    second, tables = extracted_by(functions, first)
    assert (second.status, tables) == ("SUCCEEDED", ["menu"])


def test_a_manifest_that_could_not_be_written_is_written_by_the_redrive(machine: Machine, functions: Functions) -> None:
    functions.manifest_faults = [StorageUnavailableError("S3 does not answer")] * 4
    again, tables = extracted_by(functions, machine.run())
    assert (again.status, tables) == ("SUCCEEDED", [])


def test_that_redrive_also_takes_the_tables_that_had_failed(machine: Machine, functions: Functions) -> None:
    functions.manifest_faults = [StorageUnavailableError("S3 does not answer")] * 4
    functions.tables["menu"] = [GONE]
    again, tables = extracted_by(functions, machine.run())
    assert (again.status, tables) == ("SUCCEEDED", ["menu"])


@pytest.mark.parametrize("ending", ["ABORTED", "TIMED_OUT"])
def test_after_an_aborted_or_timed_out_run_the_tables_that_had_not_ended_run_again_and_so_do_the_failed(
    machine: Machine, functions: Functions, ending: str
) -> None:
    hang, over = threading.Event(), threading.Event()
    functions.tables = {"menu": [GONE], "delivery": [lambda: wait(hang)]}
    the_map = machine.definition["States"]["ExtractTables"]
    del the_map["Catch"]  # moto stumbles over a Catch around a Map that is aborted
    the_map.pop("MaxConcurrencyPath", None)
    the_map["MaxConcurrency"] = 1
    if ending == "TIMED_OUT":
        machine.definition["TimeoutSeconds"] = 1
    with time_passes_at(over) if ending == "TIMED_OUT" else nullcontext():
        run = machine.start()
        wait_for(lambda: "delivery" in functions.extracted())
        if ending == "ABORTED":
            run.abort()
        else:
            over.set()
            wait_for(lambda: run.status != "RUNNING")
        hang.set()
        run.wait()
    assert run.status == ending or (ending, run.status) == ("ABORTED", "FAILED")  # moto's word for it inside a Map
    assert run.name not in functions.manifests

    machine.definition["TimeoutSeconds"] = 60
    again, tables = extracted_by(functions, run)
    assert (again.status, tables) == ("SUCCEEDED", ["delivery", "menu"])
    assert statuses(functions, run) == dict.fromkeys(NINE, "SUCCEEDED")


@contextmanager
def time_passes_at(over: threading.Event) -> Iterator[None]:
    """Let the time of an execution be over at an event, however slow this machine is: moto waits for its thread."""

    class Timed(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            if timeout is not None:
                wait(over)
            super().join(timeout and 0.0)

    with patch.object(program, "threading", SimpleNamespace(Thread=Timed)):
        yield


def wait(event: threading.Event) -> None:
    assert event.wait(LONGEST_WAIT)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
