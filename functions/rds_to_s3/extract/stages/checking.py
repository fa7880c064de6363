"""One table's checks around its read: what is asked before it, kept between invocations, and told after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rds_to_s3.bucket_keys import seen_key
from rds_to_s3.commit.state import Staged, Violation
from rds_to_s3.errors import ChecksFailedError, StoredBytesError
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.scope.window import Window
from rds_to_s3.formats import OutputColumn
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import quoted
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.reported.record import reason_column
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.timestamps import format_timestamp

if TYPE_CHECKING:
    from rds_to_s3.checks.engine import RowChecks
    from rds_to_s3.extract.stages.admission import Admission
    from rds_to_s3.extract.stages.files import FileSeries


class TableChecking:
    """The checks of one table in one invocation.

    Parameters
    ----------
    spec : TableSpec
    store : ObjectStore
        Keeps the values that a unique column has held, from one invocation of a long read to the next.
    token : str
        Of this invocation.
    """

    def __init__(self, spec: TableSpec, store: ObjectStore, token: str) -> None:
        self._spec = spec
        self._store = store
        self._token = token
        self._puts = 0
        self.admission: Admission | None = None
        self.of_table: list[str] = []

    def begin(self, connection: Connection, table: Table, selection: Selection, window: Window) -> None:
        """Ask what can be asked before the read.

        Raises
        ------
        ChecksFailedError
            The newest row is too old, and the table does not say ``warn``.
        """
        limit = selection.checks.table.max_age_seconds
        if limit is not None:
            self._tell(too_old(connection, table, selection, window, limit))

    def open(
        self, table: Table, selection: Selection, staged: Staged, series: Callable[[Sequence[OutputColumn]], FileSeries]
    ) -> None:
        """Set up the checks of rows, if the table has any.

        Parameters
        ----------
        series : callable
            Makes the quarantine's files from their columns.
        """
        checks = selection.checks
        if not checks.of_rows:
            return
        # Arrow takes a quarter of a second to import, which a table without checks need not wait for.
        from rds_to_s3.checks.engine import RowChecks  # noqa: PLC0415
        from rds_to_s3.extract.stages.admission import Admission  # noqa: PLC0415

        positions = {column.name: place for place, column in enumerate(selection.select)}
        key_columns = selection.key_columns(table)
        engine = RowChecks(checks, positions, [positions[column.name] for column in key_columns])
        self._restore_seen(engine, staged)
        quarantine = None
        if self._spec.on_violation == "quarantine":
            quarantine = series(
                [
                    *selection.output,
                    OutputColumn(reason_column(column.name for column in selection.columns), "text", "text", False),
                ]
            )
        self.admission = Admission(
            engine,
            self._spec.on_violation,
            key=[(column.name, positions[column.name], column.kind == "binary") for column in key_columns],
            columns=len(selection.output),
            violations=staged.violations,
            quarantine=quarantine,
        )

    def checkpoint(self, staged: Staged) -> None:
        """Record what was found up to a position that the read may be taken up again at."""
        admission = self.admission
        if admission is None:
            return
        staged.violations = {label: each.model_copy(deep=True) for label, each in admission.violations.items()}
        if admission.quarantine is not None:
            new = admission.quarantine.finished[admission.quarantine.taken_over :]
            staged.quarantine = [*staged.quarantine, *new]
            admission.quarantine.taken_over = len(admission.quarantine.finished)

    def keep_seen(self, staged: Staged) -> None:
        """Put the values of unique columns where the read's next invocation finds them."""
        if self.admission is None:
            return
        for column, seen in self.admission.engine.seen.items():
            packed = seen.take_new()
            if packed:
                self._puts += 1
                key = seen_key(self._spec.name, self._spec.format, self._token, self._puts)
                self._store.put(key, packed)
                staged.seen = staged.seen | {column: [*staged.seen.get(column, []), key]}

    def _restore_seen(self, engine: RowChecks, staged: Staged) -> None:
        for column, keys in staged.seen.items():
            for key in keys:
                stored = self._store.get(key)
                if stored is None:
                    raise StoredBytesError(f"{key} is gone, and with it the values of a unique column read so far")
                engine.seen[column].restore(stored.body)

    def forget_seen(self, staged: Staged) -> None:
        """Delete them: the window is committed.

        Safe when this invocation is frozen here: only the progress that the commit has replaced named them, and each
        has the token of the invocation that made it, so no successor makes one of that name.
        """
        for key in {key for keys in staged.seen.values() for key in keys}:
            self._store.delete(key)

    def conclude(self, selection: Selection, staged: Staged, *, finished: bool) -> None:
        """Say what the read has come to.

        Raises
        ------
        ChecksFailedError
            Nothing of the window may become visible.
        """
        if self.admission is not None and self.admission.failed:
            raise self._failure(describe(self.admission.violations), "" if finished else "so far, ")
        least = selection.checks.table.min_rows
        if not finished or least is None:
            return
        rows = staged.rows + sum(file.rows for file in staged.quarantine)
        if rows < least:
            self._tell(f"min_rows {least}: the window has {rows} row{'' if rows == 1 else 's'}")

    def warnings(self, staged: Staged) -> list[str]:
        """Return what the manifest says about rows that broke a check."""
        broken = [f"check broken: {text}" for text in self.of_table]
        if self._spec.on_violation == "quarantine":
            return [*broken, *(f"in quarantine: {text}" for text in describe(staged.violations))]
        return [*broken, *(f"check broken: {text}" for text in describe(staged.violations))]

    def _tell(self, problem: str | None) -> None:
        if problem is None:
            return
        # There is no row to put into quarantine for what a whole table lacks.
        if self._spec.on_violation != "warn":
            raise self._failure([problem])
        self.of_table.append(problem)

    def _failure(self, problems: Sequence[str], so_far: str = "") -> ChecksFailedError:
        return ChecksFailedError(
            f"checks of table {self._spec.name!r} failed, and nothing of this window became visible: {so_far}"
            f"{'; '.join(problems)}. Correct the rows or the checks, or set on_violation to "
            '"quarantine" or "warn"; the next run covers these rows again.'
        )


def describe(violations: Mapping[str, Violation]) -> list[str]:
    """Say what was broken, one sentence a check.

    Examples
    --------
    >>> describe({"total ge 0": Violation(rows=7, keys=["id 3", "id 9"])})
    ['total ge 0: 7 rows (id 3; id 9; ..)']
    """
    told = []
    for label, violation in violations.items():
        keys = "; ".join([*violation.keys, *([".."] if len(violation.keys) < violation.rows else [])])
        rows = f"{violation.rows} row{'' if violation.rows == 1 else 's'}"
        told.append(f"{label}: {rows} ({keys})" if violation.keys else f"{label}: {rows}")
    return told


def too_old(connection: Connection, table: Table, selection: Selection, window: Window, limit: int) -> str | None:
    """Say so if the newest row of the table is older than `limit` seconds at the window's end."""
    columns = ", ".join(
        f"MAX({quoted(column.name)}) AS newest_{number}" for number, column in enumerate(selection.stamp_columns)
    )
    row = connection.row(f"SELECT {columns} FROM {quoted(table.name)}")  # noqa: S608 - quoted identifiers
    stamps = [str(stamp) for stamp in row.values() if stamp is not None]
    if not stamps:
        return f"max_age_seconds {limit}: no row has a timestamp"
    newest = max(stamps)
    try:
        age = (window.until.moment - datetime.fromisoformat(newest)).total_seconds()
    except ValueError:  # a zero date
        age = float("inf")
    if age <= limit:
        return None
    until = format_timestamp(window.until.moment)
    return f"max_age_seconds {limit}: the newest row is of {newest}, and the window ends at {until}"
