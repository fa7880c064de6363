"""The progress of a run, from its history, its plan and its tables' records."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from rds_to_s3.commit.state import Staged
from rds_to_s3.commit.state import TableState as TableState_
from rds_to_s3.s3.objects import ListedObject, StoredObject
from rds_to_s3_ops.deployment.bucket import Plan, StoredRecord
from rds_to_s3_ops.runs import reads
from rds_to_s3_ops.runs.progress import History, RunProgress, TableState, measure, seconds_left, unfinished
from rds_to_s3_ops.runs.reads import TableRead
from rds_to_s3_ops.runs.runs import Run
from tests.support.manifests import entry

START = datetime(2025, 4, 2, 12, 0, tzinfo=UTC)
RUN = Run("run-1", "RUNNING", START)
PLAN = Plan.model_validate({"until": "2025-04-02 11:59:58", "tables": [{"table": "menu"}, {"table": "orders"}]})


class Story:
    """Writes a history as Step Functions does: numbered events, each pointing to the one before it in its branch."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, event_type: str, previous: int, seconds: float, **details: Any) -> int:
        event = {
            "id": len(self.events) + 1,
            "type": event_type,
            "previousEventId": previous,
            "timestamp": START + timedelta(seconds=seconds),
            **details,
        }
        self.events.append(event)
        return len(self.events)

    def enters(self, name: str, seconds: float, data: dict[str, Any] | None = None, previous: int = 0) -> int:
        details = {"name": name, "input": json.dumps(data or {})}
        return self.add("TaskStateEntered", previous, seconds, stateEnteredEventDetails=details)

    def extracts(self, table: str, seconds: float) -> int:
        entered = self.enters("ExtractTable", seconds, {"run_id": "run-1", "table": table})
        return self.add("TaskScheduled", entered, seconds)

    def divides(self, table: str, seconds: float, ranges: Sequence[int]) -> int:
        items = [{"table": table, "range": number} for number in ranges]
        answer = {"result": {"status": "DIVIDED", "rows": 0}, "ranges": items}
        return self.enters("TableFinished", seconds, {"answer": answer}, self.extracts(table, seconds))

    def reads(self, table: str, number: int, seconds: float) -> int:
        entered = self.enters("ReadRange", seconds, {"run_id": "run-1", "table": table, "range": number})
        return self.add("TaskScheduled", entered, seconds)

    def ends(self, previous: int, seconds: float, status: str) -> int:
        return self.enters("RangeFinished", seconds, {"result": {"status": status}}, previous)

    def fails(self, previous: int, seconds: float, error: str, message: str) -> int:
        cause = json.dumps({"errorType": error, "errorMessage": message})
        return self.add("TaskFailed", previous, seconds, taskFailedEventDetails={"error": error, "cause": cause})

    def finishes(self, previous: int, seconds: float, status: str, rows: int) -> int:
        return self.enters("TableFinished", seconds, {"result": {"status": status, "rows": rows}}, previous)


def look(
    story: Story,
    records: Sequence[StoredRecord] = (),
    run: Run = RUN,
    plan: Plan | None = PLAN,
    after: float = 10,
    reads: dict[str, TableRead] | None = None,
) -> RunProgress:
    history = History()
    history.add(story.events)
    return measure(run, plan, history, records, START + timedelta(seconds=after), reads=reads)


def record(table: str, status: str, written: float, **members: Any) -> StoredRecord:
    return StoredRecord(entry(table, status, **members), START + timedelta(seconds=written), "etag")


def test_before_the_plan_there_are_no_tables() -> None:
    story = Story()
    story.enters("PlanRun", 1)
    progress = look(story, plan=None)
    assert (progress.phase, progress.tables, progress.until) == ("fixing the window", (), None)


def test_planned_tables_wait_until_they_are_taken_up() -> None:
    story = Story()
    story.extracts("menu", 2)
    menu, orders = look(story).tables
    assert (menu.state, menu.seconds) == (TableState.RUNNING, 8.0)
    assert (orders.state, orders.rows, orders.seconds) == (TableState.WAITING, None, None)


def test_a_failed_attempt_is_being_retried_with_its_reason() -> None:
    story = Story()
    story.fails(story.extracts("menu", 2), 3, "ReadInterruptedError", "the connection was lost")
    menu, _ = look(story).tables
    assert (menu.state, menu.note) == (TableState.RETRYING, "ReadInterruptedError: the connection was lost")


def test_the_next_attempt_is_running_again_and_counted() -> None:
    story = Story()
    story.add("TaskScheduled", story.fails(story.extracts("menu", 2), 3, "ReadInterruptedError", ""), 5)
    menu, _ = look(story, [record("menu", "FAILED", 3)]).tables
    assert (menu.state, menu.attempts) == (TableState.RUNNING, 2)


def test_a_finished_table_has_its_record_s_figures() -> None:
    story = Story()
    story.finishes(story.extracts("menu", 2), 4, "SUCCEEDED", 22)
    files = [{"key": "k", "rows": 22, "bytes": 4096, "sha256": ""}]
    progress = look(story, [record("menu", "SUCCEEDED", 4, rows=22, seconds=0.42, files=files)])
    menu = progress.tables[0]
    assert (menu.state, menu.rows, menu.bytes, menu.seconds) == (TableState.SUCCEEDED, 22, 4096, 0.42)
    assert (progress.finished_tables, progress.rows, progress.bytes) == (1, 22, 4096)


def test_a_state_that_follows_the_tables_is_no_work_on_the_last_of_them() -> None:
    story = Story()
    finished = story.finishes(story.extracts("menu", 2), 4, "SUCCEEDED", 22)
    story.add("TaskScheduled", story.enters("WriteManifest", 5, previous=finished), 5)
    progress = look(story)
    assert (progress.phase, progress.tables[0].state) == ("writing the manifest", TableState.SUCCEEDED)


def test_a_table_is_finished_as_soon_as_its_record_says_so_whatever_the_history_lags() -> None:
    story = Story()
    story.extracts("menu", 2.7)
    assert look(story, [record("menu", "UNCHANGED", 2)]).tables[0].state is TableState.UNCHANGED


def test_a_table_that_needs_several_invocations_keeps_its_clock() -> None:
    story = Story()
    first = story.extracts("menu", 2)
    again = story.enters("ExtractTable", 6, {"table": "menu"}, previous=first)
    story.add("TaskScheduled", again, 6)
    menu = look(story).tables[0]
    assert (menu.seconds, menu.attempts) == (8.0, 1)


def test_a_failed_table_has_the_reason_of_its_record() -> None:
    story = Story()
    failed = story.fails(story.extracts("menu", 2), 3, "TableNotFoundError", "")
    story.enters("TableFailed", 3, previous=failed)
    error = {"type": "TableNotFoundError", "message": "no table menu in the database"}
    menu = look(story, [record("menu", "FAILED", 3, error=error)]).tables[0]
    assert (menu.state, menu.note) == (TableState.FAILED, "TableNotFoundError: no table menu in the database")


def test_after_a_redrive_the_failed_table_runs_again_and_the_others_stand() -> None:
    story = Story()
    story.enters("TableFailed", 3, previous=story.fails(story.extracts("menu", 2), 3, "DatabaseAccessError", ""))
    story.finishes(story.extracts("orders", 2), 3, "SUCCEEDED", 20)
    story.extracts("menu", 600)
    menu, orders = look(
        story, [record("menu", "FAILED", 3), record("orders", "SUCCEEDED", 3, rows=20)], after=605
    ).tables
    assert (menu.state, menu.seconds, menu.note) == (TableState.RUNNING, 5.0, "")
    assert (orders.state, orders.rows) == (TableState.SUCCEEDED, 20)


def test_records_alone_tell_enough_where_an_engine_keeps_no_history() -> None:
    progress = look(Story(), [record("menu", "SUCCEEDED", 3, rows=22)])
    assert [table.state for table in progress.tables] == [TableState.SUCCEEDED, TableState.WAITING]


def test_the_tables_of_an_aborted_run_do_not_go_on() -> None:
    story = Story()
    story.extracts("menu", 2)
    aborted = replace(RUN, status="ABORTED", stopped_at=START + timedelta(seconds=4))
    progress = look(story, run=aborted, after=3600)
    assert (progress.phase, progress.elapsed) == ("aborted", 4.0)
    assert progress.tables[0].seconds == 2.0


def test_events_that_were_seen_before_are_not_counted_twice() -> None:
    story = Story()
    story.extracts("menu", 2)
    history = History()
    history.add(story.events)
    history.add(story.events)
    told = history.table("menu")
    assert told is not None
    assert (told.attempts, history.last_event_id) == (1, 2)


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", None])
def test_an_input_that_was_cut_or_is_absent_does_no_harm(text: str | None) -> None:
    history = History()
    details = {"name": "ExtractTable", "input": text}
    history.add([{"id": 1, "type": "TaskStateEntered", "timestamp": START, "stateEnteredEventDetails": details}])
    assert history.tables() == []


# --- one table, several readers -----------------------------------------------------------------------------------


def test_a_divided_table_is_running_until_its_last_reader_commits_it() -> None:
    story = Story()
    story.divides("menu", 2, [1, 2])
    first, second = story.reads("menu", 1, 3), story.reads("menu", 2, 4)
    story.ends(first, 6, "RANGE_READ")
    assert look(story).tables[0].state is TableState.RUNNING
    story.ends(second, 8, "SUCCEEDED")
    menu = look(story, after=100).tables[0]
    assert (menu.state, menu.seconds) == (TableState.SUCCEEDED, 6.0)


def test_a_divided_table_shows_its_ranges_and_when_it_will_end() -> None:
    story = Story()
    story.divides("menu", 2, [1, 2, 3, 4])
    for number in (1, 2):
        story.reads("menu", number, 5)
    read = TableRead(rows=250, bytes=9_000, ranges=4, ranges_done=1, expected_rows=1_000)
    menu, orders = look(story, after=65, reads={"menu": read}).tables
    assert (menu.state, menu.rows, menu.bytes) == (TableState.RUNNING, 250, 9_000)
    assert (menu.ranges_done, menu.ranges, menu.seconds_left) == (1, 4, 180.0)
    assert (orders.state, orders.ranges, orders.seconds_left) == (TableState.WAITING, 1, None)


def test_a_redriven_read_ends_as_fast_as_it_was_seen_to_be_read() -> None:
    read = TableRead(rows=800, bytes=9_000, expected_rows=1_000)
    # 700 of these rows may be of an attempt an hour ago.
    assert seconds_left(read, 20.0, is_redriven=True) is None
    assert seconds_left(replace(read, rows_a_second=4.0), 20.0, is_redriven=True) == 50.0


def test_the_time_since_a_file_was_finished_counts_for_the_next() -> None:
    read = TableRead(rows=800, bytes=9_000, expected_rows=1_000)
    found = [seconds_left(replace(read, seconds_since=float(since)), 80.0 + since) for since in (0, 5, 19, 20, 60)]
    assert found == [20.0, 15.0, 1.0, None, None]


def test_a_range_that_is_retried_or_fails_is_its_table_s_with_its_number() -> None:
    story = Story()
    story.divides("menu", 2, [1, 2])
    lost = story.fails(story.reads("menu", 2, 3), 4, "ReadInterruptedError", "the connection was lost")
    story.ends(story.reads("menu", 1, 3), 6, "RANGE_READ")
    menu = look(story).tables[0]
    assert (menu.state, menu.note) == (
        TableState.RETRYING,
        "range 2: ReadInterruptedError: the connection was lost",
    )
    story.enters("RangeFailed", 7, previous=lost)
    read = TableRead(rows=100, bytes=4_000, ranges=2, ranges_done=1, expected_rows=200)
    menu = look(story, reads={"menu": read}).tables[0]
    assert (menu.state, menu.rows, menu.ranges_done) == (TableState.FAILED, 100, 1)
    assert (menu.seconds_left, menu.note) == (None, "range 2: ReadInterruptedError: the connection was lost")


def test_a_redrive_reads_the_missing_range_of_a_table_that_had_failed() -> None:
    story = Story()
    story.divides("menu", 2, [1, 2])
    failed = story.fails(story.reads("menu", 2, 3), 4, "RowTooLargeError", "too large")
    story.enters("RangeFailed", 4, previous=failed)
    story.ends(story.reads("menu", 1, 3), 6, "RANGE_READ")
    story.divides("menu", 600, [2])
    story.reads("menu", 2, 601)
    menu = look(story, [record("menu", "FAILED", 4)], after=605).tables[0]
    assert (menu.state, menu.seconds, menu.note) == (TableState.RUNNING, 5.0, "")


def test_where_an_engine_keeps_no_history_of_iterations_the_states_say_what_is_read() -> None:
    read = TableRead(rows=40, bytes=1_000, ranges=8, ranges_done=3, expected_rows=80)
    menu, orders = look(Story(), after=20, reads={"menu": read}).tables
    assert (menu.state, menu.ranges_done, menu.seconds_left) == (TableState.RUNNING, 3, 20.0)
    assert orders.state is TableState.WAITING


def test_a_table_that_is_finished_shows_its_record_and_no_ranges() -> None:
    read = TableRead(rows=40, bytes=1_000, ranges=8, ranges_done=3, expected_rows=80)
    menu = look(Story(), [record("menu", "SUCCEEDED", 3, rows=22)], reads={"menu": read}).tables[0]
    assert (menu.state, menu.rows, menu.ranges) == (TableState.SUCCEEDED, 22, 1)


def state(run_id: str, **staged: Any) -> TableState_:
    return TableState_(
        table="menu",
        format="csv",
        staged=Staged.model_validate({"run_id": run_id, "watermark": None, "fingerprint": "f", **staged}),
    )


def written(*rows: int) -> dict[str, Any]:
    files = [
        {"key": f"menu/csv/{n}", "upload_id": "u", "token": "t", "parts": [], "rows": n, "bytes": 10 * n, "sha256": "0"}
        for n in rows
    ]
    return {"files": files}


DIVISION = {"token": "t", "cuts": [{}, {}], "first_part": 1, "parts": 100, "rows": 900, "bytes": 9_000}


def test_what_is_read_is_in_the_registers_of_the_ranges() -> None:
    ranges = [state("run-1", written=written(100, 200), done=True), state("run-1", written=written(50))]
    read = TableRead.of(state("run-1", division=DIVISION), ranges, "run-1")
    assert read == TableRead(rows=350, bytes=3_500, ranges=3, ranges_done=1, expected_rows=900)


def test_what_is_read_of_a_table_by_one_reader_is_in_its_own_state() -> None:
    read = TableRead.of(state("run-1", written=written(7)), [], "run-1")
    assert read == TableRead(rows=7, bytes=70, ranges=1, ranges_done=1, expected_rows=None)
    whole = TableRead.of(state("run-1", written=written(7), expected_rows=20), [], "run-1")
    assert whole is not None
    assert whole.expected_rows == 20


def test_a_read_of_another_run_and_one_without_a_file_are_not_shown() -> None:
    assert TableRead.of(state("run-0", written=written(7)), [], "run-1") is None
    assert TableRead.of(state("run-1"), [], "run-1") is None
    assert TableRead.of(TableState_(table="menu", format="csv"), [], "run-1") is None


class CountingBucket:
    """A bucket with objects, which counts what is read."""

    def __init__(self, **objects: TableState_) -> None:
        self.objects = objects
        self.reads: list[str] = []

    def listed(self, prefix: str) -> list[ListedObject]:
        return [
            ListedObject(key, str(hash(body.model_dump_json())), START)
            for key, body in self.objects.items()
            if key.startswith(prefix)
        ]

    def table_state(self, table: str, file_format: str) -> TableState_:
        return self.objects[f"_state/tables/{table}/{file_format}.json"]

    def read(self, key: str) -> StoredObject:
        self.reads.append(key)
        return StoredObject(self.objects[key].model_dump_json().encode(), "etag")


def test_only_the_ranges_that_changed_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(reads, "SHARE", 0)
    first, second = "_state/ranges/menu/csv/t_01.json", "_state/ranges/menu/csv/t_02.json"
    bucket = CountingBucket(
        **{
            "_state/tables/menu/csv.json": state("run-1", division=DIVISION),
            first: state("run-1", written=written(5), done=True),
            second: state("run-1", written=written(6)),
        }
    )
    looks = reads.Reads(cast("Any", bucket), "run-1")
    assert PLAN.tables[0].format == "csv"
    found = looks.look(PLAN.tables[:1])["menu"]
    assert (found.rows, found.rows_a_second) == (11, None)
    bucket.objects[second] = state("run-1", written=written(6, 7))
    found = looks.look(PLAN.tables[:1])["menu"]
    assert (found.rows, (found.rows_a_second or 0) > 7) == (18, True)
    assert sorted(bucket.reads) == [first, second, second]
    later = time.monotonic() + 30
    monkeypatch.setattr(time, "monotonic", lambda: later)
    unchanged = looks.look(PLAN.tables[:1])["menu"]
    assert (unchanged.rows, unchanged.rows_a_second) == (18, found.rows_a_second)
    assert unchanged.seconds_since >= 30


def test_the_tables_whose_states_are_looked_at_are_those_that_have_not_ended_the_running_first() -> None:
    names = ("menu", "orders", "delivery", "location")
    plan = Plan.model_validate({"tables": [{"table": name} for name in names]})
    story = Story()
    story.finishes(story.extracts("menu", 2), 4, "SUCCEEDED", 22)
    story.divides("delivery", 2, [1, 2])
    history = History()
    history.add(story.events)
    records = [record("location", "UNCHANGED", 3), record("delivery", "FAILED", 1)]
    assert [table.table for table in unfinished(plan, history, records)] == ["delivery", "orders"]
