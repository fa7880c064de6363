"""The parts of a window that each index has in order, with the bound as each cursor column writes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.scope.window import Window
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Cursor, Segment, SelectColumn, window_segments
from rds_to_s3.mysql.server.clock import clock_repeats, earliest_instant, hours_repeat, local_times
from rds_to_s3.plan.bound import unambiguous
from rds_to_s3.timestamps import format_timestamp


class Marks:
    """Writes moments of a table's clock in the form of its cursor columns.

    A TIMESTAMP shows its instant in the session's zone, whatever zone the application stamps DATETIMEs in.

    Parameters
    ----------
    has_zone : bool
        Whether the table list names a zone for the table.
    """

    def __init__(self, connection: Connection, window: Window, *, has_zone: bool) -> None:
        self._connection = connection
        self._clock = window.clock
        self._has_zone = has_zone

    def of(self, column: SelectColumn, moment: datetime) -> str:
        """Write a moment; of one in an hour that the session's zone repeats, the end of the time before that hour."""
        if self._has_zone and column.data_type == "timestamp":
            shown = partial(local_times, self._connection)
            moment = shown([unambiguous(self._clock.instant(moment), shown)])[0]
        return format_timestamp(moment)

    def on_clock(self, column: SelectColumn, stamp: str) -> str:
        """Convert a column's text to the table's clock."""
        if not self._has_zone or column.data_type != "timestamp":
            return stamp
        return format_timestamp(self._clock.local(earliest_instant(self._connection, datetime.fromisoformat(stamp))))

    def each(self, selection: Selection, moment: datetime) -> list[str]:
        """Write a moment for each cursor column, in the order of `Selection.cursors`."""
        return [self.of(column, moment) for column in selection.cursors]


def key_order(connection: Connection, table: Table, selection: Selection) -> list[SelectColumn]:
    """Return the columns of a key by which a read can be resumed, or none."""
    key = [selection.position_column(name) for name in table.ordered_key]
    if any(column.data_type == "timestamp" for column in key) and clock_repeats(connection):
        # The text of a TIMESTAMP is ambiguous in an hour that occurs twice, so a read cannot be resumed after it.
        return []
    return key


def read_segments(
    connection: Connection,
    table: Table,
    selection: Selection,
    window: Window,
    marks: Marks,
    *,
    key: Sequence[SelectColumn],
) -> list[Segment]:
    """Split a window into the parts that each index has in order; see `rds_to_s3.mysql.select.window_segments`."""
    if window.read_from is None:
        return window_segments([], key)
    after = window.read_from
    cursors = [_cursor(table, selection, column, marks.of(column, after)) for column in selection.cursors]
    times = [cursor.after for cursor in cursors if cursor.column.data_type == "timestamp"]
    if times and hours_repeat(connection, datetime.fromisoformat(min(times))):
        # The same for the order of such a column; the key's order serves then.
        cursors = [Cursor(cursor.column, cursor.after, None) for cursor in cursors]
    return window_segments(cursors, key)


def _cursor(table: Table, selection: Selection, column: SelectColumn, after: str) -> Cursor:
    found = selection.index_of(table, column)
    if found is None:
        return Cursor(column, after, None)
    order = tuple(selection.position_column(name) for name in found.order[1:]) if found.order is not None else None
    return Cursor(column, after, found.name, order)
