"""What an invocation of ExtractTable came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["SUCCEEDED", "UNCHANGED", "SKIPPED", "CONTINUE"]


@dataclass(frozen=True)
class Outcome:
    """What an invocation came to.

    Attributes
    ----------
    record : dict
        The table's entry in the manifest; empty on ``CONTINUE``.
    lag_seconds : float
        How far the committed data are behind the server's clock.
    reported_before : bool
        Whether an earlier invocation has reported this outcome: then there is nothing more to count.
    """

    status: Status
    record: dict[str, Any] = field(default_factory=dict)
    rows: int = 0
    files: int = 0
    lag_seconds: float = 0.0
    reported_before: bool = False
