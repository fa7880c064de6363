"""The stage of the row checks: rows that break one fail the table, go to quarantine, or are reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rds_to_s3.bucket_keys import seen_key
from rds_to_s3.checks.engine import RowChecks
from rds_to_s3.commit.read_as import Position
from rds_to_s3.commit.state import Checked, Violation
from rds_to_s3.errors import StoredBytesError
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.stages.files import FileSeries
from rds_to_s3.extract.stages.stage import Checkpoint, PositionOf, Stage
from rds_to_s3.formats import OutputColumn, Rows
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.reported.record import reason_column
from rds_to_s3.rows.annotated import with_value
from rds_to_s3.s3.objects import ObjectStore

KEYS_SHOWN = 5
LONGEST_KEY = 100


class RowChecksStage(Stage):
    """The stage of one invocation.

    Parameters
    ----------
    store : ObjectStore
        Stores the unique columns' values between the invocations of a long read.
    token : str
        Of this invocation.
    checked : Checked
        The results of earlier invocations of this read.
    series : callable
        Makes the quarantine's files from their columns.

    Raises
    ------
    StoredBytesError
        The stored values of a unique column are gone.
    """

    is_exact = True

    def __init__(
        self,
        spec: TableSpec,
        store: ObjectStore,
        token: str,
        *,
        table: Table,
        selection: Selection,
        checked: Checked,
        series: Callable[[Sequence[OutputColumn]], FileSeries],
    ) -> None:
        self._spec = spec
        self._store = store
        self._token = token
        self._puts = 0
        self._held_back = 0
        self.violations = {label: each.model_copy(deep=True) for label, each in checked.violations.items()}
        positions = {column.name: place for place, column in enumerate(selection.select)}
        key = selection.key_columns(table)
        # Name and position of the key's columns, and whether they are binary: messages name a few bad rows by them.
        self._key = [
            (selection.name_of(column.name), positions[column.name], column.kind == "binary") for column in key
        ]
        self._columns = len(selection.output)
        self._engine = RowChecks(selection.checks, positions, [positions[column.name] for column in key])
        self._restore(checked)
        self._quarantine: FileSeries | None = None
        if spec.on_violation == "quarantine":
            reason = reason_column(column.name for column in selection.output)
            self._quarantine = series([*selection.output, OutputColumn(reason, "text", "text", False)])

    @property
    def held_back(self) -> int:
        """The number of rows in quarantine, or all rows once a check has failed."""
        return self._held_back

    @property
    def failed(self) -> bool:
        """Whether this window must not become visible."""
        return self._spec.on_violation == "fail" and bool(self.violations)

    def take(self, rows: Rows, _position_of: PositionOf, /) -> Rows:
        """Return the rows that the files may contain."""
        if not rows.rows:
            return rows
        reasons: dict[int, list[str]] = {}
        bad = np.zeros(rows.rows, np.bool_)
        for label, mask in self._engine.broken(rows):
            numbers = np.flatnonzero(mask).tolist()
            self._count(label, rows, numbers)
            bad |= mask
            if self._quarantine is not None:
                for number in numbers:
                    reasons.setdefault(number, []).append(label)
        if self.failed:
            # Counting continues, so that the message has all violations; writing would be useless.
            self._held_back += rows.rows
            return rows.slice(0, 0)
        if self._quarantine is None or not reasons:
            return rows
        ordered = sorted(reasons)
        texts = [("; ".join(reasons[number])).encode() for number in ordered]
        self._quarantine.write(with_value(rows, ordered, self._columns, texts), lambda _: Position())
        self._held_back += len(ordered)
        return rows.keep(~bad)

    def close(self, position: Position, /) -> None:
        """Finish the open quarantine file."""
        if self._quarantine is not None:
            self._quarantine.close(position)

    def checkpoint(self, at: Checkpoint, /) -> None:
        """Record the violations, and the values of unique columns where another invocation needs them."""
        checked = at.staged.checked
        checked.violations = {label: each.model_copy(deep=True) for label, each in self.violations.items()}
        if self._quarantine is not None:
            checked.quarantine = [*checked.quarantine, *self._quarantine.take_finished()]
        if not at.finished:
            self._keep(checked)

    def abort(self) -> None:
        """Discard the open quarantine file."""
        if self._quarantine is not None:
            self._quarantine.abort()

    # --- the values of unique columns ---

    def _keep(self, checked: Checked) -> None:
        for column, seen in self._engine.seen.items():
            packed = seen.take_new()
            if packed:
                self._puts += 1
                key = seen_key(self._spec.name, self._spec.format, self._token, self._puts)
                self._store.put(key, packed)
                checked.seen = checked.seen | {column: [*checked.seen.get(column, []), key]}

    def _restore(self, checked: Checked) -> None:
        for column, keys in checked.seen.items():
            for key in keys:
                stored = self._store.get(key)
                if stored is None:
                    raise StoredBytesError(f"{key} is gone, and with it the values of a unique column read so far")
                self._engine.seen[column].restore(stored.body)

    # --- what is wrong ---

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
