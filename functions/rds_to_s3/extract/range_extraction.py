"""One range of a table that several readers share -> files in S3. The last reader commits the table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from rds_to_s3.bucket_keys import range_key
from rds_to_s3.commit.opening import Opened, Refused
from rds_to_s3.commit.read_as import Division
from rds_to_s3.commit.staged_upload import Uploader
from rds_to_s3.commit.state import Staged, Written
from rds_to_s3.commit.table_commit import HANDOVER_SECONDS, TableCommit
from rds_to_s3.errors import LeaseLostError, SourceChangedError
from rds_to_s3.extract.outcome import Outcome
from rds_to_s3.extract.ranges.division import in_range, least_bytes
from rds_to_s3.extract.ranges.shared import SharedTable
from rds_to_s3.extract.reached import begun_elsewhere, connect_reached, note_seen
from rds_to_s3.extract.scope.prepared_read import PreparedRead
from rds_to_s3.extract.stages.files import WindowFiles
from rds_to_s3.extract.table_extraction import LEASE_GRACE_SECONDS, TableExtraction
from rds_to_s3.extract.work import Work
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.timestamps import Watermark


class RangeExtraction(TableExtraction):
    """One invocation's work on one range of a table.

    Parameters
    ----------
    number : int
        Of the range, from 1.
    """

    divides = False

    def __init__(
        self,
        run: PlannedRun,
        spec: TableSpec,
        store: ObjectStore,
        connect: Callable[[int], Connection],
        *,
        number: int,
        time_left: Callable[[], float],
        reconnect: Callable[[int], Connection] | None = None,
        mask_key: Callable[[], bytes] | None = None,
    ) -> None:
        super().__init__(run, spec, store, connect, time_left=time_left, reconnect=reconnect, mask_key=mask_key)
        self._number = number
        self._shared = SharedTable(self.commit, store)
        self._whole: Staged | None = None

    def _begin(self, lease_seconds: float) -> Outcome:
        entered = self._shared.enter(lease_seconds + HANDOVER_SECONDS)
        if isinstance(entered, Refused):
            return Outcome.of(self._skipped_record(entered.reason))
        if entered is None:
            return self._conclude()
        self._whole = entered
        if not self._read_range(entered, self._division, lease_seconds):
            return Outcome("CONTINUE")
        registers = self._shared.registers(self._division)
        if self._shared.missing(registers):
            # Those that are missing may have failed. Then nobody else would give the table free.
            self._shared.leave(self._division)
        elif self._shared.join(self._division, registers) is not None:
            return self._conclude()
        return Outcome("RANGE_READ")

    def _conclude(self) -> Outcome:
        """Commit the table, all of whose ranges are read."""
        state = self.commit.state
        is_own = state.commit is not None and state.commit.is_of(self.run.run_id, self.run.planned_at)
        if not is_own and (state.staged is None or state.staged.run_id != self.run.run_id or state.staged.readers == 1):
            raise self._begun_anew()
        self._whole, self.register, self.concludes, self._part = None, self.commit, True, ""
        self._began = time.monotonic()
        self._renew_token()
        return super()._begin(self._time_left() + LEASE_GRACE_SECONDS)

    def _renew_token(self) -> None:
        """Be another invocation from here on: objects are named by the token and counted, and the range has some."""
        self.commit.token = uuid4().hex

    @property
    def _division(self) -> Division:
        division = self._whole.division if self._whole is not None else None
        if division is None or self._number > division.ranges:
            raise self._begun_anew()
        return division

    def _read_range(self, whole: Staged, division: Division, lease_seconds: float) -> bool:
        """Read the range, or continue; return whether it is read to its end."""
        self.concludes, self._part = False, f"in range {self._number} of {division.ranges}, "
        register = TableCommit(
            self._store,
            self.spec.name,
            self.spec.format,
            run_id=self.run.run_id,
            planned_at=self.run.planned_at,
            register=range_key(self.spec.name, self.spec.format, division.token, self._number),
        )
        if register.acquire(lease_seconds) is not None:
            raise LeaseLostError(f"another invocation reads range {self._number} of table {self.spec.name!r}")
        self.register = register
        staged = register.state.staged
        if staged is not None and staged.done:
            register.release()
            return True
        self._watermark = Watermark.parse(whole.watermark.encode()) if whole.watermark is not None else None
        opened = Opened(
            self.commit.state.commit, self._watermark, None, staged.model_copy(deep=True) if staged else None
        )
        connection, self.run = connect_reached(
            self.run, self.spec.name, [opened.last, opened.staged], self._ways, self._working_seconds
        )
        try:
            work = self._prepare(connection, opened)
            segments, _ = in_range(work.prepared.segments, division, self._number)
            work.prepared = replace(work.prepared, segments=segments)
            finished = self._read(work)
        finally:
            connection.close()
        if not finished:
            self._hand_back(work.staged)
            return False
        work.staged.done = True
        work.staged.seconds += time.monotonic() - self._began
        register.states.save(register.state.model_copy(update={"staged": work.staged, "lease": None}))
        return True

    def _progress(self, connection: Connection, opened: Opened, table: Table, prepared: PreparedRead) -> Staged:
        """Return the range's progress, or new progress."""
        whole = self._whole
        if whole is None:
            return super()._progress(connection, opened, table, prepared)
        fingerprint = prepared.fingerprint(self.spec, self.run)
        if whole.fingerprint != fingerprint or begun_elsewhere(whole, self.run.source):
            raise self._begun_anew()
        staged = opened.staged
        if staged is None or begun_elsewhere(staged, self.run.source):
            _, begin = in_range(prepared.segments, self._division, self._number)
            staged = Staged(
                run_id=self.run.run_id,
                watermark=whole.watermark,
                fingerprint=fingerprint,
                written=Written(position=begin),
            )
        note_seen(connection, staged, self.run.source)
        staged.invocations += 1
        return staged

    def _files(self, work: Work, uploader: Uploader) -> WindowFiles:
        if self._whole is None:
            return super()._files(work, uploader)
        division = self._division
        numbers = division.numbers_of(self._number)
        return WindowFiles(
            self.spec,
            work.prepared.window.stamp,
            uploader,
            lambda _: numbers.start,
            numbers=numbers,
            least_bytes=least_bytes(division.bytes, division.ranges, division.parts),
        )

    def _release(self) -> None:
        if self._whole is None:
            super()._release()
            return
        if self.register is not self.commit:
            self.superseded = not self.register.release()
        # Never the table's own lease alone: other ranges may be read under it.
        if not self.superseded and self._whole.division is not None:
            self._shared.leave(self._whole.division)

    def _begun_anew(self) -> SourceChangedError:
        return SourceChangedError(
            f"table {self.spec.name!r} was altered, its settings or its server changed, or its watermark was edited, "
            "while several readers read it. Nothing of this window became visible; redrive the run to read it again."
        )
