from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from benchmarks.deployed import gentle, readers
from benchmarks.deployed.costs import Costs
from benchmarks.deployed.system import Execution


def rows_of(page: str) -> list[list[str]]:
    table = [line for line in page.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_a_ratio_is_of_whole_executions_and_the_rest_is_what_the_network_does_not_explain() -> None:
    def run(count: int, seconds: float) -> dict[str, Any]:
        return asdict(Execution(count, 2_000_000, seconds, 160_000_000, 3.0, 120.0, 1.0, 1.5, 0.2))

    page = readers.section({"fixed": 0.7, "runs": [run(1, 22.0), run(4, 8.0)]}, "Measured today.")
    one, four = rows_of(page)
    assert one[:7] == ["1", "22.0", "1.00", "", "20.0", "2.0", "1.50"]
    assert four[:7] == ["4", "8.0", "2.75", "3.3", "5.0", "3.0", "1.50"]
    assert "a table of one row takes 0.7 s" in page.replace("\n", " ")


def test_the_99th_percentile_is_a_time_that_was_measured() -> None:
    assert gentle.quantiles([float(number) for number in range(1, 201)]) == {"p50": 101.0, "p99": 198.0, "max": 200.0}
    assert gentle.quantiles([3.0]) == {"p50": 3.0, "p99": 3.0, "max": 3.0}


def test_the_page_shows_the_application_beside_each_reader() -> None:
    times = {"p50": 0.5, "p99": 2.25, "max": 9.0}
    run = {"seconds": 12.0, "read": times, "update": times, "longest_statement": 1.0, "oldest_snapshot": 2.0}
    (row,) = rows_of(gentle.section({"runs": {"rds-to-s3, 4 readers": run | {"undo": 1200}}}, "Measured today."))
    assert row == ["**rds-to-s3, 4 readers**", "12", "0.5", "2.2", "9.0", "0.5", "2.2", "9.0", "1.0", "2.0", "1,200"]


def test_costs_count_from_where_a_process_stood_and_every_process_of_a_kind() -> None:
    with Costs({"this": lambda: [os.getpid()], "none": list}) as costs:
        sum(range(3_000_000))
    assert 0 < costs.cpu("this") < sum(os.times()[:2])
    assert 1 < costs.peak_mb("this") < 10_000
    assert (costs.cpu("none"), costs.peak_mb("none")) == (0, 0)
