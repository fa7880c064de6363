"""A table that several readers share: its ranges are iterations of their own, and fail, continue and resume alone."""

from __future__ import annotations

import threading

import pytest

from rds_to_s3.errors import DatabaseUnreachableError, ReadInterruptedError, RowTooLargeError
from tests.statemachine.conftest import NINE
from tests.statemachine.engine import Machine
from tests.statemachine.functions import CONTINUE, Functions, LambdaFaultError
from tests.statemachine.test_redrive import LONGEST_WAIT, extracted_by, statuses, wait, wait_for

TOO_LARGE = RowTooLargeError("leave the column out")


@pytest.mark.parametrize("tables", [["orders"], ["menu", "orders"], []])
def test_where_no_table_is_divided_nothing_more_is_called(
    machine: Machine, functions: Functions, tables: list[str]
) -> None:
    run = machine.run({"tables": tables})
    assert (run.status, functions.ranges_read()) == ("SUCCEEDED", [])
    assert len(functions.called("ExtractTable")) == len(tables)
    state = functions.called("WriteManifest")[0]["state"]
    assert (state["extracted"]["ranges"], state["range_results"]) == ([], [])


@pytest.mark.parametrize("tables", [["orders"], ["menu", "orders", "delivery"]])
def test_a_divided_table_is_read_range_by_range_and_is_one_table_in_the_manifest(
    machine: Machine, functions: Functions, tables: list[str]
) -> None:
    functions.divided = {"orders": 4}
    run = machine.run({"tables": tables})
    assert run.status == "SUCCEEDED"
    assert functions.attempts() == dict.fromkeys(tables, 1)
    assert sorted(functions.ranges_read()) == [("orders", number) for number in (1, 2, 3, 4)]
    inputs = [data for name, data in run._entered() if name == "ReadRange"]
    assert sorted(data["range"] for data in inputs) == [1, 2, 3, 4]
    assert {tuple(data) for data in inputs} == {("run_id", "table", "range")}
    state = functions.called("WriteManifest")[0]["state"]
    ends = [result["status"] for result in state["range_results"]]
    assert sorted(ends) == ["RANGE_READ"] * 3 + ["SUCCEEDED"]
    assert statuses(functions, run) == dict.fromkeys(tables, "SUCCEEDED")


def test_several_tables_may_be_divided_in_one_run(machine: Machine, functions: Functions) -> None:
    functions.divided = {"orders": 3, "menu": 2}
    run = machine.run({"tables": ["location", "orders", "menu"]})
    assert run.status == "SUCCEEDED"
    assert sorted(functions.ranges_read()) == [("menu", 1), ("menu", 2), ("orders", 1), ("orders", 2), ("orders", 3)]


def test_a_range_that_fails_fails_its_table_only_and_the_other_ranges_are_read(
    machine: Machine, functions: Functions
) -> None:
    functions.divided = {"orders": 4, "menu": 2}
    functions.ranges[("orders", 2)] = [TOO_LARGE]
    run = machine.run()
    assert (run.status, run.error) == ("FAILED", "TablesFailed")
    assert "1 of 9 tables failed" in run.cause
    assert "orders: RowTooLargeError: leave the column out" in run.cause
    assert statuses(functions, run) == dict.fromkeys(NINE, "SUCCEEDED") | {"orders": "FAILED"}
    assert len(functions.ranges_read()) == 6
    results = functions.called("WriteManifest")[0]["state"]["range_results"]
    assert {"table": "orders", "range": 2, "status": "FAILED", "error": "RowTooLargeError"} in results


def test_a_redrive_reads_the_ranges_that_are_missing_and_no_other(machine: Machine, functions: Functions) -> None:
    functions.divided = {"orders": 8, "menu": 2}
    functions.ranges = {("orders", 3): [TOO_LARGE], ("orders", 7): [TOO_LARGE]}
    run = machine.run()
    before = len(functions.ranges_read())
    again, tables = extracted_by(functions, run)
    assert again.status == "SUCCEEDED"
    assert set(tables) == {"orders"}
    assert sorted(functions.ranges_read()[before:]) == [("orders", 3), ("orders", 7)]
    assert statuses(functions, run) == dict.fromkeys(NINE, "SUCCEEDED")


def test_a_redrive_of_a_table_whose_ranges_are_all_read_needs_none(machine: Machine, functions: Functions) -> None:
    functions.divided = {"orders": 2}
    functions.ranges[("orders", 2)] = [TOO_LARGE]
    run = machine.run({"tables": ["orders"]})
    functions._read.add(("orders", 2))  # it failed after its last row, where it commits the table
    again, tables = extracted_by(functions, run)
    assert (again.status, tables) == ("SUCCEEDED", ["orders"])
    assert "ReadRange" not in again.story()


def test_a_range_continues_and_is_retried_like_a_table(machine: Machine, functions: Functions) -> None:
    functions.divided = {"orders": 2}
    functions.ranges[("orders", 1)] = [CONTINUE, ReadInterruptedError("lost"), CONTINUE]
    functions.ranges[("orders", 2)] = [DatabaseUnreachableError("it restarts")] * 7
    assert machine.run({"tables": ["orders"]}).status == "SUCCEEDED"
    read = functions.ranges_read()
    assert (read.count(("orders", 1)), read.count(("orders", 2))) == (4, 8)


def test_a_reader_that_dies_without_an_answer_is_in_the_results(machine: Machine, functions: Functions) -> None:
    functions.divided = {"orders": 2}
    functions.ranges[("orders", 1)] = [LambdaFaultError("Runtime.ExitError")] * 4
    run = machine.run({"tables": ["orders", "menu"]})
    assert run.error == "TablesFailed"
    assert "orders: Runtime.ExitError" in run.cause


def test_no_more_ranges_of_all_tables_are_read_at_once_than_the_plan_allows(
    machine: Machine, functions: Functions
) -> None:
    if "MaxConcurrencyPath" not in machine.definition["States"]["ReadRanges"]:
        pytest.skip("the translation has a fixed concurrency")
    functions.max_concurrency = 3
    functions.divided = {"orders": 3, "menu": 3}
    together = threading.Barrier(3, timeout=LONGEST_WAIT)

    def meet() -> None:
        together.wait()

    functions.ranges = {(table, number): [meet] for table in functions.divided for number in (1, 2, 3)}
    assert machine.run({"tables": ["orders", "menu"]}).status == "SUCCEEDED"
    assert functions.most_at_once == 3


def test_a_run_that_is_stopped_while_ranges_are_read_resumes_those_that_had_not_ended(
    machine: Machine, functions: Functions
) -> None:
    hang = threading.Event()
    functions.divided = {"orders": 3}
    functions.ranges[("orders", 2)] = [lambda: wait(hang)]
    ranges = machine.definition["States"]["ReadRanges"]
    del ranges["Catch"]  # moto stumbles over a Catch around a Map that is aborted
    ranges.pop("MaxConcurrencyPath", None)
    ranges["MaxConcurrency"] = 1
    run = machine.start({"tables": ["menu", "orders"]})
    wait_for(lambda: ("orders", 2) in functions.ranges_read())
    run.abort()
    hang.set()
    run.wait()
    before = len(functions.calls)
    again = run.redrive()
    read = [payload.get("range") for name, payload in functions.calls[before:] if name == "ExtractTable"]
    assert (again.status, read) == ("SUCCEEDED", [2, 3])
    assert statuses(functions, run) == {"menu": "SUCCEEDED", "orders": "SUCCEEDED"}
