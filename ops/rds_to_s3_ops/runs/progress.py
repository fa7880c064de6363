"""The progress of a run, from its history, its plan, its tables' records and their states. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from rds_to_s3_ops.deployment.retries import Retries
from rds_to_s3_ops.runs.events import FAILURES, Event, EventReader

if TYPE_CHECKING:
    from rds_to_s3_ops.deployment.bucket import Plan, PlannedTable, StoredRecord
    from rds_to_s3_ops.runs.reads import TableRead
    from rds_to_s3_ops.runs.runs import Run


class TableState(StrEnum):
    """The state of a table, as the operator sees it."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether the table has finished, with or without success."""
        return self not in {TableState.WAITING, TableState.RUNNING, TableState.RETRYING}


_PHASES = {
    "TakeInput": "starting",
    "TakeFailedTables": "starting the failed tables again",
    "ReadTableList": "reading the table list",
    "ListRunningRuns": "listing the running runs",
    "PlanRun": "fixing the window",
    "ExtractTables": "extracting",
    "ReadRanges": "extracting",
    "WriteManifest": "writing the manifest",
    "AnnounceRun": "sending the event",
    "CheckRun": "checking the outcome",
    "RunFinished": "finished",
}


@dataclass(frozen=True)
class TableProgress:
    """One line of the live table. Figures are None until they are known.

    Attributes
    ----------
    seconds : float or None
        The time so far; the table's own figure once it has finished.
    note : str
        The error of a failed or retried table; empty otherwise.
    ranges, ranges_done : int
        How many readers share the table, and how many of them have finished; 1 and 0 if it is read by one.
    seconds_left : float or None
        An estimate.
    retry : str
        Of a table that is retried: which attempt comes next, and when.
    """

    table: str
    state: TableState = TableState.WAITING
    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    attempts: int = 0
    note: str = ""
    ranges: int = 1
    ranges_done: int = 0
    seconds_left: float | None = None
    retry: str = ""


@dataclass(frozen=True)
class RunProgress:
    """A whole run at one moment."""

    run: Run
    phase: str
    elapsed: float
    until: str | None
    tables: tuple[TableProgress, ...]
    seconds_left: float | None = None

    @property
    def finished_tables(self) -> int:
        """The number of finished tables."""
        return sum(table.state.is_final for table in self.tables)

    @property
    def rows(self) -> int:
        """Rows extracted so far."""
        return sum(table.rows or 0 for table in self.tables)

    @property
    def bytes(self) -> int:
        """Bytes written so far."""
        return sum(table.bytes or 0 for table in self.tables)


@dataclass
class _TableHistory:
    """The history of a table, or of one range of it; a table has those of its ranges."""

    state: TableState = TableState.RUNNING
    began_at: datetime | None = None
    asked_at: datetime | None = None
    ended_at: datetime | None = None
    rows: int | None = None
    attempts: int = 0
    note: str = ""
    error: str = ""
    ranges: dict[int, _TableHistory] = field(default_factory=dict)

    def joined(self) -> _TableHistory:
        """Return the table's history with what its ranges say of it: that of one range that failed is the table's."""
        if not self.ranges or self.state.is_final:
            return self
        parts = self.ranges.values()
        worst = next(
            (each for state in (TableState.FAILED, TableState.RETRYING) for each in parts if each.state is state), None
        )
        number = next((number for number, each in self.ranges.items() if each is worst), None)
        return _TableHistory(
            state=worst.state if worst is not None else TableState.RUNNING,
            began_at=self.began_at,
            asked_at=max((each.asked_at for each in parts if each.asked_at), default=self.asked_at),
            ended_at=worst.ended_at if worst is not None else None,
            attempts=max(each.attempts for each in parts),
            note=f"range {number}: {worst.note}" if worst is not None and worst.note else "",
            error=worst.error if worst is not None else "",
            ranges=self.ranges,
        )


class History:
    """The state of a run according to its history. Each call adds only the new events.

    Attributes
    ----------
    phase : str
        The part of the run that is running.
    """

    def __init__(self) -> None:
        self.phase = "starting"
        self._reader = EventReader()
        self._tables: dict[str, _TableHistory] = {}

    @property
    def last_event_id(self) -> int:
        """The id of the newest event added."""
        return self._reader.last_event_id

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Add new events, oldest first."""
        for event in self._reader.read(events):
            self.phase = _PHASES.get(event.entered, self.phase)
            if event.table:
                self._add_to_table(event)

    def table(self, name: str) -> _TableHistory | None:
        """Return the history of a table; None if it has not started."""
        found = self._tables.get(name)
        return None if found is None else found.joined()

    def tables(self) -> list[str]:
        """Return the tables that have started, in that order."""
        return list(self._tables)

    def _add_to_table(self, event: Event) -> None:
        table = whole = self._tables.setdefault(event.table, _TableHistory())
        if event.range is not None:
            table = whole.ranges.setdefault(event.range, _TableHistory())
        if event.entered in {"ExtractTable", "ReadRange"}:
            if event.range is None and (table.state.is_final or table.ranges):  # a redrive has resumed it
                table = self._tables[event.table] = _TableHistory()
            table.began_at = table.began_at or event.at
            table.asked_at, table.attempts = event.at, 0  # a continuation is not a new attempt
        elif event.kind in {"TaskScheduled", "LambdaFunctionScheduled"}:
            table.state, table.asked_at, table.ended_at = TableState.RUNNING, event.at, None
            table.attempts += 1
        elif event.kind in FAILURES:
            table.state, table.note = TableState.RETRYING, event.failure
            table.error, table.ended_at = str(event.details.get("error", "")), event.at
        elif event.entered in {"TableFailed", "RangeFailed"}:
            table.state, table.ended_at = TableState.FAILED, event.at
        elif event.entered in {"TableFinished", "RangeFinished"}:
            result = event.result
            table.note = ""
            if result.get("status") == "DIVIDED":
                return
            table.state, table.ended_at = _final_state(result.get("status")), event.at
            table.rows = result.get("rows")
            if event.range is not None and result.get("status") != "RANGE_READ":
                # This reader was the last one, and committed the table.
                whole.state, whole.ended_at = table.state, event.at


def measure(
    run: Run,
    plan: Plan | None,
    history: History,
    records: Iterable[StoredRecord],
    now: datetime,
    *,
    reads: Mapping[str, TableRead] | None = None,
    retries: Retries | None = None,
) -> RunProgress:
    """Combine what is known about a run at this moment.

    Parameters
    ----------
    run : Run
    plan : Plan or None
        None until the run is planned.
    history : History
    records : iterable of StoredRecord
    now : datetime
        Aware.
    reads : mapping of str to TableRead, optional
        How far tables are read, by their names. An engine without events for each table needs it.
    retries : Retries, optional
        The retriers of ExtractTable.
    """
    by_table = {stored.record.table: stored for stored in records}
    planned = [table.table for table in plan.tables] if plan else []
    names = list(dict.fromkeys([*planned, *history.tables(), *by_table]))
    return RunProgress(
        run=run,
        phase=history.phase if run.is_running else run.status.lower().replace("_", " "),
        elapsed=max(0.0, ((run.stopped_at or now) - run.started_at).total_seconds()),
        until=plan.until if plan else None,
        tables=tuple(
            _with_retry(
                _read_so_far(
                    _table(name, history.table(name), by_table.get(name), run.stopped_at or now),
                    history.table(name),
                    (reads or {}).get(name) if run.is_running else None,
                    run,
                    now,
                ),
                history.table(name), by_table.get(name), (retries or Retries()) if run.is_running else Retries(), now,
            )
            for name in names
        ),
    )  # fmt: skip


def unfinished(plan: Plan, history: History, records: Iterable[StoredRecord]) -> list[PlannedTable]:
    """Return the tables that may be read now, those that the history knows first."""
    ended = {stored.record.table for stored in records if _final_state(stored.record.status) is not TableState.FAILED}
    known = {name: table for name in history.tables() if (table := history.table(name)) is not None}
    left = [
        table
        for table in plan.tables
        if table.table not in ended and not (table.table in known and known[table.table].state.is_final)
    ]
    return sorted(left, key=lambda table: table.table not in known)


def _read_so_far(
    table: TableProgress, history: _TableHistory | None, read: TableRead | None, run: Run, now: datetime
) -> TableProgress:
    """Add what the table's state says of a read that has not ended."""
    if read is None or (table.state.is_final and table.state is not TableState.FAILED):
        return table
    # Without events only the lease says that a failed table is being read again.
    again = history is None and read.is_held and table.state is TableState.FAILED
    is_read = table.state is not TableState.FAILED or read.ranges > 1 or again
    state = TableState.RUNNING if table.state is TableState.WAITING or again else table.state
    began = history.began_at if history is not None else None
    if history is not None and history.ranges:
        began = min((each.began_at for each in history.ranges.values() if each.began_at), default=began)
    elapsed = (now - (began or run.started_at)).total_seconds()
    return replace(
        table,
        state=state,
        rows=(read.rows or None) if is_read else table.rows,
        bytes=(read.bytes or None) if is_read else table.bytes,
        attempts=max(table.attempts, read.attempts),
        note="" if again else table.note,
        seconds=table.seconds if table.seconds is not None else max(0.0, elapsed),
        ranges=read.ranges,
        ranges_done=read.ranges_done if read.ranges > 1 else 0,
        seconds_left=None if state is TableState.FAILED else seconds_left(read, elapsed, is_redriven=run.redrives > 0),
    )


def _with_retry(
    table: TableProgress,
    history: _TableHistory | None,
    stored: StoredRecord | None,
    retries: Retries,
    now: datetime,
) -> TableProgress:
    """Say which attempt comes next, and when, if a failed attempt is not the last."""
    failed_at, error, attempts = None, "", table.attempts
    if history is not None and table.state is TableState.RETRYING:
        failed_at, error = history.ended_at, history.error
    elif history is None and table.state is TableState.FAILED and stored and stored.record.error:
        # No events: the record of the last attempt says that it failed.
        failed_at, error = stored.written_at, stored.record.error.type
    retrier = retries.of(error) if error else None
    if retrier is None or failed_at is None or attempts > retrier.retries:
        return table
    left = max(0.0, retrier.wait(max(attempts, 1)) - (now - failed_at).total_seconds())
    return replace(
        table, state=TableState.RETRYING, retry=f"{attempts + 1} of {retrier.retries + 1} in {math.ceil(left)} s"
    )


def seconds_left(read: TableRead, elapsed: float, *, is_redriven: bool = False) -> float | None:
    """Estimate how long a read still takes, as fast as it was so far.

    None where its size is not known, or where it takes longer than estimated. Rows are counted when their file is
    finished; the time since then has passed for the others. Part of what a redriven run has read may be of an earlier
    attempt: then only what was seen being read counts.

    Examples
    --------
    >>> from rds_to_s3_ops.runs.reads import TableRead
    >>> seconds_left(TableRead(rows=250, bytes=9_000, ranges=4, ranges_done=1, expected_rows=1_000), 60.0)
    180.0
    >>> seconds_left(TableRead(rows=250, bytes=9_000, expected_rows=1_000, seconds_since=20.0), 80.0)
    160.0
    """
    until = elapsed - read.seconds_since
    speed = read.rows_a_second if is_redriven else read.rows / until if until > 0 else None
    if not read.expected_rows or not speed:
        return None
    left = (read.expected_rows - read.rows) / speed - read.seconds_since
    return left if left > 0 else None


def _table(name: str, history: _TableHistory | None, stored: StoredRecord | None, now: datetime) -> TableProgress:
    if stored is not None and (history is None or _is_newer(stored, history)):
        record = stored.record
        return TableProgress(
            table=name,
            state=_final_state(record.status),
            rows=record.rows,
            bytes=record.bytes,
            seconds=record.seconds,
            attempts=record.attempts,
            note=str(record.error or ""),
        )
    if history is None:
        return TableProgress(name)
    return TableProgress(
        table=name,
        state=history.state,
        rows=history.rows,
        seconds=max(0.0, ((history.ended_at or now) - (history.began_at or now)).total_seconds()),
        attempts=history.attempts,
        note=history.note,
    )


def _is_newer(stored: StoredRecord, history: _TableHistory) -> bool:
    """Whether a record belongs to the attempt in the history, not to an earlier one."""
    if history.state.is_final:
        return True
    if _final_state(stored.record.status) is TableState.FAILED:
        return False  # every failed attempt writes one; the next attempt is running
    # S3 reports whole seconds.
    return history.asked_at is None or stored.written_at >= history.asked_at.replace(microsecond=0)


def _final_state(status: object) -> TableState:
    try:
        return TableState(str(status).lower())
    except ValueError:
        return TableState.SUCCEEDED
