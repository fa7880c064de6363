"""Rows below the window: rows without a stamp, the newest of the others, and rows that came with stamps of the past.

No row version may appear with a stamp below the end of the last read. If one does, the newest such stamp moves. Then
rows were stamped in the past, by another clock or in another zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rds_to_s3.commit.read_as import Settled
from rds_to_s3.commit.state import Commit
from rds_to_s3.extract.scope.index_ranges import Marks
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.scope.window import Window, edge_of, moment_of
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment, SelectColumn, literal, quoted, select_page
from rds_to_s3.mysql.wire.result_set import query
from rds_to_s3.timestamps import format_timestamp

NEVER = datetime(1971, 1, 1)
"""A stamp before this means "never": NULL, a zero date, the epoch, a year long past."""
MOST_EDGE_ROWS = 500
MOST_LOOKED_AT = 200  # index entries, to find one whose row's other column is not later than the moment either
_QUARTER = timedelta(minutes=15)


@dataclass(frozen=True)
class SettledRows:
    """A table's rows that the window does not read again.

    Attributes
    ----------
    connection : Connection
        Inside the window's snapshot.
    """

    connection: Connection
    table: Table
    selection: Selection
    window: Window
    marks: Marks

    def look(self, last: Commit | None, *, comparable: bool) -> tuple[Settled | None, list[str]]:
        """Return the end of the rows that the next read leaves out, and warnings about rows that no window contains.

        Parameters
        ----------
        comparable : bool
            Whether the last commit read the same columns of the same server, in the same zone.
        """
        cursors, window = self.selection.cursors, self.window
        if not cursors:
            return None, []
        moments = [window.remember_from]
        before = last.settled if last is not None and comparable and last.settled and last.settled.exact else None
        if window.read_from is not None and before is not None and last is not None and last.read_from:
            moments.append(min(datetime.fromisoformat(last.read_from), window.read_from))
        newest, *until_then = self._newest(moments)
        settled = self._with_edge(newest, window.remember_from)
        if window.read_from is None:
            return settled, []
        warnings = self._without_stamp()
        for now in until_then:
            if before is not None and now.exact and _is_later(now.newest, before.newest):
                warnings.append(self._late(now.newest, before.newest, moments[1]))
        return settled, warnings

    def _without_stamp(self) -> list[str]:
        """Count the rows without a timestamp that a window could contain."""
        cursors = self.selection.cursors
        condition = " AND ".join(
            f"({self._up_to(column, NEVER)} OR {quoted(column.name)} IS NULL)" for column in cursors
        )
        accepted = self.selection.accepting(condition)
        row = self.connection.row(f"SELECT COUNT(*) AS n FROM {quoted(self.table.name)} WHERE {accepted}")  # noqa: S608
        if not int(row["n"]):
            return []
        names = " and ".join(column.name for column in cursors)
        return [
            f"{row['n']} rows have no timestamp ({names} NULL, zero or before {NEVER:%Y}): only the first incremental "
            "run extracts them"
        ]

    def _with_edge(self, settled: Settled, moment: datetime) -> Settled:
        if not settled.newest:
            return settled.model_copy(update={"edge": []})
        if not settled.exact or not self._is_indexed:
            return settled
        begin = edge_of(settled.newest, whole_days=self.selection.whole_days)
        later = " OR ".join(self._beyond(column, begin) for column in self.selection.cursors)
        sql = select_page(
            self.table.name,
            self.selection.select,
            Segment(self.selection.accepting(f"({later}) AND {self._all_settled(self.selection.cursors, moment)}"), ()),
            position=None,
            rows=MOST_EDGE_ROWS + 1,
        )
        digests: list[str] = []
        with query(self.connection, sql, table=self.table.name) as blocks:
            for block in blocks:
                rows = self.selection.as_written(block)
                digests += [rows.digest(row).hex() for row in range(rows.rows)]
        return settled.model_copy(update={"edge": digests if len(digests) <= MOST_EDGE_ROWS else None})

    def _newest(self, moments: Sequence[datetime]) -> list[Settled]:
        """Return the newest stamp up to each moment: the later of a row's columns, where both are up to the moment."""
        if self._is_indexed:
            return [self._newest_by_index(moment) for moment in moments]
        return self._newest_of_all_rows(moments)

    def _newest_by_index(self, moment: datetime) -> Settled:
        cursors, table = self.selection.cursors, quoted(self.table.name)
        stamps, exact = [""], True
        for column in cursors:
            name = quoted(column.name)
            others = [other for other in cursors if other is not column]
            # Many rows may have a later value in the other column; a run does not look at all of them.
            entries = (
                f"SELECT CAST({name} AS CHAR) AS stamp, {self._all_settled(others, moment)} AS settled FROM {table} "  # noqa: S608
                f"WHERE {self._stamped_up_to(column, moment)} ORDER BY {name} DESC "
                f"LIMIT {MOST_LOOKED_AT if others else 1}"
            )
            row = self.connection.row(
                f"SELECT MAX(IF(settled, stamp, NULL)) AS stamp, MIN(stamp) AS oldest, COUNT(*) AS n "  # noqa: S608
                f"FROM ({entries}) AS entries"
            )
            found = row["stamp"]
            if found is None and row["n"] == MOST_LOOKED_AT:
                found, exact = row["oldest"], False
            stamps += [] if found is None else [self.marks.on_clock(column, str(found))]
        return Settled(newest=max(stamps), exact=exact)

    def _newest_of_all_rows(self, moments: Sequence[datetime]) -> list[Settled]:
        """Look at each row once, for all columns and moments."""
        cursors = self.selection.cursors
        newest = ", ".join(
            f"MAX(IF({self._stamped_up_to(column, moment)} AND "
            f"{self._all_settled([other for other in cursors if other is not column], moment)}, "
            f"CAST({quoted(column.name)} AS CHAR), NULL)) AS `{number}_{place}`"
            for number, moment in enumerate(moments)
            for place, column in enumerate(cursors)
        )
        row = self.connection.row(f"SELECT {newest} FROM {quoted(self.table.name)}")  # noqa: S608
        stamps = [
            [(column, row[f"{number}_{place}"]) for place, column in enumerate(cursors)]
            for number in range(len(moments))
        ]
        return [
            Settled(newest=max(["", *(self.marks.on_clock(c, str(found)) for c, found in each if found is not None)]))
            for each in stamps
        ]

    def _stamped_up_to(self, column: SelectColumn, moment: datetime) -> str:
        never = literal(format_timestamp(NEVER).encode(), "temporal")
        return f"{self._up_to(column, moment)} AND {quoted(column.name)} > {never}"

    @property
    def _is_indexed(self) -> bool:
        return all(self.selection.index_of(self.table, column) for column in self.selection.cursors)

    def _all_settled(self, columns: Sequence[SelectColumn], moment: datetime) -> str:
        return " AND ".join(f"({self._beyond(column, moment)}) IS NOT TRUE" for column in columns) or "TRUE"

    def _up_to(self, column: SelectColumn, moment: datetime) -> str:
        return f"{quoted(column.name)} <= {literal(self.marks.of(column, moment).encode(), 'temporal')}"

    def _beyond(self, column: SelectColumn, moment: datetime) -> str:
        return f"{quoted(column.name)} > {literal(self.marks.of(column, moment).encode(), 'temporal')}"

    def _late(self, newest: str, before: str, begin: datetime) -> str:
        clock = self.window.clock
        behind = clock.now - moment_of(newest)
        quarters = round(behind / _QUARTER)
        zone = 'set "time_zone"'
        if quarters >= 3 and abs(behind - quarters * _QUARTER) < _QUARTER / 3:
            lead = clock.now - datetime.fromtimestamp(clock.instant(clock.now), UTC).replace(tzinfo=None)
            zone += f' (it looks like "{_offset(lead - quarters * _QUARTER)}")'
        since = (before or str(NEVER))[:19]
        return (
            f"new rows are stamped up to {newest}, before {format_timestamp(begin)}, where this "
            f"window begins: they are not extracted. If the application stamps rows in another zone, {zone}; "
            f'if its clock is behind, set "lookback_seconds". To extract them: '
            f"rds-to-s3 rewind {self.table.listed_as or self.table.name} '{since}'"
        )


def _is_later(stamp: str, other: str) -> bool:
    return bool(stamp) and (not other or moment_of(stamp) > moment_of(other))


def _offset(lead: timedelta) -> str:
    minutes = round(lead / timedelta(minutes=1))
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
