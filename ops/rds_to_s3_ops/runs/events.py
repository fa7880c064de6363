"""Step Functions' history events, each with the state and the table that it belongs to. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FAILURES = {"TaskFailed", "TaskTimedOut", "LambdaFunctionFailed", "LambdaFunctionTimedOut"}
_OF_A_TABLE = {"ExtractTable", "TableFinished?", "TableFinished", "TableFailed"}


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes
    ----------
    table : str
        Empty where it is not one table's, or where the history does not say whose it is.
    entered : str
        The state, where the event is that it was entered; else empty.
    details : mapping
        As Step Functions has them.
    """

    kind: str
    at: datetime
    state: str
    table: str
    entered: str
    details: Mapping[str, Any]

    @property
    def input(self) -> dict[str, Any]:
        """What a state was entered with; empty where the history has it cut or not at all."""
        return _decoded(self.details.get("input"))

    @property
    def payload(self) -> dict[str, Any] | None:
        """What a function returned; None where that is no object."""
        payload = _decoded(self.details.get("output")).get("Payload", {})
        return payload if isinstance(payload, dict) else None

    @property
    def failure(self) -> str:
        """The name of an error, and its message."""
        cause = self.details.get("cause", "")
        message = str(_decoded(cause).get("errorMessage") or cause)
        return ": ".join(part for part in (self.details.get("error", ""), message) if part)


@dataclass
class EventReader:
    """Reads a history, also in several parts.

    Attributes
    ----------
    last_event_id : int
        The newest event that was read.
    """

    last_event_id: int = 0
    _state: str = ""
    # Events point to the one before them in their own branch; only a branch's first one names its table.
    _place: dict[int, tuple[str, str]] = field(default_factory=dict)

    def read(self, events: Iterable[Mapping[str, Any]]) -> Iterator[Event]:
        """Yield the events that were not read before; they come oldest first."""
        for event in events:
            if event["id"] > self.last_event_id:
                self.last_event_id = event["id"]
                yield self._located(event)

    def _located(self, event: Mapping[str, Any]) -> Event:
        details: Mapping[str, Any] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
        state, table = self._place.get(event.get("previousEventId", 0), (self._state, ""))
        entered = details.get("name", "") if event["type"].endswith("StateEntered") else ""
        if entered:
            self._state = state = entered
            if state == "ExtractTable":
                table = _decoded(details.get("input")).get("table") or table
            elif state not in _OF_A_TABLE:
                table = ""
        elif state == "ExtractTables" and event["type"].startswith("Task"):
            state = "ExtractTable"  # an engine that does not tell of the iterations' states
        self._place[event["id"]] = (state, table)
        return Event(event["type"], event["timestamp"], state, table, entered, details)


def _decoded(text: object) -> dict[str, Any]:
    try:
        data = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
