"""The extractor, killed at every step: nothing is lost, nothing comes twice, nothing blocks the next run."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from local.mysql_server import MySqlServer
from tests.integration.conftest import fresh_database
from tests.integration.crash_matrix import DOCUMENT, HEAD, SCENARIOS, Matrix
from tests.integration.pipeline import Pipeline
from tests.support.effects import OF_ENDINGS, OF_KEYS, OF_RANGE, OF_REQUESTS, OF_STATE

WRITE = "WRITE_CRASH_MATRIX" in os.environ


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
    assert len(cases) >= 4


def test_no_effect_of_the_extractor_is_missing_from_the_matrix(matrix: Matrix) -> None:
    if len(matrix.cases) < len(SCENARIOS):
        pytest.skip("only some scenarios were run")
    met = {re.sub(r" \d+$", "", step.partition(" ")[2]) for step in matrix.steps}
    # Values of unique columns are kept in test_checks, and tests/unit/test_run_register.py kills whoever writes the
    # register of a run at every request.
    elsewhere = {"seen values", "take", "plan"}
    assert met == {*OF_STATE, *OF_RANGE, *OF_KEYS.values(), *OF_ENDINGS.values(), *OF_REQUESTS, "record"} - elsewhere


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
