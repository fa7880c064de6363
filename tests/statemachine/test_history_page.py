"""The history that docs/history.md shows is the one that the state machine leaves."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rds_to_s3.errors import ReadInterruptedError, RowTooLargeError, TableNotFoundError
from rds_to_s3_ops.runs.story import tell
from tests.statemachine.engine import Machine
from tests.statemachine.functions import CONTINUE, Functions

PAGE = Path(__file__).parents[2] / "docs" / "history.md"


def listing(heading: str) -> list[str]:
    section = PAGE.read_text(encoding="utf-8").split(f"# {heading}\n")[1]
    return section.split("```text\n")[1].split("\n```")[0].splitlines()


def tables_that_fail_and_continue(functions: Functions) -> None:
    functions.tables["menu"] = [TableNotFoundError("create it")]
    functions.tables["orders"] = [CONTINUE, ReadInterruptedError("the read of table 'orders' ended early")]


def ranges_that_fail_and_continue(functions: Functions) -> None:
    functions.divided = {"orders": 3}
    functions.ranges = {("orders", 2): [CONTINUE], ("orders", 3): [RowTooLargeError("leave the column out")]}


@pytest.mark.parametrize(
    ("heading", "happens"),
    [("As a story", tables_that_fail_and_continue), ("One table, several readers", ranges_that_fail_and_continue)],
)
def test_the_story_in_the_docs_is_what_such_a_run_leaves(
    machine: Machine, functions: Functions, heading: str, happens: Callable[[Functions], None]
) -> None:
    if "MaxConcurrencyPath" not in machine.definition["States"]["ExtractTables"]:
        pytest.skip("the translation reads tables side by side, so its lines have no fixed order")
    functions.max_concurrency = 1
    happens(functions)
    run = machine.run({"tables": ["menu", "orders"]})
    lines = [line.text for line in tell(run.history)]
    # Played by the tests, a redrive begins a history of its own at the gate.
    redriven = [line.text for line in tell(run.redrive().history)][1:]
    told = [line.replace(run.name, "run-1") for line in [*lines, "run redriven (1)", *redriven]]
    assert told == [re.sub(r"^ *\d+\.\d s  ", "", line) for line in listing(heading)]
