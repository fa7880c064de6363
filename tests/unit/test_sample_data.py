"""The sample database agrees with what is expected of its runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "local" / "sample_data"
EXPECTED: dict[str, dict[str, int]] = json.loads((SAMPLE / "expected.json").read_text(encoding="utf-8"))
SCHEMA = (SAMPLE / "schema.sql").read_text(encoding="utf-8")
CHANGES = (SAMPLE / "changes.sql").read_text(encoding="utf-8")
TABLES = list(EXPECTED["first_run"])


def created(table: str) -> str:
    return re.search(rf"CREATE TABLE {table} \((.*?)\n\)", SCHEMA, re.DOTALL)[1]  # type: ignore[index]


def seeded_rows(table: str) -> int:
    # A row a line: texts escape their line ends.
    rows = re.search(rf"INSERT INTO {table}\n.*?VALUES\n(.*?);\n(?:\n|\Z)", SCHEMA, re.DOTALL)[1]  # type: ignore[index]
    return sum(line.startswith("  (") for line in rows.splitlines())


def announced_changes() -> dict[str, int]:
    lines = re.findall(r"^--   (\w+) +(\d+|-) +(\d+|-)$", CHANGES, re.MULTILINE)
    return {table: sum(int(n) for n in counts if n != "-") for table, *counts in lines}


def test_the_nine_tables_are_created_in_an_order_that_their_foreign_keys_allow() -> None:
    assert re.findall(r"CREATE TABLE (\w+)", SCHEMA) == TABLES
    seen: set[str] = set()
    for table in TABLES:
        assert set(re.findall(r"REFERENCES (\w+)", created(table))) <= seen
        seen.add(table)


@pytest.mark.parametrize("table", TABLES)
def test_each_table_is_seeded_with_the_rows_that_a_first_run_is_expected_to_extract(table: str) -> None:
    assert seeded_rows(table) == EXPECTED["first_run"][table]
    assert 5 <= seeded_rows(table) <= 35


@pytest.mark.parametrize("table", TABLES)
def test_each_table_has_both_cursor_columns_with_an_index(table: str) -> None:
    for column in ("createdDate", "modifiedDate"):
        assert re.search(rf"^  {column} DATETIME", created(table), re.MULTILINE)
        assert f"({column})" in created(table)


def test_the_changes_announce_what_a_second_run_is_expected_to_extract() -> None:
    assert announced_changes() == EXPECTED["second_run"]


def test_statements_end_at_a_line_end_and_nowhere_else_there() -> None:
    for script in (SCHEMA, CHANGES):
        text = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
        statements = [statement.strip() for statement in re.split(r";\s*\n", text + "\n") if statement.strip()]
        assert {statement.split()[0] for statement in statements} <= {
            "SET", "CREATE", "INSERT", "UPDATE", "START", "COMMIT",
        }  # fmt: skip
