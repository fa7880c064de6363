"""The progress of a run, from its history, its plan and its tables' records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rds_to_s3_ops.deployment.bucket import Plan, StoredRecord
from rds_to_s3_ops.runs.progress import History, RunProgress, TableState, measure
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

    def fails(self, previous: int, seconds: float, error: str, message: str) -> int:
        cause = json.dumps({"errorType": error, "errorMessage": message})
        return self.add("TaskFailed", previous, seconds, taskFailedEventDetails={"error": error, "cause": cause})

    def finishes(self, previous: int, seconds: float, status: str, rows: int) -> int:
        return self.enters("TableFinished", seconds, {"result": {"status": status, "rows": rows}}, previous)


def look(
    story: Story, records: Sequence[StoredRecord] = (), run: Run = RUN, plan: Plan | None = PLAN, after: float = 10
) -> RunProgress:
    history = History()
    history.add(story.events)
    return measure(run, plan, history, records, START + timedelta(seconds=after))


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
