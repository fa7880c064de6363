"""Reads a window page by page, leaves out what was delivered, and fills staged files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from rds_to_s3.errors import CannotResumeError, RowCountError
from rds_to_s3.formats import OutputColumn, RowEncoder, Rows, open_encoder
from rds_to_s3.mysql.connection import Connection, translated_errors
from rds_to_s3.mysql.result_set import query
from rds_to_s3.mysql.select import Segment, SelectColumn, select_page
from rds_to_s3.s3.staged_upload import OpenFile, Uploader
from rds_to_s3.table_state import Position, StagedFile
from rds_to_s3.tail import TailFilter

FIRST_PAGE_BYTES = 16 * 1024 * 1024
FEWEST_ROWS, MOST_ROWS = 1, 5_000_000
PAGE_SECONDS = 15.0


@dataclass
class FileSeries:
    """The files of one window: splits at row boundaries, numbers them, and knows where the last finished one ended.

    Parameters
    ----------
    uploader : Uploader
    key : callable
        Makes the key of the nth part.
    columns : sequence of OutputColumn
    next_part : int
        Number of the first file.

    Attributes
    ----------
    finished : list of StagedFile
    finished_at : Position or None
        Where the last of them ends.
    finished_rows : int
        How many rows stand up to there.
    taken_over : int
        How many of them the caller has recorded.
    """

    uploader: Uploader
    key: Callable[[int, str], str]
    columns: Sequence[OutputColumn]
    file_format: str
    compression: str
    target_bytes: int
    next_part: int
    on_step: Callable[[str], None]
    finished: list[StagedFile] = field(default_factory=list)
    finished_at: Position | None = None
    finished_rows: int = 0
    rows: int = 0
    warnings: list[str] = field(default_factory=list)
    taken_over: int = 0
    _file: OpenFile | None = None
    _encoder: RowEncoder | None = None
    _file_rows: int = 0
    _payload: int = 0

    def write(self, block: Rows, position_of: Callable[[int], Position]) -> None:
        """Write rows, starting a new file wherever the target size is reached.

        Parameters
        ----------
        block : Rows
        position_of : callable
            Tells the position of the block's nth row.
        """
        start = 0
        while start < block.rows:
            rest = block.slice(start, block.rows) if start else block
            if self._encoder is None:
                self._open()
            room = self.target_bytes - self._size()
            count = max(1, rest.rows_within(room)) if rest.payload_bytes > room else rest.rows
            piece = rest.slice(0, count) if count < rest.rows else rest
            encoder = self._encoder
            assert encoder is not None  # noqa: S101 - opened above
            encoder.write(piece)
            self._file_rows += count
            self._payload += piece.payload_bytes
            self.rows += count
            start += count
            if self._size() >= self.target_bytes:
                self.close(position_of(start - 1))

    def close(self, position: Position) -> None:
        """Finish the open file, if there is one; every row up to `position` is then in a finished file."""
        if self._encoder is not None and self._file is not None:
            self._encoder.close()
            self.warnings += self._encoder.warnings
            self.on_step("before last part")
            self.finished.append(self._file.close(self._file_rows))
            self.on_step("after last part")
        self._file = self._encoder = None
        self.finished_at, self.finished_rows = position, self.rows

    def abort(self) -> None:
        """Throw away the file that is open."""
        if self._file is not None:
            self._file.abort()
        self._file = self._encoder = None

    def _open(self) -> None:
        number = self.next_part + len(self.finished)
        extension = {"csv": "csv", "parquet": "parquet"}[self.file_format]
        if self.file_format == "csv" and self.compression == "gzip":
            extension = "csv.gz"
        self.on_step("before start upload")
        self._file = self.uploader.open(self.key(number, extension), largest_bytes=self.target_bytes)
        self.on_step("after start upload")
        self._encoder = open_encoder(self.file_format, self.compression, self.columns, self._file.write)
        self._file_rows = self._payload = 0

    def _size(self) -> int:
        """Return the file's size, or what the rows still held by the encoder will come to at most."""
        if self._file is None:
            return 0
        return max(self._file.bytes, self._payload) if self.compression == "none" else self._file.bytes


@dataclass
class Pace:
    """How many rows a page has: small at first, then as many as `PAGE_SECONDS` carry.

    A page is one statement: it is what the server's count is compared over, and what is lost when time runs out.
    """

    rows: int
    seconds: float = PAGE_SECONDS

    @classmethod
    def start(cls, row_bytes: int, seconds: float, hint: int | None) -> Pace:
        """Begin with a guess from the table's average row, or with what the last invocation learnt."""
        guess = hint or FIRST_PAGE_BYTES // max(row_bytes, 64)
        return cls(min(max(guess, FEWEST_ROWS), MOST_ROWS), seconds)

    def learn(self, rows: int, seconds: float) -> None:
        """Adapt to what a page took."""
        if rows:
            self.rows = min(max(int(rows / max(seconds, 0.01) * self.seconds), FEWEST_ROWS), MOST_ROWS, 16 * rows)


class Admission(Protocol):
    """Decides which rows the files may hold: `rds_to_s3.checks.admission`, which a table without checks never loads."""

    held_back: int

    def admit(self, rows: Rows) -> Rows:
        """Return the rows that the files may hold."""
        ...

    def close(self) -> None:
        """Finish what is open."""
        ...

    def abort(self) -> None:
        """Throw away what is open."""
        ...


@dataclass
class WindowRead:
    """One invocation's read of a window.

    Parameters
    ----------
    connection : Connection
        Inside a consistent read-only snapshot.
    columns : sequence of SelectColumn
        The select list: what the files hold, then what only the read needs.
    segments : sequence of Segment
    position : Position
        Where to begin.
    stop_at : float
        `time.monotonic` value at which this invocation hands back.
    on_page : callable
        Called after each page that the server's count has confirmed.
    admission : Admission, optional
        The checks of rows.
    on_rows : callable, optional
        Told the rows that the files are about to hold.
    """

    connection: Connection
    table: str
    columns: Sequence[SelectColumn]
    segments: Sequence[Segment]
    tail: TailFilter
    files: FileSeries
    pace: Pace
    position: Position
    stop_at: float
    on_page: Callable[[], None]
    admission: Admission | None = None
    on_rows: Callable[[Rows], None] | None = None
    source_rows: int = 0
    out_of_time: bool = False

    @property
    def resumable(self) -> bool:
        """Whether every segment has an order to be taken up again in."""
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
            The server sent another number of rows than were written.
        ReadInterruptedError
        CannotResumeError
            Time is up, and the table has no order that the read could be taken up again in.
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
        """Finish the open files: they end where the read stands."""
        self.files.close(self.position)
        if self.admission is not None:
            self.admission.close()

    def abort(self) -> None:
        """Throw the open files away."""
        self.files.abort()
        if self.admission is not None:
            self.admission.abort()

    def _page(self, segment: Segment) -> None:
        page_rows = self.pace.rows if segment.order else None
        values = self.position.values
        position = None if values is None else [None if v is None else bytes.fromhex(v) for v in values]
        sql = select_page(self.table, self.columns, segment, position=position, rows=page_rows)
        began = time.monotonic()
        read = 0
        with translated_errors(self.table):
            for block in self._blocks(sql, segment):
                read += block
            # The server has no count of a page that was broken off; its packets' sequence numbers vouch for that one.
            sent = read if self.out_of_time else int(self.connection.row("SELECT FOUND_ROWS() AS sent")["sent"])
        if sent != read:
            raise RowCountError(
                f"the server sent {sent} rows of table {self.table!r}, and {read} were read; nothing became visible"
            )
        self.source_rows += read
        held_back = self.admission.held_back if self.admission is not None else 0
        if self.files.rows + self.tail.left_out_in_all + held_back != self.source_rows:
            raise RowCountError(
                f"{self.source_rows} rows of table {self.table!r} were read, {self.files.rows} written, "
                f"{self.tail.left_out_in_all} left out and {held_back} held back; nothing became visible"
            )
        self.pace.learn(read, time.monotonic() - began)
        if not self.out_of_time and (page_rows is None or read < page_rows):
            self.position = Position(segment=self.position.segment + 1)

    def _blocks(self, sql: str, segment: Segment) -> Iterator[int]:
        order = [self._column(column.name) for column in segment.order]
        sorted_by = order[0] if order and segment.index else None
        with query(self.connection, sql) as result:
            for block in result:
                mask = self.tail.new_rows(block, sorted_by=sorted_by)
                kept = block if mask is None else block.keep(mask)
                if self.admission is not None:
                    kept = self.admission.admit(kept)
                if self.on_rows is not None:
                    self.on_rows(kept)
                self.files.write(kept, partial(self._position, kept, order))
                if order:
                    self.position = self._position(block, order, block.rows - 1)
                if time.monotonic() >= self.stop_at + self.pace.seconds:
                    # The page took much longer than the pace promised.
                    result.abandon()
                    if not order:
                        raise CannotResumeError(
                            f"table {self.table!r} has no key to take the read up again by, and does not fit into one "
                            "invocation: add a primary key, or raise ExtractTimeout"
                        )
                    self.out_of_time = True
                yield block.rows
                if self.out_of_time:
                    return

    def _position(self, block: Rows, order: Sequence[int], row: int) -> Position:
        values = [block.value(row, column) for column in order]
        return Position(
            segment=self.position.segment, values=[None if value is None else value.hex() for value in values]
        )

    def _column(self, name: str) -> int:
        return next(index for index, column in enumerate(self.columns) if column.name == name)
