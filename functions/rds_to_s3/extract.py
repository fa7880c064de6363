"""One table's window -> files in S3 -> watermark. The only place where MySQL, S3 and the formats meet."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from rds_to_s3.clean_up import clean_up_after
from rds_to_s3.commit import HANDOVER_SECONDS, MOST_STALLED, CommitUnfinished, Refused, Step, TableCommit
from rds_to_s3.deletes import DeleteTracking
from rds_to_s3.drift import Change, drift_of, refused_drift
from rds_to_s3.errors import CannotResumeError, DiskFullError, StorageUnavailableError, TableNotFoundError
from rds_to_s3.file_series import WindowFiles, side_prefixes
from rds_to_s3.kept_tails import KeptTails, committed_tail
from rds_to_s3.left_out import gone_since_the_plan
from rds_to_s3.mysql.charsets import unsendable_text
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment
from rds_to_s3.mysql.snapshot import open_snapshot
from rds_to_s3.plan import PlannedRun
from rds_to_s3.prepared_read import prepare_read
from rds_to_s3.reached import begun_elsewhere, connect_reached, note_seen
from rds_to_s3.read_as import short_hash
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.s3.staged_upload import Uploader
from rds_to_s3.selection import Selection
from rds_to_s3.settled import SettledRows
from rds_to_s3.staged_read import Reading, StagedRead
from rds_to_s3.table_checks import TableChecking
from rds_to_s3.table_list import TableSpec
from rds_to_s3.table_record import blank_record, committed_record, joined_record
from rds_to_s3.table_state import Commit, KeyRun, Position, Staged, StagedFile
from rds_to_s3.table_window import Window, change_of_format
from rds_to_s3.tail import TailFilter
from rds_to_s3.unreported import Outstanding, report_other_format, settle
from rds_to_s3.watermark import Watermark
from rds_to_s3.window import format_timestamp

Status = Literal["SUCCEEDED", "UNCHANGED", "SKIPPED", "CONTINUE"]
STAGED_LAYOUT = 3  # of what a read keeps between its invocations; another version's progress is begun anew
LEASE_GRACE_SECONDS = 30.0
MOST_ENDING_SECONDS = 30.0  # for uploading what is staged, handing back or committing


@dataclass(frozen=True)
class Outcome:
    """What an invocation came to.

    Attributes
    ----------
    record : dict
        The table's entry in the manifest; empty on ``CONTINUE``.
    lag_seconds : float
        How far the committed data are behind the server's clock.
    told_before : bool
        Whether an earlier invocation has told of this outcome: then there is nothing more to count.
    """

    status: Status
    record: dict[str, Any] = field(default_factory=dict)
    rows: int = 0
    files: int = 0
    lag_seconds: float = 0.0
    told_before: bool = False


class TableExtraction:
    """One invocation's work on one table.

    Parameters
    ----------
    run : PlannedRun
    spec : TableSpec
    store : ObjectStore
    connect, reconnect : callable
        Open a connection whose silence is bounded by the seconds; `reconnect` with credentials fetched anew.
    time_left : callable
        Seconds until the invocation is killed.
    on_step : callable
        See `rds_to_s3.commit.TableCommit`.
    """

    def __init__(
        self,
        run: PlannedRun,
        spec: TableSpec,
        store: ObjectStore,
        connect: Callable[[int], Connection],
        *,
        time_left: Callable[[], float],
        reconnect: Callable[[int], Connection] | None = None,
        on_step: Step = lambda _: None,
    ) -> None:
        self.run = run
        self.spec = spec
        self._store = store
        self._ways = connect, reconnect or connect
        self._time_left = time_left
        self._step = on_step
        self.commit = TableCommit(
            store,
            spec.name,
            spec.format,
            run_id=run.run_id,
            planned_at=run.planned_at,
            on_step=on_step,
            side_prefixes=side_prefixes(spec),
            keeps_keys=spec.deletes == "track",
            keeps_values=any(checks.unique for checks in spec.parsed_checks[0].values()),
        )
        self._deletes: DeleteTracking | None = None
        if spec.deletes == "track":
            self._deletes = DeleteTracking(spec, store, self.commit.token, on_step)
        self._tails = KeptTails(spec, store, self.commit.token, on_step)
        self._checks = TableChecking(spec, store, self.commit.token)
        self._began = time.monotonic()
        self._watermark: Watermark | None = None
        self._began_at = Position()
        self._drift: list[Change] = []
        self._deleted: list[StagedFile] = []
        self._key_runs: list[KeyRun] = []
        self._other_format: Commit | None = None
        self._of_other_formats: list[dict[str, Any]] = []
        self.superseded = False  # whether another invocation has taken the table over: then its word counts

    def extract(self) -> Outcome:
        """Do the work, or the part of it that fits into this invocation.

        Raises
        ------
        RdsToS3Error
            The table failed; nothing of this window is visible, or all of it will be once the next attempt has finished
            what this one decided.
        """
        if (refusal := self.run.refused.get(self.spec.name)) is not None:
            self._watermark, _ = self.commit.read_watermark()
            raise refusal.as_error()
        refused = self.commit.acquire(self._time_left() + LEASE_GRACE_SECONDS)
        if refused:
            return self._skipped(refused)
        try:
            return self._extract_holding_lease()
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

    # --- steps ---

    def _release(self) -> None:
        self.superseded = not self.commit.release()

    def _reading_seconds(self) -> float:
        """Return how long the database may be read, or waited for, so that there is time left to say how it went."""
        left = self._time_left()
        return left - min(MOST_ENDING_SECONDS, left / 5)

    def _extract_holding_lease(self) -> Outcome:
        self.commit.recover(self._reading_seconds())
        self._other_format, self._of_other_formats = report_other_format(
            self._store,
            self.spec,
            self.run,
            lease_seconds=self._time_left() + LEASE_GRACE_SECONDS,
            commit_seconds=self._reading_seconds,
            on_step=self._step,
        )
        last = self.commit.state.commit
        if last is not None and last.is_of(self.run.run_id, self.run.planned_at):
            # Decided by an earlier attempt.
            self.commit.release()
            return self._done(last.record | {"attempts": self.commit.attempts})
        if (newer := self.commit.covered()) is not None:
            # It was decided and no more; this invocation has just finished it.
            self.commit.release()
            return self._skipped(newer)
        if (reason := self.run.unlisted.get(self.spec.name)) is not None:
            return self._left_out(reason)
        watermark, etag = self.commit.read_watermark()
        self._watermark = watermark
        staged = self._staged(watermark)
        self.commit.remove_strays(staged, self._reading_seconds() / 3)
        connection, self.run = connect_reached(
            self.run, self.spec.name, [last, staged], self._ways, self._reading_seconds
        )
        try:
            return self._read_and_commit(connection, watermark, etag, staged)
        except TableNotFoundError as error:
            if self.spec.pattern is None:
                raise
            return self._left_out(gone_since_the_plan(self.spec, error))
        finally:
            connection.close()

    def _read_and_commit(
        self,
        connection: Connection,
        watermark: Watermark | None,
        etag: str | None,
        staged: Staged | None,
    ) -> Outcome:
        last = self.commit.state.commit
        table = open_snapshot(connection, self.run.database, self.spec.name, seconds=self._reading_seconds())
        prepared = prepare_read(connection, table, self.spec, self.run, watermark=watermark, last=last)
        selection, window, segments = prepared.selection, prepared.window, prepared.segments
        self._read_as = prepared.read_as
        self._drift = drift_of(table, selection, last)
        if self._drift and self.spec.on_drift == "fail":
            raise refused_drift(self.spec.name, self._drift)
        self._checks.begin(connection, table, selection, window)
        fingerprint = self._fingerprint(selection, segments, window)
        warnings = [*prepared.warnings, *(f"drift: {change.sentence()}" for change in self._drift)]
        if staged is not None and (staged.fingerprint != fingerprint or begun_elsewhere(staged, self.run.source)):
            self.commit.remove_strays(None, self._reading_seconds() / 3)
            staged = None
        if staged is None:
            staged = Staged(
                run_id=self.run.run_id, watermark=watermark.text if watermark else None, fingerprint=fingerprint
            )
            # Asked once a read, not once an invocation: each looks at the whole window.
            rows = SettledRows(connection, table, selection, window, prepared.marks)
            staged.settled, found = rows.look(last, comparable=prepared.comparable)
            staged.warnings += [*found, *change_of_format(self.spec, window, last, self._other_format)]
            staged.warnings += unsendable_text(connection, table.name, selection.columns, table.key, segments)
        note_seen(connection, staged, self.run.source)
        staged.invocations += 1
        self._began_at = staged.position
        tail = self._tails.open(
            selection,
            window,
            last,
            prepared.marks.each(selection, window.remember_from),
            comparable=prepared.same_cursors,
        )
        warnings += self._tails.warnings
        reading = Reading(table, selection, window, segments)
        if self._deletes is not None:
            self._deletes.open(table, selection, last)
        fresh = staged.position.segment == len(segments)
        if not self._read(connection, reading, tail, staged):
            return self._hand_back(staged, tail)
        if self._deletes is not None and not fresh and self._time_left() < self._deletes.needs_seconds(table):
            # The whole read is behind us: an invocation of its own compares the keys.
            return self._hand_back(staged, tail)
        outstanding = settle(self._store, self.run, self.spec.name, last, self._step)
        self._find_deleted(connection, reading, staged, outstanding)
        self._checks.conclude(selection, staged, finished=True)
        self._tails.save(tail, staged)
        commit = self._decision(reading, staged, etag, warnings, outstanding)
        self.commit.decide(commit)
        applied = self.commit.apply(commit, release=True, seconds=self._reading_seconds())
        if applied is None:
            raise StorageUnavailableError(
                f"uploads of table {self.spec.name!r} were aborted before they could be completed; nothing is visible"
            )
        self._checks.forget_seen(staged)
        return self._done(applied.record)

    def _read(self, connection: Connection, reading: Reading, tail: TailFilter, staged: Staged) -> bool:
        """Return whether the read reached the window's end."""
        read = StagedRead(self.commit, self._checks, self._tails, self._deletes, reading, tail, staged)
        with Uploader(self._store) as uploader:
            return read.run(connection, self._files(reading, uploader), self._reading_seconds())

    def _find_deleted(self, connection: Connection, reading: Reading, staged: Staged, outstanding: Outstanding) -> None:
        if self._deletes is None:
            return
        with Uploader(self._store) as uploader:
            self._deleted, self._key_runs = self._deletes.finish(
                connection,
                reading.table,
                staged,
                partial(self._files(reading, uploader).side, "deletes", before=0),
                whole=reading.window.read_from is None,
                unreported=outstanding.runs,
            )

    def _files(self, reading: Reading, uploader: Uploader) -> WindowFiles:
        return WindowFiles(self.spec, reading.window.stamp, uploader, self.commit.next_part, self._step)

    def _hand_back(self, staged: Staged, tail: TailFilter) -> Outcome:
        self._tails.save(tail, staged)
        self._checks.keep_seen(staged)
        staged.stalled = staged.stalled + 1 if staged.position == self._began_at else 0
        if staged.stalled > MOST_STALLED:
            raise CannotResumeError(
                f"table {self.spec.name!r}: {MOST_STALLED} invocations in a row got no further. Raise "
                "ExtractTimeout or ExtractMemorySize, or leave wide columns out with exclude_columns."
            )
        staged.seconds += time.monotonic() - self._began
        staged.handed_back = True
        self.commit.save_staged(staged, lasts_seconds=HANDOVER_SECONDS)
        return Outcome("CONTINUE", rows=staged.rows, files=len(staged.files))

    def _decision(
        self,
        reading: Reading,
        staged: Staged,
        etag: str | None,
        warnings: list[str],
        outstanding: Outstanding,
    ) -> Commit:
        window = reading.window
        last = self.commit.state.commit
        columns = [column.as_dict() for column in reading.selection.columns]
        staged.seconds += time.monotonic() - self._began
        told = [*warnings, *staged.warnings, *self._checks.warnings(staged)]
        if self._deletes is not None:
            told += self._deletes.warnings
        record = committed_record(
            self._blank_record("UNCHANGED"),
            self.spec,
            window,
            staged,
            deleted=self._deleted if self._deletes is not None else None,
            columns=columns,
            warnings=told,
        )
        record["key"] = reading.selection.key_of(reading.table)
        record["warnings"] += outstanding.warnings()
        record = joined_record(record, [each.record for each in outstanding.taken])
        return Commit(
            run_id=self.run.run_id,
            token=self.commit.token,
            planned_at=self.run.planned_at,
            server_utc=self.run.server_utc,
            source=staged.source,
            seen_until=staged.seen_until,
            clock_lead=self.run.bound.get("clock_lead"),
            watermark=window.until.text,
            watermark_before=etag,
            read_from=format_timestamp(window.remember_from),
            files=staged.files,
            quarantine=staged.quarantine,
            deletes=self._deleted,
            key_runs=self._key_runs,
            key_columns=self._deletes.key_columns if self._deletes is not None else None,
            tail=committed_tail(staged),
            columns=columns,
            read_as=self._read_as,
            settled=staged.settled,
            table_columns=[column.as_dict() for column in reading.table.columns],
            record=record,
            unreported=outstanding.carried,
            previous=last.model_copy(
                update={"files": [], "quarantine": [], "deletes": [], "previous": None}
            ).model_dump()
            if last
            else None,
        )

    def _fingerprint(self, selection: Selection, segments: list[Segment], window: Window) -> str:
        """Stand for what the progress of a read depends on."""
        spec = self.spec
        parts = [
            [STAGED_LAYOUT, self.run.planned_at, self._read_as.versions],
            [spec.checks, spec.on_violation, spec.deletes, spec.mode],
            format_timestamp(window.remember_from),
            [column.name for column in selection.columns],
            [[part.condition, [column.name for column in part.order], part.index] for part in segments],
        ]
        return short_hash(parts)

    def _staged(self, watermark: Watermark | None) -> Staged | None:
        """Return this run's progress, if it still holds."""
        staged = self.commit.state.staged
        text = watermark.text if watermark else None
        if staged is None or staged.run_id != self.run.run_id or staged.watermark != text:
            return None
        return staged.model_copy(deep=True)

    # --- what is told ---

    def _blank_record(self, status: str) -> dict[str, Any]:
        drift = {"drift": [change.as_dict() for change in self._drift]} if self._drift else {}
        return drift | blank_record(
            self.spec,
            status,
            after=format_timestamp(self._watermark.moment) if self._watermark else None,
            until=format_timestamp(self.run.until),
            attempts=self.commit.attempts,
            seconds=time.monotonic() - self._began,
        )

    def failed_record(self, error: BaseException) -> dict[str, Any]:
        """Return the manifest's entry for a table that failed with `error`."""
        return self._blank_record("FAILED") | {"error": {"type": type(error).__name__, "message": str(error)}}

    def _left_out(self, reason: str) -> Outcome:
        """Skip a table that this run reads no more: what was staged for it is not needed."""
        self.commit.remove_strays(None, self._reading_seconds() / 3)
        self.commit.release()
        record = joined_record(self._skipped(Refused(reason)).record, self._of_other_formats)
        return Outcome(record["status"], record, record["rows"], len(record["files"]))

    def _skipped(self, refused: Refused) -> Outcome:
        record = self._blank_record("SKIPPED") | {"warnings": [refused.reason]}
        return Outcome("SKIPPED", record)

    def _done(self, record: dict[str, Any]) -> Outcome:
        record = joined_record(record, self._of_other_formats)
        lag = (self.run.server_now - self.run.until).total_seconds() + max(time.time() - self.run.planned_at, 0.0)
        return Outcome(record["status"], record, record["rows"], len(record["files"]), lag)
