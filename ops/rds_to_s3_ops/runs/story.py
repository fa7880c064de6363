"""A run's history as text: one line for each event, with the names of the states. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from rds_to_s3.wording import counted, first_names
from rds_to_s3_ops.runs.events import FAILURES, Event, EventReader
from rds_to_s3_ops.screen.lines import MOST_TABLES, on_database

_ENDS = {
    "ExecutionSucceeded": "run succeeded",
    "ExecutionFailed": "run failed",
    "ExecutionAborted": "run was stopped",
    "ExecutionTimedOut": "run timed out",
}
_MOST_NAMES = 6
_LONGEST = 2_000
_GIVEN_UP = {"TableFailed", "RangeFailed"}
_INSIDE = {"ExtractTable", "TableFailed", "ReadRange", "RangeFailed"}
# Entering these adds nothing to the lines around it, or to their result.
_UNTOLD = {
    *("TakeInput", "PlanRun", "ExtractTable", "TableFinished?", "TableFinished"),
    *("ReadRange", "RangeFinished?", "RangeFinished"),
    *("WriteManifest", "AnnounceRun", "CheckRun", "RetryFailed?", "RunFinished"),
}


@dataclass(frozen=True)
class StoryLine:
    """One event.

    Attributes
    ----------
    seconds : float
        Since the run's start.
    state : str
        Empty for an event of the whole run.
    table : str
        Empty if the event concerns no single table, or if the history does not name the table.
    message : str
    is_bad : bool
    range : int or None
        Of the table, if several readers share it and the event concerns one of them.
    """

    seconds: float
    state: str
    table: str
    message: str
    is_bad: bool = False
    range: int | None = None

    @property
    def text(self) -> str:
        """The line without its time."""
        if not self.state:
            return self.message
        part = f", range {self.range}" if self.range is not None else ""
        table = f"{self.table}{part}: " if self.table else ""
        return (
            f"{'  ' if self.state in _INSIDE else ''}{table}{self.state}{f': {self.message}' if self.message else ''}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return what ``history RUN --json`` prints for it."""
        return {
            "seconds": round(self.seconds, 3),
            "state": self.state or None,
            "table": self.table or None,
            "range": self.range,
            "message": self.message,
        }


def tell(events: Iterable[Mapping[str, Any]], *, everything: bool = False) -> list[StoryLine]:
    """Turn a history into lines.

    Parameters
    ----------
    events : iterable of mapping
        Step Functions' history events, oldest first.
    everything : bool
        Whether a line names every table that it is about, instead of the first ones.
    """
    most = sys.maxsize if everything else _MOST_NAMES
    read = list(EventReader().read(events))
    return [line for event in read if (line := _line(event, read[0].at, most)) is not None]


def condensed(lines: Sequence[StoryLine], most: int = MOST_TABLES) -> list[StoryLine]:
    """If a round has many tables, keep the lines of those with problems and count the rest.

    Parameters
    ----------
    lines : sequence of StoryLine
    most : int
        Up to this many tables, keep all lines. Beyond it, keep only tables that failed, were retried or continued, and
        at most this many.
    """
    kept: list[StoryLine] = []
    for inside, group in groupby(lines, key=lambda line: line.state in _INSIDE):
        some = list(group)
        kept += _condensed_round(some, most) if inside else some
    return kept


def _condensed_round(lines: list[StoryLine], most: int) -> list[StoryLine]:
    # A line without a table counts as one table.
    by_table: dict[str | int, list[StoryLine]] = {}
    for number, line in enumerate(lines):
        by_table.setdefault(line.table or number, []).append(line)
    if len(by_table) <= most:
        return lines
    telling = [table for table, own in by_table.items() if len(own) > 1 or own[0].is_bad]
    kept = set(telling[:most])
    unshown = f", {len(telling) - most} of them failed, retried or continued" if len(telling) > most else ""
    rest = f"  and {len(by_table) - len(kept)} more tables{unshown}: add --all to list them"
    shown = [line for number, line in enumerate(lines) if (line.table or number) in kept]
    return [*shown, StoryLine(lines[-1].seconds, "", "", rest)]


def _line(event: Event, began: datetime, most: int) -> StoryLine | None:
    said = _say(event, most)
    if said is None:
        return None
    seconds = (event.at - began).total_seconds()
    if event.kind.startswith("Execution"):
        return StoryLine(seconds, "", "", *said)
    payload = event.payload or {}  # an engine without events for the iterations' states has the table only there
    number = event.range if event.range is not None else payload.get("range")
    return StoryLine(seconds, event.state, event.table or str(payload.get("table", "")), *said, number)


def _say(event: Event, most: int) -> tuple[str, bool] | None:
    if event.kind.startswith("Execution"):
        return _of_the_run(event.kind, event.details)
    if event.entered:
        if event.state in _UNTOLD:
            return None
        if event.state == "ReadRanges":
            return (divided, False) if (divided := _divided(event.input, most)) else None
        return ("given up, the others continue", True) if event.state in _GIVEN_UP else ("", False)
    if event.kind in FAILURES:
        line = " ".join(event.failure.split())
        # The cause of a failed run may have 32 KiB.
        return line if len(line) <= _LONGEST or most > _MOST_NAMES else f"{line[:_LONGEST]}... (--all shows it)", True
    message = _result(event.state, event.payload, most) if event.kind == "TaskSucceeded" else ""
    return (message, False) if message else None


def _of_the_run(kind: str, details: Mapping[str, Any]) -> tuple[str, bool]:
    if kind == "ExecutionStarted":
        return f"run started with {details.get('input', '{}')}", False
    if kind == "ExecutionRedriven":
        return f"run redriven ({details.get('redriveCount')})", False
    error = details.get("error")
    return _ENDS.get(kind, kind) + (f": {error}" if error else ""), kind != "ExecutionSucceeded"


def _divided(data: Mapping[str, Any], most: int) -> str:
    """Say how many ranges of which tables are read; nothing where no table is divided."""
    ranges = (data.get("extracted") or {}).get("ranges") or []
    tables = list(dict.fromkeys(str(each.get("table")) for each in ranges))
    return f"{counted(len(ranges), 'range')} of {first_names(tables, most)}" if ranges else ""


def _result(state: str, payload: Mapping[str, Any] | None, most: int) -> str:
    if payload is None:
        return ""
    match state:
        case "PlanRun":
            names = first_names((item["table"] for item in payload.get("tables", [])), most)
            until = on_database(str(payload.get("until")))
            return f"{names} up to {until}, at most {payload.get('max_concurrency')} at once"
        case "ExtractTable" | "ReadRange":
            return _of_a_read(payload)
        case "WriteManifest":
            failed = payload.get("failed", [])
            return f"{payload.get('status')}, {payload.get('manifest')}" + (
                f", failed: {first_names(failed, most)}" if failed else ""
            )
        case "CheckRun":
            tables = payload.get("tables", [])
            return f"{payload.get('decision')}" + (f": {first_names(tables, most)}" if tables else "")
    return ""


def _of_a_read(payload: Mapping[str, Any]) -> str:
    status = payload.get("status")
    if status == "RANGE_READ":  # its rows are counted with the table's
        return "RANGE_READ"
    if status == "DIVIDED":
        return f"DIVIDED, {counted(len(payload.get('ranges', [])), 'range')} to read"
    return f"{status}, {counted(payload.get('rows', 0), 'row')}, {counted(payload.get('files', 0), 'file')}"
