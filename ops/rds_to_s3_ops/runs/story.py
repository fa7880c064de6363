"""A run's history as a story: one line for each thing that happened, in the words of its states. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from rds_to_s3.wording import counted, first_names
from rds_to_s3_ops.runs.views import MOST_TABLES

_ENDS = {
    "ExecutionSucceeded": "run succeeded",
    "ExecutionFailed": "run failed",
    "ExecutionAborted": "run was stopped",
    "ExecutionTimedOut": "run timed out",
}
_MOST = 300
_MOST_NAMES = 6
_INSIDE = {"ExtractTable", "TableFailed"}
_OF_A_TABLE = {"ExtractTable", "TableFinished?", "TableFinished", "TableFailed"}
# Entering them says nothing that the lines around do not, or their result says it.
_UNTOLD = {
    *("TakeInput", "PlanRun", "ExtractTable", "TableFinished?", "TableFinished"),
    *("WriteManifest", "CheckRun", "RetryFailed?", "RunFinished"),
}


@dataclass(frozen=True)
class StoryLine:
    """One thing that happened.

    Attributes
    ----------
    seconds : float
        Since the run's start.
    state : str
        Empty for what happened to the run as a whole.
    table : str
        Empty where it is not one table's, or where the history does not say whose it is.
    told : str
    is_bad : bool
    """

    seconds: float
    state: str
    table: str
    told: str
    is_bad: bool = False

    @property
    def text(self) -> str:
        """The line without its time."""
        if not self.state:
            return self.told
        table = f"{self.table}: " if self.table else ""
        return f"{'  ' if self.state in _INSIDE else ''}{table}{self.state}{f': {self.told}' if self.told else ''}"

    def as_json(self) -> dict[str, Any]:
        """Return what ``history RUN --json`` prints for it."""
        return {
            "seconds": round(self.seconds, 3),
            "state": self.state or None,
            "table": self.table or None,
            "told": self.told,
        }


def tell(events: Iterable[Mapping[str, Any]]) -> list[StoryLine]:
    """Turn a history into lines.

    Parameters
    ----------
    events : iterable of mapping
        Step Functions' history events, oldest first.
    """
    return _Teller().tell(events)


def condensed(lines: Sequence[StoryLine], most: int = MOST_TABLES) -> list[StoryLine]:
    """Leave out what went as it should of the tables of a round, where there are many, and count it.

    Parameters
    ----------
    lines : sequence of StoryLine
    most : int
        Of this many tables all is told; of more, only what failed, was tried again or continued, and of no more tables
        than this.
    """
    told: list[StoryLine] = []
    for inside, group in groupby(lines, key=lambda line: line.state in _INSIDE):
        some = list(group)
        told += _condensed_round(some, most) if inside else some
    return told


def _condensed_round(lines: list[StoryLine], most: int) -> list[StoryLine]:
    # A line that names no table stands for one of its own.
    by_table: dict[str | int, list[StoryLine]] = {}
    for number, line in enumerate(lines):
        by_table.setdefault(line.table or number, []).append(line)
    if len(by_table) <= most:
        return lines
    telling = [table for table, own in by_table.items() if len(own) > 1 or own[0].is_bad]
    kept = set(telling[:most])
    unshown = f", {len(telling) - most} of them failed, tried again or continued" if len(telling) > most else ""
    rest = f"  and {len(by_table) - len(kept)} more tables{unshown}: add --all to list them"
    shown = [line for number, line in enumerate(lines) if (line.table or number) in kept]
    return [*shown, StoryLine(lines[-1].seconds, "", "", rest)]


class _Teller:
    def __init__(self) -> None:
        self._began: datetime | None = None
        # Events point to the one before them in their own branch; only a branch's first one names its table.
        self._place: dict[int, tuple[str, str]] = {}
        self._state = ""

    def tell(self, events: Iterable[Mapping[str, Any]]) -> list[StoryLine]:
        return [line for event in events if (line := self._line(event)) is not None]

    def _line(self, event: Mapping[str, Any]) -> StoryLine | None:
        self._began = self._began or event["timestamp"]
        state, table = self._locate(event)
        said = self._say(event, state)
        if said is None:
            return None
        told, is_bad = said
        seconds = (event["timestamp"] - self._began).total_seconds()
        if event["type"].startswith("Execution"):
            state = table = ""
        return StoryLine(seconds, state, table or _table_in(event), told, is_bad)

    def _locate(self, event: Mapping[str, Any]) -> tuple[str, str]:
        state, table = self._place.get(int(event.get("previousEventId", 0)), (self._state, ""))
        entered = event.get("stateEnteredEventDetails")
        if entered:
            state = entered["name"]
            if state == "ExtractTable":
                table = _decoded(entered.get("input")).get("table") or table
            elif state not in _OF_A_TABLE:
                table = ""
            self._state = state
        elif state == "ExtractTables" and event["type"].startswith("Task"):
            state = "ExtractTable"  # an engine that does not tell of the iterations' states
        self._place[int(event["id"])] = (state, table)
        return state, table

    def _say(self, event: Mapping[str, Any], state: str) -> tuple[str, bool] | None:
        kind: str = event["type"]
        if kind.startswith("Execution"):
            return _of_the_run(kind, _details(event))
        if kind.endswith("StateEntered"):
            return self._entered(state)
        if kind in {"TaskFailed", "TaskTimedOut", "LambdaFunctionFailed", "LambdaFunctionTimedOut"}:
            return _failure(event), True
        if kind == "TaskSucceeded":
            told = _result(state, _decoded(_details(event).get("output")))
            return (told, False) if told else None
        return None

    def _entered(self, state: str) -> tuple[str, bool] | None:
        if state in _UNTOLD:
            return None
        return ("given up, the others go on", True) if state == "TableFailed" else ("", False)


def _of_the_run(kind: str, details: Mapping[str, Any]) -> tuple[str, bool]:
    if kind == "ExecutionStarted":
        return f"run started with {details.get('input', '{}')}", False
    if kind == "ExecutionRedriven":
        return f"run redriven ({details.get('redriveCount')})", False
    error = details.get("error")
    return _ENDS.get(kind, kind) + (f": {error}" if error else ""), kind != "ExecutionSucceeded"


def _result(state: str, output: Mapping[str, Any]) -> str:
    payload = output.get("Payload", {})
    if not isinstance(payload, dict):
        return ""
    match state:
        case "PlanRun":
            names = first_names((item["table"] for item in payload.get("tables", [])), _MOST_NAMES)
            return f"{names} up to {payload.get('until')}, at most {payload.get('max_concurrency')} at once"
        case "ExtractTable":
            rows, files = counted(payload.get("rows", 0), "row"), counted(payload.get("files", 0), "file")
            return f"{payload.get('status')}, {rows}, {files}"
        case "WriteManifest":
            failed = payload.get("failed", [])
            return f"{payload.get('status')}, {payload.get('manifest')}" + (
                f", failed: {first_names(failed, _MOST_NAMES)}" if failed else ""
            )
        case "CheckRun":
            tables = payload.get("tables", [])
            return f"{payload.get('decision')}" + (f": {first_names(tables, _MOST_NAMES)}" if tables else "")
    return ""


def _failure(event: Mapping[str, Any]) -> str:
    details = _details(event)
    cause = details.get("cause", "")
    message = str(_decoded(cause).get("errorMessage") or cause)
    line = " ".join(": ".join(part for part in (details.get("error", ""), message) if part).split())
    return line if len(line) <= _MOST else f"{line[: _MOST - 3]}..."


def _details(event: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((value for key, value in event.items() if key.endswith("EventDetails")), {})


def _table_in(event: Mapping[str, Any]) -> str:
    payload = _decoded(_details(event).get("output")).get("Payload")
    return str(payload.get("table", "")) if isinstance(payload, dict) else ""


def _decoded(text: object) -> dict[str, Any]:
    try:
        data = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
