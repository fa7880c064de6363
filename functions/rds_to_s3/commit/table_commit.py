"""Lease, recovery, decision, application: the order of effects that makes a table's commit atomic.

`docs/exactly-once.md` has the argument, and a table of what happens if the process dies between two steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from rds_to_s3.bucket_keys import data_prefix, part_of, stem_of, watermark_key
from rds_to_s3.commit.completion import Completion, complete_files, take_back_files
from rds_to_s3.commit.housekeeping import find_strays
from rds_to_s3.commit.opening import CommitUnfinished, Decided, Opened, Refused
from rds_to_s3.commit.state import Commit, Lease, Staged, TableState
from rds_to_s3.commit.state_store import StateStore, move_watermark, read_watermark
from rds_to_s3.errors import LeaseLostError, StorageRefusedError, StorageUnavailableError
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.timestamps import Watermark

ACQUIRE_TRIES = 5
HANDOVER_SECONDS = 300.0  # between two invocations of one table: the state machine's own steps, and a retry's wait
MOST_STALLED = 6


class TableCommit:
    """One invocation's reads and writes of a table's state.

    Parameters
    ----------
    planned_at : float
        Of the run, seconds since 1970.
    clock : callable
        Seconds since 1970, by this machine.
    side_prefixes : sequence of str
        Prefixes of the table's files that are not below its format's prefix.
    keeps_keys, keeps_values, keeps_ledger : bool
        Whether its invocations keep delivered keys, values of unique columns, and a ledger in the bucket.
    register : str, optional
        The key of a range's register: it has a lease and progress as a table's has, and never a commit.
    """

    def __init__(
        self,
        store: ObjectStore,
        table: str,
        file_format: str,
        *,
        run_id: str,
        planned_at: float,
        clock: Callable[[], float] = time.time,
        side_prefixes: Sequence[str] = (),
        keeps_keys: bool = True,
        keeps_values: bool = True,
        keeps_ledger: bool = True,
        register: str | None = None,
    ) -> None:
        self._store = store
        self.states = StateStore(store, table, file_format, register)
        self.clock = clock
        self._prefixes = [data_prefix(table, file_format), *side_prefixes]
        self._keeps = (keeps_keys, keeps_values, keeps_ledger)
        self._watermark_key = watermark_key(table, file_format)
        self.run_id = run_id
        self.planned_at = planned_at
        self.token = uuid4().hex

    @property
    def state(self) -> TableState:
        """The state as last read or written by this invocation."""
        return self.states.state

    def look(self) -> Commit | None:
        """Read the state without taking the lease; return the last commit."""
        return self.states.load().commit

    @property
    def attempts(self) -> int:
        """How often this run has tried this table, this time included."""
        return max(self.state.attempts.get(self.run_id, 0), 1)

    # --- the steps of an invocation ---

    def open(self, lasts_seconds: float, seconds: Callable[[], float]) -> Refused | Decided | Opened:
        """Take the table, finish an earlier commit that was decided, and return what is left to do.

        Parameters
        ----------
        lasts_seconds : float
            Until this invocation is certainly over.
        seconds : callable
            Seconds left for requests to S3.

        Raises
        ------
        CommitUnfinished
            See `apply`.
        """
        refused = self.acquire(lasts_seconds)
        if refused is not None:
            return refused
        self.recover(seconds())
        last = self.state.commit
        if last is not None and last.is_of(self.run_id, self.planned_at):
            self.release()
            return Decided(last.record.but(attempts=self.attempts))
        if (newer := self.covered()) is not None:
            # It was only decided; this invocation has just applied it.
            self.release()
            return newer
        watermark, etag = self.read_watermark()
        staged = self._progress(watermark)
        if staged is None or staged.division is None:
            self.remove_strays(staged, seconds() / 3)
        # Else others may be reading its ranges. Their uploads are named nowhere yet.
        return Opened(last, watermark, etag, staged)

    def finish(self, decision: Commit, seconds: Callable[[], float]) -> Commit:
        """Commit the table, and release it.

        Raises
        ------
        StorageUnavailableError
            Its uploads are gone. No file is visible, and the next attempt reads the window again.
        CommitUnfinished
            See `apply`.
        """
        self.decide(decision)
        applied = self.apply(decision, release=True, seconds=seconds())
        if applied is None:
            raise StorageUnavailableError(
                f"uploads of table {self.state.table!r} were aborted before they could be completed; nothing is visible"
            )
        return applied

    def _progress(self, watermark: Watermark | None) -> Staged | None:
        """Return this run's progress, if it is still valid."""
        staged = self.state.staged
        text = watermark.text if watermark else None
        if staged is None or staged.run_id != self.run_id or staged.watermark != text:
            return None
        return staged.model_copy(deep=True)

    # --- lease ---

    def acquire(self, lasts_seconds: float) -> Refused | None:
        """Take the lease, or return why not.

        Parameters
        ----------
        lasts_seconds : float
            Until this invocation is certainly over.
        """
        for _ in range(ACQUIRE_TRIES):
            state = self.states.load()
            now = self.clock()
            if (lease := state.held_by_another(self.run_id, now)) is not None:
                return held(lease, now)
            if (newer := self.covered()) is not None and state.commit is not None and state.commit.applied:
                return newer
            staged = state.staged
            if staged is not None and staged.run_id != self.run_id:
                staged = None  # its uploads are about to be aborted
            commit = state.commit
            # An invocation that continues a handed-back read is no new attempt.
            continues = staged is not None and staged.handed_back
            if staged is not None:
                staged = staged.model_copy(update={"handed_back": False})
            if commit is not None and commit.handed_back:
                continues = state.lease is not None and state.lease.run_id == self.run_id
                commit = commit.model_copy(update={"handed_back": False})
            wanted = state.model_copy(
                update={
                    "lease": Lease(run_id=self.run_id, token=self.token, expires_at=now + lasts_seconds),
                    "attempts": {self.run_id: state.attempts.get(self.run_id, 0) + (0 if continues else 1)},
                    "staged": staged,
                    "commit": commit,
                }
            )
            try:
                self.states.save(wanted)
            except LeaseLostError:
                continue
            return None
        return Refused("other runs kept changing this table's state")

    def covered(self) -> Refused | None:
        """Return a refusal if a run that was planned later has committed: it has read all that this run would read."""
        newer = self.state.covered_by_newer(self.run_id, self.planned_at)
        if newer is None:
            return None
        return Refused(f"run {newer.run_id}, planned later, has already covered this window")

    def guard(self) -> None:
        """Raise LeaseLostError if the lease has expired: a process that was frozen must not act on old knowledge."""
        lease = self.state.lease
        if lease is None or lease.token != self.token or lease.expires_at <= self.clock():
            raise LeaseLostError("this invocation's lease has expired; nothing of it became visible")

    def release(self) -> bool:
        """Release the lease and keep the staged progress; return whether this invocation still held it."""
        lease = self.state.lease
        if lease is None or lease.token != self.token:
            return True
        try:
            self.states.save(self.state.model_copy(update={"lease": None}))
        except LeaseLostError:
            return False
        except (StorageUnavailableError, StorageRefusedError):
            return True
        return True

    def save_staged(self, staged: Staged, *, lasts_seconds: float | None = None) -> None:
        """Record progress; with `lasts_seconds`, keep the table for the run's next invocation."""
        lease = self.state.lease
        if lease and lasts_seconds is not None:
            lease = lease.model_copy(update={"expires_at": self.clock() + lasts_seconds})
        has_ranges = self.state.has_ranges or staged.division is not None
        update = {"staged": staged.model_copy(deep=True), "lease": lease, "has_ranges": has_ranges}
        self.states.save(self.state.model_copy(update=update))

    # --- recovery ---

    def recover(self, seconds: float = math.inf) -> Commit | None:
        """Finish a commit that was decided and not applied. Return it if this call applied it.

        Raises
        ------
        CommitUnfinished
            See `apply`.
        """
        commit = self.state.commit
        if commit is None or commit.applied:
            return None
        return self.apply(commit, release=False, seconds=seconds)

    def remove_strays(self, staged: Staged | None, seconds: float = math.inf) -> None:
        """Remove the leftovers of killed invocations that no document names, within the time.

        The only removal of others' objects, apart from those of an undone commit (`take_back_files`). They are listed
        first, then the lease is confirmed: see `find_strays`. If this invocation is frozen at any point, the list still
        has no object of a successor, and no key or upload in it is ever made a second time.
        """
        strays = find_strays(self._store, self.state, self._prefixes, staged, keeps=self._keeps)
        if not strays:
            return
        self.guard()
        self.states.confirm()
        strays.remove(self._store, seconds)

    def next_part(self, stem: str) -> int:
        """Return the first part number that no file uses whose key begins with `stem`.

        Windows that end at the same second share a stamp: an open transaction holds the end back. A rewound table may
        get an old stamp again.
        """
        # The last commit's files count even where a reader has removed them: a key names one window forever.
        last = self.state.commit.every_file if self.state.commit else []
        taken = {*self._store.keys(stem), *(file.key for file in last if file.key.startswith(stem))}
        return max([self.state.spent.get(stem, 0), *map(part_of, taken)]) + 1

    # --- the watermark ---

    def read_watermark(self) -> tuple[Watermark | None, str | None]:
        """Return the watermark and the ETag of the object that holds it."""
        return read_watermark(self._store, self._watermark_key)

    # --- decide and apply ---

    def decide(self, commit: Commit) -> None:
        """Write the decision: the commit point.

        Raises
        ------
        LeaseLostError
            The lease expired or was taken over.
        """
        self.guard()
        self.states.save(self.state.model_copy(update={"commit": commit, "staged": None}))

    def apply(self, commit: Commit, *, release: bool, seconds: float = math.inf) -> Commit | None:
        """Apply a decision: make its files visible, move the watermark. It can be repeated at any point.

        Parameters
        ----------
        release : bool
            Whether to release the lease in the same write.
        seconds : float
            Seconds for making files visible. The run's next invocation does the rest.

        Returns
        -------
        Commit or None
            None if its uploads were lost before they were completed (a lifecycle rule aborts abandoned ones): the
            decision is undone, and its rows are extracted again.

        Raises
        ------
        CommitUnfinished
            The time was up; the lease is kept for the run's next invocation.
        """
        until = time.monotonic() + seconds
        if commit.undone:
            self._undo(commit, until)
            return None
        is_own = commit.token == self.token
        completion = complete_files(self._store, commit, seconds, resumed=not is_own)
        if completion.lost:
            self._undo(commit, until)
            return None
        if not completion.finished:
            self._keep_unfinished(commit, completion, is_own=is_own)
        self.guard()
        edited = move_watermark(self._store, self._watermark_key, commit)
        record = commit.record.but(warnings=[*commit.record.warnings, edited]) if edited else commit.record
        applied = commit.model_copy(update={"applied": True, "previous": None, "visible": [], "record": record})
        update: dict[str, Any] = {"commit": applied} | ({"lease": None} if release else {})
        self.states.save(self.state.model_copy(update=update))
        previous = Commit.model_validate(commit.previous) if commit.previous else None
        # Safe when this invocation is frozen here: only the commit that has just been replaced named them. Each
        # contains the token of the invocation that made it, so no successor makes one of that name.
        for key in sorted(self._kept(previous) - self._kept(commit)):
            self._store.delete(key)
        return applied

    def _keep_unfinished(self, commit: Commit, completion: Completion, *, is_own: bool) -> None:
        """Record which files are visible. Raise, so that the next invocation completes the others."""
        stalled = 0 if is_own or len(completion.visible) > len(commit.visible) else commit.stalled + 1
        kept = commit.model_copy(
            update={"visible": completion.visible, "stalled": stalled, "handed_back": completion.error is None}
        )
        lease = self.state.lease
        if lease and completion.error is None:
            lease = lease.model_copy(update={"expires_at": self.clock() + HANDOVER_SECONDS})
        self.states.save(self.state.model_copy(update={"commit": kept, "lease": lease}))
        if completion.error is not None:
            raise completion.error
        if stalled > MOST_STALLED:
            raise StorageUnavailableError(
                f"table {self.state.table!r}: {MOST_STALLED} invocations in a row made none of "
                f"the {len(kept.every_file)} files of a commit visible. Raise ExtractTimeout and redrive the run."
            )
        raise CommitUnfinished

    @staticmethod
    def _kept(commit: Commit | None) -> set[str]:
        """Return the digests and the ledger's objects that a commit names."""
        if commit is None:
            return set()
        return {*(commit.tail.keys if commit.tail else []), *(commit.ledger.objects if commit.ledger else [])}

    def _undo(self, commit: Commit, until: float) -> None:
        if not commit.undone:
            # The fence: from here on no other invocation applies the decision, and the next one undoes it.
            spent = dict(self.state.spent)
            for file in commit.every_file:
                stem = stem_of(file.key)
                spent[stem] = max(spent.get(stem, 0), part_of(file.key))
            commit = commit.model_copy(update={"undone": True})
            self.states.save(self.state.model_copy(update={"commit": commit, "spent": spent}))
        if not take_back_files(self._store, commit, until - time.monotonic()):
            self._keep_unfinished(commit, Completion([], lost=True, finished=False), is_own=True)
        previous = Commit.model_validate(commit.previous) if commit.previous else None
        self.states.save(self.state.model_copy(update={"commit": previous}))


def held(lease: Lease, now: float) -> Refused:
    """Return the refusal for another run's lease."""
    return Refused(f"run {lease.run_id} is extracting this table (its lease ends in {lease.expires_at - now:.0f} s)")
