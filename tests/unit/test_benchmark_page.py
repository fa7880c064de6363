from __future__ import annotations

import json

from benchmarks.measuring import LIMIT, Run, median, times_the_socket
from benchmarks.page import PAGE, RESULTS, merged, render, tables


def test_the_page_shows_the_results_that_are_kept() -> None:
    assert PAGE.read_text() == render(json.loads(RESULTS.read_text()))


def test_a_contender_is_compared_with_the_socket_in_its_own_round() -> None:
    quiet, loud = Run(10, 2.0, 1.0, 50.0, 1.0), Run(10, 8.0, 1.5, 60.0, 4.0)
    assert times_the_socket([quiet, loud]) == 2.0
    assert median([quiet, loud, loud], "seconds") == 8.0


def test_the_fastest_contender_comes_first_and_stages_are_not_among_them() -> None:
    def runs(seconds: float) -> list[dict[str, float]]:
        return [{"rows": 100, "seconds": seconds, "cpu": 1.0, "peak_mb": 9.0, "socket_seconds": 1.0}]

    found = {"slow": runs(3.0), "fast": runs(2.0), "stage: csv": runs(1.5), LIMIT: runs(1.0)}
    taken = {"date": "2026-11-30", "cpu": "AMD EPYC", "rounds": 1, "load": [0.1, 0.2]}
    text = tables({"taken": {"narrow": taken}, "tables": {"narrow": found}})
    assert [line.split("|")[1].strip() for line in text.splitlines() if " | 9 |" in line] == [LIMIT, "fast", "slow"]


def test_a_run_replaces_what_it_measured_and_nothing_else() -> None:
    def runs(rows: int, seconds: float) -> list[dict[str, float]]:
        return [{"rows": rows, "seconds": seconds}]

    before = {
        "tables": {"orders": {LIMIT: runs(9, 1), "a": runs(9, 1), "b": runs(9, 1)}, "wide": {LIMIT: runs(9, 1)}},
        "taken": {"orders": "then", "wide": "then"},
        "missing": {"b": "no wheel", "c": "no wheel"},
        "row": "then",
    }
    now = {"tables": {"orders": {LIMIT: runs(9, 2), "b": runs(9, 2)}}, "taken": {"orders": "now"}, "missing": {}}
    assert merged(before, now) == {
        "tables": {"orders": {LIMIT: runs(9, 2), "a": runs(9, 1), "b": runs(9, 2)}, "wide": {LIMIT: runs(9, 1)}},
        "taken": {"orders": "now", "wide": "then"},
        "missing": {"c": "no wheel"},
        "row": "then",
    }
    fewer = {"tables": {"orders": {LIMIT: runs(5, 2)}}, "taken": {"orders": "now"}, "missing": {}}
    assert merged(before, fewer)["tables"]["orders"] == {LIMIT: runs(5, 2)}
