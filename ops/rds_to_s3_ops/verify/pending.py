"""The pending rows: those that the next run will read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rds_to_s3.extract.scope.prepared_read import prepare_read
from rds_to_s3.mysql.select import literal, quoted
from rds_to_s3.mysql.server.identity import read_source
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.read_bound import read_bound

if TYPE_CHECKING:
    from rds_to_s3.commit.state import Commit
    from rds_to_s3.mysql.catalogue.schema import Table
    from rds_to_s3.mysql.connection import Connection
    from rds_to_s3.plan.table_list import TableSpec
    from rds_to_s3.timestamps import Watermark

NONE, ALL = "0", "1"


def pending_rows(
    connection: Connection, table: Table, spec: TableSpec, watermark: Watermark | None, last: Commit | None
) -> str:
    """Return an SQL condition: the next run reads the row, so the files may lack it.

    `prepare_read` gives the same lower bound to a run started now. The margins of the window's end do not matter.
    """
    if spec.mode == "full":
        # Each run reads everything; its files are compared as what the last one read. That one may have been of a time
        # when the table was extracted by windows: then no run has left the whole table yet.
        by_windows = last is not None and last.read_as is not None and last.read_as.mode != "full"
        return ALL if by_windows else NONE
    if spec.mode == "compare":
        return NONE  # the last run compared every row
    source = read_source(connection)
    bound = read_bound(connection, settle_seconds=2.0, unobserved_settle_seconds=2.0)
    run = PlannedRun.make("", time.time(), source.database, bound, tables=[spec], source=source)
    prepared = prepare_read(connection, table, spec, run, watermark=watermark, last=last)
    begin = prepared.window.read_from
    if begin is None:
        return ALL
    later = (
        f"{quoted(column.name)} > {literal(mark.encode(), 'temporal')}"
        for column, mark in zip(prepared.selection.cursors, prepared.marks.each(prepared.selection, begin), strict=True)
    )
    return f"COALESCE({' OR '.join(later)}, {NONE})"
