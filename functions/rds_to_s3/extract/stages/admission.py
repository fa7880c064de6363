"""What becomes of the rows that break a check: they fail the table, go to quarantine, or are told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rds_to_s3.checks.engine import RowChecks
from rds_to_s3.commit.state import Position, Violation
from rds_to_s3.extract.stages.files import FileSeries
from rds_to_s3.formats import Rows
from rds_to_s3.rows.annotated import with_value

KEYS_SHOWN = 5
LONGEST_KEY = 100


class Admission:
    """Stands between the rows that are read and the files.

    Parameters
    ----------
    engine : RowChecks
    on_violation : {"fail", "quarantine", "warn"}
    key : sequence of (str, int, bool)
        Name and position of the columns that tell rows apart, and whether they are binary: to name a few bad rows by.
    columns : int
        How many columns of a row the files hold.
    violations : mapping
        What earlier invocations of this read have found.
    quarantine : FileSeries, optional
        Where ``quarantine`` puts rows; its columns are the files' and then the reason.

    Attributes
    ----------
    held_back : int
        Rows that `admit` did not let through.
    """

    def __init__(
        self,
        engine: RowChecks,
        on_violation: str,
        *,
        key: Sequence[tuple[str, int, bool]],
        columns: int,
        violations: Mapping[str, Violation],
        quarantine: FileSeries | None = None,
    ) -> None:
        self.engine = engine
        self.violations = {label: violation.model_copy(deep=True) for label, violation in violations.items()}
        self.held_back = 0
        self.quarantine = quarantine
        self._on_violation = on_violation
        self._key = key
        self._columns = columns

    @property
    def failed(self) -> bool:
        """Whether nothing of this window may become visible."""
        return self._on_violation == "fail" and bool(self.violations)

    def admit(self, rows: Rows) -> Rows:
        """Return the rows that the files may hold."""
        if not rows.rows:
            return rows
        reasons: dict[int, list[str]] = {}
        bad = np.zeros(rows.rows, np.bool_)
        for label, mask in self.engine.broken(rows):
            numbers = np.flatnonzero(mask).tolist()
            self._count(label, rows, numbers)
            bad |= mask
            if self.quarantine is not None:
                for number in numbers:
                    reasons.setdefault(number, []).append(label)
        if self.failed:
            # Goes on counting, so that the message tells all that is wrong; writing would be for nothing.
            self.held_back += rows.rows
            return rows.slice(0, 0)
        if self.quarantine is None or not reasons:
            return rows
        ordered = sorted(reasons)
        told = [("; ".join(reasons[number])).encode() for number in ordered]
        self.quarantine.write(with_value(rows, ordered, self._columns, told), lambda _: Position())
        self.held_back += len(ordered)
        return rows.keep(~bad)

    def close(self) -> None:
        """Finish the open quarantine file."""
        if self.quarantine is not None:
            self.quarantine.close(Position())

    def abort(self) -> None:
        """Throw the open quarantine file away."""
        if self.quarantine is not None:
            self.quarantine.abort()

    def _count(self, label: str, rows: Rows, numbers: Sequence[int]) -> None:
        violation = self.violations.setdefault(label, Violation())
        violation.rows += len(numbers)
        for number in numbers[: KEYS_SHOWN - len(violation.keys)]:
            if self._key:
                violation.keys.append(self._key_of(rows, number))

    def _key_of(self, rows: Rows, number: int) -> str:
        shown = []
        for name, position, binary in self._key:
            value = rows.value(number, position) or b""
            text = value.hex().upper() if binary else value.decode(errors="replace")
            shown.append(f"{name} {text}")
        return ", ".join(shown)[:LONGEST_KEY]
