"""One invocation's read of a window into staged files, and what is recorded of it for the next."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from rds_to_s3.commit import TableCommit
from rds_to_s3.deletes import DeleteTracking
from rds_to_s3.file_series import FileSeries, WindowFiles
from rds_to_s3.kept_tails import KeptTails
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment
from rds_to_s3.reading import Pace, WindowRead
from rds_to_s3.schema import Table
from rds_to_s3.selection import Selection
from rds_to_s3.table_checks import TableChecking
from rds_to_s3.table_state import Staged
from rds_to_s3.table_window import Window
from rds_to_s3.tail import TailFilter

MOST_PAGE_SECONDS = 15.0
MANY_FILES = 100
SHARE = 20  # of the reading of many files, that their checkpoints take: the state of 11,000 files has 6 MB


@dataclass(frozen=True)
class Reading:
    """What one invocation reads."""

    table: Table
    selection: Selection
    window: Window
    segments: list[Segment]


@dataclass
class StagedRead:
    """The read of a window, page by page, with its checkpoints.

    Parameters
    ----------
    commit : TableCommit
        Keeps the progress.
    checks : TableChecking
    tails : KeptTails
    deletes : DeleteTracking, optional
    staged : Staged
        The progress so far; changed as the read goes on.
    """

    commit: TableCommit
    checks: TableChecking
    tails: KeptTails
    deletes: DeleteTracking | None
    reading: Reading
    tail: TailFilter
    staged: Staged
    _not_before: float = 0.0

    def run(self, connection: Connection, window_files: WindowFiles, seconds: float) -> bool:
        """Return whether the read reached the window's end within `seconds`."""
        reading, staged = self.reading, self.staged
        page_seconds = min(MOST_PAGE_SECONDS, seconds / 10)
        files = window_files.data(reading.selection.output, before=len(staged.files))
        quarantine = partial(window_files.side, "quarantine", before=len(staged.quarantine))
        self.checks.open(reading.table, reading.selection, staged, quarantine)
        read = WindowRead(
            connection=connection,
            table=reading.table.name,
            columns=reading.selection.select,
            segments=reading.segments,
            tail=self.tail,
            files=files,
            pace=Pace.start(reading.table.average_row_bytes, page_seconds, staged.page_rows),
            position=staged.position,
            stop_at=time.monotonic() + seconds - page_seconds,
            on_page=lambda: self._checkpoint(files, read),
            admission=self.checks.admission,
            on_rows=self.deletes.record if self.deletes is not None else None,
        )
        try:
            finished = read.run()
        except BaseException as error:
            read.abort_after(error)
            raise
        if self.checks.admission is not None and self.checks.admission.failed:
            self.checks.conclude(reading.selection, staged, finished=finished)
        self._take_over_finished(files)
        staged.page_rows = read.pace.rows
        return finished

    def _checkpoint(self, files: FileSeries, read: WindowRead) -> None:
        """After a page: make the files that it finished survive this invocation."""
        admission = self.checks.admission
        if len(files.finished) == files.taken_over or not read.resumable:
            return
        if admission is not None and admission.failed:
            return
        if len(self.staged.files) > MANY_FILES and time.monotonic() < self._not_before:
            return
        exact = admission is not None or self.deletes is not None
        if exact:
            # What the checks have found, and the keys, belong to all rows up to here: so do the files have to.
            read.close()
        self._take_over_finished(files)
        self.checks.keep_seen(self.staged)
        # A file that is still open will be read again, perhaps in another version, should this invocation end here.
        self.tails.save(self.tail, self.staged, rows=None if exact else files.finished_rows)
        began = time.monotonic()
        self.commit.save_staged(self.staged)
        self._not_before = time.monotonic() + SHARE * (time.monotonic() - began)

    def _take_over_finished(self, files: FileSeries) -> None:
        staged = self.staged
        staged.files = [*staged.files, *files.finished[files.taken_over :]]
        staged.rows = sum(file.rows for file in staged.files)
        files.taken_over = len(files.finished)
        if files.finished_at is not None:
            staged.position = files.finished_at
        self.checks.checkpoint(staged)
        if self.deletes is not None:
            self.deletes.checkpoint(staged)
        staged.warnings = list(dict.fromkeys([*staged.warnings, *files.warnings]))
