"""Make sure that a table's server has all commits that the run's plan, and the last read of the table, saw.

One endpoint may lead to several replicas, a failover may come between the plan and a read, and a secret may change. So
it is checked again on each reading connection, before its snapshot. The argument is in ``docs/exactly-once.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from rds_to_s3.commit.state import Commit, Staged
from rds_to_s3.errors import RdsToS3Error, ReplicaBehindError, SourceChangedError
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.server.identity import read_identity, read_source
from rds_to_s3.mysql.server.replica import read_progress, shown_at_most, utc_clock
from rds_to_s3.mysql.server.source import Source
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.read_bound import read_bound

WAIT_SECONDS = 30.0  # a replica with a greater lag does not catch up in moments
PAUSE_SECONDS = 3.0
OPEN_ELSEWHERE_SECONDS = 900.0  # for plans of earlier releases, which do not record it


@dataclass(frozen=True)
class _Seen:
    """The server of an earlier read of the table, and the upper bound of the commits that it saw."""

    source: Source | None
    until: float


@dataclass(frozen=True)
class Gap:
    """What a server lacks.

    Attributes
    ----------
    other : str
        The server that has it.
    shown, wanted : float or None
        The server has all commits up to `shown`, and needs them up to `wanted`.
    """

    server: str
    other: str
    shown: float | None
    wanted: float | None

    def error(self, table: str) -> ReplicaBehindError:
        """Return the error for this gap."""
        return ReplicaBehindError(
            f"table {table!r} cannot be read from server {self.server}: it has all commits until "
            f"{_moment(self.shown)}, and server {self.other} showed commits until "
            f"{_moment(self.wanted)}. Nothing was read. Bring its replication up to date, or put one server into the "
            "credentials instead of an endpoint of several. If nothing is written on the source, write a row there: "
            "its replicas then show their progress."
        )


def connect_reached(
    run: PlannedRun,
    table: str,
    reads: Iterable[Commit | Staged | None],
    ways: tuple[Callable[[int], Connection], Callable[[int], Connection]],
    seconds: Callable[[], float],
) -> tuple[Connection, PlannedRun]:
    """Open a connection to a server that has all commits that were seen before.

    Parameters
    ----------
    table : str
        Named in errors.
    reads : iterable
        The last read of the table, and this read's progress.
    ways : tuple of callable
        Open a connection; the second one fetches the credentials anew.
    seconds : callable
        Seconds left for reading the database or waiting for it.

    Returns
    -------
    connection : Connection
    run : PlannedRun
        With that server as its source.

    Raises
    ------
    ReplicaBehindError
        No such server within `WAIT_SECONDS`.
    SourceChangedError
        The credentials name another database than the plan.
    """
    seen = [_Seen(_source(read), read.seen_until) for read in reads if read and read.seen_until is not None]
    give_up = time.monotonic() + min(WAIT_SECONDS, seconds() / 2)
    opening, is_fresh = ways[0], False
    while True:
        connection = opening(max(int(seconds()), 1))
        try:
            source = _source_of(connection, run)
            found = _compare(connection, source, run, seen)
        except BaseException:
            connection.close()
            raise
        if found is None:
            return connection, replace(run, source=source)
        connection.close()
        if not is_fresh and run.source is not None and _another(source, run.source):
            # The credentials may have been cached since before they changed.
            opening, is_fresh = ways[1], True
            continue
        if time.monotonic() >= give_up or isinstance(found, SourceChangedError):
            raise found if isinstance(found, RdsToS3Error) else found.error(table)
        time.sleep(PAUSE_SECONDS)


def note_seen(connection: Connection, staged: Staged, source: Source | None) -> None:
    """Record a snapshot's server, and the upper bound of its commits. The snapshot has been taken by now."""
    until = shown_at_most(connection)
    staged.source = source.as_dict() if source else None
    staged.seen_until = max(until, staged.seen_until or until)


def begun_elsewhere(staged: Staged, source: Source | None) -> bool:
    """Whether a read was begun on a server with another history than `source`."""
    before = _source(staged)
    return before is not None and source is not None and not source.same_history(before)


def _source(read: Commit | Staged) -> Source | None:
    return Source.from_dict(read.source) if read.source else None


def _source_of(connection: Connection, run: PlannedRun) -> Source:
    source = read_identity(connection)
    return run.source if run.source is not None and not _another(source, run.source) else read_source(connection)


def _compare(connection: Connection, source: Source, run: PlannedRun, seen: list[_Seen]) -> Gap | RdsToS3Error | None:
    """Return what the connection's server lacks, or None."""
    if source.database != run.database:
        return SourceChangedError(
            f"run {run.run_id} was planned for database {run.database!r}, and the credentials name {source.database!r} "
            "now: start a new run"
        )
    role = run.bound.get("role", "primary")
    is_planned = run.source is None or not _another(source, run.source)
    earlier = [
        item for item in seen if item.until is not None and (item.source is None or _another(source, item.source))
    ]
    if is_planned and role == "primary" and not earlier:
        return None  # a server never has less than it had
    if is_planned and role == "primary":
        shown: float | None = utc_clock(connection)
    else:
        progress = read_progress(connection)
        shown = progress.shown
        if shown is None and (earlier or not is_planned):
            return progress.error
    if not _reaches_plan(connection, source, run, shown, is_planned=is_planned):
        planned = run.source.server if run.source else "?"
        return Gap(source.server, planned, shown, _wanted_by(run))
    for item in earlier:
        if shown is not None and shown < item.until:
            return Gap(source.server, item.source.server if item.source else "?", shown, item.until)
    return None


def _reaches_plan(
    connection: Connection, source: Source, run: PlannedRun, shown: float | None, *, is_planned: bool
) -> bool:
    wanted = _wanted_by(run)
    if is_planned:
        return shown is None or wanted is None or shown >= wanted
    if (
        run.source is not None
        and source.same_history(run.source)
        and shown is not None
        and wanted is not None
        and shown >= wanted
    ):
        return True
    own = read_bound(
        connection,
        settle_seconds=run.settle_seconds,
        unobserved_settle_seconds=max(run.unobserved_settle_seconds or OPEN_ELSEWHERE_SECONDS, run.settle_seconds),
    )
    return own.until_utc >= run.bound_utc


def _wanted_by(run: PlannedRun) -> float | None:
    """Return up to which commit time a server of the same history must have everything for the run's bound to hold."""
    if run.bound.get("role", "primary") == "primary" or run.seen_until is None:
        return run.seen_until
    # The commits that it certainly had; the same margin covers transactions open on its origin.
    return min(run.seen_until, run.bound_utc + float(run.bound.get("settle_seconds", 0.0)))


def _another(source: Source, other: Source) -> bool:
    return (source.server, source.database) != (other.server, other.database)


def _moment(instant: float | None) -> str:
    if instant is None:
        return "an unknown time"
    return datetime.fromtimestamp(instant, UTC).isoformat(" ", "seconds").replace("+00:00", " UTC")
