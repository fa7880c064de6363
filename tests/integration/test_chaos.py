"""Writers that never rest, runs killed and overlapping: at the end every row is there, in its newest version, once.

`CHAOS_SEED` replays a session; `make soak` runs a long one.
"""

from __future__ import annotations

import os
import secrets
import sys

import pytest

from tests.integration.chaos import Chaos
from tests.integration.pipeline import Pipeline

SECONDS = 14.0


def test_no_row_is_lost_and_none_delivered_twice_while_writers_never_rest_and_runs_die(
    any_pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(10**6))
    mysql = any_pipeline.database.server.flavour == "mysql"
    report = Chaos(any_pipeline, seed).run(SECONDS, ddl=mysql)
    with capsys.disabled():
        sys.stdout.write(f"\n{any_pipeline.database.server.flavour}: {report}\n")
    assert report.problems == [], f"CHAOS_SEED={seed}"
    assert report.runs > 5
    assert report.kills + report.overlaps > 0
    # The same rows, the same moments: what the original loses tells that this test can see a loss.
    assert report.lost_by_the_original > 0
