"""One invocation's read of a window through its stages, with the checkpoints for the next invocation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rds_to_s3.commit.state import Staged
from rds_to_s3.extract.page_reader import Pace, WindowRead
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.scope.window import Window
from rds_to_s3.extract.stages.files import DataFiles
from rds_to_s3.extract.stages.stage import Checkpoint, Stage
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment

MOST_PAGE_SECONDS = 15.0
MANY_FILES = 100
SHARE = 20  # of the time of a read with many files, for its checkpoints: the state of 11,000 files has 6 MB


@dataclass(frozen=True)
class Reading:
    """What one invocation reads."""

    table: Table
    selection: Selection
    window: Window
    segments: list[Segment]


@dataclass
class CheckpointedRead:
    """The read of a window, page by page, with its checkpoints.

    Parameters
    ----------
    stages : sequence of Stage
        Those before `files`.
    staged : Staged
        The progress so far; changed as the read continues.
    save : callable
        Writes the progress to the table's state.
    """

    reading: Reading
    stages: Sequence[Stage]
    files: DataFiles
    staged: Staged
    save: Callable[[Staged], None]
    _not_before: float = 0.0

    def run(self, connection: Connection, seconds: float) -> bool:
        """Return whether the read reached the window's end within `seconds`."""
        reading, staged = self.reading, self.staged
        page_seconds = min(MOST_PAGE_SECONDS, seconds / 10)
        read = WindowRead(
            connection=connection,
            table=reading.table.name,
            columns=reading.selection.select,
            segments=reading.segments,
            stages=[*self.stages, self.files],
            pace=Pace.start(reading.table.average_row_bytes, page_seconds, staged.page_rows),
            position=staged.written.position,
            stop_at=time.monotonic() + seconds - page_seconds,
            on_page=lambda: self._checkpoint(read),
        )
        try:
            finished = read.run()
        except BaseException as error:
            read.abort_after(error)
            raise
        if not self._failed:
            if finished and self.files.writes_always and not staged.written.files:
                self.files.series.write_empty(read.position)
            self._record(rows=None, finished=finished)
        staged.page_rows = read.pace.rows
        return finished

    @property
    def _failed(self) -> bool:
        return any(stage.failed for stage in self.stages)

    def _checkpoint(self, read: WindowRead) -> None:
        """After a page: record its finished files, so that they survive this invocation."""
        series = self.files.series
        if len(series.finished) == series.recorded or not read.resumable or self._failed:
            return
        if len(self.staged.written.files) > MANY_FILES and time.monotonic() < self._not_before:
            return
        exact = any(stage.is_exact for stage in self.stages)
        if exact:
            # Such a stage's progress covers all rows up to here, so the files have to end here.
            read.close()
        # If this invocation ends here, the rows of an open file are read again, perhaps in other versions.
        self._record(rows=None if exact else series.finished_rows, finished=False)
        began = time.monotonic()
        self.save(self.staged)
        self._not_before = time.monotonic() + SHARE * (time.monotonic() - began)

    def _record(self, *, rows: int | None, finished: bool) -> None:
        for stage in (*self.stages, self.files):
            stage.checkpoint(Checkpoint(self.staged, rows, finished=finished))
