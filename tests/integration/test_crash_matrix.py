"""The extractor, killed at every step: nothing is lost, nothing comes twice, nothing blocks the next run."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.mysql_server import MySqlServer
from tests.integration.conftest import fresh_database
from tests.integration.crash_matrix import DOCUMENT, HEAD, SCENARIOS, Matrix
from tests.integration.pipeline import Pipeline

WRITE = "WRITE_CRASH_MATRIX" in os.environ
PACKAGE = Path(__file__).parents[2] / "functions" / "rds_to_s3"


@pytest.fixture(scope="module")
def matrix(mysql_server: MySqlServer, s3_client: Any) -> Iterator[Matrix]:
    bucket = f"test-{secrets.token_hex(6)}"
    s3_client.create_bucket(Bucket=bucket)
    with fresh_database(mysql_server) as database:
        yield Matrix(Pipeline(database, bucket, s3_client), both_ways=WRITE)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_wherever_the_extractor_dies_a_retry_and_a_later_run_end_in_the_same_state(
    matrix: Matrix, scenario: Any
) -> None:
    cases = matrix.play(scenario)
    broken = {f"{case.step}, {case.way}": case.problems for case in cases if case.problems}
    assert not broken
    assert len(cases) > 4


def test_no_step_of_the_code_is_missing_from_the_matrix(matrix: Matrix) -> None:
    if len(matrix.cases) < len(SCENARIOS):
        pytest.skip("only some scenarios were run")
    named = set()
    # tests/unit/test_run_register.py kills whoever writes the register of a run at every request.
    for path in (path for path in PACKAGE.rglob("*.py") if path.name != "register.py"):
        named |= set(re.findall(r'step\(f?"([^"]+)"', path.read_text()))
    assert len(named) > 20
    missing = {
        name for name in named if not any(re.fullmatch(name.replace("{number}", r"\d+"), s) for s in matrix.steps)
    }
    assert not missing


def test_the_matrix_in_the_docs_is_what_was_run(matrix: Matrix) -> None:
    if len(matrix.cases) < len(SCENARIOS):
        pytest.skip("only some scenarios were run")
    if WRITE:
        DOCUMENT.write_text(matrix.document())
    written = DOCUMENT.read_text()
    assert written.startswith(HEAD)
    rows = [
        line for line in written.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| killed"))
    ]
    run = [line for scenario in SCENARIOS for line in matrix.table(scenario)]
    assert len(rows) == len(run), "docs/crash-matrix.md is out of date: make crash-matrix"
    for there, here in zip(rows, run, strict=True):
        pairs = zip(there.split(" | "), here.split(" | "), strict=True)
        assert all(b.strip(" |") in {a.strip(" |"), "?"} for a, b in pairs), f"{there}\n{here}: make crash-matrix"
