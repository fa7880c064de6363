"""A table's checks before and after its read, and their messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rds_to_s3.commit.state import Staged, Violation
from rds_to_s3.errors import ChecksFailedError
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.scope.window import Window
from rds_to_s3.formats import OutputColumn
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import quoted
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.timestamps import format_timestamp

if TYPE_CHECKING:
    from rds_to_s3.extract.stages.files import FileSeries
    from rds_to_s3.extract.stages.row_checks import RowChecksStage


class TableChecks:
    """The checks of one table in one invocation.

    Parameters
    ----------
    token : str
        Of this invocation.
    """

    def __init__(self, spec: TableSpec, store: ObjectStore, token: str) -> None:
        self._spec = spec
        self._store = store
        self._token = token
        self._of_table: list[str] = []

    def begin(self, connection: Connection, table: Table, selection: Selection, window: Window) -> None:
        """Run the checks before the read.

        Raises
        ------
        ChecksFailedError
            The newest row is too old, and ``on_violation`` is not ``warn``.
        """
        limit = selection.checks.table.max_age_seconds
        if limit is not None:
            self._report(too_old(connection, table, selection, window, limit))

    def of_rows(
        self, table: Table, selection: Selection, staged: Staged, series: Callable[[Sequence[OutputColumn]], FileSeries]
    ) -> RowChecksStage | None:
        """Open the stage that checks rows; None for a table without such a check.

        Parameters
        ----------
        series : callable
            Makes the quarantine's files from their columns.
        """
        if not selection.checks.of_rows:
            return None
        # Arrow takes a quarter of a second to import: a table without checks does not wait for it.
        from rds_to_s3.extract.stages.row_checks import RowChecksStage  # noqa: PLC0415

        return RowChecksStage(
            self._spec,
            self._store,
            self._token,
            table=table,
            selection=selection,
            checked=staged.checked,
            series=series,
        )

    def forget_seen(self, staged: Staged) -> None:
        """Delete the values of unique columns: the window is committed.

        Safe when this invocation is frozen here: only the progress that the commit has replaced named them. Each
        contains the token of the invocation that made it, so no successor makes one of that name.
        """
        for key in sorted(set(staged.checked.seen_keys)):
            self._store.delete(key)

    def conclude(self, selection: Selection, staged: Staged) -> None:
        """Check the whole window.

        Raises
        ------
        ChecksFailedError
            It has too few rows, and ``on_violation`` is not ``warn``.
        """
        least = selection.checks.table.min_rows
        if least is None:
            return
        rows = staged.written.rows + sum(file.rows for file in staged.checked.quarantine)
        if rows < least:
            self._report(f"min_rows {least}: the window has {rows} row{'' if rows == 1 else 's'}")

    def failure(self, violations: Mapping[str, Violation], part: str) -> ChecksFailedError:
        """Return the error of rows that broke a check; `part` says which part of the window has been read."""
        return self._failure(describe(violations), part)

    def warnings(self, staged: Staged) -> list[str]:
        """Return the manifest's warnings about broken checks."""
        broken = [f"check broken: {text}" for text in self._of_table]
        if self._spec.on_violation == "quarantine":
            return [*broken, *(f"in quarantine: {text}" for text in describe(staged.checked.violations))]
        return [*broken, *(f"check broken: {text}" for text in describe(staged.checked.violations))]

    def _report(self, problem: str | None) -> None:
        if problem is None:
            return
        # A check of the whole table has no row for the quarantine.
        if self._spec.on_violation != "warn":
            raise self._failure([problem])
        self._of_table.append(problem)

    def _failure(self, problems: Sequence[str], part: str = "") -> ChecksFailedError:
        return ChecksFailedError(
            f"checks of table {self._spec.name!r} failed, and nothing of this window became visible: {part}"
            f"{'; '.join(problems)}. Correct the rows or the checks, or set on_violation to "
            '"quarantine" or "warn"; the next run covers these rows again.'
        )


def describe(violations: Mapping[str, Violation]) -> list[str]:
    """Describe the violations, one line per check.

    Examples
    --------
    >>> describe({"total ge 0": Violation(rows=7, keys=["id 3", "id 9"])})
    ['total ge 0: 7 rows (id 3; id 9; ..)']
    """
    lines = []
    for label, violation in violations.items():
        keys = "; ".join([*violation.keys, *([".."] if len(violation.keys) < violation.rows else [])])
        rows = f"{violation.rows} row{'' if violation.rows == 1 else 's'}"
        lines.append(f"{label}: {rows} ({keys})" if violation.keys else f"{label}: {rows}")
    return lines


def too_old(connection: Connection, table: Table, selection: Selection, window: Window, limit: int) -> str | None:
    """Return a message if the newest row of the table is older than `limit` seconds at the window's end."""
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
    return f"max_age_seconds {limit}: the newest row is from {newest}, and the window ends at {until}"
