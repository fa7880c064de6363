"""Two executions at once: one extracts; and one that was frozen past its lease wakes up to nothing."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from rds_to_s3.commit.table_commit import TableCommit
from rds_to_s3.errors import LeaseLostError
from rds_to_s3.extract import table_extraction as extract
from rds_to_s3.plan.execution import parse_utc, utc_text
from tests.integration.pipeline import Json, Pipeline, entry
from tests.support.deaths import die_at, extract_in_child, stand_still_at
from tests.support.ledger import (
    expire_lease,
    problems_with_leftovers,
    problems_with_manifests,
    problems_with_rows,
)


@pytest.fixture
def orders(pipeline: Pipeline) -> Pipeline:
    pipeline.database.execute(
        "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40), createdDate DATETIME DEFAULT NOW(), "
        "modifiedDate DATETIME, KEY (createdDate), KEY (modifiedDate))",
        "INSERT INTO orders (note) VALUES ('a'), ('b'), ('c')",
    )
    pipeline.tables = ["orders"]
    return pipeline


def stopped(child: int) -> None:
    _, status = os.waitpid(child, os.WUNTRACED)
    assert os.WIFSTOPPED(status), "the extractor should stand still"


def make_older(pipeline: Pipeline, run_id: str, days: int = 91) -> None:
    """Let a run have been so many days ago: Step Functions gives an execution's name out again after 90."""
    seconds = days * 86_400

    def rewrite(key: str, change: Callable[[Json], None]) -> None:
        document = json.loads(pipeline.body(key))
        change(document)
        pipeline.store.put(key, json.dumps(document).encode())

    def older(document: Json, *keys: str) -> None:
        for key in keys:
            value = document[key]
            document[key] = (
                value - seconds if isinstance(value, float) else utc_text(parse_utc(value) - timedelta(seconds=seconds))
            )

    rewrite(f"_state/runs/{run_id}/plan.json", lambda plan: older(plan, "planned_at", "started_at"))
    rewrite(f"_state/runs/{run_id}/tables/orders.json", lambda record: older(record, "finished_at"))
    rewrite("_state/tables/orders/csv.json", lambda state: older(state["commit"], "planned_at"))


def test_a_name_that_was_used_before_does_not_make_a_run_the_same(orders: Pipeline) -> None:
    assert entry(orders.run("nightly"), "orders")["rows"] == 3
    make_older(orders, "nightly")
    orders.database.execute("INSERT INTO orders (note) VALUES ('d')")
    table = entry(orders.run("nightly"), "orders")
    assert (table["status"], table["rows"]) == ("SUCCEEDED", 1)
    make_older(orders, "nightly")
    unplanned = orders.report(orders.execution("nightly"), plan_error={"Error": "TableListError", "Cause": "typo"})
    assert (unplanned["status"], unplanned["tables"], unplanned["error"]["type"]) == ("FAILED", [], "TableListError")


def test_a_redrive_after_a_newer_run_finds_its_table_covered_and_ends_well(orders: Pipeline) -> None:
    orders.tables = ["orders", "late"]
    failed = orders.run("first")
    assert [entry(failed, name)["status"] for name in orders.tables] == ["SUCCEEDED", "FAILED"]
    orders.database.execute("CREATE TABLE late LIKE orders", "INSERT INTO late (note) VALUES ('x'), ('y')")
    newer = orders.run("second")
    assert entry(newer, "late")["rows"] == 2
    redriven = orders.redrive(failed)
    late = entry(redriven, "late")
    assert (redriven["status"], late["status"], redriven["redrives"]) == ("SUCCEEDED", "SKIPPED", 1)
    assert "run second, planned later, has already covered this window" in late["warnings"][0]
    assert entry(redriven, "orders") == entry(failed, "orders")
    assert len(orders.data_keys("late")) == 1


def test_of_two_executions_at_once_one_extracts_and_the_other_is_skipped_with_the_reason(orders: Pipeline) -> None:
    first = orders.execution("first")
    orders.plan(first)
    child = extract_in_child(orders, "first", "orders", stand_still_at("before decision"))
    stopped(child)
    second = orders.run("second")
    assert entry(second, "orders")["status"] == "SKIPPED"
    assert "run first is extracting this table" in entry(second, "orders")["warnings"][0]
    assert (second["status"], orders.data_keys("orders")) == ("SUCCEEDED", [])
    os.kill(child, signal.SIGCONT)
    assert os.waitpid(child, 0)[1] == 0
    manifest = orders.report(first)
    assert entry(manifest, "orders")["rows"] == 3
    assert problems_with_rows(orders, "orders") == []


FROZEN_AT = [
    "after lease",
    "before part",
    "before decision",
    "after decision",
    "before watermark",
    "before applied",
]


@pytest.mark.parametrize("step", FROZEN_AT)
def test_a_zombie_makes_nothing_visible_and_moves_no_watermark(orders: Pipeline, step: str) -> None:
    frozen = orders.execution("frozen")
    orders.plan(frozen)
    child = extract_in_child(orders, "frozen", "orders", stand_still_at(step))
    stopped(child)
    end = [signal.SIGCONT, signal.SIGKILL]
    try:
        orders.database.execute("INSERT INTO orders (note) VALUES ('meanwhile')")
        expire_lease(orders, "orders")  # not by the zombie's own clock: that would be too easy
        heir = orders.run()
        left = {key: orders.body(key) for key in orders.keys("") if not key.startswith("_state/runs/frozen/")}
        os.kill(child, end.pop(0))
        assert os.waitpid(child, 0)[1] != 0, "it should have lost its lease"
    finally:
        if len(end) == 2:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    now = {key: orders.body(key) for key in orders.keys("") if not key.startswith("_state/runs/frozen/")}
    strange = {key for key in now if key not in left}
    # Digests under its own token are named nowhere, and the next run removes them.
    assert all(key.startswith("_state/tails/") for key in strange)
    assert {key: now.get(key) for key in left} == left
    told = orders.report(frozen, results=[{"table": "orders", "status": "FAILED", "error": "LeaseLostError"}])
    later = orders.run()
    assert not strange & {*orders.keys("_state/")}
    assert problems_with_rows(orders, "orders") == []
    assert problems_with_leftovers(orders, "orders") == []
    assert problems_with_manifests(orders, "orders", [told, heir, later]) == []


def test_a_frozen_invocation_says_that_it_lost_its_lease(orders: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    orders.plan(orders.execution("frozen"))
    passed = 0.0
    monkeypatch.setattr(extract, "TableCommit", partial(TableCommit, clock=lambda: time.time() + passed))

    def overtaken(step: str) -> None:
        nonlocal passed
        if step == "before decision":
            assert entry(orders.run("too early"), "orders")["status"] == "SKIPPED"
            passed = orders.seconds + extract.LEASE_GRACE_SECONDS
            assert entry(orders.run("in time"), "orders")["status"] == "SUCCEEDED"

    with pytest.raises(LeaseLostError):
        orders.extract("frozen", "orders", overtaken)
    assert len(orders.data_keys("orders")) == 1


def test_a_run_that_comes_back_after_a_later_one_finished_its_commit_is_skipped(orders: Pipeline) -> None:
    execution = orders.execution("dead")
    orders.plan(execution)
    child = extract_in_child(orders, "dead", "orders", die_at("after decision"))
    os.waitpid(child, 0)
    expire_lease(orders, "orders")
    later = orders.run()
    assert "run dead ended before it could report" in " ".join(entry(later, "orders")["warnings"])
    again = orders.report(execution, results=[orders.iterate("dead", "orders")])
    assert problems_with_manifests(orders, "orders", [again, later]) == []
