"""Which rows no file need have yet: those that the next run reads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rds_to_s3.extract.scope.index_ranges import Marks
from rds_to_s3.extract.scope.window import derive_window, moved_from
from rds_to_s3.mysql.select import literal, quoted
from rds_to_s3.mysql.server.identity import read_source
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.read_bound import read_bound

if TYPE_CHECKING:
    from rds_to_s3.commit.state import Commit
    from rds_to_s3.extract.scope.selection import Selection
    from rds_to_s3.mysql.connection import Connection
    from rds_to_s3.plan.table_list import TableSpec
    from rds_to_s3.timestamps import Watermark


def pending_rows(
    connection: Connection, selection: Selection, spec: TableSpec, watermark: Watermark | None, last: Commit | None
) -> str:
    """Write a condition: the next run reads the row, so no file need have it yet.

    A run started now would begin there: the same function derives both. The margins of its end play no part in that.
    """
    if spec.mode == "full" or watermark is None or not selection.cursors:
        return "0"
    source = read_source(connection)
    bound = read_bound(connection, settle_seconds=2.0, unobserved_settle_seconds=2.0)
    run = PlannedRun.make("", time.time(), source.database, bound, tables=[spec], source=source)
    window = derive_window(
        spec, run, watermark, last, whole_days=selection.whole_days, moved_from=moved_from(last, source)
    )
    if window.read_from is None:
        return "1"
    marks = Marks(connection, window, has_zone=spec.time_zone is not None)
    later = (
        f"{quoted(column.name)} > {literal(mark.encode(), 'temporal')}"
        for column, mark in zip(selection.cursors, marks.each(selection, window.read_from), strict=True)
    )
    return f"COALESCE({' OR '.join(later)}, 0)"
