"""What to expect of a running run: which attempt comes next and when, and about when it ends."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from rds_to_s3_ops.deployment.bucket import StoredRecord
from rds_to_s3_ops.deployment.retries import Retries
from rds_to_s3_ops.runs.progress import History, RunProgress, TableProgress, TableState, measure
from rds_to_s3_ops.runs.progress_views import ProgressView, progress_json
from rds_to_s3_ops.runs.reads import TableRead
from rds_to_s3_ops.runs.watching import run_seconds_left
from tests.unit.test_ops_progress import PLAN, RUN, START, Story, record

RETRIES = Retries.of_definition((Path(__file__).parents[2] / "statemachine" / "extract_tables.asl.json").read_text())


def retried(attempts: int, error: str, *, events: bool, after: float) -> TableProgress:
    """A table whose last attempt failed 3 seconds after the run began."""
    story = Story()
    records: list[StoredRecord] = []
    if events:
        event = story.extracts("menu", 2)
        for attempt in range(attempts):
            event = story.fails(event, 3, error, "gone")
            if attempt < attempts - 1:
                event = story.add("TaskScheduled", event, 3)
    else:
        records = [record("menu", "FAILED", 3, attempts=attempts, error={"type": error, "message": "gone"})]
    history = History()
    history.add(story.events)
    now = START + timedelta(seconds=after)
    return measure(RUN, PLAN, history, records, now, retries=RETRIES).tables[0]


@pytest.mark.parametrize("events", [True, False])
def test_a_table_that_will_be_retried_says_which_attempt_comes_and_when(events: bool) -> None:
    menu = retried(1, "RowCountError", events=events, after=4.5)
    assert (menu.state, menu.retry) == (TableState.RETRYING, "2 of 4 in 4 s")
    assert retried(3, "RowCountError", events=events, after=3).retry == "4 of 4 in 20 s"
    assert retried(2, "ReadInterruptedError", events=events, after=60).retry == "3 of 8 in 0 s"


def test_without_events_a_last_or_permanent_failure_is_one() -> None:
    assert retried(4, "RowCountError", events=False, after=4).state is TableState.FAILED
    assert retried(1, "TableNotFoundError", events=False, after=4).state is TableState.FAILED


def test_a_table_s_state_says_what_is_read_where_the_engine_has_no_events() -> None:
    reads = {"menu": TableRead(1_000, 5_000, is_held=True, attempts=2)}
    failed = record("menu", "FAILED", 3, attempts=1, error={"type": "RowCountError", "message": "gone"})
    menu, orders = measure(RUN, PLAN, History(), [failed], START, reads=reads, retries=RETRIES).tables
    assert (menu.state, menu.rows, menu.bytes, menu.attempts, menu.note) == (TableState.RUNNING, 1_000, 5_000, 2, "")
    assert orders.state is TableState.WAITING
    over = measure(replace(RUN, status="FAILED", stopped_at=START), PLAN, History(), [failed], START, reads=reads)
    assert over.tables[0].state is TableState.FAILED


def test_the_end_is_estimated_by_how_long_the_tables_took_before() -> None:
    tables = [
        TableProgress("a", TableState.SUCCEEDED, seconds=5.0),
        TableProgress("b", TableState.RUNNING, seconds=10.0),
        *(TableProgress(name) for name in "cdefg"),
    ]
    before = dict.fromkeys("abcdefg", 30.0)
    assert run_seconds_left(tables, before, 2) == (20 + 5 * 30) / 2
    assert run_seconds_left(tables, before | {"g": 600.0}, 5) == 600.0
    assert run_seconds_left(tables[1:], {}, 2) is None
    assert run_seconds_left(tables[:1], before, 2) is None


def test_the_live_view_and_its_json_say_them() -> None:
    table = TableProgress("menu", TableState.RETRYING, attempts=1, note="gone", retry="2 of 4 in 20 s")
    progress = RunProgress(RUN, "extracting", 64.0, None, (table,), seconds_left=125.0)
    output = io.StringIO()
    Console(file=output, width=80).print(ProgressView(progress))
    assert "retrying 2 of 4 in 20 s" in output.getvalue()
    assert "about 2 min 05 s left" in output.getvalue()
    told = progress_json(progress)
    assert (told["seconds_left"], told["tables"][0]["retry"]) == (125.0, "2 of 4 in 20 s")
