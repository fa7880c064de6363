"""The outcome of an invocation of ExtractTable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rds_to_s3.commit.entries import Status, TableEntry


@dataclass(frozen=True)
class Outcome:
    """The outcome of an invocation.

    Attributes
    ----------
    record : TableEntry or None
        The table's entry in the manifest; None as long as the table is not committed.
    lag_seconds : float
        How far the committed data are behind the server's clock.
    reported_before : bool
        Whether an earlier invocation has reported this outcome. Then no metric counts it again.
    ranges : sequence of int
        Which ranges are to be read, if the table is ``DIVIDED``.
    """

    status: Status | Literal["CONTINUE", "DIVIDED", "RANGE_READ"]
    record: TableEntry | None = None
    rows: int = 0
    files: int = 0
    lag_seconds: float = 0.0
    reported_before: bool = False
    ranges: Sequence[int] = ()

    @classmethod
    def of(cls, record: TableEntry, lag_seconds: float = 0.0) -> Outcome:
        """Return the outcome of a table's entry."""
        return cls(record.status, record, record.rows, len(record.files), lag_seconds)
