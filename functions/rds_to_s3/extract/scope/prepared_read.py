"""How a table is about to be read in its snapshot: which columns, from where, in what order. `plan` shows the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rds_to_s3.commit.read_as import ReadAs
from rds_to_s3.commit.state import Commit
from rds_to_s3.extract.scope.index_ranges import Marks, read_segments
from rds_to_s3.extract.scope.selection import Selection, require_cursors, select_columns, wanted_columns
from rds_to_s3.extract.scope.window import Window, changes_of_settings, derive_window, describe_read, moved_from
from rds_to_s3.mysql.catalogue.access import denied_columns
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment
from rds_to_s3.mysql.server.clock import local_times
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.plan.zones import local_times_in
from rds_to_s3.timestamps import Watermark

SECONDS_OF_A_DAY = 86_400.0  # no server writes an earlier instant in every zone


@dataclass(frozen=True)
class PreparedRead:
    """What a read is made of.

    Attributes
    ----------
    same_cursors : bool
        Whether the last commit was read by the same cursor columns, in the same zone.
    comparable : bool
        Whether it was read from the same server, too.
    """

    selection: Selection
    window: Window
    marks: Marks
    segments: list[Segment]
    read_as: ReadAs
    same_cursors: bool
    comparable: bool
    warnings: list[str]


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
) -> PreparedRead:
    """Prepare the read of a table's window, inside its snapshot."""
    selection = select_readable(connection, table, spec, last)
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
    read_as = describe_read(table, selection, spec, window)
    same_cursors = read_as.reads_as(last.read_as if last is not None else None)
    return PreparedRead(
        selection,
        window,
        marks,
        read_segments(connection, table, selection, window, marks),
        read_as,
        same_cursors=same_cursors,
        comparable=same_cursors and moved is None,
        warnings=[*window.warnings, *selection.warnings, *changes_of_settings(read_as, last, window)],
    )


def _looked_back(connection: Connection, spec: TableSpec, run: PlannedRun) -> datetime | None:
    """Return what the table's clock showed `lookback_seconds` before the run's bound."""
    if not spec.lookback_seconds:
        return None
    instant = max(run.bound_utc - spec.lookback_seconds, SECONDS_OF_A_DAY)
    times = local_times(connection, [instant]) if spec.time_zone is None else local_times_in(spec.time_zone, [instant])
    return times[0].replace(microsecond=0)
