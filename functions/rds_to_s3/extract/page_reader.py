"""Reads a window page by page, and leaves out delivered rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rds_to_s3.clean_up import clean_up_after
from rds_to_s3.commit.read_as import Position
from rds_to_s3.errors import CannotResumeError, RowCountError
from rds_to_s3.extract.stages.stage import Stage
from rds_to_s3.formats import Rows
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment, SelectColumn, select_page
from rds_to_s3.mysql.wire.result_set import query

FIRST_PAGE_BYTES = 16 * 1024 * 1024
FEWEST_ROWS, MOST_ROWS = 1, 5_000_000
PAGE_SECONDS = 15.0


@dataclass
class Pace:
    """How many rows a page has: small at first, then as many as `PAGE_SECONDS` carry.

    A page is one statement. The server's count is compared for each page, and a page is lost if time runs out in it.
    """

    rows: int
    seconds: float = PAGE_SECONDS

    @classmethod
    def start(cls, row_bytes: int, seconds: float, hint: int | None) -> Pace:
        """Begin with an estimate from the table's average row, or with the last invocation's page size."""
        guess = hint or FIRST_PAGE_BYTES // max(row_bytes, 64)
        return cls(min(max(guess, FEWEST_ROWS), MOST_ROWS), seconds)

    def learn(self, rows: int, seconds: float) -> None:
        """Adapt to the time of a page."""
        if rows:
            self.rows = min(max(int(rows / max(seconds, 0.01) * self.seconds), FEWEST_ROWS), MOST_ROWS, 16 * rows)


@dataclass
class WindowRead:
    """One invocation's read of a window.

    Parameters
    ----------
    connection : Connection
        Inside a consistent read-only snapshot.
    columns : sequence of SelectColumn
        The select list: what the files hold, then what only the read needs.
    position : Position
        Where to begin.
    stop_at : float
        `time.monotonic` value at which this invocation hands back.
    stages : sequence of Stage
        The stages of each row, in this order; the last one writes the files.
    on_page : callable
        Called after each page that the server's count has confirmed.
    """

    connection: Connection
    table: str
    columns: Sequence[SelectColumn]
    segments: Sequence[Segment]
    stages: Sequence[Stage]
    pace: Pace
    position: Position
    stop_at: float
    on_page: Callable[[], None]
    given_on: int = 0
    source_rows: int = 0
    out_of_time: bool = False

    @property
    def resumable(self) -> bool:
        """Whether every segment has an order in which it can be resumed."""
        return all(segment.order for segment in self.segments)

    def run(self) -> bool:
        """Read until the window's end, or until time is up.

        Returns
        -------
        bool
            Whether the end was reached. If not, `position` says where the last file ends.

        Raises
        ------
        RowCountError
            The server sent another number of rows than was written.
        ReadInterruptedError
        CannotResumeError
            Time is up, and the table has no order in which the read can be resumed.
        """
        while self.position.segment < len(self.segments):
            self._page(self.segments[self.position.segment])
            self.on_page()
            if self.position.segment < len(self.segments) and time.monotonic() >= self.stop_at:
                self.close()
                return False
        self.close()
        return True

    def close(self) -> None:
        """Finish the stages' open files at the read's position."""
        for stage in self.stages:
            stage.close(self.position)

    def abort_after(self, error: BaseException) -> None:
        """Discard the open files. An error here becomes a note of `error`, which ended the read."""
        clean_up_after(error, *(stage.abort for stage in self.stages))

    def _page(self, segment: Segment) -> None:
        page_rows = self.pace.rows if segment.order else None
        values = self.position.values
        position = None if values is None else [bytes.fromhex(value) for value in values]
        sql = select_page(self.table, self.columns, segment, position=position, rows=page_rows)
        began = time.monotonic()
        read = 0
        for block in self._blocks(sql, segment):
            read += block
        # The server has no count of an interrupted page. Its packets' sequence numbers prove that none is missing.
        sent = read if self.out_of_time else int(self.connection.row("SELECT FOUND_ROWS() AS sent")["sent"])
        if sent != read:
            raise RowCountError(
                f"the server sent {sent} rows of table {self.table!r}, and {read} were read; nothing became visible"
            )
        self.source_rows += read
        held_back = sum(stage.held_back for stage in self.stages)
        if self.given_on + held_back != self.source_rows:
            raise RowCountError(
                f"{self.source_rows} rows of table {self.table!r} were read, {self.given_on} written and {held_back} "
                "held back; nothing became visible"
            )
        self.pace.learn(read, time.monotonic() - began)
        if not self.out_of_time and (page_rows is None or read < page_rows):
            self.position = Position(segment=self.position.segment + 1)

    def _blocks(self, sql: str, segment: Segment) -> Iterator[int]:
        order = [self.columns.index(column) for column in segment.order]

        def position_of(rows: Rows, row: int) -> Position:
            return self._position(rows, order, row)

        with query(self.connection, sql, table=self.table) as result:
            for block in result:
                rows = block
                for stage in self.stages:
                    rows = stage.take(rows, position_of)
                self.given_on += rows.rows
                if order:
                    self.position = self._position(block, order, block.rows - 1)
                if time.monotonic() >= self.stop_at + self.pace.seconds:
                    # The page took much longer than the pace promised.
                    result.abandon()
                    if not order:
                        raise CannotResumeError(
                            f"table {self.table!r} has no key by which a read can be resumed, and does not fit into "
                            "one invocation: add a primary key, or raise ExtractTimeout"
                        )
                    self.out_of_time = True
                yield block.rows
                if self.out_of_time:
                    return

    def _position(self, block: Rows, order: Sequence[int], row: int) -> Position:
        values = []
        for column in order:
            value = block.value(row, column)
            # A key has no NULL, and no window a NULL stamp: to resume after one would find nothing.
            assert value is not None, self.columns[column].name  # noqa: S101
            values.append(value.hex())
        return Position(segment=self.position.segment, values=values)
