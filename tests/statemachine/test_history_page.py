"""The history that docs/history.md shows is the one that the state machine leaves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rds_to_s3.errors import ReadInterruptedError, TableNotFoundError
from rds_to_s3_ops.runs.story import tell
from tests.statemachine.engine import Machine
from tests.statemachine.functions import CONTINUE, Functions

PAGE = Path(__file__).parents[2] / "docs" / "history.md"


def listing(heading: str) -> list[str]:
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1]
    return section.split("```text\n")[1].split("\n```")[0].splitlines()


def test_the_story_in_the_docs_is_what_such_a_run_leaves(machine: Machine, functions: Functions) -> None:
    if "MaxConcurrencyPath" not in machine.definition["States"]["ExtractTables"]:
        pytest.skip("the translation reads tables side by side, so its lines have no fixed order")
    functions.max_concurrency = 1
    functions.tables["menu"] = [TableNotFoundError("create it")]
    functions.tables["orders"] = [CONTINUE, ReadInterruptedError("the read of table 'orders' ended early")]
    run = machine.run({"tables": ["menu", "orders"]})
    lines = [line.text for line in tell(run.history)]
    # Played by the tests, a redrive begins a history of its own at the gate.
    redriven = [line.text for line in tell(run.redrive().history)][1:]
    told = [line.replace(run.name, "run-1") for line in [*lines, "run redriven (1)", *redriven]]
    assert told == [re.sub(r"^ *\d+\.\d s  ", "", line) for line in listing("As a story")]
