"""Run ids, and how a history is read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from rds_to_s3_ops.deployment.stack import Stack
from rds_to_s3_ops.runs.runs import Runs, new_run_id

STACK = Stack("s", "arn:aws:states:eu-west-1:123456789012:stateMachine:extract", "b", "p")


class PagedHistory:
    """Step Functions' GetExecutionHistory: newest first, a page at a time."""

    def __init__(self, events: int) -> None:
        self.ids = list(range(events, 0, -1))
        self.pages = 0

    def get_execution_history(self, **arguments: Any) -> dict[str, Any]:
        assert arguments["reverseOrder"]
        self.pages += 1
        start = int(arguments.get("nextToken", 0))
        end = start + arguments["maxResults"]
        answer: dict[str, Any] = {"events": [{"id": number} for number in self.ids[start:end]]}
        return answer | ({"nextToken": str(end)} if end < len(self.ids) else {})


def ids(history: PagedHistory, after: int) -> list[int]:
    return [event["id"] for event in Runs(cast("Any", history), STACK).events("run-1", after)]


def test_run_ids_sort_by_time_and_differ_within_a_second() -> None:
    moment = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)
    made = {new_run_id(moment) for _ in range(50)}
    assert len(made) > 45
    assert all(run_id.startswith("run-20261123-053000-") and len(run_id) == 24 for run_id in made)


def test_a_whole_history_is_read_in_order() -> None:
    assert ids(PagedHistory(2500), 0) == list(range(1, 2501))


def test_following_a_long_history_costs_one_page_a_look() -> None:
    history = PagedHistory(20_000)
    assert ids(history, 19_990) == list(range(19_991, 20_001))
    assert history.pages == 1


def test_nothing_is_skipped_when_more_than_a_page_is_new() -> None:
    assert ids(PagedHistory(1000), 700) == list(range(701, 1001))
