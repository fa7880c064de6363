"""Reads the server's clock, and what could still commit rows with an older stamp."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from rds_to_s3.errors import DatabaseAccessError, ReadInterruptedError, ReplicaStoppedError
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.window import Bound, ClockReading, decide_bound

_EPOCH = datetime(1970, 1, 1)
_HOUR = 3600.0
_TRANSACTIONS_CACHED_SECONDS = 0.15  # innodb_trx is a cached view, made anew after 0.1 s without a reader

# Our own read-only snapshots cannot write, so they hold nothing back; neither do replication's own threads.
_OLDEST_TRANSACTION = """
SELECT TIMESTAMPDIFF(MICROSECOND, MIN(trx_started), NOW(6)) AS age
FROM information_schema.innodb_trx
WHERE trx_is_read_only = 0 AND trx_mysql_thread_id <> CONNECTION_ID()"""

_OLDEST_STATEMENT = """
SELECT MAX(p.TIME) AS age
FROM information_schema.processlist p
LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.ID AND t.trx_is_read_only = 1
WHERE p.COMMAND IN ('Query', 'Execute') AND p.ID <> CONNECTION_ID() AND p.USER <> 'system user'
  AND t.trx_mysql_thread_id IS NULL"""

_APPLIED = """
SELECT MAX(LAST_APPLIED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP) AS applied
FROM performance_schema.replication_applier_status_by_worker"""


def read_bound(connection: Connection, *, settle_seconds: float, unobserved_settle_seconds: float) -> Bound:
    """Read the server's clock and derive the window's end from it.

    Parameters
    ----------
    connection : Connection
    settle_seconds, unobserved_settle_seconds : float
        See `rds_to_s3.window.decide_bound`.

    Raises
    ------
    ReplicaStoppedError
        A replica that applies nothing and does not tell what it has applied: any window's end could lose rows.
    """
    return decide_bound(
        read_clock(connection),
        lambda instants: local_times(connection, instants),
        settle_seconds=settle_seconds,
        unobserved_settle_seconds=unobserved_settle_seconds,
    )


def read_clock(connection: Connection) -> ClockReading:
    """Take the reading that `rds_to_s3.window.decide_bound` decides on."""
    # The clock is read first: whatever starts after it is younger than it.
    first = connection.row(
        "SELECT UTC_TIMESTAMP(6) AS utc, @@GLOBAL.time_zone AS zone, @@system_time_zone AS system_zone"
    )
    utc_now = (first["utc"] - _EPOCH).total_seconds()
    observed = _sees_everyone(connection)
    transaction_age = statement_age = None
    if observed:
        transaction_age, statement_age = _oldest(connection)
    is_replica, replica_age = _replica(connection, utc_now)
    zone = first["zone"] if first["zone"] != "SYSTEM" else f"SYSTEM, {first['system_zone']}"
    return ClockReading(
        utc_now=utc_now,
        transaction_age=transaction_age,
        statement_age=statement_age,
        observed=observed,
        is_replica=is_replica,
        replica_age=replica_age,
        zone=zone,
    )


def local_times(connection: Connection, instants: Sequence[float]) -> list[datetime]:
    """Turn UTC instants into the server's local time, by its own rules."""
    columns = ", ".join(f"FROM_UNIXTIME({instant:.6f}) AS t{index}" for index, instant in enumerate(instants))
    row = connection.row(f"SELECT {columns}")
    return [row[f"t{index}"] for index in range(len(instants))]


def _sees_everyone(connection: Connection) -> bool:
    # Without PROCESS the process list silently shows only one's own: the grants tell.
    for grant in connection.rows("SHOW GRANTS"):
        text = str(next(iter(grant.values()))).upper()
        if " ON *.* " in text and ("ALL PRIVILEGES" in text or "PROCESS" in text.partition(" ON ")[0]):
            return True
    return bool(_active_role_has_process(connection))


def _active_role_has_process(connection: Connection) -> bool:
    rows = connection.rows(
        "SELECT 1 FROM information_schema.user_privileges WHERE privilege_type = 'PROCESS' "
        "AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')"
    )
    return bool(rows)


def _oldest(connection: Connection) -> tuple[float | None, float | None]:
    zone = connection.row("SELECT @@SESSION.time_zone AS zone")["zone"]
    # trx_started is in the operating system's zone, whatever the session's is.
    connection.run("SET SESSION time_zone = 'SYSTEM'")
    try:
        # Statements first, transactions after: a statement that waited for a lock carries an old stamp and has no
        # transaction yet. In this order it is seen as the one or as the other, whenever it wakes.
        seconds = connection.row(_OLDEST_STATEMENT)["age"]
        time.sleep(_TRANSACTIONS_CACHED_SECONDS)
        age = connection.row(_OLDEST_TRANSACTION)["age"]
    finally:
        connection.rows("SET SESSION time_zone = %s", (zone,))
    transaction_age = None if age is None else _past_clock_change(float(age) / 1e6)
    # The list counts whole seconds, so a statement may be a second older than it says.
    statement_age = None if seconds is None else float(max(int(seconds), 0)) + 1.0
    return transaction_age, statement_age


def _past_clock_change(age: float) -> float:
    """Undo an hour that a zone's falling back took from a local difference."""
    while age < -1.0:
        age += _HOUR
    # trx_started has whole seconds, cut off: the transaction is not older than this.
    return max(age, 0.0)


def _replica(connection: Connection, utc_now: float) -> tuple[bool, float | None]:
    try:
        status = _replica_status(connection)
    except DatabaseAccessError:
        # A replica is read-only as a rule; a primary is not.
        row = connection.row("SELECT @@GLOBAL.read_only AS read_only, @@GLOBAL.innodb_read_only AS innodb_read_only")
        return bool(row["read_only"] or row["innodb_read_only"]), None
    if status is None:
        row = connection.row("SELECT @@GLOBAL.innodb_read_only AS innodb_read_only")
        return bool(row["innodb_read_only"]), None  # an Aurora reader replicates by its storage and has no status
    behind = status.get("seconds_behind_source", status.get("seconds_behind_master"))
    if behind is not None:
        return True, float(behind) + (1.0 if behind else 0.0)
    applied = _applied(connection)
    if applied is None:
        raise ReplicaStoppedError(
            "the server is a replica whose replication is stopped, and what it has applied cannot be read: start "
            "replication, or GRANT SELECT ON performance_schema.replication_applier_status_by_worker to the user"
        )
    return True, max(utc_now - applied, 0.0)


def _replica_status(connection: Connection) -> dict[str, Any] | None:
    try:
        rows = connection.rows("SHOW REPLICA STATUS")
    except ReadInterruptedError:  # a syntax error: MySQL before 8.0.22, MariaDB before 10.5
        rows = connection.rows("SHOW SLAVE STATUS")
    return rows[0] if rows else None


def _applied(connection: Connection) -> float | None:
    try:
        applied = connection.row(_APPLIED)["applied"]
    except (DatabaseAccessError, ReadInterruptedError):
        return None
    if not isinstance(applied, datetime) or applied <= _EPOCH + timedelta(days=1):
        return None
    # The view shows it in the session's zone.
    text = applied.strftime("%Y-%m-%d %H:%M:%S.%f")
    return float(connection.row("SELECT UNIX_TIMESTAMP(%s) AS utc", (text,))["utc"])
