"""The progress of a run, from its history, its plan and its tables' records. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from rds_to_s3_ops.runs.events import FAILURES, Event, EventReader

if TYPE_CHECKING:
    from rds_to_s3_ops.deployment.bucket import Plan, StoredRecord
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
    """

    table: str
    state: TableState = TableState.WAITING
    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    attempts: int = 0
    note: str = ""


@dataclass(frozen=True)
class RunProgress:
    """A whole run at one moment."""

    run: Run
    phase: str
    elapsed: float
    until: str | None
    tables: tuple[TableProgress, ...]

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
    state: TableState = TableState.RUNNING
    began_at: datetime | None = None
    asked_at: datetime | None = None
    ended_at: datetime | None = None
    rows: int | None = None
    attempts: int = 0
    note: str = ""


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
        return self._tables.get(name)

    def tables(self) -> list[str]:
        """Return the tables that have started, in that order."""
        return list(self._tables)

    def _add_to_table(self, event: Event) -> None:
        table = self._tables.setdefault(event.table, _TableHistory())
        if event.entered == "ExtractTable":
            if table.state.is_final:  # a redrive has resumed it
                table = self._tables[event.table] = _TableHistory()
            table.began_at = table.began_at or event.at
            table.asked_at, table.attempts = event.at, 0  # a continuation is not a new attempt
        elif event.kind in {"TaskScheduled", "LambdaFunctionScheduled"}:
            table.state, table.asked_at = TableState.RUNNING, event.at
            table.attempts += 1
        elif event.kind in FAILURES:
            table.state, table.note = TableState.RETRYING, event.failure
        elif event.entered == "TableFailed":
            table.state, table.ended_at = TableState.FAILED, event.at
        elif event.entered == "TableFinished":
            result = event.input.get("result", {})
            table.state, table.ended_at, table.note = _final_state(result.get("status")), event.at, ""
            table.rows = result.get("rows")


def measure(
    run: Run, plan: Plan | None, history: History, records: Iterable[StoredRecord], now: datetime
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
    """
    by_table = {stored.record.table: stored for stored in records}
    planned = [table.table for table in plan.tables] if plan else []
    names = list(dict.fromkeys([*planned, *history.tables(), *by_table]))
    return RunProgress(
        run=run,
        phase=history.phase if run.is_running else run.status.lower().replace("_", " "),
        elapsed=max(0.0, ((run.stopped_at or now) - run.started_at).total_seconds()),
        until=plan.until if plan else None,
        tables=tuple(_table(name, history.table(name), by_table.get(name), run.stopped_at or now) for name in names),
    )


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
