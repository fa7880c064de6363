"""One table's window -> files in S3 -> watermark. The only place where MySQL, S3 and the formats meet."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rds_to_s3.clean_up import clean_up_after
from rds_to_s3.commit.entries import DriftEntry, ErrorEntry, Status, TableEntry
from rds_to_s3.commit.opening import CommitUnfinished, Decided, Opened, Refused
from rds_to_s3.commit.staged_upload import Uploader
from rds_to_s3.commit.state import Commit, Staged
from rds_to_s3.commit.table_commit import HANDOVER_SECONDS, MOST_STALLED, TableCommit
from rds_to_s3.errors import CannotResumeError, DiskFullError, TableNotFoundError
from rds_to_s3.extract.checkpointed_read import CheckpointedRead
from rds_to_s3.extract.outcome import Outcome
from rds_to_s3.extract.proof.ledgers import Proving, wants_proof, warnings_of, why_off
from rds_to_s3.extract.ranges.division import divide
from rds_to_s3.extract.ranges.shared import RANGES_WAIT_SECONDS, SharedTable
from rds_to_s3.extract.reached import begun_elsewhere, connect_reached, note_seen
from rds_to_s3.extract.scope.drift import drift_of, refused_drift
from rds_to_s3.extract.scope.prepared_read import PreparedRead, prepare_read
from rds_to_s3.extract.scope.settled import SettledRows
from rds_to_s3.extract.scope.window import change_of_format
from rds_to_s3.extract.stages.deletes import DeleteTracking
from rds_to_s3.extract.stages.delivered_ahead import DeliveredAhead, open_tail
from rds_to_s3.extract.stages.files import DataFiles, WindowFiles, side_prefixes
from rds_to_s3.extract.stages.masking import masking
from rds_to_s3.extract.stages.stage import Stage
from rds_to_s3.extract.stages.table_checks import TableChecks
from rds_to_s3.extract.work import Work
from rds_to_s3.mysql.catalogue.charsets import unsendable_text
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.plan.execution import utc_now
from rds_to_s3.plan.left_out import gone_since_the_plan
from rds_to_s3.plan.lists.databases import snapshot_of
from rds_to_s3.plan.lists.limits import readers_that_fit
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.reported.record import blank_record, joined_record
from rds_to_s3.reported.unreported import Outstanding, report_other_format, settle
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.timestamps import Watermark, format_timestamp

LEASE_GRACE_SECONDS = 30.0
MOST_ENDING_SECONDS = 30.0  # for uploading the staged files, handing back or committing


class TableExtraction:
    """One invocation's work on one table.

    Parameters
    ----------
    connect, reconnect : callable
        Open a connection with a read timeout in seconds; `reconnect` fetches the credentials anew.
    time_left : callable
        Seconds until the invocation is killed.

    Attributes
    ----------
    superseded : bool
        Whether another invocation has taken the table over. Then only that one writes the record.
    register : TableCommit
        Where the progress of what is read here is recorded.
    divides : bool
        Whether a large read may be divided among several readers.
    concludes : bool
        Whether the end of what is read here is the end of the window.
    """

    divides = True
    concludes = True
    _part = ""  # of the window, in messages

    def __init__(
        self,
        run: PlannedRun,
        spec: TableSpec,
        store: ObjectStore,
        connect: Callable[[int], Connection],
        *,
        time_left: Callable[[], float],
        reconnect: Callable[[int], Connection] | None = None,
        mask_key: Callable[[], bytes] | None = None,
    ) -> None:
        self.run = run
        self.spec = spec
        self._store = store
        self._ways = connect, reconnect or connect
        self._time_left = time_left
        self._mask_key = mask_key
        self.commit = TableCommit(
            store,
            spec.name,
            spec.format,
            run_id=run.run_id,
            planned_at=run.planned_at,
            side_prefixes=side_prefixes(spec),
            keeps_keys=spec.deletes == "track",
            keeps_values=any(checks.unique for checks in spec.parsed_checks[0].values()),
            keeps_ledger=wants_proof(spec),
        )
        self.register = self.commit
        self._began = time.monotonic()
        self._watermark: Watermark | None = None
        self._drift: list[DriftEntry] = []
        self._other_format: Commit | None = None
        self._of_other_format: list[TableEntry] = []
        self.superseded = False

    def extract(self) -> Outcome:
        """Extract the table, or the part that fits into this invocation.

        Raises
        ------
        RdsToS3Error
            The table failed. No file of this window is visible, or all of them will be after the next attempt has
            applied this one's decision.
        """
        if (refusal := self.run.refused.get(self.spec.name)) is not None:
            self._watermark, _ = self.commit.read_watermark()
            raise refusal.as_error()
        try:
            return self._begin(self._time_left() + LEASE_GRACE_SECONDS)
        except CommitUnfinished:
            return Outcome("CONTINUE")
        except BaseException as error:
            clean_up_after(error, self._release)
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise DiskFullError(
                    f"the function's /tmp is full: table {self.spec.name!r} needs more room for very long rows, or for "
                    "the keys that deletes are found by. Raise ExtractStorageSize."
                ) from error
            raise

    def _working_seconds(self) -> float:
        """Return the seconds for reading the database or waiting for S3, with time left to write the record."""
        left = self._time_left()
        return left - min(MOST_ENDING_SECONDS, left / 5)

    def _release(self) -> None:
        self.superseded = not self.commit.release()

    # --- steps ---

    def _begin(self, lease_seconds: float) -> Outcome:
        opened = self.commit.open(lease_seconds, self._working_seconds)
        if isinstance(opened, Refused):
            return Outcome.of(self._skipped_record(opened.reason))
        self._other_format, self._of_other_format = report_other_format(
            self._store,
            self.spec,
            self.run,
            lease_seconds=self._time_left() + LEASE_GRACE_SECONDS,
            commit_seconds=self._working_seconds,
        )
        if isinstance(opened, Decided):
            return self._done(opened.record)
        if (reason := self.run.unlisted.get(self.spec.name)) is not None:
            return self._left_out(reason)
        return self._extract(opened)

    def _extract(self, opened: Opened) -> Outcome:
        self._watermark = opened.watermark
        connection, self.run = connect_reached(
            self.run, self.spec.name, [opened.last, opened.staged], self._ways, self._working_seconds
        )
        try:
            work = self._prepare(connection, opened)
            if (missing := self._ranges_to_read(work)) is not None:
                return Outcome("DIVIDED", ranges=missing)
            return self._finish(work) if self._read(work) else self._hand_back(work.staged)
        except TableNotFoundError as error:
            if self.spec.pattern is None:
                raise
            return self._left_out(gone_since_the_plan(self.spec, error))
        finally:
            connection.close()

    def _prepare(self, connection: Connection, opened: Opened) -> Work:
        """Take the snapshot, and prepare the read in it."""
        last = opened.last
        table = snapshot_of(connection, self.run.database, self.spec, seconds=self._working_seconds())
        prepared = prepare_read(
            connection, table, self.spec, self.run, watermark=opened.watermark, last=last, mask_key=self._mask_key
        )
        self._drift = drift_of(table, prepared.selection, last)
        if self._drift and self.spec.on_drift == "fail":
            raise refused_drift(self.spec.name, self._drift)
        checks = TableChecks(self.spec, self._store, self.commit.token)
        if self.register is self.commit:  # once for the table, not for each range
            checks.begin(connection, table, prepared.selection, prepared.window)
        deletes = None
        if self.spec.deletes == "track":
            deletes = DeleteTracking(self.spec, self._store, self.commit.token)
            deletes.open(table, prepared.selection, last)
        return Work(
            connection,
            opened,
            table,
            prepared,
            self._progress(connection, opened, table, prepared),
            checks,
            deletes,
            [*prepared.warnings, *(f"drift: {change.sentence()}" for change in self._drift)],
        )

    def _progress(self, connection: Connection, opened: Opened, table: Table, prepared: PreparedRead) -> Staged:
        """Return the read's progress, or new progress."""
        fingerprint = prepared.fingerprint(self.spec, self.run)
        staged = opened.staged
        if staged is not None and (staged.fingerprint != fingerprint or begun_elsewhere(staged, self.run.source)):
            self.commit.remove_strays(None, self._working_seconds() / 3)
            staged = None
        if staged is None:
            text, about = opened.watermark.text if opened.watermark else None, table.estimated_rows * prepared.is_whole
            staged = Staged(run_id=self.run.run_id, watermark=text, fingerprint=fingerprint, expected_rows=about)
            # Once per read, not per invocation: each query looks at the whole window.
            rows = SettledRows(connection, table, prepared.selection, prepared.window, prepared.marks)
            staged.settled, found = rows.look(opened.last, comparable=prepared.comparable)
            staged.warnings += [*found, *change_of_format(self.spec, prepared.window, opened.last, self._other_format)]
            staged.warnings += unsendable_text(connection, table, prepared.selection.columns, prepared.segments)
        note_seen(connection, staged, self.run.source)
        staged.invocations += 1
        return staged

    def _ranges_to_read(self, work: Work) -> list[int] | None:
        """Return the ranges of the read that others are to read, None where it is read here."""
        staged = work.staged
        if staged.division is None and staged.invocations == 1 and self.divides:
            staged.division, warnings = divide(
                work.connection,
                work.table,
                self.spec,
                work.prepared,
                token=self.commit.token,
                next_part=lambda: self._files(work, Uploader(self._store)).free_part(),
                most=readers_that_fit(self.run.tables, self.spec),
            )
            staged.warnings += warnings
        if staged.division is None:
            return None
        shared = SharedTable(self.commit, self._store)
        registers = shared.registers(staged.division)
        if missing := shared.missing(registers):
            self._keep(staged, RANGES_WAIT_SECONDS)
            return missing
        work.staged = shared.joined(staged.division, registers)
        return None

    def _read(self, work: Work) -> bool:
        """Continue the read; return whether it reached the window's end with time left to commit."""
        staged, prepared = work.staged, work.prepared
        began_at = staged.written.position
        bounds = prepared.marks.each(prepared.selection, prepared.window.remember_from)
        tail, warnings = open_tail(
            prepared.selection,
            prepared.window,
            work.opened.last,
            bounds,
            self._store,
            comparable=prepared.same_cursors,
        )
        work.warnings += warnings
        work.proving = proving = Proving.of(self.spec, self._store, work.table, prepared, self.commit.token)
        if proving is None and (reason := why_off(self.spec, work.table, prepared)) is not None:
            work.warnings.append(f"the proof of this table is off: {reason}")
        with Uploader(self._store) as uploader:
            files = self._files(work, uploader)
            row_checks = work.checks.of_rows(
                work.table,
                prepared.selection,
                staged,
                partial(files.side, "quarantine", before=staged.checked.quarantine),
            )
            work.leaves_out = tail.leaves_out
            ahead = DeliveredAhead(self.spec, self._store, self.commit.token, tail)
            recording = [proving.stage()] if proving is not None else []
            # A ledger that begins here also needs the rows that were delivered before and are left out now.
            stages: list[Stage] = [*recording, ahead] if prepared.is_whole else [ahead, *recording]
            of_checks: list[Stage] = [stage for stage in (row_checks, work.deletes) if stage is not None]
            data = DataFiles(files.data(prepared.selection.output, before=staged.written.files))
            data.writes_always = self.spec.mode == "full" and self.concludes
            stages = [*masking(prepared.selection), *stages, *of_checks]
            read = CheckpointedRead(work.reading, stages, data, staged, self.register.save_staged)
            finished = read.run(work.connection, self._working_seconds())
            staged.stalled = staged.stalled + 1 if staged.written.position == began_at else 0
            concludes = finished and self.concludes
            if concludes and work.deletes is not None and began_at.segment < len(prepared.segments):
                # If time is short, the next invocation only compares the keys.
                finished = self._time_left() >= work.deletes.needs_seconds(work.table)
            if concludes and finished and proving is not None and not (row_checks is not None and row_checks.failed):
                finished = self._prove(work, proving, bounds, ahead, [*of_checks, data])
        if row_checks is not None and row_checks.failed:
            raise work.checks.failure(row_checks.violations, self._part + ("" if finished else "so far, "))
        return finished

    def _prove(
        self, work: Work, proving: Proving, bounds: Sequence[str], ahead: Stage, stages: Sequence[Stage]
    ) -> bool:
        """Prove a slice; return False if that is to be continued. A slice is proved in the invocation that commits."""
        staged = work.staged
        ledger, warnings = proving.continued(work.opened.last, staged)
        work.warnings += warnings
        if ledger is None:
            return True
        until = time.monotonic() + self._working_seconds() / 2
        work.ledger, work.proof, finished = proving.prove(
            work.connection, ledger, staged, bounds, stages, ahead=ahead, has_time=lambda: time.monotonic() < until
        )
        work.warnings += warnings_of(work.proof, self.spec)
        if not finished:
            staged.stalled = staged.stalled + 1 if staged.proving == work.ledger else 0
            staged.proving, staged.proof = work.ledger, work.proof
        return finished

    def _hand_back(self, staged: Staged) -> Outcome:
        if staged.stalled > MOST_STALLED:
            raise CannotResumeError(
                f"table {self.spec.name!r}: {MOST_STALLED} invocations in a row made no progress. Raise "
                "ExtractTimeout or ExtractMemorySize, or leave wide columns out with exclude_columns."
            )
        self._keep(staged, HANDOVER_SECONDS)
        return Outcome("CONTINUE", rows=staged.written.rows, files=len(staged.written.files))

    def _keep(self, staged: Staged, seconds: float) -> None:
        """Record the progress for another invocation, and keep what was taken until it begins."""
        staged.seconds += time.monotonic() - self._began
        staged.handed_back = True
        self.register.save_staged(staged, lasts_seconds=seconds)

    def _finish(self, work: Work) -> Outcome:
        outstanding = settle(self._store, self.run, self.spec.name, work.opened.last)
        self._find_deleted(work, outstanding)
        work.checks.conclude(work.prepared.selection, work.staged)
        work.staged.seconds += time.monotonic() - self._began
        blank = self._blank_record("UNCHANGED")
        decision = work.commit(self.run, self.spec, self.commit.token, blank, outstanding, other=self._other_format)
        applied = self.commit.finish(decision, self._working_seconds)
        work.checks.forget_seen(work.staged)
        return self._done(applied.record)

    def _find_deleted(self, work: Work, outstanding: Outstanding) -> None:
        if work.deletes is None:
            return
        with Uploader(self._store) as uploader:
            work.deleted, work.key_runs = work.deletes.finish(
                work.connection,
                work.table,
                work.staged,
                partial(self._files(work, uploader).side, "deletes", before=()),
                whole=work.prepared.is_whole and not work.leaves_out,
                unreported=outstanding.runs,
            )
        if work.proving is not None and work.ledger is not None:
            work.ledger = work.proving.without(work.ledger, work.deletes)

    def _files(self, work: Work, uploader: Uploader) -> WindowFiles:
        last = work.opened.last
        layouts = {last.read_as.layout} if last is not None and last.read_as is not None else set()
        if self.spec.layout == "hive":
            layouts.add("flat")  # of an end that comes back after a rewind
        return WindowFiles(self.spec, work.prepared.window.stamp, uploader, self.commit.next_part, layouts)

    # --- what is committed, and what is reported ---

    def _blank_record(self, status: Status, **members: Any) -> TableEntry:
        drift = {"drift": self._drift} if self._drift else {}
        return blank_record(
            self.spec,
            status,
            after=format_timestamp(self._watermark.moment) if self._watermark else None,
            until=format_timestamp(self.run.until),
            attempts=self.commit.attempts,
            seconds=time.monotonic() - self._began,
            finished_at=utc_now(),
            **drift,
            **members,
        )

    def _skipped_record(self, reason: str) -> TableEntry:
        return self._blank_record("SKIPPED", warnings=[reason])

    def failed_record(self, error: BaseException) -> TableEntry:
        """Return the manifest's entry for a table that failed with `error`."""
        return self._blank_record("FAILED", error=ErrorEntry(type=type(error).__name__, message=str(error)))

    def _left_out(self, reason: str) -> Outcome:
        """Skip a table that this run no longer reads, and discard its staged progress."""
        self.commit.remove_strays(None, self._working_seconds() / 3)
        self.commit.release()
        return Outcome.of(joined_record(self._skipped_record(reason), self._of_other_format))

    def _done(self, record: TableEntry) -> Outcome:
        lag = (self.run.server_now - self.run.until).total_seconds() + max(time.time() - self.run.planned_at, 0.0)
        return Outcome.of(joined_record(record, self._of_other_format), lag)
