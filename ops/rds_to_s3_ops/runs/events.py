"""Step Functions' history events, each with its state and its table. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FAILURES = {"TaskFailed", "TaskTimedOut", "LambdaFunctionFailed", "LambdaFunctionTimedOut"}
_READS = {"ExtractTable", "ReadRange"}
_OF_A_TABLE = {
    *("ExtractTable", "TableFinished?", "TableFinished", "TableFailed"),
    *("ReadRange", "RangeFinished?", "RangeFinished", "RangeFailed"),
}
_INSIDE = {"ExtractTables": "ExtractTable", "ReadRanges": "ReadRange"}


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes
    ----------
    table : str
        Empty if the event concerns no single table, or if the history does not name the table.
    range : int or None
        Of the table, if the event concerns only one.
    entered : str
        The state that this event enters; else empty.
    details : mapping
        As returned by Step Functions.
    """

    kind: str
    at: datetime
    state: str
    table: str
    range: int | None
    entered: str
    details: Mapping[str, Any]

    @property
    def input(self) -> dict[str, Any]:
        """The input of a state; empty if the history truncates or omits it."""
        return _decoded(self.details.get("input"))

    @property
    def payload(self) -> dict[str, Any] | None:
        """The result of a function; None if it is not an object."""
        payload = _decoded(self.details.get("output")).get("Payload", {})
        return payload if isinstance(payload, dict) else None

    @property
    def result(self) -> dict[str, Any]:
        """What a table's or a range's last invocation answered, for the state that ends its iteration."""
        # Executions of an earlier release have it without the answer around it.
        result = (self.input.get("answer") or self.input).get("result", {})
        return result if isinstance(result, dict) else {}

    @property
    def failure(self) -> str:
        """The name and the message of an error."""
        cause = self.details.get("cause", "")
        message = str(_decoded(cause).get("errorMessage") or cause)
        return ": ".join(part for part in (self.details.get("error", ""), message) if part)


@dataclass
class EventReader:
    """Reads a history, in one or several parts.

    Attributes
    ----------
    last_event_id : int
        The id of the newest event read.
    """

    last_event_id: int = 0
    _state: str = ""
    # Events point to the one before them in their own branch; only a branch's first one names its table.
    _place: dict[int, tuple[str, str, int | None]] = field(default_factory=dict)

    def read(self, events: Iterable[Mapping[str, Any]]) -> Iterator[Event]:
        """Yield the new events. The input is oldest first."""
        for event in events:
            if event["id"] > self.last_event_id:
                self.last_event_id = event["id"]
                yield self._located(event)

    def _located(self, event: Mapping[str, Any]) -> Event:
        details: Mapping[str, Any] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
        state, table, number = self._place.get(event.get("previousEventId", 0), (self._state, "", None))
        entered = details.get("name", "") if event["type"].endswith("StateEntered") else ""
        if entered:
            self._state = state = entered
            if state in _READS:
                data = _decoded(details.get("input"))
                table, number = data.get("table") or table, data.get("range")
            elif state not in _OF_A_TABLE:
                table, number = "", None
        elif state in _INSIDE and event["type"].startswith("Task"):
            state = _INSIDE[state]  # an engine without events for the iterations' states
        self._place[event["id"]] = (state, table, number)
        return Event(event["type"], event["timestamp"], state, table, number, entered, details)


def _decoded(text: object) -> dict[str, Any]:
    try:
        data = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
