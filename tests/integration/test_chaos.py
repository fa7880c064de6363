"""Writers that never rest, runs killed, stopped and overlapping: at the end every row is there, the newest, once.

In an ordinary world, and in each of those in which rows were lost. `CHAOS_SEED` replays a session; `make soak` runs
long ones.
"""

from __future__ import annotations

import os
import random
import secrets
import sys
from typing import Any

import pytest

from tests.integration.chaos import FATES, Chaos, Report
from tests.integration.conftest import fresh_database
from tests.integration.pipeline import Pipeline
from tests.integration.world import World
from tests.integration.worlds import WORLDS, LateReplicas
from tests.support.servers import StartServer

SECONDS = 6.0
SECONDS_ELSEWHERE = 3.0
RUNS = len(FATES) + 1  # each fate, however slow the machine is


@pytest.fixture
def play(
    request: pytest.FixtureRequest,
    bucket: str,
    s3_client: Any,
    start_server: StartServer,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    def session(world: type[World], flavour: str, seconds: float) -> Report:
        seed = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(10**6))
        with fresh_database(request.getfixturevalue(f"{flavour}_server")) as database:
            there = world(Pipeline(database, bucket, s3_client), random.Random(seed), start_server)
            report = Chaos(there, seed).run(seconds, ddl=flavour == "mysql", least_runs=RUNS)
        with capsys.disabled():
            sys.stdout.write(f"\n{flavour}: {report}\n")
        assert report.problems == [], f"CHAOS_SEED={seed}"
        return report

    return session


@pytest.mark.parametrize("flavour", ["mysql", "mariadb"])
def test_no_row_is_lost_and_none_delivered_twice_while_writers_never_rest_and_runs_die(play: Any, flavour: str) -> None:
    report = play(World, flavour, SECONDS)
    assert report.runs > 5
    assert report.kills + report.overlaps > 0
    assert report.stopped > 0
    # The same rows, the same moments: what the original loses shows that this test can see a loss.
    assert report.lost_by_the_original > 0


@pytest.mark.parametrize("world", WORLDS[1:], ids=lambda world: world.name)
def test_nor_in_the_worlds_in_which_rows_were_lost(play: Any, world: type[World]) -> None:
    # The soak plays them on both servers; here they take turns.
    flavour = world.flavours[WORLDS.index(world) % len(world.flavours)]
    report = play(world, flavour, SECONDS if world is LateReplicas else SECONDS_ELSEWHERE)
    assert report.runs > 2
