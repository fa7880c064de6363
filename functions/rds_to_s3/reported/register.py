"""Which manifest reports a file: decided by one conditional write of ``_state/runs/{run_id}/reported.json``.

The object belongs to one run. It has the manifest that the run has decided to write, and the files that other runs
report in its place. Either the run's manifest names a file, or the object lists it as taken. Both are changed by writes
with the ETag of the object as read. So the first write decides, and the other sees it. If a function died before it
wrote a decided manifest, the next reader writes it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from rds_to_s3.bucket_keys import manifest_key, reported_key
from rds_to_s3.commit.entries import Document
from rds_to_s3.errors import StorageUnavailableError
from rds_to_s3.reported.manifest import Manifest, keys_in
from rds_to_s3.s3.objects import ConditionFailedError, ObjectStore

TRIES = 40  # all tables of a later run may take their files from one stopped run at the same moment
LONGEST_PAUSE = 1.0


def pause_seconds(attempt: int) -> float:
    """Return how long to wait before a conditional write that others disturb is tried again."""
    return random.uniform(0.0, min(LONGEST_PAUSE, 0.05 * 2**attempt))  # noqa: S311 - no secret


class Taken(Document):
    """Files of a table that another run reports."""

    table: str
    by: str
    keys: list[str]


class Reported(Document):
    """What the object holds."""

    version: int = 1
    planned_at: float | None
    taken: list[Taken]
    manifest: Manifest | None

    @property
    def taken_keys(self) -> set[str]:
        """The keys of the files that other runs report."""
        return {key for taken in self.taken for key in taken.keys}


class RunRegister:
    """The files that one run has reported, and those that others report in its place.

    Parameters
    ----------
    planned_at : float or None
        Of the run: an earlier one may have had its id, and what that one left is not considered.
    sleep : callable
        Waits some seconds before a write is tried again.
    """

    def __init__(
        self,
        store: ObjectStore,
        run_id: str,
        planned_at: float | None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._planned_at = planned_at
        self._sleep = sleep

    def has_written(self, keys: Sequence[str]) -> bool:
        """Whether the written manifest names these files; without files, whether there is one."""
        stored = self._store.get(manifest_key(self._run_id))
        return stored is not None and set(keys) <= keys_in(stored.body)

    def take(self, table: str, keys: Sequence[str], by: str) -> bool:
        """Make sure that the run's own manifest never names these files; return False if it names them already.

        A commit without files has only its warnings to report. Any manifest of the run has those.

        Parameters
        ----------
        by : str
            The run that will report them. Only the holder of the table's lease may take, and the decision that
            reports them is its next write to the table's register.
        """

        def change(document: Reported) -> bool:
            if document.manifest is not None and (not keys or set(keys) & document.manifest.keys):
                return False
            if set(keys) - document.taken_keys:
                document.taken.append(Taken(table=table, by=by, keys=list(keys)))
            return True

        return self._change(change)

    def decide(self, build: Callable[[Sequence[Taken], Manifest | None], Manifest]) -> Manifest:
        """Decide on the run's manifest, and return it.

        Parameters
        ----------
        build : callable
            Makes the manifest of what others have taken and of the manifest that was decided before; it names every
            file that the latter names, and none of the former.
        """
        decided: list[Manifest] = []

        def change(document: Reported) -> bool:
            document.manifest = build(document.taken, document.manifest)
            decided.append(document.manifest)
            return True

        self._change(change)
        return decided[-1]

    def publish(self) -> None:
        """Write the decided manifest, unless it is written.

        The written manifest is read before the decision, so the decision is at least as new. It is replaced only if
        nobody has written it since. A function that was frozen in between writes nothing.
        """
        key = manifest_key(self._run_id)
        for attempt in range(TRIES):
            there = self._store.get(key)
            stored = self._store.get(reported_key(self._run_id))
            manifest = self._read(stored.body if stored else None).manifest
            if manifest is None:
                return
            body = manifest.to_json(indent=1)
            if there is not None and there.body == body:
                return
            try:
                self._store.replace(key, body, there, content_type="application/json")
            except ConditionFailedError:
                self._pause(attempt)
                continue
            return
        raise StorageUnavailableError(f"other functions kept writing {key}")

    def _change(self, change: Callable[[Reported], bool]) -> bool:
        """Change the object by `change`, which returns False where nothing is to be written."""
        key = reported_key(self._run_id)
        for attempt in range(TRIES):
            stored = self._store.get(key)
            document = self._read(stored.body if stored else None)
            before = document.to_json()
            if not change(document):
                return False
            if (body := document.to_json()) == before:
                return True
            try:
                self._store.replace(key, body, stored, content_type="application/json")
            except ConditionFailedError:
                self._pause(attempt)
                continue
            return True
        raise StorageUnavailableError(f"other functions kept writing {key}")

    def _read(self, body: bytes | None) -> Reported:
        document = Reported.from_json(body) if body else None
        if document is None or document.planned_at != self._planned_at:
            return Reported(version=1, planned_at=self._planned_at, taken=[], manifest=None)
        return document

    def _pause(self, attempt: int) -> None:
        self._sleep(pause_seconds(attempt))
