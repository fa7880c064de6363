"""Replicas that are late without saying so: behind one another, behind a silent line, behind one endpoint."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest

from local.mysql_server import MySqlServer
from local.processes import free_port
from rds_to_s3.errors import ReplicaBehindError, ReplicaProgressError, ReplicaStoppedError
from rds_to_s3.extract import reached
from rds_to_s3.mysql.server.identity import read_source
from rds_to_s3.mysql.server.replica import HEARTBEAT_SQL, read_progress, shown_at_most
from tests.integration.conftest import Database
from tests.integration.pipeline import Pipeline, entry
from tests.integration.test_long_reads import hurry
from tests.support.ledger import problems_with_rows
from tests.support.replicas import (
    Replicated,
    connect_to,
    follow,
    go_on_applying,
    started,
    stop_applying,
    wait_until,
)
from tests.support.servers import StartServer
from tests.support.stalling_proxy import StallingProxy

TABLE = (
    "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40), createdDate DATETIME NOT NULL DEFAULT "
    "CURRENT_TIMESTAMP, modifiedDate DATETIME NULL ON UPDATE CURRENT_TIMESTAMP, KEY (createdDate), KEY (modifiedDate))"
)
MARGIN = 2.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reached, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(reached, "PAUSE_SECONDS", 0.05)


@pytest.fixture
def proxies() -> Iterator[list[StallingProxy]]:
    made: list[StallingProxy] = []
    yield made
    for proxy in made:
        proxy.close()


def pipeline_of(database: Database, bucket: str, s3_client: Any) -> Pipeline:
    return Pipeline(database, bucket, s3_client, tables=["t"], unobserved_settle_seconds=MARGIN)


def at(pipeline: Pipeline, server: MySqlServer) -> None:
    """Let the pipeline read one server."""
    pipeline.endpoint = lambda seconds: connect_to(server, pipeline.database.name, seconds)


def until(manifest: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(manifest["window_end"])


def stamp(database: Database, note: str) -> datetime:
    moment: datetime = database.rows(f"SELECT createdDate FROM t WHERE note = '{note}'")[0][0]
    return moment


def errors_of(manifest: dict[str, Any]) -> tuple[str, str]:
    error = entry(manifest, "t")["error"]
    return error["type"], error["message"]


def test_a_cascade_whose_middle_is_late_loses_nothing(start_server: StartServer, bucket: str, s3_client: Any) -> None:
    world = Replicated.start(start_server, replicas=1)
    middle, last = world.replicas[0], started(start_server, "mysql", 9)
    follow(last, middle)
    source = world.database()
    source.execute(TABLE, "INSERT INTO t (note) VALUES ('first')")
    world.wait(middle, last)
    pipeline = pipeline_of(source, bucket, s3_client)
    at(pipeline, last)
    pipeline.run()
    stop_applying(middle)
    source.execute("INSERT INTO t (note) VALUES ('late')")
    time.sleep(MARGIN + 1.5)
    behind = pipeline.run()
    assert until(behind) < stamp(source, "late"), "seconds behind are 0 here"
    assert (behind["bound"]["decided_by"], behind["bound"]["role"]) == ("replica", "replica")
    go_on_applying(middle)
    world.wait(middle, last)
    pipeline.run()
    assert problems_with_rows(pipeline, "t") == []


def test_where_nothing_arrives_the_bound_does_not_move_in_every_channel(
    start_server: StartServer, bucket: str, s3_client: Any, proxies: list[StallingProxy]
) -> None:
    world = Replicated.start(start_server, replicas=0)
    source, other = world.database(), started(start_server, "mysql", 7)
    source.execute(TABLE, "INSERT INTO t (note) VALUES ('first')")
    replica = started(start_server, "mysql", 8)
    proxies.append(StallingProxy(world.source.port))
    follow(replica, world.source, "silent", proxies[0].port)
    follow(replica, other, "busy")
    other.execute("CREATE DATABASE other", "CREATE TABLE other.t (id INT PRIMARY KEY AUTO_INCREMENT)")
    world.wait(replica)
    pipeline = pipeline_of(source, bucket, s3_client)
    at(pipeline, replica)
    wait_until(lambda: bool(pipeline.run()))
    with proxies[0].stalled():
        source.execute("INSERT INTO t (note) VALUES ('on the line')")
        time.sleep(MARGIN + 1.5)
        other.execute("INSERT INTO other.t VALUES ()")
        time.sleep(0.5)
        behind = pipeline.run()
    assert until(behind) < stamp(source, "on the line")
    world.wait(replica)
    pipeline.run()
    assert problems_with_rows(pipeline, "t") == []


@pytest.mark.parametrize("flavour", ["mysql", "mariadb"])
def test_behind_one_endpoint_to_two_replicas_nothing_is_lost_stale_or_twice(
    start_server: StartServer, bucket: str, s3_client: Any, flavour: Any
) -> None:
    world = Replicated.start(start_server, flavour)
    prompt, late = world.replicas
    source = world.database()
    source.execute(TABLE)
    if flavour == "mariadb":
        beat = HEARTBEAT_SQL.replace("10 SECOND", "1 SECOND").strip(";").split("; ")
        source.execute(*beat)
    source.execute("INSERT INTO t (note) VALUES ('first')")
    world.wait()
    pipeline = pipeline_of(source, bucket, s3_client)
    pipeline.endpoint = world.connect
    world.lead_to(prompt)
    wait_until(lambda: pipeline.run()["status"] == "SUCCEEDED")
    stop_applying(late)
    failed = []
    for number in range(4):
        source.execute(f"INSERT INTO t (note) VALUES ('row {number}')", "UPDATE t SET note = CONCAT(note, '+') LIMIT 1")
        time.sleep(1)
        world.wait(prompt)
        world.lead_to(*((prompt, late) if number % 2 else (late, prompt)))
        manifest = pipeline.run()
        failed += [errors_of(manifest)] if manifest["status"] == "FAILED" else []
    # Read from the late one after the prompt one: what that delivered ahead must not be followed by older versions.
    world.lead_to(late)
    kind, message = errors_of(pipeline.run())
    assert kind == "ReplicaBehindError"
    for server in world.replicas:
        with closing(connect_to(server, world.name, 10)) as connection:
            assert read_source(connection).server in message
    assert {kind for kind, _ in failed} <= {"ReplicaBehindError"}
    go_on_applying(late)
    world.wait()
    world.lead_to(late, prompt)
    if flavour == "mariadb":
        wait_until(lambda: pipeline.run()["status"] == "SUCCEEDED")  # with the next heartbeat
    else:
        assert pipeline.run()["status"] == "SUCCEEDED"
    assert problems_with_rows(pipeline, "t") == []


def test_the_plan_asks_one_server_and_the_read_another(start_server: StartServer, bucket: str, s3_client: Any) -> None:
    world = Replicated.start(start_server, replicas=1)
    replica = world.replicas[0]
    source = world.database()
    source.execute(TABLE, "INSERT INTO t (note) VALUES ('first')")
    world.wait()
    pipeline = pipeline_of(source, bucket, s3_client)

    # Planned on the primary, read from its replica: once that has what the primary had, and not before.
    stop_applying(replica)
    source.execute("INSERT INTO t (note) VALUES ('second')")
    time.sleep(2.5)
    at(pipeline, world.source)
    pipeline.plan(pipeline.execution("mixed"))
    at(pipeline, replica)
    with pytest.raises(ReplicaBehindError, match="Nothing was read"):
        pipeline.extract("mixed", "t")
    go_on_applying(replica)
    source.execute("INSERT INTO t (note) VALUES ('third')")  # an idle source cannot show how far its replica is
    world.wait()
    assert pipeline.iterate("mixed", "t")["status"] == "SUCCEEDED"

    # And the reverse.
    plan = pipeline.plan(pipeline.execution("reverse"))
    at(pipeline, world.source)
    assert pipeline.iterate(plan["run_id"], "t")["status"] in {"SUCCEEDED", "UNCHANGED"}
    source.execute("INSERT INTO t (note) VALUES ('fourth')")
    assert pipeline.run()["status"] == "SUCCEEDED"
    assert problems_with_rows(pipeline, "t") == []
    # What the primary showed must be on the replica before it is read again: its commit says how much that was.
    stop_applying(replica)
    source.execute("INSERT INTO t (note) VALUES ('fifth')")
    pipeline.run()
    at(pipeline, replica)
    assert errors_of(pipeline.run())[0] == "ReplicaBehindError"


def test_a_continued_read_is_not_continued_on_a_server_that_is_behind(
    start_server: StartServer, bucket: str, s3_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Replicated.start(start_server)
    prompt, late = world.replicas
    source = world.database()
    source.execute(TABLE, "INSERT INTO t (note) VALUES ('first')")
    source.execute(*["INSERT INTO t (note) SELECT note FROM t"] * 14)
    world.wait()
    pipeline = pipeline_of(source, bucket, s3_client)
    pipeline.defaults = {"target_file_bytes": 65_536}
    at(pipeline, prompt)
    stop_applying(late)
    source.execute("UPDATE t SET note = 'changed' WHERE id < 9")
    world.wait(prompt)
    plan = pipeline.plan(pipeline.execution("long"))
    hurry(monkeypatch, rows=6_000, pages=1)
    assert pipeline.extract(plan["run_id"], "t") == "CONTINUE"
    at(pipeline, late)
    with pytest.raises(ReplicaBehindError):
        pipeline.extract(plan["run_id"], "t")
    at(pipeline, prompt)
    pipeline.iterate(plan["run_id"], "t")
    world.wait(prompt)
    pipeline.run()
    assert problems_with_rows(pipeline, "t") == []


def test_commits_out_of_order_are_not_believed(start_server: StartServer, bucket: str, s3_client: Any) -> None:
    world = Replicated.start(start_server, "mysql", 1, "--replica-preserve-commit-order=OFF")
    replica = world.replicas[0]
    source = world.database()
    source.execute(TABLE, "INSERT INTO t (note) VALUES ('first'), ('second')")
    world.wait()
    pipeline = pipeline_of(source, bucket, s3_client)
    at(pipeline, replica)
    assert pipeline.run()["status"] == "SUCCEEDED", "all that was received is applied, whatever the order"
    there = world.database(replica)
    with closing(there.connect(autocommit=False)) as holder:
        holder.cursor().execute("SELECT * FROM t WHERE id = 1 FOR UPDATE")
        source.execute("UPDATE t SET note = 'held' WHERE id = 1")
        time.sleep(MARGIN + 1.5)
        source.execute("UPDATE t SET note = 'free' WHERE id = 2")
        wait_until(lambda: bool(there.rows("SELECT 1 FROM t WHERE note = 'free'")))
        time.sleep(MARGIN + 1.5)
        try:
            ended = until(pipeline.run())
        except ReplicaStoppedError as error:
            assert "replica_preserve_commit_order" in str(error)
        else:
            assert ended < source.rows("SELECT modifiedDate FROM t WHERE id = 1")[0][0]
        holder.rollback()
    world.wait()
    pipeline.run()
    assert problems_with_rows(pipeline, "t") == []


def test_who_may_not_see_how_late_a_replica_is_gets_the_grant_to_run(
    start_server: StartServer, bucket: str, s3_client: Any
) -> None:
    world = Replicated.start(start_server, replicas=1)
    replica = world.replicas[0]
    source = world.database()
    source.execute(TABLE, "INSERT INTO t (note) VALUES ('first')")
    world.wait()
    pipeline = pipeline_of(source, bucket, s3_client)
    replica.execute(
        "CREATE USER 'blind'@'%' IDENTIFIED BY 'blind-Pa55'",
        f"GRANT SELECT ON {world.name}.* TO 'blind'@'%'",
        "GRANT PROCESS ON *.* TO 'blind'@'%'",
    )
    pipeline.endpoint = lambda seconds: connect_to(replica, world.name, seconds, ("blind", "blind-Pa55"))
    with pytest.raises(ReplicaProgressError) as refused:
        pipeline.run()
    grant = str(refused.value).partition("GRANT")
    replica.execute("".join(grant[1:]))
    assert pipeline.run()["status"] == "SUCCEEDED"

    # Nothing applied since it started: not known, until one transaction has come.
    replica.execute("STOP REPLICA", "RESET REPLICA", "START REPLICA")
    with pytest.raises(ReplicaStoppedError, match="applied nothing"):
        pipeline.run()
    source.execute("INSERT INTO t (note) VALUES ('a sign of life')")
    world.wait()
    assert pipeline.run()["status"] == "SUCCEEDED"


def test_a_replica_of_mariadb_needs_a_heartbeat_and_the_error_has_it(
    start_server: StartServer, bucket: str, s3_client: Any
) -> None:
    world = Replicated.start(start_server, "mariadb", 1)
    middle, last = world.replicas[0], started(start_server, "mariadb", 9)
    follow(last, middle)
    source = world.database()
    source.execute(TABLE, "INSERT INTO t (note) VALUES ('first')")
    world.wait()
    pipeline = pipeline_of(source, bucket, s3_client)
    at(pipeline, last)
    wait_until(lambda: world.caught_up(last))
    with pytest.raises(ReplicaProgressError) as refused:
        pipeline.run()
    statements = str(refused.value)[str(refused.value).index("CREATE TABLE") :].split("; ")[:3]
    source.execute(*(statement.partition(";")[0] for statement in statements))
    wait_until(lambda: pipeline.run()["status"] == "SUCCEEDED")
    stop_applying(middle)
    source.execute("INSERT INTO t (note) VALUES ('late')")
    time.sleep(MARGIN + 1.5)
    assert until(pipeline.run()) < stamp(source, "late")
    go_on_applying(middle)
    wait_until(lambda: world.caught_up(last) or bool(world.database(last).rows("SELECT 1 FROM t WHERE note = 'late'")))
    pipeline.run()
    assert problems_with_rows(pipeline, "t") == []

    # RDS gives nobody the privilege for SHOW, and has a procedure in its place.
    rds = ("rds", "rds'pass")
    last.execute(
        "CREATE USER 'rds'@'%' IDENTIFIED BY 'rds''pass'",
        "GRANT SELECT ON *.* TO 'rds'@'%'",
        "CREATE PROCEDURE mysql.rds_replica_status() SQL SECURITY DEFINER SHOW REPLICA STATUS",
        "GRANT EXECUTE ON PROCEDURE mysql.rds_replica_status TO 'rds'@'%'",
    )
    with closing(connect_to(last, world.name, 10, user=rds)) as connection:
        found = read_progress(connection)
        assert (found.role, found.error) == ("replica", None)
        assert connection.rows("SELECT 1 AS one") == [{"one": 1}]  # the procedure's further results are read


def test_a_member_of_a_group_is_read_when_it_has_what_the_others_had(
    start_server: StartServer, bucket: str, s3_client: Any
) -> None:
    one, other = group_of_two(start_server)
    one.execute("CREATE DATABASE shop")
    one.execute(TABLE, "INSERT INTO t (note) VALUES ('first')", database="shop")
    wait_until(lambda: bool(other.connect("shop")))
    database = Database(one, "shop", one.connect("shop"))
    pipeline = pipeline_of(database, bucket, s3_client)
    at(pipeline, other)
    assert pipeline.run()["bound"]["role"] == "member"
    # What the others have committed and this one has not applied yet is waited for.
    with closing(other.connect("shop")) as blocker:
        blocker.cursor().execute("LOCK TABLES t READ")
        database.execute("INSERT INTO t (note) VALUES ('held')")
        time.sleep(MARGIN + 1.5)
        unlock = threading.Timer(1.0, lambda: blocker.cursor().execute("UNLOCK TABLES"))
        unlock.start()
        manifest = pipeline.run()
        unlock.join()
    assert entry(manifest, "t")["rows"] == 1
    assert problems_with_rows(pipeline, "t") == []
    assert "other members" in manifest["warnings"][0]


def group_of_two(start_server: StartServer) -> list[MySqlServer]:
    """Start two servers that both write (Group Replication in its multi-primary mode)."""
    servers = [started(start_server, "mysql", number, "--report-host=127.0.0.1") for number in (1, 2)]
    addresses = [f"127.0.0.1:{free_port(None)}" for _ in servers]
    for server, address in zip(servers, addresses, strict=True):
        server.execute(
            "INSTALL PLUGIN group_replication SONAME 'group_replication.so'",
            "SET GLOBAL group_replication_group_name = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa'",
            f"SET GLOBAL group_replication_local_address = '{address}'",
            f"SET GLOBAL group_replication_group_seeds = '{','.join(addresses)}'",
            "SET GLOBAL group_replication_single_primary_mode = OFF",
            "SET GLOBAL group_replication_recovery_use_ssl = ON",
            f"CHANGE REPLICATION SOURCE TO SOURCE_USER='{servers[0].user}', SOURCE_PASSWORD='{servers[0].password}' "
            "FOR CHANNEL 'group_replication_recovery'",
        )
    servers[0].execute("SET GLOBAL group_replication_bootstrap_group = ON", "START GROUP_REPLICATION")
    servers[0].execute("SET GLOBAL group_replication_bootstrap_group = OFF")
    servers[1].execute("START GROUP_REPLICATION")
    return servers


def test_a_server_says_who_it_is_and_whose_rows_it_has(start_server: StartServer) -> None:
    world = Replicated.start(start_server)
    world.database().execute(TABLE)
    world.wait()
    sources = []
    for server in (world.source, *world.replicas):
        with closing(connect_to(server, world.name, 10)) as connection:
            sources.append(read_source(connection))
            progress = read_progress(connection)
            assert progress.shown is not None
            assert progress.shown <= shown_at_most(connection)
            assert progress.role == ("primary" if server is world.source else "replica")
    primary, one, other = sources
    assert (primary.origins, one.origins) == ((), (primary.server,))
    assert len({source.server for source in sources}) == 3
    assert one.same_history(primary) and primary.same_history(one) and one.same_history(other)
    assert type(one).from_dict(one.as_dict()) == one
