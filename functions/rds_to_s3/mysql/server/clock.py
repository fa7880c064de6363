"""Reads the server's clock, and the transactions and statements that could still commit rows with an older stamp."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from rds_to_s3.clean_up import cleaned_up
from rds_to_s3.errors import DatabaseAccessError, RdsToS3Error
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.server.clock_reading import ClockReading, Unobserved
from rds_to_s3.mysql.server.replica import read_progress

_CLOCK_READINGS = 4
_PROMPT_SECONDS = 0.25
_EPOCH = datetime(1970, 1, 1)
_QUARTER, _QUARTERS = 900.0, 16
_DAY, _YEAR, _FORTNIGHT = 86_400.0, 366.0, 14
_FRESH_WITHIN_SECONDS = 5.0

# An event's statements run under the command Connect. Sleeping sessions have no statement. The scheduler, the purge and
# the senders of the binary log write no rows. A replica's own threads are covered by its lag.
_STATEMENTS = """
SELECT ID AS thread, TIME AS age FROM information_schema.processlist
WHERE COMMAND NOT IN ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID') AND INFO IS NOT NULL
  AND ID <> CONNECTION_ID() AND USER <> 'system user'"""

_TRANSACTIONS = """
SELECT trx_mysql_thread_id AS thread, trx_is_read_only AS read_only, trx_started AS started,
       trx_mysql_thread_id = CONNECTION_ID() AS ours
FROM information_schema.innodb_trx"""

# InnoDB lists a transaction from when it first touches a row. A first statement that waited for a metadata lock began,
# and fixed its NOW(), before that. The performance schema keeps it until the session has run ten others.
_BEGUN = """
SELECT MAX(x.TIMER_WAIT + IF(s.TIMER_START < x.TIMER_START, x.TIMER_START - s.TIMER_START, 0)) / 1e12 AS age,
       SUM(x.NESTING_EVENT_TYPE <=> 'STATEMENT' AND s.EVENT_ID IS NULL) AS forgotten, COUNT(*) AS transactions
FROM performance_schema.events_transactions_current x
LEFT JOIN performance_schema.events_statements_history s
  ON s.THREAD_ID = x.THREAD_ID AND s.EVENT_ID = x.NESTING_EVENT_ID AND x.NESTING_EVENT_TYPE = 'STATEMENT'
WHERE x.STATE = 'ACTIVE' AND x.ACCESS_MODE = 'READ WRITE'
  AND x.THREAD_ID IN (SELECT THREAD_ID FROM performance_schema.threads WHERE PROCESSLIST_ID IN ({threads}))"""


def _clock_and_observer(connection: Connection) -> tuple[dict[str, Any], float]:
    """Read the server's clock and ours together, a few times; return the reading with the fastest answer.

    A slow answer would look as if the server's clock was turned back.
    """
    readings = []
    for _ in range(_CLOCK_READINGS):
        asked = time.time()
        row = connection.row(
            "SELECT UTC_TIMESTAMP(6) AS utc, @@GLOBAL.time_zone AS zone, @@system_time_zone AS system_zone"
        )
        observer_utc = time.time()
        readings.append((observer_utc - asked, row, observer_utc))
        if observer_utc - asked < _PROMPT_SECONDS:
            break
    _, row, observer_utc = min(readings, key=lambda reading: reading[0])
    return row, observer_utc


def read_clock(connection: Connection) -> ClockReading:
    """Take the reading for `rds_to_s3.plan.bound.decide_bound`."""
    # The clock is read first: everything that starts later is younger.
    first, observer_utc = _clock_and_observer(connection)
    utc_now = (first["utc"] - _EPOCH).total_seconds()
    # Statements first, then transactions: a statement that waits for a lock has an old stamp and no transaction yet. In
    # this order it is seen as one or the other, whenever it resumes.
    statements = connection.rows(_STATEMENTS)
    open_now = _open_transactions(connection)
    transaction_age = statement_age = None
    first_statement_unseen = False
    if not isinstance(open_now, str):
        transaction_age, first_statement_unseen = _oldest_transaction(connection, open_now, utc_now)
        # The list counts whole seconds, so a statement may be a second older than listed. A statement in a read-only
        # transaction, such as our own reads of other tables, does not hold the window back.
        readers = {item.thread for item in open_now if item.read_only}
        ages = [max(int(row["age"] or 0), 0) + 1.0 for row in statements if int(row["thread"]) not in readers]
        statement_age = max(ages, default=None)
    progress = read_progress(connection)
    zone = first["zone"] if first["zone"] != "SYSTEM" else f"SYSTEM, {first['system_zone']}"
    return ClockReading(
        utc_now=utc_now,
        observer_utc=observer_utc,
        transaction_age=transaction_age,
        statement_age=statement_age,
        first_statement_unseen=first_statement_unseen,
        unobserved=open_now if isinstance(open_now, str) else None,
        role=progress.role,
        replica_age=None if progress.shown is None else max(utc_now - progress.shown, 0.0),
        progress_error=progress.error,
        zone=zone,
        user=str(connection.row("SELECT CURRENT_USER() AS user")["user"]) if open_now == "privilege" else "",
    )


def local_times(connection: Connection, instants: Sequence[float]) -> list[datetime]:
    """Convert UTC instants to the session's local time, by the server's rules."""
    columns = ", ".join(f"FROM_UNIXTIME({instant:.6f}) AS t{index}" for index, instant in enumerate(instants))
    row = connection.row(f"SELECT {columns}")
    return [row[f"t{index}"] for index in range(len(instants))]


def earliest_instant(connection: Connection, local: datetime) -> float:
    """Return the instant of a local time; the earlier of the two in an hour that occurs twice."""
    text = local.isoformat(" ", "microseconds")
    instant = float(connection.row("SELECT UNIX_TIMESTAMP(%s) AS utc", (text,))["utc"])
    earlier = [instant - quarter * _QUARTER for quarter in range(_QUARTERS, -1, -1)]
    times = local_times(connection, earlier)
    return next((moment for moment, shown in zip(earlier, times, strict=True) if shown == local), instant)


def hours_repeat(connection: Connection, since: datetime) -> bool:
    """Return whether the session's zone turns its clock back between a local time and tomorrow."""
    now = float(connection.row("SELECT UNIX_TIMESTAMP() AS utc")["utc"])
    days = int(min(max((now - earliest_instant(connection, since)) // _DAY, 0.0), _YEAR))
    return _turns_back(connection, [now + _DAY * day for day in range(-days - 2, 2)])


def clock_repeats(connection: Connection) -> bool:
    """Return whether the session's zone has ever turned its clock back, or will within a year."""
    now = float(connection.row("SELECT UNIX_TIMESTAMP() AS utc")["utc"])
    return _turns_back(connection, [_DAY * day for day in range(1, int(now // _DAY) + 366, _FORTNIGHT)])


def _turns_back(connection: Connection, instants: Sequence[float]) -> bool:
    """Return whether local time falls back somewhere between the first and the last instant."""
    leads = [
        (local - _EPOCH).total_seconds() - instant
        for local, instant in zip(local_times(connection, instants), instants, strict=True)
    ]
    return any(later < earlier for earlier, later in pairwise(leads))


@dataclass(frozen=True)
class _Transaction:
    thread: int
    read_only: bool
    started: datetime


def _open_transactions(connection: Connection) -> list[_Transaction] | Unobserved:
    """List the open transactions as of now, or return why they cannot be seen.

    ``innodb_trx`` shows a copy that InnoDB renews only when nobody has read it for 0.1 s, so a dashboard that polls it
    can keep it stale forever. Our own transaction in the list proves that the copy is younger.
    """
    connection.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    with cleaned_up(lambda: connection.run("COMMIT")), contextlib.suppress(DatabaseAccessError):
        give_up = time.monotonic() + _FRESH_WITHIN_SECONDS
        longest = 0.12
        while time.monotonic() < give_up:
            rows = connection.rows(_TRANSACTIONS)
            if any(row["ours"] for row in rows):
                return [
                    _Transaction(int(row["thread"]), bool(row["read_only"]), row["started"])
                    for row in rows
                    if not row["ours"]
                ]
            # Random, and less and less alike, so that two runs do not keep each other's copy stale.
            time.sleep(random.uniform(0.105, longest))  # noqa: S311
            longest = min(longest * 1.5, 0.3)
        return "stale"
    return "privilege"


def _oldest_transaction(
    connection: Connection, open_now: list[_Transaction], utc_now: float
) -> tuple[float | None, bool]:
    """Return the age of the oldest transaction that may write, and whether a first statement may be older."""
    writers = [item for item in open_now if not item.read_only]
    if not writers:
        return None, False
    zone = connection.row("SELECT @@SESSION.time_zone AS zone")["zone"]
    # trx_started is in the operating system's zone, in every session.
    connection.run("SET SESSION time_zone = 'SYSTEM'")
    with cleaned_up(lambda: connection.rows("SET SESSION time_zone = %s", (zone,))):
        age = utc_now - earliest_instant(connection, min(item.started for item in writers))
    begun, unseen = _begun(connection, [item.thread for item in writers])
    return max(age, begun, 0.0), unseen


def _begun(connection: Connection, threads: Sequence[int]) -> tuple[float, bool]:
    if connection.is_mariadb:
        return 0.0, True  # transaction events are recorded only where they are turned on
    try:
        row = connection.row(_BEGUN.format(threads=", ".join(map(str, threads))))
    except RdsToS3Error:
        return 0.0, True  # not granted, or the server does not have it
    # Fewer than are open: recording is off, or one has ended meanwhile, or one is an XA transaction without a session.
    return float(row["age"] or 0.0), bool(row["forgotten"]) or int(row["transactions"]) < len(threads)
