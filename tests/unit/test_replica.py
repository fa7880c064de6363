"""How late a replica is, from recorded answers of servers that cannot be started here."""

from __future__ import annotations

from typing import Any, cast

import pytest

from rds_to_s3.errors import DatabaseAccessError, ReplicaProgressError, ReplicaStoppedError, TableNotFoundError
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import account
from rds_to_s3.mysql.server.replica import Progress, read_progress, shown_at_most

NOW = 1_764_000_000.0


class Recorded:
    """Answers statements by what they contain; the first match counts, and an error is raised."""

    def __init__(self, variables: dict[str, str], answers: dict[str, Any], *, is_mariadb: bool = False) -> None:
        self.is_mariadb = is_mariadb
        self.asked: list[str] = []
        self._answers = {
            "SHOW GLOBAL VARIABLES": [{"variable_name": name, "value": value} for name, value in variables.items()],
            "AS utc": [{"utc": NOW * 1e6}],
            "CURRENT_USER": [{"user": "reader@10.%"}],
        } | answers

    def rows(self, sql: str, arguments: tuple[object, ...] = ()) -> list[dict[str, Any]]:
        self.asked.append(sql)
        for part, answer in reversed(self._answers.items()):
            if part in sql:
                if isinstance(answer, Exception):
                    raise answer
                return cast("list[dict[str, Any]]", answer)
        raise TableNotFoundError(sql)

    def row(self, sql: str, arguments: tuple[object, ...] = ()) -> dict[str, Any]:
        return self.rows(sql, arguments)[0]

    def run(self, sql: str, *, table: str | None = None) -> None:
        self.asked.append(sql)


def progress_of(recorded: Recorded) -> Progress:
    return read_progress(cast("Connection", recorded))


MYSQL = {
    "performance_schema": "ON",
    "read_only": "OFF",
    "innodb_read_only": "OFF",
    "replica_preserve_commit_order": "ON",
}
DENIED = DatabaseAccessError("denied")


def worker(applied: float = 0, at: float | None = None, channel: str = "", applying: float = 0) -> dict[str, Any]:
    return {"channel": channel, "worker": 1, "applied": applied, "applying": applying, "at": at or applied}


def test_a_primary_is_as_far_as_its_clock() -> None:
    assert progress_of(Recorded(MYSQL, {"replication_connection_configuration": []})) == Progress("primary", NOW)


def test_the_least_of_all_channels_counts_and_in_each_what_was_applied_last() -> None:
    rows = [worker(NOW - 5, channel="a"), worker(channel="a"), worker(NOW - 60, channel="b")]
    assert progress_of(Recorded(MYSQL, {"replication_connection_configuration": rows})).shown == NOW - 60
    # The origin's clock was turned back by an hour: another worker's last transaction has a later time, and is older.
    rows = [worker(NOW, at=NOW), worker(NOW - 3590, at=NOW + 10)]
    recorded = Recorded(MYSQL, {"replication_connection_configuration": rows})
    assert progress_of(recorded).shown == NOW - 3590
    assert shown_at_most(cast("Connection", recorded)) == NOW


def test_what_is_being_applied_may_be_visible_already() -> None:
    recorded = Recorded(MYSQL, {"replication_connection_configuration": [worker(NOW - 9, applying=NOW - 8)]})
    assert progress_of(recorded).shown == NOW - 9
    assert shown_at_most(cast("Connection", recorded)) == NOW - 8


@pytest.mark.parametrize(("timed_out", "shown"), [(0, NOW - 3), (1, NOW - 70)])
def test_out_of_order_everything_that_was_received_must_be_applied_or_the_least_worker_counts(
    timed_out: int, shown: float
) -> None:
    variables = MYSQL | {"replica_preserve_commit_order": "OFF"}
    answers = {
        "replication_connection_configuration": [worker(NOW - 70), worker(NOW - 3)],
        "AS queued": [{"queued": NOW - 3}],
        "AS received": [{"received": "a:1-9"}],
        "WAIT_FOR_EXECUTED_GTID_SET": [{"timed_out": timed_out}],
    }
    assert progress_of(Recorded(variables, answers)).shown == shown


def test_a_replica_that_has_applied_nothing_says_so_and_may_be_asked_again() -> None:
    found = progress_of(Recorded(MYSQL, {"replication_connection_configuration": [worker(), worker()]}))
    assert found.shown is None
    assert isinstance(found.error, ReplicaStoppedError)


def test_without_the_performance_schema_a_heartbeat_counts_and_else_nothing_is_guessed() -> None:
    answers: dict[str, Any] = {"SHOW REPLICA STATUS": [{}], "rds_heartbeat2": [{"beat": NOW - 200}]}
    off = MYSQL | {"performance_schema": "OFF"}
    assert progress_of(Recorded(off, answers)) == Progress("replica", NOW - 200)
    own = answers | {"rds_to_s3_heartbeat": [{"n": 1, "beat": NOW - 7}]}
    assert progress_of(Recorded(off, own)) == Progress("replica", NOW - 7)
    # Out of order a heartbeat proves nothing.
    error = progress_of(Recorded(off | {"replica_preserve_commit_order": "OFF"}, own)).error
    assert isinstance(error, ReplicaProgressError)
    assert "performance_schema is off" in str(error)
    denied = {"replication_connection_configuration": DENIED, "SHOW REPLICA STATUS": DENIED, "SHOW SLAVE": DENIED}
    blind = progress_of(Recorded(MYSQL | {"read_only": "ON"}, denied))
    assert str(blind.error).endswith("GRANT SELECT ON performance_schema.* TO 'reader'@'10.%'")


def test_an_aurora_reader_is_as_late_as_its_own_row_says() -> None:
    reader = MYSQL | {"aurora_server_id": "shop-2", "innodb_read_only": "ON"}
    row = {"age_in_utc": 1.5, "age_here": -7198.5, "lag": 0.02}
    found = progress_of(Recorded(reader, {"replica_host_status": [row]}))
    assert found.role == "replica"
    assert found.shown == pytest.approx(NOW - 1.52)
    assert isinstance(progress_of(Recorded(reader, {"replica_host_status": []})).error, ReplicaStoppedError)
    writer = reader | {"innodb_read_only": "OFF"}
    assert progress_of(Recorded(writer, {"AS replica": []})) == Progress("primary", NOW)


def test_a_reader_in_another_region_than_the_writer_is_as_late_as_its_storage_too() -> None:
    reader = MYSQL | {"aurora_server_id": "shop-2", "innodb_read_only": "ON"}
    row = {"age_in_utc": 1.0, "age_here": 1.0, "lag": 0.5}
    far = {"age_in_utc": 30.0, "age_here": -7170.0, "lag": 1200.0}  # the regions have not spoken for a while
    for status, shown in (([far], NOW - 1231.5), ([], NOW - 1.5), (TableNotFoundError("3.03"), NOW - 1.5)):
        answers = {"FROM information_schema.replica_host_status": [row], "aurora_global_db_status": status}
        assert progress_of(Recorded(reader, answers)).shown == pytest.approx(shown)


BLIND: dict[str, Any] = {"SHOW REPLICA STATUS": DENIED, "SHOW SLAVE": DENIED, "AS replica": []}


@pytest.mark.parametrize(
    ("variables", "answers", "role", "shown"),
    [
        # Aurora's default: no performance schema. Nobody has the privilege to ask for channels.
        ({"performance_schema": "OFF"}, BLIND, "primary", NOW),
        ({"performance_schema": "OFF"}, BLIND | {"SHOW REPLICA STATUS": []}, "primary", NOW),
        ({}, BLIND | {"replication_connection_configuration": []}, "primary", NOW),
        # The cluster replicates from RDS, from another cluster or from anywhere.
        ({}, BLIND | {"replication_connection_configuration": [worker(NOW - 700)]}, "replica", NOW - 700),
        (
            {"performance_schema": "OFF"},
            BLIND | {"SHOW REPLICA STATUS": [{}], "rds_to_s3_heartbeat": [{"n": 1, "beat": NOW - 9}]},
            "replica",
            NOW - 9,
        ),
        ({"performance_schema": "OFF"}, BLIND | {"AS replica": [{"replica": 1}]}, "replica", None),
        ({"performance_schema": "OFF", "read_only": "ON"}, BLIND, "replica", None),
    ],
)
def test_the_writer_of_a_cluster_that_replicates_from_another_server_is_a_replica(
    variables: dict[str, str], answers: dict[str, Any], role: str, shown: float | None
) -> None:
    writer = MYSQL | {"aurora_server_id": "shop-1", "innodb_read_only": "OFF"} | variables
    found = progress_of(Recorded(writer, answers))
    assert (found.role, found.shown, found.error is None) == (role, shown, shown is not None)


def test_a_member_of_a_galera_cluster_catches_up_before_it_is_read() -> None:
    recorded = Recorded({"wsrep_on": "ON"}, {}, is_mariadb=True)
    assert progress_of(recorded) == Progress("member", NOW)
    assert recorded.asked[-4:] == [
        "SET SESSION wsrep_sync_wait = 1",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        "COMMIT",
        "SET SESSION wsrep_sync_wait = 0",
    ]


def test_mariadb_from_11_6_on_says_what_it_has_executed() -> None:
    statuses = [{"slave_last_event_time": "2025-11-24 16:00:00"}, {"slave_last_event_time": "2025-11-24 15:59:00"}]
    answers = {"SHOW ALL SLAVES STATUS": statuses, "INTERVAL 2 HOUR": [{"utc": NOW - 11}]}
    assert progress_of(Recorded({}, answers, is_mariadb=True)) == Progress("replica", NOW - 11)
    older = Recorded({}, {"SHOW ALL SLAVES STATUS": [{"seconds_behind_master": 0}]}, is_mariadb=True)
    assert "CREATE EVENT" in str(progress_of(older).error)


def test_on_rds_mariadb_a_procedure_answers_what_show_refuses() -> None:
    refused: dict[str, Any] = {"SHOW ALL SLAVES STATUS": DENIED, "INTERVAL 2 HOUR": [{"utc": NOW - 11}]}
    status = {"slave_io_running": "Yes", "slave_last_event_time": "2025-11-24 16:00:00"}
    newer = refused | {"rds_replica_status": [status]}
    read_only = {"read_only": "ON"}  # as every replica of RDS is
    assert progress_of(Recorded(read_only, newer, is_mariadb=True)) == Progress("replica", NOW - 11)
    # Before 11.6 it has no such time: then RDS's own heartbeat counts, if the user may read it.
    older = refused | {"rds_replica_status": [{"seconds_behind_master": 0}], "rds_heartbeat2": [{"beat": NOW - 200}]}
    assert progress_of(Recorded(read_only, older, is_mariadb=True)) == Progress("replica", NOW - 200)
    # A primary's answer is empty, whatever it looks like.
    assert progress_of(Recorded(read_only, refused | {"rds_replica_status": []}, is_mariadb=True)).role == "primary"
    neither = refused | {"rds_replica_status": DENIED}
    error = progress_of(Recorded(read_only, neither, is_mariadb=True)).error
    assert "GRANT EXECUTE ON PROCEDURE mysql.rds_replica_status TO 'reader'@'10.%'" in str(error)
    assert (
        progress_of(Recorded({}, neither | {"Slaves_running": [], "AS replica": []}, is_mariadb=True)).role == "primary"
    )


@pytest.mark.parametrize(
    ("variables", "row", "role", "shown"),
    [
        # A writer has no lag; it is one by innodb_read_only, not by what the status table says.
        ({"aurora_server_id": "shop-1", "innodb_read_only": "OFF"}, None, "primary", NOW),
        # A reader that has not reported for a while is as late as that.
        (
            {"aurora_server_id": "shop-2", "innodb_read_only": "ON"},
            {"age_in_utc": 95.0, "age_here": 95.0, "lag": 0.0},
            "replica",
            NOW - 95,
        ),
        # A lag that is unknown counts as none beside the age.
        (
            {"aurora_server_id": "shop-2", "innodb_read_only": "ON"},
            {"age_in_utc": 2.0, "age_here": 2.0, "lag": None},
            "replica",
            NOW - 2,
        ),
    ],
)
def test_aurora(variables: dict[str, str], row: dict[str, Any] | None, role: str, shown: float) -> None:
    found = progress_of(Recorded(MYSQL | variables, {"replica_host_status": [row]} if row else {"AS replica": []}))
    assert found.role == role
    assert found.shown == pytest.approx(shown)


def test_an_account_is_written_in_sql() -> None:
    assert account("o'neil@%") == "'o''neil'@'%'"
