"""The plan: input, stored form, and what travels through the state machine."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from rds_to_s3.errors import ColumnNotFoundError, InputError, UnknownRunError
from rds_to_s3.plan.planned_run import PlannedRun, Refusal, RunInput, choose_tables
from rds_to_s3.plan.table_list import parse_table_list

LISTED = parse_table_list('{"tables": ["orders", {"name": "menu", "checks": {"price": {"ge": 0.5}}}]}')


def plan(**changes: Any) -> PlannedRun:
    values: dict[str, Any] = {
        "run_id": "run-1",
        "planned_at": 1.5,
        "database": "shop",
        "until": datetime(2025, 4, 2, 12),
        "server_now": datetime(2025, 4, 2, 12, 0, 2, 5),
        "server_utc": 1743595202.000005,
        "bound": {"decided_by": "clock"},
        "tables": LISTED.tables,
        "warnings": ["a warning"],
        "started_at": "2025-04-02T12:00:00.000Z",
        "refused": {"menu": Refusal("ColumnNotFoundError", "there is no column price")},
    }
    return PlannedRun(**(values | changes))


def test_a_plan_survives_being_stored() -> None:
    assert PlannedRun.from_json(plan().to_json()) == plan()


def test_a_plan_of_an_earlier_release_can_still_be_read() -> None:
    stored = json.loads(plan().to_json())
    del stored["started_at"], stored["refused"]
    read = PlannedRun.from_json(json.dumps(stored).encode())
    assert read == plan(started_at=None, refused={})
    later = {"StartTime": "2025-04-02T12:00:00Z"}
    assert read.is_of(later, now=read.planned_at + 86_400)
    assert not read.is_of(later, now=read.planned_at + 91 * 86_400)


def test_a_plan_is_of_the_execution_that_it_was_made_for_and_not_of_a_later_one_of_the_same_name() -> None:
    assert plan().is_of({"StartTime": "2025-04-02T12:00:00.000123Z"}, now=1e12)
    assert not plan().is_of({"StartTime": "2025-08-02T12:00:00Z"}, now=plan().planned_at + 1)


def test_a_redriven_executions_plan_is_recognised_by_its_age() -> None:
    redriven = {"StartTime": "2025-04-03T12:00:00Z", "RedriveCount": 1}
    assert plan().is_of(redriven, now=plan().planned_at + 14 * 86_400)
    # Of the execution that had the name before: this one's first pass could not be planned.
    assert not plan().is_of(redriven, now=plan().planned_at + 90 * 86_400)


def test_a_record_of_an_earlier_run_of_the_same_name_is_none_of_this_run() -> None:
    assert plan(planned_at=1743595200.0).wrote("2025-04-02T11:59:59.000Z")
    assert not plan(planned_at=1743595200.0).wrote("2025-01-02T11:59:59.000Z")


def test_a_refusal_becomes_the_error_that_it_was() -> None:
    error = Refusal.of(ColumnNotFoundError("no such column")).as_error()
    assert (type(error), str(error)) == (ColumnNotFoundError, "no such column")


def test_only_names_travel_through_the_state_machine() -> None:
    answer = plan().answer(max_concurrency=5, redrives=1, only=["menu"])
    assert answer == {
        "run_id": "run-1",
        "until": "2025-04-02 12:00:00.000000",
        "max_concurrency": 5,
        "redrives": 1,
        "tables": [{"table": "menu"}],
    }


def test_settings_fixed_since_replace_those_of_the_plan_and_nothing_else() -> None:
    fresh = parse_table_list('{"tables": [{"name": "orders", "format": "parquet"}, "customer"]}').tables
    mended = plan().with_settings(fresh)
    assert [(spec.name, spec.format) for spec in mended.tables] == [("orders", "parquet"), ("menu", "csv")]
    assert mended.refused == {}


@pytest.mark.parametrize(
    "given",
    [
        *(
            {"tables": ["\ud800"]},
            [],
            "orders",
            None,
            {"table": "orders"},
            {"tables": "orders"},
            {"tables": []},
            {"tables": [1]},
        ),
        *({"rerun_failed_of": 1}, {"rerun_failed_of": ""}, {"tables": ["orders"], "rerun_failed_of": "run-1"}),
    ],
)
def test_input_that_is_not_the_contracts_is_refused(given: Any) -> None:
    with pytest.raises(InputError):
        RunInput.parse(given)


def chosen(given: dict[str, Any], manifest: dict[str, Any] | None = None) -> tuple[list[str], list[str]]:
    def no_database() -> list[str]:
        raise AssertionError("a list without patterns needs no database")

    specs, warnings = choose_tables(LISTED, RunInput.parse(given), no_database, lambda _: manifest)
    return [spec.name for spec in specs], warnings


def test_input_chooses_among_the_listed_tables() -> None:
    assert chosen({}) == (["orders", "menu"], [])
    assert chosen({"tables": ["menu"]}) == (["menu"], [])


def test_a_rerun_takes_what_failed_and_says_what_is_no_longer_listed() -> None:
    manifest = {
        "tables": [
            {"table": "orders", "status": "SUCCEEDED"},
            {"table": "menu", "status": "FAILED"},
            {"table": "old", "status": "FAILED"},
        ]
    }
    names, warnings = chosen({"rerun_failed_of": "run-0"}, manifest)
    assert names == ["menu"]
    assert "'old'" in warnings[0]


def test_a_rerun_of_a_run_that_is_unknown_or_was_never_planned_is_refused() -> None:
    with pytest.raises(UnknownRunError, match="run-0"):
        chosen({"rerun_failed_of": "run-0"})
    with pytest.raises(UnknownRunError, match="no tables yet"):
        chosen({"rerun_failed_of": "run-0"}, {"error": {"message": "no tables yet"}, "tables": []})


def test_a_rerun_takes_the_failed_tables_of_a_run_whose_redrive_could_not_be_planned() -> None:
    manifest = {"error": {"message": "bad list"}, "tables": [{"table": "menu", "status": "FAILED"}]}
    assert chosen({"rerun_failed_of": "run-0"}, manifest)[0] == ["menu"]
