"""Lease, recovery, decision and its application: the order of effects that makes a table's commit atomic.

`docs/exactly-once.md` has the argument, and the table of what happens when the process dies between any two steps.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from rds_to_s3.errors import LeaseLostError, StorageRefusedError, StorageUnavailableError, WatermarkMalformedError
from rds_to_s3.s3.objects import ConditionFailedError, ObjectStore, Part, UploadGoneError
from rds_to_s3.s3.staged_upload import TOKEN
from rds_to_s3.s3.state_store import StateStore
from rds_to_s3.table_state import (
    Commit,
    Lease,
    Staged,
    StagedFile,
    TableState,
    data_prefix,
    manifest_key,
    plan_key,
    record_key,
    tail_key,
    watermark_key,
)
from rds_to_s3.watermark import Watermark

Step = Callable[[str], None]
ACQUIRE_TRIES = 5
WATERMARK_TRIES = 5
_PART = re.compile(r"_part(\d{4,})\.")


@dataclass(frozen=True)
class Refused:
    """Why this run has nothing to do with the table."""

    reason: str


class TableCommit:
    """One invocation's dealings with a table's state.

    Parameters
    ----------
    store : ObjectStore
    table, file_format : str
    run_id : str
    planned_at : float
        Of the run, seconds since 1970.
    clock : callable
        Seconds since 1970, by this machine.
    on_step : callable
        Told the name of each effect before and after it; tests kill the process there.
    side_prefixes : sequence of str
        Where the table's files stand that are not in its format's own place.
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
        on_step: Step = lambda _: None,
        side_prefixes: Sequence[str] = (),
    ) -> None:
        self._store = store
        self._states = StateStore(store, table, file_format)
        self._clock = clock
        self._step = on_step
        self._prefixes = [data_prefix(table, file_format), *side_prefixes]
        self._watermark_key = watermark_key(table, file_format)
        self.run_id = run_id
        self.planned_at = planned_at
        self.token = uuid4().hex

    @property
    def state(self) -> TableState:
        """The state as this invocation last read or wrote it."""
        return self._states.state

    @property
    def attempts(self) -> int:
        """How often this run has tried this table, this time included."""
        return max(self.state.attempts.get(self.run_id, 0), 1)

    # --- lease ---

    def acquire(self, lasts_seconds: float) -> Refused | None:
        """Take the lease, or say why not.

        Parameters
        ----------
        lasts_seconds : float
            Until this invocation is certainly over.
        """
        for _ in range(ACQUIRE_TRIES):
            state = self._states.load()
            now = self._clock()
            if (lease := state.held_by_another(self.run_id, now)) is not None:
                return Refused(
                    f"run {lease.run_id} is extracting this table (its lease ends in {lease.expires_at - now:.0f} s)"
                )
            if (newer := self.covered()) is not None and state.commit is not None and state.commit.applied:
                return newer
            staged = state.staged
            if staged is not None and staged.run_id != self.run_id:
                staged = None  # its uploads are about to be aborted
            # Going on where the last invocation handed back is no new attempt.
            continues = staged is not None and staged.handed_back
            if staged is not None:
                staged = staged.model_copy(update={"handed_back": False})
            wanted = state.model_copy(
                update={
                    "lease": Lease(run_id=self.run_id, token=self.token, expires_at=now + lasts_seconds),
                    "attempts": {self.run_id: state.attempts.get(self.run_id, 0) + (0 if continues else 1)},
                    "staged": staged,
                }
            )
            self._step("before lease")
            try:
                self._states.save(wanted)
            except LeaseLostError:
                continue
            self._step("after lease")
            return None
        return Refused("other runs kept changing this table's state")

    def covered(self) -> Refused | None:
        """Say so if a run that was planned later has committed: it has read all that this one would."""
        newer = self.state.covered_by_newer(self.run_id, self.planned_at)
        if newer is None:
            return None
        return Refused(f"run {newer.run_id}, planned later, has already covered this window")

    def guard(self) -> None:
        """Make sure the lease has not expired: a process that was frozen must not act on what it knew.

        Raises
        ------
        LeaseLostError
        """
        lease = self.state.lease
        if lease is None or lease.token != self.token or lease.expires_at <= self._clock():
            raise LeaseLostError("this invocation's lease has expired; nothing of it became visible")

    def release(self) -> bool:
        """Give the lease back, keeping staged progress; return whether it was still this invocation's to give."""
        lease = self.state.lease
        if lease is None or lease.token != self.token:
            return True
        self._step("before release")
        try:
            self._states.save(self.state.model_copy(update={"lease": None}))
        except LeaseLostError:
            return False
        except (StorageUnavailableError, StorageRefusedError):
            return True
        self._step("after release")
        return True

    def save_staged(self, staged: Staged, *, lasts_seconds: float | None = None) -> None:
        """Record progress; with `lasts_seconds`, keep the table for the run's next invocation."""
        lease = self.state.lease
        if lease and lasts_seconds is not None:
            lease = lease.model_copy(update={"expires_at": self._clock() + lasts_seconds})
        self._step("before checkpoint")
        self._states.save(self.state.model_copy(update={"staged": staged, "lease": lease}))
        self._step("after checkpoint")

    def other_format(self) -> Commit | None:
        """Return the last commit of the table in its other format, if that one is newer than this format's."""
        other = "parquet" if self.state.format == "csv" else "csv"
        commit = StateStore(self._store, self.state.table, other).load().commit
        last = self.state.commit
        return commit if commit is not None and (last is None or commit.planned_at > last.planned_at) else None

    # --- recovery ---

    def recover(self) -> Commit | None:
        """Finish a commit that was decided and not applied; return it if that happened just now."""
        commit = self.state.commit
        if commit is None or commit.applied:
            return None
        return self.apply(commit, release=False)

    def untold(self) -> Commit | None:
        """Return the last commit if another run made it and died before its files were in any manifest.

        Whoever decides next tells of them. Nobody knows for whom the run would have told if it is forgotten by now.
        """
        commit = self.state.commit
        if commit is None or commit.run_id == self.run_id or not commit.every_file:
            return None
        stored = self._store.get(record_key(commit.run_id, self.state.table))
        told = [json.loads(stored.body)] if stored else []
        if (stored := self._store.get(manifest_key(commit.run_id))) is not None:
            told += json.loads(stored.body)["tables"]
        keys = {file.key for file in commit.every_file}
        if any(entry["table"] == self.state.table and keys <= _told_keys(entry) for entry in told):
            return None
        return commit if self._store.get(plan_key(commit.run_id)) is not None else None

    def remove_strays(self, staged: Staged | None) -> None:
        """Remove what dead invocations left: uploads and digests of this table that nothing names.

        Listed first, confirmed then: a later holder takes the lease before it makes anything, so nothing of its making
        is in the list of an invocation that holds the lease afterwards.
        """
        kept = {file.upload_id for file in staged.every_file} if staged else set()
        uploads = [found for prefix in self._prefixes for found in self._store.uploads(prefix) if found[1] not in kept]
        named = {*(staged.tail_keys if staged else []), *self._tail_keys(self.state.commit)}
        tails = self._store.keys(tail_key(self.state.table, self.state.format, "").removesuffix(".bin"))
        tails = [key for key in tails if key not in named]
        if not uploads and not tails:
            return
        self.guard()
        self._states.confirm()
        for key, upload_id in uploads:
            self._step("before abort stray")
            self._store.abort_upload(key, upload_id)
            self._step("after abort stray")
        for key in tails:
            self._delete_tail(key)

    def next_part(self, stem: str) -> int:
        """Return the first part number that no file has whose key begins with `stem`, all of it up to the stamp.

        Windows that end at the same second (a transaction that stays open holds the end back) share a stamp, and a
        rewound table may meet its own old stamp again.
        """
        # The last commit's files count even where a reader has taken them away: a key names one window for good.
        last = self.state.commit.every_file if self.state.commit else []
        taken = {*self._store.keys(stem), *(file.key for file in last if file.key.startswith(stem))}
        numbers = [int(match[1]) if (match := _PART.search(key)) else 1 for key in taken]
        return max(numbers, default=0) + 1

    # --- the watermark ---

    def read_watermark(self) -> tuple[Watermark | None, str | None]:
        """Return the watermark and the ETag of the object that holds it.

        Raises
        ------
        WatermarkMalformedError
        """
        stored = self._store.get(self._watermark_key)
        if stored is None:
            return None, None
        try:
            return Watermark.parse(stored.body), stored.etag
        except ValueError as error:
            raise WatermarkMalformedError(
                f"s3://{self._store.bucket}/{self._watermark_key} {error}. Write a timestamp such as "
                "2025-04-02 12:00:00 into it, or delete it to extract everything."
            ) from None

    # --- decide and apply ---

    def decide(self, commit: Commit) -> None:
        """Write the decision: the commit point.

        Raises
        ------
        LeaseLostError
            The lease expired or was taken over.
        """
        self.guard()
        self._step("before decision")
        self._states.save(self.state.model_copy(update={"commit": commit, "staged": None}))
        self._step("after decision")

    def apply(self, commit: Commit, *, release: bool) -> Commit | None:
        """Carry a decision out: make its files visible, move the watermark. May be repeated at any point.

        Parameters
        ----------
        commit : Commit
        release : bool
            Whether to give the lease back in the same write.

        Returns
        -------
        Commit or None
            None if its uploads were lost before they were completed (a lifecycle rule aborts abandoned ones): the
            decision is undone, and its rows are extracted again.
        """
        for number, file in enumerate(commit.every_file, 1):
            self._step(f"before complete {number}")
            if not self._complete(file):
                self._undo(commit)
                return None
            self._step(f"after complete {number}")
        self._step("before watermark")
        self.guard()
        edited = self._move_watermark(commit)
        self._step("after watermark")
        applied = commit.model_copy(update={"applied": True, "previous": None, "record": dict(commit.record)})
        if edited:
            applied.record["warnings"] = [*applied.record.get("warnings", []), edited]
        self._step("before applied")
        update: dict[str, Any] = {"commit": applied} | ({"lease": None} if release else {})
        self._states.save(self.state.model_copy(update=update))
        self._step("after applied")
        previous = Commit.model_validate(commit.previous) if commit.previous else None
        for key in sorted(self._tail_keys(previous) - self._tail_keys(commit)):
            self._delete_tail(key)
        return applied

    @staticmethod
    def _tail_keys(commit: Commit | None) -> set[str]:
        return set(commit.tail.keys) if commit and commit.tail else set()

    def _delete_tail(self, key: str) -> None:
        self._step("before delete tail")
        self._store.delete(key)
        self._step("after delete tail")

    def _complete(self, file: StagedFile) -> bool:
        parts = [Part(**part) for part in file.parts]
        try:
            self._store.complete_upload(file.key, file.upload_id, parts, file.bytes)
        except UploadGoneError:
            stored = self._store.head(file.key)
            return stored is not None and stored.metadata.get(TOKEN) == file.token
        return True

    def _move_watermark(self, commit: Commit) -> str | None:
        """Write the watermark if it is what the read began with; a person's edit meanwhile wins."""
        body = commit.watermark.encode()
        before = commit.watermark_before
        for _ in range(WATERMARK_TRIES):
            try:
                self._store.put(
                    self._watermark_key, body, if_match=before, if_absent=before is None, content_type="text/plain"
                )
            except ConditionFailedError:
                current = self._store.get(self._watermark_key)
                if current is not None and current.body == body:
                    return None
                if (current.etag if current is not None else None) != before:
                    return (
                        f"{self._watermark_key} was edited while this window was extracted; it stays as edited, and "
                        "the next run begins there"
                    )
                # S3 answers so, too, while another request for the same key is under way.
                continue
            return None
        raise StorageUnavailableError(f"S3 kept refusing to write {self._watermark_key}, though nobody has changed it")

    def _undo(self, commit: Commit) -> None:
        self._step("before undo")
        # The fence: from here on no other invocation has carried the decision out, and none will.
        self._states.save(self.state)
        for file in commit.every_file:
            stored = self._store.head(file.key)
            if stored is not None and stored.metadata.get(TOKEN) == file.token:
                self._store.delete(file.key, if_match=stored.etag)
            self._store.abort_upload(file.key, file.upload_id)
        previous = Commit.model_validate(commit.previous) if commit.previous else None
        self._states.save(self.state.model_copy(update={"commit": previous}))
        self._step("after undo")


def _told_keys(entry: dict[str, Any]) -> set[str]:
    """Return the keys that a manifest's entry tells of."""
    return {file["key"] for kind in ("files", "quarantine", "deletes") for file in entry.get(kind) or []}
