"""The lag of tables, reported from run to run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rds_to_s3.manifest.freshness import Freshness, dropped_warnings
from rds_to_s3.plan.execution import is_of_all
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import parse_table_list
from tests.support.manifests import manifest
from tests.unit.test_manifest import record
from tests.unit.test_plan import plan

HOUR = 3600.0


def at(hour: int) -> str:
    return f"2025-04-02 {hour:02d}:00:00.000000"


def planned(hour: int, *names: str, exclude: tuple[str, ...] = ()) -> PlannedRun:
    tables = parse_table_list(json.dumps({"tables": names})).tables
    return plan(planned_at=hour * HOUR, tables=tables, exclude=list(exclude))


def ran(
    known: Freshness, hour: int, *tables: dict[str, Any], of_all: bool = True, exclude: tuple[str, ...] = ()
) -> Freshness:
    """Return what is known after a run that was planned at that hour, with all clocks alike."""
    run = manifest(*tables, bound={"decided_by": "clock", "server_now": at(hour)})
    names = [table["table"] for table in tables]
    after = known.after(run, planned(hour, *names, exclude=exclude), of_all=of_all, limit_hours=8)
    return Freshness.model_validate(after.model_dump())


def table(name: str, status: str, after: int | None, until: int) -> dict[str, Any]:
    return record(name, status, window={"after": at(after) if after is not None else None, "until": at(until)})


def hours(known: Freshness, hour: float) -> dict[str, float]:
    return {name: seconds / HOUR for name, seconds in known.lags(hour * HOUR).items()}


FIRST = ran(Freshness(), 8, table("orders", "SUCCEEDED", None, 8), table("menu", "UNCHANGED", None, 8))


def test_a_table_is_as_far_behind_as_its_window_ended_before_the_clock() -> None:
    assert hours(FIRST, 8.5) == {"orders": 0.5, "menu": 0.5}


def test_a_table_that_fails_or_is_skipped_falls_behind() -> None:
    second = ran(FIRST, 12, table("orders", "FAILED", 8, 12), table("menu", "SKIPPED", None, 12))
    assert hours(second, 12) == {"orders": 4, "menu": 4}


def test_a_table_that_was_never_extracted_has_nothing_that_is_stale() -> None:
    assert hours(ran(Freshness(), 8, table("orders", "FAILED", None, 8)), 9) == {}


def test_a_run_of_one_table_does_not_make_the_others_fresh() -> None:
    second = ran(FIRST, 12, table("menu", "SUCCEEDED", 8, 12), of_all=False)
    assert hours(second, 12) == {"orders": 4, "menu": 0}


def test_a_table_that_is_listed_no_more_falls_behind_until_the_alarm_has_gone_off() -> None:
    second = ran(FIRST, 12, table("menu", "SUCCEEDED", 8, 12))
    assert hours(second, 12) == {"menu": 0, "orders": 4}
    third = ran(second, 16, table("menu", "SUCCEEDED", 12, 16))
    assert hours(third, 16) == {"menu": 0, "orders": 8}
    fourth = ran(third, 20, table("menu", "SUCCEEDED", 16, 20))
    assert hours(fourth, 20) == {"menu": 0, "orders": 12}  # above the limit: the alarm goes off
    redriven = ran(fourth, 20, table("menu", "SUCCEEDED", 16, 20))
    assert hours(redriven, 21) == {"menu": 1, "orders": 13}
    assert hours(ran(redriven, 22, table("menu", "SUCCEEDED", 20, 22)), 22) == {"menu": 0}


def test_a_table_that_is_listed_again_continues_at_its_lag() -> None:
    second = ran(FIRST, 12, table("menu", "SUCCEEDED", 8, 12))
    failing = ran(second, 16, table("menu", "UNCHANGED", 12, 16), table("orders", "FAILED", None, 16))
    assert (hours(failing, 16), failing.dropped) == ({"menu": 0, "orders": 8}, {})
    partial = ran(second, 16, table("orders", "SUCCEEDED", 8, 16), of_all=False)
    assert (hours(partial, 16), partial.dropped) == ({"menu": 4, "orders": 0}, {})


@pytest.mark.parametrize("exclude", ["orders", "ord*"])
def test_a_table_that_the_list_excludes_is_forgotten_at_once(exclude: str) -> None:
    assert FIRST.dropped_by(planned(12, "menu", exclude=(exclude,)), of_all=True) == {}
    assert hours(ran(FIRST, 12, table("menu", "SUCCEEDED", 8, 12), exclude=(exclude,)), 12) == {"menu": 0}


def test_a_run_says_which_tables_an_earlier_one_had() -> None:
    never = ran(Freshness(), 8, table("orders", "SUCCEEDED", None, 8), table("new", "FAILED", None, 8))
    assert set(never.dropped_by(planned(12, "orders"), of_all=True)) == {"new"}
    assert never.dropped_by(planned(12, "orders"), of_all=False) == {}
    assert never.dropped_by(planned(7, "orders"), of_all=True) == {}  # a redrive of an overtaken run
    second = ran(never, 12, table("orders", "SUCCEEDED", 8, 12))
    assert set(second.dropped_by(planned(16, "orders"), of_all=True)) == {"new"}  # until the limit has passed
    later = ran(second, 22, table("orders", "SUCCEEDED", 12, 22))
    assert later.dropped_by(planned(23, "orders"), of_all=True) == {}


def test_the_warning_names_the_tables_and_what_to_do() -> None:
    assert dropped_warnings([], 8) == []
    (warning,) = dropped_warnings(["orders", "menu"], 8)
    assert "2 tables that an earlier run covered: menu, orders." in warning
    assert "list them again" in warning


def test_a_history_of_an_earlier_release_names_the_tables_that_it_has_extracted() -> None:
    old = Freshness.model_validate(FIRST.model_dump(include={"until", "server_now", "planned_at"}))
    assert set(old.dropped_by(planned(12, "menu"), of_all=True)) == {"orders"}


def test_a_rewound_table_that_fails_is_no_staler_than_its_files() -> None:
    assert hours(ran(FIRST, 12, table("orders", "FAILED", 1, 12)), 12)["orders"] == 4


def test_time_passes_while_no_run_can_be_planned() -> None:
    unplanned = FIRST.after(manifest(bound=None), None, of_all=True, limit_hours=8)
    assert hours(unplanned, 20) == {"orders": 12, "menu": 12}


def test_a_redrive_of_a_run_that_others_have_overtaken_turns_no_clock_back() -> None:
    second = ran(FIRST, 12, table("menu", "SUCCEEDED", 8, 12), exclude=("orders",))
    redriven = ran(second, 8, table("orders", "SKIPPED", None, 8), table("menu", "UNCHANGED", None, 8))
    assert hours(redriven, 12) == {"menu": 0}


def test_a_run_is_of_all_tables_unless_its_input_names_some() -> None:
    assert is_of_all({"Input": {}})
    assert not is_of_all({"Input": {"tables": ["orders"]}})
    assert not is_of_all({"Input": {"rerun_failed_of": "run-1"}})
    assert not is_of_all({"Input": "{}"})
