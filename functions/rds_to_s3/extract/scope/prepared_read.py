"""How a table is read in its snapshot: which columns, from where, in what order. The command `plan` shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from rds_to_s3.commit.read_as import Ledger, ReadAs, short_hash
from rds_to_s3.commit.state import Commit
from rds_to_s3.errors import NoKeyError
from rds_to_s3.extract.scope.index_ranges import Marks, key_order, read_segments
from rds_to_s3.extract.scope.selection import Selection, require_cursors, select_columns, wanted_columns
from rds_to_s3.extract.scope.window import Window, changes_of_settings, derive_window, describe_read, moved_from
from rds_to_s3.mysql.catalogue.access import denied_columns
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment, SelectColumn
from rds_to_s3.mysql.server.clock import local_times
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.plan.zones import local_times_in
from rds_to_s3.timestamps import Watermark, format_timestamp

STAGED_LAYOUT = 6  # of what a read keeps between its invocations; another version's progress is begun anew
SECONDS_OF_A_DAY = 86_400.0  # no server writes an earlier instant in every zone


@dataclass(frozen=True)
class PreparedRead:
    """The settings of a read.

    Attributes
    ----------
    key : list of SelectColumn
        The key's order, by which the whole table can be read; empty where there is none.
    ledger : Ledger or None
        What has been delivered, where a row can still be compared with it.
    ledger_key : str
        Stands for the key's columns.
    is_whole : bool
        Whether everything is read, whatever was delivered before.
    same_cursors : bool
        Whether the last commit was read by the same cursor columns, in the same zone.
    comparable : bool
        Whether it was read from the same server, too.
    """

    selection: Selection
    window: Window
    marks: Marks
    key: list[SelectColumn]
    ledger: Ledger | None
    ledger_key: str
    is_whole: bool
    segments: list[Segment]
    read_as: ReadAs
    same_cursors: bool
    comparable: bool
    warnings: list[str]

    def fingerprint(self, spec: TableSpec, run: PlannedRun) -> str:
        """Return a hash of everything that the progress of a read depends on."""
        parts: list[Any] = [
            [STAGED_LAYOUT, run.planned_at, self.read_as.versions],
            [spec.checks, spec.on_violation, spec.deletes, spec.mode],
            format_timestamp(self.window.remember_from),
            [column.name for column in self.selection.output],
            [[part.condition, [column.name for column in part.order], part.index] for part in self.segments],
        ]
        # Only what is not the default, so that the progress of an earlier release stays valid.
        if spec.layout != "flat":
            parts.append(spec.layout)
        if not spec.prove_bytes:
            parts.append("not recorded in the ledger")
        if spec.readers == 1:
            parts.append("never divided")
        if not self.segments and spec.where is not None:
            parts.append(spec.where)
        return short_hash(parts)


def select_readable(connection: Connection, table: Table, spec: TableSpec, last: Commit | None) -> Selection:
    """Match a table's settings with the columns that the user may read.

    Raises
    ------
    RdsToS3Error
        See `rds_to_s3.extract.scope.selection.select_columns` and `rds_to_s3.extract.scope.selection.require_cursors`.
    """
    denied = denied_columns(connection, table, wanted_columns(table, spec))
    require_cursors(table, spec, last.read_as if last is not None else None, denied=denied)
    return select_columns(table, spec, denied=denied)


def prepare_read(
    connection: Connection,
    table: Table,
    spec: TableSpec,
    run: PlannedRun,
    *,
    watermark: Watermark | None,
    last: Commit | None,
    mask_key: Callable[[], bytes] | None = None,
) -> PreparedRead:
    """Prepare the read of a table's window, inside its snapshot.

    Parameters
    ----------
    mask_key : callable, optional
        Fetches the key of hashed columns. Without it no row can be written.

    Raises
    ------
    NoKeyError
        The table is to be compared, and has no key to read it by.
    RdsToS3Error
        See `select_readable`.
    """
    selection = select_readable(connection, table, spec, last)
    if mask_key is not None:
        selection = selection.with_mask_key(mask_key)
    moved = moved_from(last, run.source)
    window = derive_window(
        spec,
        run,
        watermark,
        last,
        whole_days=selection.whole_days,
        moved_from=moved,
        looked_back=_looked_back(connection, spec, run),
    )
    marks = Marks(connection, window, has_zone=spec.time_zone is not None)
    key = key_order(connection, table, selection)
    if spec.mode == "compare" and not key:
        raise NoKeyError(
            f'table {spec.name!r} says "mode": "compare", and {_why_unordered(table)}. Add a primary key, or a unique '
            'key without NULLs, by which it can be read in order; or set "mode": "full"'
        )
    ledger_key = short_hash([asdict(column) for name in table.ordered_key if (column := table.column(name))])
    ledger = _comparable_ledger(last, selection, ledger_key)
    is_whole = window.read_from is None
    if spec.mode == "compare":
        # Without a ledger, or with the watermark deleted, all of it is delivered; else what differs, and nothing else.
        is_whole = watermark is None or ledger is None or not ledger.is_complete
    segments = [
        replace(part, condition=selection.accepting(part.condition))
        for part in read_segments(connection, table, selection, window, marks, key=key)
    ]
    read_as = describe_read(table, selection, spec, window, last=last)
    own_names = [column.name for column in selection.columns]
    same_cursors = read_as.reads_as(last.read_as if last is not None else None)
    return PreparedRead(
        selection,
        window,
        marks,
        key,
        ledger,
        ledger_key,
        is_whole,
        segments if spec.mode != "compare" or is_whole else [],
        read_as,
        same_cursors=same_cursors,
        comparable=same_cursors and moved is None,
        warnings=[*window.warnings, *selection.warnings, *changes_of_settings(read_as, own_names, last, window)],
    )


def _why_unordered(table: Table) -> str:
    if table.ordered_key:
        return "its key has a TIMESTAMP, and in the server's time zone an hour occurs twice"
    types = ", ".join(f"{column.name} {column.column_type}" for name in table.key if (column := table.column(name)))
    return f"it cannot be read in the order of its key ({types})" if types else "has no key"


def _comparable_ledger(last: Commit | None, selection: Selection, key: str) -> Ledger | None:
    ledger = last.ledger if last is not None else None
    columns = [column.name for column in selection.columns]
    if ledger is None or ledger.key != key or not _only_adds(ledger.columns, columns):
        return None
    return ledger.model_copy(update={"columns": columns})


def _only_adds(before: Sequence[str], now: Sequence[str]) -> bool:
    """Return whether columns were added at most: rows without them differ, and are delivered again."""
    return [name for name in now if name in set(before)] == list(before)


def _looked_back(connection: Connection, spec: TableSpec, run: PlannedRun) -> datetime | None:
    """Return what the table's clock showed `lookback_seconds` before the run's bound."""
    if not spec.lookback_seconds:
        return None
    instant = max(run.bound_utc - spec.lookback_seconds, SECONDS_OF_A_DAY)
    times = local_times(connection, [instant]) if spec.time_zone is None else local_times_in(spec.time_zone, [instant])
    return times[0].replace(microsecond=0)
