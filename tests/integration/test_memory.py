"""The most memory that the extractor needs depends neither on rows, nor on files, nor on how long a value is."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from local.ministack_server import MiniStack
from tests.integration.pipeline import Pipeline
from tests.support.measured import measured

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


class Memory:
    """Extracts tables, each in a fresh process."""

    def __init__(self, pipeline: Pipeline, aws: MiniStack) -> None:
        self.pipeline = pipeline
        self.aws = aws

    def of(self, table: str, **settings: Any) -> dict[str, Any]:
        """Return the rows, the files, and the peak in MB of one extraction."""
        self.pipeline.tables = [{"name": table, "mode": "full"} | settings]
        plan = self.pipeline.plan(self.pipeline.execution(uuid4().hex))
        return measured("measured_extraction", self.pipeline, self.aws, run_id=plan["run_id"], table=table)


@pytest.fixture
def memory(pipeline: Pipeline, aws: MiniStack) -> Memory:
    return Memory(pipeline, aws)


def fill(pipeline: Pipeline, table: str, rows: int, length: int) -> None:
    """Make a table whose rows have a value of `length` bytes, which the server makes when it is read."""
    pipeline.database.execute(
        f"SET SESSION cte_max_recursion_depth = {rows}",
        f"CREATE TABLE {table} (id INT PRIMARY KEY, pad LONGTEXT AS (REPEAT(CHAR(97 + id % 26), {length})) VIRTUAL)",
        f"INSERT INTO {table} (id) WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n "
        f"WHERE id < {rows}) SELECT id FROM n",
    )


def test_ten_times_the_rows_in_a_hundred_times_the_files_take_the_same_memory(memory: Memory) -> None:
    fill(memory.pipeline, "once", 18_000, 1_000)
    fill(memory.pipeline, "ten_times", 180_000, 1_000)
    once, ten_times = memory.of("once"), memory.of("ten_times", target_file_bytes=2_000_000)
    assert (once["rows"], once["files"]) == (18_000, 1)
    assert ten_times["rows"] == 180_000
    assert ten_times["files"] >= 90
    assert ten_times["peak_mb"] < once["peak_mb"] + 40
    assert ten_times["peak_mb"] < 256


def test_a_csv_takes_no_more_for_a_value_of_64_mb(memory: Memory) -> None:
    fill(memory.pipeline, "tiny", 1, 1_000)
    fill(memory.pipeline, "huge", 1, 64_000_000)
    assert memory.of("huge")["peak_mb"] < memory.of("tiny")["peak_mb"] + 56


def test_parquet_takes_no_more_for_more_rows_and_five_times_a_value(memory: Memory) -> None:
    fill(memory.pipeline, "once", 40_000, 1_000)
    fill(memory.pipeline, "four_times", 160_000, 1_000)
    fill(memory.pipeline, "huge", 1, 64_000_000)
    once = memory.of("once", format="parquet")["peak_mb"]
    assert memory.of("four_times", format="parquet")["peak_mb"] < once + 40
    assert memory.of("huge", format="parquet")["peak_mb"] < once + 5 * 64


def test_the_ledger_and_its_comparison_take_the_same_memory_for_three_times_the_rows(memory: Memory) -> None:
    peaks = {}
    for table, rows in (("once", 100_000), ("three_times", 300_000)):
        fill(memory.pipeline, table, rows, 100)  # a block of the ledger has 80,000 of them
        loaded = memory.of(table, mode="compare")
        assert loaded["rows"] == rows
        memory.pipeline.database.execute(f"UPDATE {table} SET id = -id WHERE id % 1000 = 0")
        compared = memory.of(table, mode="compare")
        assert compared["rows"] == rows + rows // 1000  # it also reports the first run, which wrote no manifest
        peaks[table] = loaded["peak_mb"], compared["peak_mb"]
    assert all(more < once + 16 for once, more in zip(*peaks.values(), strict=True)), peaks
