"""A blue/green switch-over: a replica becomes the server behind the name, and the former one may only be read."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rds_to_s3.extract import reached
from tests.integration.conftest import Database
from tests.integration.pipeline import entry
from tests.integration.test_replicas import TABLE, at, pipeline_of
from tests.support.ledger import problems_with_rows
from tests.support.replicas import Replicated
from tests.support.servers import StartServer

pytestmark = pytest.mark.bucket_in_memory


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reached, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(reached, "PAUSE_SECONDS", 0.05)


def switch_over(world: Replicated) -> Database:
    """Do what RDS does: stop writes, let green catch up, end its replication. Return green."""
    blue, green = world.source, world.replicas[0]
    blue.execute("SET GLOBAL super_read_only = ON")
    world.wait()
    green.execute("STOP REPLICA", "RESET REPLICA ALL")
    return world.database(green)


@pytest.mark.parametrize("moment", ["between runs", "between plan and read"])
def test_nothing_is_lost_or_repeated_over_a_switch_over(
    start_server: StartServer, bucket: str, s3_client: Any, moment: str
) -> None:
    world = Replicated.start(start_server, "mysql", 1)
    blue, green = world.source, world.replicas[0]
    source = world.database()
    source.execute(TABLE, "INSERT INTO t (note) VALUES ('first'), ('second')")
    world.wait()
    pipeline = pipeline_of(source, bucket, s3_client)
    pipeline.tables = [{"name": "t", "deletes": "track"}]
    at(pipeline, blue)
    assert pipeline.run()["status"] == "SUCCEEDED"

    source.execute("INSERT INTO t (note) VALUES ('before the switch')")
    planned = pipeline.plan(pipeline.execution("across"))["run_id"] if moment == "between plan and read" else ""
    after = switch_over(world)
    after.execute(
        "INSERT INTO t (note) VALUES ('after it')",
        "UPDATE t SET note = 'changed after it' WHERE id = 1",
        "DELETE FROM t WHERE id = 2",
    )
    pipeline.database = after
    at(pipeline, green)
    if planned:
        # The plan's bound is blue's. Green has all of blue's commits, or says that it cannot know.
        ended = pipeline.iterate(planned, "t")
        assert ended["status"] in {"SUCCEEDED", "UNCHANGED"} or ended["error"] == "ReplicaBehindError"
    manifest = pipeline.run()
    assert manifest["status"] == "SUCCEEDED"
    warned = [warning for table in manifest["tables"] for warning in table["warnings"]]
    if not planned:
        assert any("this is another server than the last run read" in warning for warning in warned)
    time.sleep(3)
    after.execute("INSERT INTO t (note) VALUES ('later')")
    pipeline.run()
    assert problems_with_rows(pipeline, "t") == []

    # A name that leads to blue once more, which may only be read: its rows are delivered, and the run says whose.
    at(pipeline, blue)
    stale = entry(pipeline.run(), "t")
    assert stale["status"] in {"SUCCEEDED", "UNCHANGED"} or stale["error"]["type"] == "ReplicaBehindError"
    if stale["status"] != "FAILED":
        assert any("another server" in warning for warning in stale["warnings"]), stale
    at(pipeline, green)
    after.execute("INSERT INTO t (note) VALUES ('last')")
    assert pipeline.run()["status"] == "SUCCEEDED"
    assert pipeline.run()["status"] == "SUCCEEDED"
    # What differs between the two servers came again; nothing is missing, stale or left over.
    problems = problems_with_rows(pipeline, "t")
    assert [problem for problem in problems if not problem.startswith("delivered more than once")] == []
    blue.execute("SET GLOBAL read_only = OFF")  # the next test gets this server
