"""A history as text: one line for each event."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from rds_to_s3_ops.runs.story import condensed, tell

START = datetime(2025, 4, 2, 12, 0, tzinfo=UTC)


class History:
    """Events as Step Functions numbers and links them: each branch points to its own last event."""

    def __init__(self, linked: bool = True) -> None:
        self.events: list[dict[str, Any]] = []
        self.linked = linked

    def add(self, kind: str, before: int | None = None, **details: Any) -> int:
        number = len(self.events) + 1
        event: dict[str, Any] = {"id": number, "type": kind, "timestamp": START + timedelta(seconds=number)}
        if self.linked:
            event["previousEventId"] = number - 1 if before is None else before
        if details:
            name = "stateEntered" if kind.endswith("StateEntered") else kind[0].lower() + kind[1:]
            event[f"{name}EventDetails"] = details
        self.events.append(event)
        return number

    def enter(self, kind: str, name: str, before: int | None = None, **data: Any) -> int:
        return self.add(f"{kind}StateEntered", before, name=name, input=json.dumps(data))

    def succeed(self, before: int | None = None, **payload: Any) -> int:
        return self.add("TaskSucceeded", before, output=json.dumps({"Payload": payload}))

    def fail(self, error: str, message: str, before: int | None = None) -> int:
        return self.add("TaskFailed", before, error=error, cause=json.dumps({"errorMessage": message}))

    def lines(self) -> list[str]:
        return [line.text for line in tell(self.events)]


def test_tables_that_are_read_side_by_side_keep_their_own_lines() -> None:
    history = History()
    start = history.enter("Map", "ExtractTables")
    menu = history.enter("Task", "ExtractTable", start, table="menu")
    orders = history.enter("Task", "ExtractTable", start, table="orders")
    menu = history.fail("ReadInterruptedError", "the connection\nbroke", menu)
    history.succeed(orders, table="orders", status="SUCCEEDED", rows=1, files=1)
    menu = history.fail("TableNotFoundError", "create it", menu)
    failed = history.enter("Pass", "TableFailed", menu, table="menu")
    history.enter("Task", "WriteManifest", failed)
    history.succeed(status="FAILED", failed=["menu"], manifest="runs/run-1/manifest.json")
    assert history.lines() == [
        "ExtractTables",
        "  menu: ExtractTable: ReadInterruptedError: the connection broke",
        "  orders: ExtractTable: SUCCEEDED, 1 row, 1 file",
        "  menu: ExtractTable: TableNotFoundError: create it",
        "  menu: TableFailed: given up, the others continue",
        "WriteManifest: FAILED, runs/run-1/manifest.json, failed: menu",
    ]


def test_a_history_without_the_iterations_states_still_tells_the_tables() -> None:
    history = History(linked=False)
    history.enter("Map", "ExtractTables")
    history.fail("TableNotFoundError", "no table 'ghost'")
    history.succeed(table="menu", status="UNCHANGED", rows=0, files=0)
    assert history.lines() == [
        "ExtractTables",
        "  ExtractTable: TableNotFoundError: no table 'ghost'",
        "  menu: ExtractTable: UNCHANGED, 0 rows, 0 files",
    ]


def test_start_redrive_and_end_are_reported() -> None:
    history = History()
    history.add("ExecutionStarted", input="{}")
    history.add("ExecutionFailed", error="TablesFailed")
    history.add("ExecutionRedriven", redriveCount=1)
    history.enter("Task", "CheckRun")
    history.succeed(decision="RETRY_FAILED", tables=["menu"])
    history.add("ExecutionSucceeded")
    assert history.lines() == [
        "run started with {}",
        "run failed: TablesFailed",
        "run redriven (1)",
        "CheckRun: RETRY_FAILED: menu",
        "run succeeded",
    ]
    assert [line.is_bad for line in tell(history.events)] == [False, True, False, False, False]


def test_a_plan_of_many_tables_is_shortened_and_a_long_reason_is_cut() -> None:
    history = History()
    history.enter("Task", "PlanRun")
    tables = [{"table": f"t{number}"} for number in range(500)]
    history.succeed(tables=tables, until="2025-04-02 12:00:00", max_concurrency=5)
    history.fail("TablesFailed", "x" * 30_000)
    planned, cut = history.lines()
    until = "2025-04-02 12:00:00 on the database's clock"
    assert planned == f"PlanRun: t0, t1, t2, t3, t4, t5 and 494 more up to {until}, at most 5 at once"
    assert len(cut) < 2_100
    planned, whole = [line.text for line in tell(history.events, everything=True)]
    assert "t499 up to" in planned
    assert "x" * 30_000 in whole


def run_of_many(tables: int, failing: int, *, linked: bool = True) -> History:
    """A run of quiet tables, the first of which is continued and the last of which fail."""
    history = History(linked)
    start = history.enter("Map", "ExtractTables")
    for number in range(tables):
        name = f"t{number:03}"
        entered = history.enter("Task", "ExtractTable", start, table=name)
        if number >= tables - failing:
            history.enter("Pass", "TableFailed", history.fail("TableNotFoundError", "none", entered), table=name)
            continue
        if number == 0:
            entered = history.succeed(entered, table=name, status="CONTINUE", rows=9, files=1)
        history.succeed(entered, table=name, status="UNCHANGED", rows=0, files=0)
    history.enter("Task", "WriteManifest")
    history.succeed(status="FAILED", failed=[], manifest="m")
    return history


def short(history: History) -> list[str]:
    return [line.text for line in condensed(tell(history.events))]


def test_of_many_tables_those_that_went_as_they_should_are_counted() -> None:
    assert short(run_of_many(500, failing=1)) == [
        "ExtractTables",
        "  t000: ExtractTable: CONTINUE, 9 rows, 1 file",
        "  t000: ExtractTable: UNCHANGED, 0 rows, 0 files",
        "  t499: ExtractTable: TableNotFoundError: none",
        "  t499: TableFailed: given up, the others continue",
        "  and 498 more tables: add --all to list them",
        "WriteManifest: FAILED, m",
    ]


def test_of_many_tables_that_failed_some_are_reported_and_the_rest_counted() -> None:
    lines = short(run_of_many(500, failing=400))
    assert len(lines) == 1 + 40 * 2 + 1 + 1
    assert lines[-2] == "  and 460 more tables, 361 of them failed, retried or continued: add --all to list them"


def test_of_forty_tables_everything_is_listed_round_by_round() -> None:
    history = run_of_many(40, failing=1)
    again = run_of_many(40, failing=0)
    lines = tell(history.events) + tell(again.events)
    assert condensed(lines) == lines


def test_lines_without_a_table_are_reported_where_they_are_bad() -> None:
    history = History(linked=False)
    history.enter("Map", "ExtractTables")
    for number in range(50):
        history.fail("TableNotFoundError", "no table 'ghost'") if number % 25 == 0 else None
        history.succeed(table=f"t{number}", status="UNCHANGED", rows=0, files=0)
    ghost = "  ExtractTable: TableNotFoundError: no table 'ghost'"
    assert short(history) == ["ExtractTables", ghost, ghost, "  and 50 more tables: add --all to list them"]


def divided(*, linked: bool = True) -> History:
    history = History(linked)
    start = history.enter("Map", "ExtractTables")
    ranges = [{"table": "orders", "range": 1}, {"table": "orders", "range": 2}]
    table = history.enter("Task", "ExtractTable", start, table="orders")
    history.succeed(table, table="orders", range=None, status="DIVIDED", rows=0, files=0, ranges=ranges)
    start = history.enter("Map", "ReadRanges", extracted={"results": [], "ranges": ranges})
    one = history.enter("Task", "ReadRange", start, table="orders", range=1)
    two = history.enter("Task", "ReadRange", start, table="orders", range=2)
    history.succeed(one, table="orders", range=1, status="RANGE_READ", rows=0, files=0, ranges=[])
    two = history.succeed(two, table="orders", range=2, status="CONTINUE", rows=9, files=1, ranges=[])
    two = history.fail("RowTooLargeError", "leave the column out", two)
    history.enter("Pass", "RangeFailed", two, table="orders", range=2)
    return history


def test_the_lines_of_a_divided_table_name_their_range() -> None:
    assert divided().lines() == [
        "ExtractTables",
        "  orders: ExtractTable: DIVIDED, 2 ranges to read",
        "ReadRanges: 2 ranges of orders",
        "  orders, range 1: ReadRange: RANGE_READ",
        "  orders, range 2: ReadRange: CONTINUE, 9 rows, 1 file",
        "  orders, range 2: ReadRange: RowTooLargeError: leave the column out",
        "  orders, range 2: RangeFailed: given up, the others continue",
    ]
    assert [line.as_json()["range"] for line in tell(divided().events)] == [None, None, None, 1, 2, 2, 2]


def test_so_do_those_of_a_history_without_the_iterations_states() -> None:
    assert divided(linked=False).lines()[3:5] == [
        "  orders, range 1: ReadRange: RANGE_READ",
        "  orders, range 2: ReadRange: CONTINUE, 9 rows, 1 file",
    ]


def test_where_no_table_is_divided_the_map_of_ranges_has_no_line() -> None:
    history = History()
    history.enter("Map", "ReadRanges", extracted={"results": [], "ranges": []})
    assert history.lines() == []
