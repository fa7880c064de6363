"""The lag of tables, reported from run to run."""

from __future__ import annotations

from typing import Any

from rds_to_s3.manifest.freshness import Freshness
from rds_to_s3.plan.execution import is_of_all
from tests.support.manifests import manifest
from tests.unit.test_manifest import record

HOUR = 3600.0


def at(hour: int) -> str:
    return f"2025-04-02 {hour:02d}:00:00.000000"


def ran(known: Freshness, hour: int, *tables: dict[str, Any], of_all: bool = True) -> Freshness:
    """Return what is known after a run that was planned at that hour, with all clocks alike."""
    run = manifest(*tables, bound={"decided_by": "clock", "server_now": at(hour)})
    return Freshness.model_validate(known.after(run, hour * HOUR, of_all=of_all).model_dump())


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


def test_a_table_that_is_listed_no_more_is_forgotten_by_the_next_run_of_all() -> None:
    assert hours(ran(FIRST, 12, table("menu", "SUCCEEDED", 8, 12)), 12) == {"menu": 0}


def test_a_rewound_table_that_fails_is_no_staler_than_its_files() -> None:
    assert hours(ran(FIRST, 12, table("orders", "FAILED", 1, 12)), 12) == {"orders": 4}


def test_time_passes_while_no_run_can_be_planned() -> None:
    unplanned = FIRST.after(manifest(bound=None), None, of_all=True)
    assert hours(unplanned, 20) == {"orders": 12, "menu": 12}


def test_a_redrive_of_a_run_that_others_have_overtaken_turns_no_clock_back() -> None:
    second = ran(FIRST, 12, table("menu", "SUCCEEDED", 8, 12))
    redriven = ran(second, 8, table("orders", "SKIPPED", None, 8), table("menu", "UNCHANGED", None, 8))
    assert hours(redriven, 12) == {"menu": 0}


def test_a_run_is_of_all_tables_unless_its_input_names_some() -> None:
    assert is_of_all({"Input": {}})
    assert not is_of_all({"Input": {"tables": ["orders"]}})
    assert not is_of_all({"Input": {"rerun_failed_of": "run-1"}})
    assert not is_of_all({"Input": "{}"})
