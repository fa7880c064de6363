"""An execution in Step Functions' context object, ``$$.Execution``, and the form of times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def started_at(execution: Mapping[str, Any]) -> str:
    """Return the start time of an execution. A redrive does not change it."""
    return utc_text(parse_utc(execution["StartTime"]))


def redrives_of(execution: Mapping[str, Any]) -> int:
    """How often the execution was redriven; some engines leave the field out."""
    return int(execution.get("RedriveCount") or 0)


def is_of_all(execution: Mapping[str, Any]) -> bool:
    """Whether the execution's input asks for every listed table."""
    data = execution.get("Input")
    return isinstance(data, Mapping) and not {"tables", "rerun_failed_of"} & set(data)


def parse_utc(text: str) -> datetime:
    """Read a time as Step Functions writes it.

    Examples
    --------
    >>> parse_utc("2025-04-02T12:00:00.123Z").minute
    0
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def utc_now() -> str:
    """Write the current time as the manifest does."""
    return utc_text(datetime.now(UTC))


def utc_text(moment: datetime) -> str:
    """Write a time as the manifest does."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
