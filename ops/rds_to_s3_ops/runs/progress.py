"""How far a run is, made from what it leaves behind: its history, its plan, its tables' records. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rds_to_s3_ops.deployment.bucket import Plan, StoredRecord
    from rds_to_s3_ops.runs.runs import Run


class TableState(StrEnum):
    """Where a table stands, in the words that the operator sees."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether the table is done with, one way or the other."""
        return self not in {TableState.WAITING, TableState.RUNNING, TableState.RETRYING}


_PHASES = {
    "TakeInput": "starting",
    "TakeFailedTables": "starting the failed tables again",
    "ReadTableList": "reading the table list",
    "ListRunningRuns": "listing the running runs",
    "PlanRun": "fixing the window",
    "ExtractTables": "extracting",
    "WriteManifest": "writing the manifest",
    "CheckRun": "checking the outcome",
    "RunFinished": "finished",
}


@dataclass(frozen=True)
class TableProgress:
    """One line of the live table. Figures are None until they are known.

    Attributes
    ----------
    seconds : float or None
        Of work so far; the table's own measure once it is finished.
    note : str
        Why it failed or is tried again; empty otherwise.
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
        """How many tables are done with."""
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


@dataclass
class History:
    """What a run's history says, folded event by event, so that only new events need to be read.

    Attributes
    ----------
    last_event_id : int
        The newest event folded in.
    phase : str
        Which part of the run is at work.
    """

    last_event_id: int = 0
    phase: str = "starting"
    _tables: dict[str, _TableHistory] = field(default_factory=dict)
    # Events name no table; each points to the one before it in its own branch, the first of which does.
    _table_of_event: dict[int, str] = field(default_factory=dict)

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Fold in new events, oldest first."""
        for event in events:
            event_id = int(event["id"])
            if event_id <= self.last_event_id:
                continue
            self.last_event_id = event_id
            self._add(event_id, event)

    def table(self, name: str) -> _TableHistory | None:
        """Return what the history says of a table; None while it has not begun."""
        return self._tables.get(name)

    def tables(self) -> list[str]:
        """Return the tables that have begun, in that order."""
        return list(self._tables)

    def _add(self, event_id: int, event: Mapping[str, Any]) -> None:
        entered = event.get("stateEnteredEventDetails", {})
        state_name = entered.get("name", "")
        if state_name in _PHASES:
            self.phase = _PHASES[state_name]
        name = self._table_of_event.get(int(event.get("previousEventId", 0)))
        if state_name == "ExtractTable":
            name = _decoded(entered.get("input")).get("table") or name
        if name is None:
            return
        self._table_of_event[event_id] = name
        self._add_to_table(name, state_name, event)

    def _add_to_table(self, name: str, state_name: str, event: Mapping[str, Any]) -> None:
        at: datetime = event["timestamp"]
        table = self._tables.setdefault(name, _TableHistory())
        match event["type"], state_name:
            case _, "ExtractTable":
                if table.state.is_final:  # a redrive has taken it up again
                    table = self._tables[name] = _TableHistory()
                table.began_at = table.began_at or at
                table.asked_at, table.attempts = at, 0  # a continuation is no attempt
            case (("TaskScheduled" | "LambdaFunctionScheduled"), _):
                table.state, table.asked_at = TableState.RUNNING, at
                table.attempts += 1
            case (("TaskFailed" | "TaskTimedOut" | "LambdaFunctionFailed" | "LambdaFunctionTimedOut"), _):
                table.state, table.note = TableState.RETRYING, _failure(event)
            case _, "TableFailed":
                table.state, table.ended_at = TableState.FAILED, at
            case _, "TableFinished":
                result = _decoded(event["stateEnteredEventDetails"].get("input")).get("result", {})
                table.state, table.ended_at, table.note = _final_state(result.get("status")), at, ""
                table.rows = result.get("rows")


def measure(
    run: Run, plan: Plan | None, history: History, records: Iterable[StoredRecord], now: datetime
) -> RunProgress:
    """Put together what is known of a run at this moment.

    Parameters
    ----------
    run : Run
    plan : Plan or None
        None while the run is not planned.
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


def _table(name: str, told: _TableHistory | None, stored: StoredRecord | None, now: datetime) -> TableProgress:
    if stored is not None and (told is None or _is_newer(stored, told)):
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
    if told is None:
        return TableProgress(name)
    return TableProgress(
        table=name,
        state=told.state,
        rows=told.rows,
        seconds=max(0.0, ((told.ended_at or now) - (told.began_at or now)).total_seconds()),
        attempts=told.attempts,
        note=told.note,
    )


def _is_newer(stored: StoredRecord, told: _TableHistory) -> bool:
    """Whether a record belongs to the attempt that the history shows, not to one before it."""
    if told.state.is_final:
        return True
    if _final_state(stored.record.status) is TableState.FAILED:
        return False  # every failed attempt leaves one; the next attempt is under way
    # S3 tells whole seconds.
    return told.asked_at is None or stored.written_at >= told.asked_at.replace(microsecond=0)


def _final_state(status: object) -> TableState:
    try:
        return TableState(str(status).lower())
    except ValueError:
        return TableState.SUCCEEDED


def _failure(event: Mapping[str, Any]) -> str:
    details: Mapping[str, Any] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    cause = details.get("cause", "")
    message = _decoded(cause).get("errorMessage") or cause
    return ": ".join(part for part in (details.get("error", ""), message) if part)


def _decoded(text: object) -> dict[str, Any]:
    try:
        data = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
