"""How a table is read in its snapshot: which columns, from where, in what order. The command `plan` shows it."""

from __future__ import annotations

from dataclasses import dataclass

from rds_to_s3.commit.read_as import ReadAs
from rds_to_s3.commit.state import Commit
from rds_to_s3.extract.scope.index_ranges import Marks, key_order, read_segments
from rds_to_s3.extract.scope.selection import Selection, require_cursors, select_columns, wanted_columns
from rds_to_s3.extract.scope.window import Window, changes_of_settings, derive_window, describe_read, moved_from
from rds_to_s3.mysql.catalogue.access import denied_columns
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment, SelectColumn
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.timestamps import Watermark


@dataclass(frozen=True)
class PreparedRead:
    """The settings of a read.

    Attributes
    ----------
    key : list of SelectColumn
        The key's columns, if the whole table can be read in their order; otherwise empty.
    same_cursors : bool
        Whether the last commit was read by the same cursor columns, in the same zone.
    comparable : bool
        Whether it was read from the same server, too.
    """

    selection: Selection
    window: Window
    marks: Marks
    key: list[SelectColumn]
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
    window = derive_window(spec, run, watermark, last, whole_days=selection.whole_days, moved_from=moved)
    marks = Marks(connection, window, has_zone=spec.time_zone is not None)
    key = key_order(connection, table, selection)
    read_as = describe_read(table, selection, spec, window)
    same_cursors = read_as.reads_as(last.read_as if last is not None else None)
    return PreparedRead(
        selection,
        window,
        marks,
        key,
        read_segments(connection, table, selection, window, marks, key=key),
        read_as,
        same_cursors=same_cursors,
        comparable=same_cursors and moved is None,
        warnings=[*window.warnings, *selection.warnings, *changes_of_settings(read_as, last, window)],
    )
