"""Every effect of a process on the bucket, by name: where tests kill it, freeze it or slow it down.

All effects pass through `ObjectStore`, so a store that tells them is all there is to it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rds_to_s3.s3.objects import ObjectStore, Part, StoredObject
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

OnEffect = Callable[[str], None]
OF_STATE = ("lease", "checkpoint", "decision", "applied", "release", "undo fence", "undo", "division", "share", "join")
OF_RANGE = ("range lease", "range checkpoint", "range read")
STATES = ("_state/tables/", "_state/ranges/")
OF_KEYS = {
    "_state/tails/": "tail",
    "_state/keys/": "keys",
    "_state/seen/": "seen values",
    "_state/ledger/": "ledger",
}
OF_ENDINGS = {"/reported.json": "take", "/plan.json": "plan", "/last_extract.txt": "watermark"}
OF_REQUESTS = ("start upload", "part", "complete", "abort", "delete")


def nothing(_: str) -> None:
    """Do nothing at an effect."""


class _Effects(ObjectStore):
    """Calls `on_effect` with ``before …`` and ``after …`` around each request that changes the bucket."""

    on_effect: OnEffect = staticmethod(nothing)

    def _prepare(self) -> None:
        self._known: dict[str, Any] = {}
        self._completed = 0
        self._counting = threading.Lock()

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        self.on_effect(f"before {name}")
        yield
        self.on_effect(f"after {name}")

    def get(self, key: str) -> StoredObject | None:
        stored = super().get(key)
        if key.startswith(STATES):
            self._known[key] = _state(stored.body) if stored else {}
        return stored

    def put(self, key: str, body: bytes, **options: Any) -> str:
        with self._telling(self._name(key, body)):
            etag = super().put(key, body, **options)
            if key.startswith(STATES):
                self._known[key] = _state(body)
        return etag

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        with self._telling("delete"):
            super().delete(key, if_match=if_match)

    def start_upload(self, key: str, *, content_type: str, metadata: dict[str, str]) -> str:
        with self._telling("start upload"):
            return super().start_upload(key, content_type=content_type, metadata=metadata)

    def upload_part(self, key: str, upload_id: str, number: int, body: bytes, crc32: int) -> Part:
        with self._telling("part"):
            return super().upload_part(key, upload_id, number, body, crc32)

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part], size: int) -> None:
        with self._counting:
            self._completed += 1
            number = self._completed
        with self._telling(f"complete {number}"):
            super().complete_upload(key, upload_id, parts, size)

    def abort_upload(self, key: str, upload_id: str) -> None:
        with self._telling("abort"):
            super().abort_upload(key, upload_id)

    def _name(self, key: str, body: bytes) -> str:
        if key.startswith("_state/tables/"):
            return name_of_change(self._known.get(key) or {}, _state(body))
        if key.startswith("_state/ranges/"):
            return name_of_change_of_range(self._known.get(key) or {}, _state(body))
        for beginning, name in OF_KEYS.items():
            if key.startswith(beginning):
                return name
        for end, name in OF_ENDINGS.items():
            if key.endswith(end):
                return name
        return "record" if "/tables/" in key else "manifest"


class EffectStore(_Effects):
    """A bucket of a real S3 API."""

    def __init__(self, bucket: str, client: S3Client, on_effect: OnEffect) -> None:
        super().__init__(bucket, client)
        self._prepare()
        self.on_effect = on_effect


class EffectMemory(_Effects, MemoryStore):
    """A bucket in memory."""

    def __init__(self, on_effect: OnEffect = nothing, memory: MemoryStore | None = None) -> None:
        MemoryStore.__init__(self)
        if memory is not None:
            vars(self).update(vars(memory))  # the same objects and uploads
        self._prepare()
        self.on_effect = on_effect


def _state(body: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(body))
    except ValueError:
        return {}


def name_of_change(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Say what a write of a table's state is, by what it changes."""
    old, new = before.get("commit") or {}, after.get("commit") or {}
    old_lease, new_lease = before.get("lease") or {}, after.get("lease") or {}
    was_divided, is_divided = ((state.get("staged") or {}).get("division") for state in (before, after))
    if old.get("undone"):
        return "undo"
    if new.get("undone"):
        return "undo fence"
    if new.get("token") != old.get("token") or new.get("run_id") != old.get("run_id"):
        return "decision"
    if new.get("applied") and not old.get("applied"):
        return "applied"
    if was_divided != is_divided and after.get("staged"):
        return "division" if is_divided else "join"
    if new_lease and new_lease["token"] != old_lease.get("token"):
        return "share" if is_divided else "lease"
    return "release" if old_lease and not new_lease else "checkpoint"


def name_of_change_of_range(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Say what a write of a range's register is."""
    staged = after.get("staged") or {}
    if staged.get("done") and not (before.get("staged") or {}).get("done"):
        return "range read"
    return f"range {name_of_change(before, after)}"
