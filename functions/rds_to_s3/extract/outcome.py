"""The outcome of an invocation of ExtractTable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rds_to_s3.commit.entries import Status, TableEntry


@dataclass(frozen=True)
class Outcome:
    """The outcome of an invocation.

    Attributes
    ----------
    record : TableEntry or None
        The table's entry in the manifest; None on ``CONTINUE``.
    lag_seconds : float
        How far the committed data are behind the server's clock.
    reported_before : bool
        Whether an earlier invocation has reported this outcome. Then no metric counts it again.
    """

    status: Status | Literal["CONTINUE"]
    record: TableEntry | None = None
    rows: int = 0
    files: int = 0
    lag_seconds: float = 0.0
    reported_before: bool = False

    @classmethod
    def of(cls, record: TableEntry, lag_seconds: float = 0.0) -> Outcome:
        """Return the outcome of a table's entry."""
        return cls(record.status, record, record.rows, len(record.files), lag_seconds)
