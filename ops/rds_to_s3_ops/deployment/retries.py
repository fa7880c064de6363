"""How often the state machine runs a failed table again, and after what wait. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ANY = "States.ALL"


@dataclass(frozen=True)
class Retrier:
    """One retrier of a state.

    Attributes
    ----------
    retries : int
        Attempts after the first.
    interval, rate, longest : float
        The wait before the first retry in seconds, its factor for each further one, and its limit.
    """

    errors: frozenset[str]
    retries: int
    interval: float
    rate: float
    longest: float

    def wait(self, retry: int) -> float:
        """Return the seconds before a retry, from 1. With jitter the wait is at most that."""
        return min(self.interval * self.rate ** (retry - 1), self.longest)


@dataclass(frozen=True)
class Retries:
    """The retriers of ExtractTable, in their order."""

    retriers: Sequence[Retrier] = ()

    @classmethod
    def of_definition(cls, definition: str) -> Retries:
        """Read them from the state machine's definition; none if it has no such state."""
        try:
            states = json.loads(definition)["States"]["ExtractTables"]
            state = (states.get("ItemProcessor") or states["Iterator"])["States"]["ExtractTable"]
            return cls([_retrier(entry) for entry in state.get("Retry", [])])
        except (KeyError, TypeError, ValueError):
            return cls()

    def of(self, error: str) -> Retrier | None:
        """Return the retrier of an error; None if it is not retried."""
        for retrier in self.retriers:
            if error in retrier.errors or _ANY in retrier.errors:
                return retrier if retrier.retries else None
        return None


def _retrier(entry: Mapping[str, Any]) -> Retrier:
    # The defaults: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    return Retrier(
        errors=frozenset(entry["ErrorEquals"]),
        retries=entry.get("MaxAttempts", 3),
        interval=entry.get("IntervalSeconds", 1),
        rate=entry.get("BackoffRate", 2.0),
        longest=entry.get("MaxDelaySeconds", float("inf")),
    )
