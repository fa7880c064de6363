"""Whose commits a server has, and up to which time: a primary's own, or another server's that it has applied.

"Seconds behind the source" is never used. It is 0 where the source lags itself or nothing arrives, and it does not
describe the other servers behind one endpoint. Only the time of the *origin's* commit counts:
https://dev.mysql.com/doc/refman/8.4/en/replication-delayed.html#replication-delayed-timestamps
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from rds_to_s3.errors import RdsToS3Error, ReplicaProgressError, ReplicaStoppedError
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import account
from rds_to_s3.mysql.server.clock_reading import Role

HEARTBEAT_TABLE = "rds_to_s3_heartbeat"
HEARTBEAT_SQL = (
    "CREATE TABLE rds_to_s3_heartbeat (id INT PRIMARY KEY, written_at TIMESTAMP(6) NOT NULL); CREATE EVENT "
    "rds_to_s3_heartbeat ON SCHEDULE EVERY 10 SECOND DO REPLACE INTO rds_to_s3_heartbeat VALUES (1, NOW(6)); "
    "SET GLOBAL event_scheduler = ON;"
)
_GROUP_CHANNELS = {"group_replication_applier", "group_replication_recovery"}
_CATCH_UP_SECONDS = 2

_VARIABLES = """
SHOW GLOBAL VARIABLES WHERE Variable_name IN ('performance_schema', 'read_only', 'innodb_read_only', 'aurora_server_id',
  'replica_preserve_commit_order', 'slave_preserve_commit_order', 'replica_parallel_type', 'slave_parallel_type',
  'group_replication_group_name', 'wsrep_on', 'slave_parallel_threads', 'gtid_slave_pos')"""

# A TIMESTAMP column's instant, in any session zone; 0 where there is none.
_APPLIED = """
SELECT c.CHANNEL_NAME AS channel, w.WORKER_ID AS worker,
       UNIX_TIMESTAMP(w.LAST_APPLIED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP) AS applied,
       UNIX_TIMESTAMP(w.APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP) AS applying,
       UNIX_TIMESTAMP(w.LAST_APPLIED_TRANSACTION_END_APPLY_TIMESTAMP) AS at
FROM performance_schema.replication_connection_configuration c
LEFT JOIN performance_schema.replication_applier_status_by_worker w ON w.CHANNEL_NAME = c.CHANNEL_NAME"""

# In two statements: the set is read later, so it contains the transaction that was queued last.
_QUEUED = """
SELECT UNIX_TIMESTAMP(LAST_QUEUED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP) AS queued
FROM performance_schema.replication_connection_status WHERE CHANNEL_NAME = %s"""
_RECEIVED = """
SELECT RECEIVED_TRANSACTION_SET AS received
FROM performance_schema.replication_connection_status WHERE CHANNEL_NAME = %s"""

_AURORA = """
SELECT TIMESTAMPDIFF(MICROSECOND, LAST_UPDATE_TIMESTAMP, UTC_TIMESTAMP(6)) / 1e6 AS age_in_utc,
       TIMESTAMPDIFF(MICROSECOND, LAST_UPDATE_TIMESTAMP, NOW(6)) / 1e6 AS age_here,
       REPLICA_LAG_IN_MILLISECONDS / 1e3 AS lag
FROM information_schema.replica_host_status WHERE SERVER_ID = @@aurora_server_id"""

# Of a cluster in another region than the writer of its global database: how late its storage is.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Reference.ISTables.html
_AURORA_GLOBAL = """
SELECT TIMESTAMPDIFF(MICROSECOND, g.LAST_LAG_CALCULATION_TIMESTAMP, UTC_TIMESTAMP(6)) / 1e6 AS age_in_utc,
       TIMESTAMPDIFF(MICROSECOND, g.LAST_LAG_CALCULATION_TIMESTAMP, NOW(6)) / 1e6 AS age_here,
       g.DURABILITY_LAG_IN_MSEC / 1e3 AS lag
FROM information_schema.aurora_global_db_instance_status mine
JOIN information_schema.aurora_global_db_instance_status writer
  ON writer.SESSION_ID = 'MASTER_SESSION_ID' AND writer.AWS_REGION <> mine.AWS_REGION
JOIN information_schema.aurora_global_db_status g ON g.AWS_REGION = mine.AWS_REGION
WHERE mine.SERVER_ID = @@aurora_server_id"""

# Aurora may have system threads of its own: only what replication says of itself counts there.
_AURORA_THREADS = """
SELECT 1 AS replica FROM information_schema.processlist WHERE USER = 'system user'
  AND (STATE LIKE '%to send event' OR STATE LIKE '%relay log%') LIMIT 1"""

_THREADS = """
SELECT 1 AS replica FROM information_schema.processlist WHERE USER = 'system user' AND COMMAND <> 'Daemon' LIMIT 1"""


@dataclass(frozen=True)
class Progress:
    """Which commits a server has.

    Attributes
    ----------
    role : {"primary", "replica", "member"}
        A member of a group (Group Replication, Galera) shares the writing with other servers.
    shown : float or None
        Every later snapshot has all commits of the origin up to this instant (seconds since 1970, on the origin's
        clock). None where it cannot be determined.
    error : ReplicaProgressError or ReplicaStoppedError or None
        Why not, and what to do.
    """

    role: Role
    shown: float | None
    error: ReplicaProgressError | ReplicaStoppedError | None = None


def utc_clock(connection: Connection) -> float:
    """Read the server's clock, seconds since 1970."""
    row = connection.row("SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) AS utc")
    return float(row["utc"]) / 1e6


def read_progress(connection: Connection) -> Progress:
    """Determine whose commits the server has, and up to which time."""
    utc_now = utc_clock(connection)  # read first: everything below is read later
    variables = {str(row["variable_name"]): str(row["value"]) for row in connection.rows(_VARIABLES)}
    if variables.get("wsrep_on") == "ON":
        return _synced(connection, utc_now, "wsrep_sync_wait", "1", "0")
    if variables.get("group_replication_group_name") and _is_in_group(connection):
        return _synced(connection, utc_now, "group_replication_consistency", "'BEFORE'", "DEFAULT")
    if variables.get("aurora_server_id") and variables.get("innodb_read_only") == "ON":
        return _aurora_reader(connection, utc_now)
    # A cluster's writer is a replica, too, if the cluster replicates from another server by its binary log.
    progress = _of_mariadb(connection, variables) if connection.is_mariadb else _of_mysql(connection, variables)
    return progress or Progress("primary", utc_now)


def shown_at_most(connection: Connection) -> float:
    """Return an upper bound of the commit times in a snapshot taken before this call.

    A replica reports what it has applied, so another one that has applied as much has all of it. For any other server
    the bound is its clock.
    """
    utc_now = utc_clock(connection)
    if connection.is_mariadb:
        return utc_now
    try:
        rows = connection.rows(_APPLIED)
    except RdsToS3Error:
        return utc_now
    channels: dict[str, float] = {}
    for row in rows:
        # A visible transaction may still be listed as being applied.
        latest = max(float(row["applied"] or 0), float(row["applying"] or 0))
        channels[row["channel"]] = max(channels.get(row["channel"], 0.0), latest)
    if not channels or _GROUP_CHANNELS & channels.keys() or not all(channels.values()):
        return utc_now
    return max(channels.values())


# --- MySQL ---


def _of_mysql(connection: Connection, variables: dict[str, str]) -> Progress | None:
    try:
        rows = connection.rows(_APPLIED) if variables.get("performance_schema") == "ON" else None
    except RdsToS3Error:
        rows = None
    if rows is None:
        return _of_mysql_unseen(connection, variables)
    rows = [row for row in rows if row["channel"] not in _GROUP_CHANNELS]
    names = sorted({str(row["channel"]) for row in rows})
    if not names:
        return None
    shown = [_channel(connection, name, [row for row in rows if row["channel"] == name], variables) for name in names]
    known = [instant for instant in shown if instant is not None]
    if len(known) == len(names):
        return Progress("replica", min(known))
    beat = _heartbeat(connection, len(names)) if _keeps_order(variables) else None
    if beat is not None:
        return Progress("replica", beat)
    error = ReplicaStoppedError(
        "the server is a replica that has applied nothing since its replication was started (channel "
        f"{names[shown.index(None)]!r}), so its lag cannot be determined: START REPLICA if it is stopped, and "
        f"run one transaction on its source{_order_advice(variables)}"
    )
    return Progress("replica", None, error)


def _of_mysql_unseen(connection: Connection, variables: dict[str, str]) -> Progress | None:
    """Read the progress without the performance schema."""
    channels = _mysql_channels(connection)
    if channels == 0 or (channels is None and not _looks_like_a_replica(connection, variables)):
        return None
    beat = _heartbeat(connection, channels or 1) if _keeps_order(variables) else None
    return Progress("replica", beat, _unreadable(connection, variables) if beat is None else None)


def _channel(
    connection: Connection, name: str, workers: list[dict[str, Any]], variables: dict[str, str]
) -> float | None:
    applied = [float(row["applied"] or 0) for row in workers]
    if _keeps_order(variables) or len(workers) == 1:
        # The latest by this server's clock: the origin's clock may have been turned back since another worker's last
        # transaction.
        latest = max(float(row["at"] or 0) for row in workers)
        if latest:
            return min(float(row["applied"] or 0) for row in workers if float(row["at"] or 0) == latest) or None
    # Out of order, or just started: if everything received is applied, so is the transaction received last.
    with contextlib.suppress(RdsToS3Error):
        queued = float(connection.row(_QUEUED, (name,))["queued"] or 0)
        received = str(connection.row(_RECEIVED, (name,))["received"] or "")
        if queued and received:
            waited = connection.row(
                "SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s) AS timed_out", (received, _CATCH_UP_SECONDS)
            )
            if waited["timed_out"] == 0:
                return queued
    return min(applied) or None


def _keeps_order(variables: dict[str, str]) -> bool:
    kind = variables.get("replica_parallel_type", variables.get("slave_parallel_type", "LOGICAL_CLOCK"))
    preserved = variables.get("replica_preserve_commit_order", variables.get("slave_preserve_commit_order"))
    return preserved == "ON" and kind == "LOGICAL_CLOCK"


def _order_advice(variables: dict[str, str]) -> str:
    return "" if _keeps_order(variables) else "; SET GLOBAL replica_preserve_commit_order = ON shows it sooner"


def _mysql_channels(connection: Connection) -> int | None:
    for statement in ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"):  # the second before 8.0.22
        with contextlib.suppress(RdsToS3Error):
            return len(connection.rows(statement))
    return None


def _is_in_group(connection: Connection) -> bool:
    """Whether other servers write too. In a group with one primary, only the primary writes."""
    try:
        rows = connection.rows(
            "SELECT MEMBER_ROLE AS role FROM performance_schema.replication_group_members "
            "WHERE MEMBER_ID = @@server_uuid AND MEMBER_STATE <> 'OFFLINE'"
        )
        single = connection.row("SELECT @@GLOBAL.group_replication_single_primary_mode AS single")["single"]
    except RdsToS3Error:
        return True
    return any(not (single and row["role"] == "PRIMARY") for row in rows)


def _synced(connection: Connection, utc_now: float, variable: str, on: str, off: str) -> Progress:
    """Wait until the member has applied everything that the group has agreed on so far."""
    try:
        connection.run(f"SET SESSION {variable} = {on}")
        connection.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        connection.run("COMMIT")
        connection.run(f"SET SESSION {variable} = {off}")
    except RdsToS3Error as error:
        return Progress(
            "member",
            None,
            ReplicaStoppedError(f"the server is a member of a group and did not catch up with the others: {error}"),
        )
    return Progress("member", utc_now)


# --- Aurora ---


def _aurora_reader(connection: Connection, utc_now: float) -> Progress:
    try:
        rows = connection.rows(_AURORA)
    except RdsToS3Error:
        rows = []
    if not rows:
        return Progress(
            "replica",
            None,
            ReplicaStoppedError(
                "the server is an Aurora reader that is not listed in information_schema.replica_host_status, so its "
                "lag cannot be determined: read from the cluster's writer endpoint if this persists"
            ),
        )
    with contextlib.suppress(RdsToS3Error):  # before 3.04, and without a global database
        rows = [*rows[:1], *connection.rows(_AURORA_GLOBAL)]
    return Progress("replica", utc_now - sum(map(_aurora_age, rows)))


def _aurora_age(row: dict[str, Any]) -> float:
    # The zone of the time is not documented: the greater age is correct or too great.
    return max(float(row["age_in_utc"] or 0), float(row["age_here"] or 0), 0.0) + max(float(row["lag"] or 0), 0.0)


# --- MariaDB ---


def _of_mariadb(connection: Connection, variables: dict[str, str]) -> Progress | None:
    statuses = _mariadb_channels(connection)
    if statuses is None and not _looks_like_a_replica(connection, variables):
        return None
    if statuses is not None and not statuses:
        return None
    # From 11.6 on; the text is in the session's zone.
    events = [_instant(connection, status.get("slave_last_event_time")) for status in statuses or []]
    if events and all(events):
        return Progress("replica", min(event for event in events if event is not None))
    domains = {part.split("-")[0] for part in variables.get("gtid_slave_pos", "").split(",") if part.strip()}
    ordered = len(domains) <= 1 or variables.get("slave_parallel_threads", "0") == "0"
    if ordered and (beat := _heartbeat(connection, len(statuses or [{}]))) is not None:
        return Progress("replica", beat)
    return Progress("replica", None, _unreadable(connection, variables))


def _mariadb_channels(connection: Connection) -> list[dict[str, Any]] | None:
    # RDS gives nobody the privilege for SHOW, and has a procedure with the same columns in its place:
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/mysql_rds_replica_status.html
    for statement in ("SHOW ALL SLAVES STATUS", "CALL mysql.rds_replica_status"):
        with contextlib.suppress(RdsToS3Error):
            return connection.rows(statement)
    return None


def _instant(connection: Connection, text: object) -> float | None:
    if not text or str(text).startswith("0000"):
        return None
    # In an hour that occurs twice, the first: two hours earlier the text is unambiguous.
    row = connection.row(
        "SELECT LEAST(UNIX_TIMESTAMP(%s), UNIX_TIMESTAMP(%s - INTERVAL 2 HOUR) + 7200) AS utc", (str(text), str(text))
    )
    return float(row["utc"])


# --- either ---


def _looks_like_a_replica(connection: Connection, variables: dict[str, str]) -> bool:
    """Guess from what any user may see: a replica is usually read-only, and a primary is not."""
    if variables.get("read_only", "OFF") not in {"OFF", "0"} or variables.get("innodb_read_only") == "ON":
        return True
    if connection.is_mariadb:
        running = connection.rows("SHOW GLOBAL STATUS LIKE 'Slaves_running'")
        if running and int(running[0]["value"] or 0):
            return True
    return bool(connection.rows(_AURORA_THREADS if variables.get("aurora_server_id") else _THREADS))


def _heartbeat(connection: Connection, channels: int) -> float | None:
    """Return the time in the heartbeat row, which is written on the origin every few seconds.

    It is correct only if transactions are applied in the order of the origin's commits.
    """
    with contextlib.suppress(RdsToS3Error):
        row = connection.row(
            f"SELECT COUNT(*) AS n, UNIX_TIMESTAMP(MIN(written_at)) AS beat FROM {HEARTBEAT_TABLE}"  # noqa: S608
        )
        if row["beat"] and int(row["n"]) >= channels:
            return float(row["beat"])
    if channels == 1:
        with contextlib.suppress(RdsToS3Error):
            row = connection.row("SELECT MAX(value) / 1000 AS beat FROM mysql.rds_heartbeat2")
            return float(row["beat"]) if row["beat"] else None
    return None


def _unreadable(connection: Connection, variables: dict[str, str]) -> ReplicaProgressError:
    user = account(str(connection.row("SELECT CURRENT_USER() AS user")["user"]))
    found = "the server is a replica, or looks like one, and its lag cannot be determined"
    if connection.is_mariadb:
        return ReplicaProgressError(
            f"{found}. Run a heartbeat on its primary, in this database: {HEARTBEAT_SQL} If the server is not a "
            f"replica: GRANT SLAVE MONITOR ON *.* TO {user}; on RDS, GRANT EXECUTE ON PROCEDURE "
            f"mysql.rds_replica_status TO {user}"
        )
    if variables.get("performance_schema") != "ON":
        return ReplicaProgressError(
            f"{found}: its performance_schema is off. Turn it on, or run a heartbeat on the primary, in this "
            f"database: {HEARTBEAT_SQL}"
        )
    return ReplicaProgressError(f"{found}. GRANT SELECT ON performance_schema.* TO {user}")
