"""Which manifest reports a file, wherever its writer or a later run is interrupted, frozen or killed."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rds_to_s3.bucket_keys import manifest_key, reported_key
from rds_to_s3.reported.manifest import Manifest, keys_in
from rds_to_s3.reported.register import RunRegister, Taken
from tests.support.manifests import entry_json, manifest, manifest_json
from tests.support.memory_store import MemoryStore

KEYS = ["orders/csv/1.csv", "orders/csv/2.csv"]


class Died(BaseException):
    """The process is gone."""


class Interrupted(MemoryStore):
    """Calls something before its nth request."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0
        self.moments: dict[int, Callable[[], None]] = {}

    def _tick(self) -> None:
        self.requests += 1
        if (act := self.moments.pop(self.requests, None)) is not None:
            act()

    def get(self, key: str) -> Any:
        self._tick()
        return super().get(key)

    def put(self, *given: Any, **options: Any) -> str:
        self._tick()
        return super().put(*given, **options)


def register(store: MemoryStore, run_id: str = "a", planned_at: float | None = 1.0) -> RunRegister:
    return RunRegister(store, run_id, planned_at, sleep=lambda _: None)


def write_manifest(store: MemoryStore, number: int = 0) -> None:
    def build(taken: Sequence[Taken], earlier: Manifest | None) -> Manifest:
        left = [key for key in KEYS if key not in {key for each in taken for key in each.keys}]
        assert earlier is None or earlier.keys <= set(left), "a manifest forgets what it has reported"
        files = [{"key": key, "rows": 1, "bytes": 1, "sha256": "0" * 64} for key in left]
        return manifest(entry_json("orders", files=files), run_id="a", redrives=number)

    own = register(store)
    own.decide(build)
    own.publish()


def report_later(store: MemoryStore) -> bool:
    """Do what a later run does; return whether it reports the files."""
    own = register(store)
    if own.has_written(KEYS):
        return False
    if own.take("orders", KEYS, "b"):
        return True
    own.publish()
    return False


def named(store: MemoryStore) -> set[str]:
    stored = MemoryStore.get(store, manifest_key("a"))
    return Manifest.from_json(stored.body).keys if stored else set()


def die() -> None:
    raise Died


MOMENTS = range(1, 9)


@pytest.mark.parametrize("killed", [0, *MOMENTS])
def test_each_file_is_in_one_manifest_whenever_a_later_run_comes(killed: int) -> None:
    for moment in MOMENTS:
        store = Interrupted()
        reported: list[bool] = []

        def later(store: Interrupted = store, reported: list[bool] = reported) -> None:
            moments, store.moments = store.moments, {}
            reported.append(report_later(store))
            store.moments = moments

        store.moments = {moment: later} if killed == moment else {moment: later, killed: die}
        with contextlib.suppress(Died):
            write_manifest(store)
        store.moments = {}
        if not reported or not reported[0]:
            reported.append(report_later(store))
        by_later = any(reported)
        assert by_later != bool(named(store)), f"later at {moment}, killed at {killed}"
        assert named(store) in (set(), set(KEYS))
        write_manifest(store, 1)
        assert by_later != bool(named(store)), "a rewritten manifest changes nothing about it"


@pytest.mark.parametrize(("frozen", "killed"), list(itertools.product(MOMENTS, [None, 2, 3, 5])))
def test_a_writer_that_was_frozen_does_not_bring_an_older_manifest_back(frozen: int, killed: int | None) -> None:
    store = Interrupted()

    def redrive() -> None:
        store.moments = {} if killed is None else {store.requests + killed: die}
        try:
            write_manifest(store, 1)
        except Died:
            store.moments = {}
            report_later(store)
        store.moments = {}

    store.moments = {frozen: redrive}
    write_manifest(store, 0)
    store.moments = {}
    register(store).publish()
    decided = json.loads(store.objects[reported_key("a")][0])["manifest"]
    assert json.loads(store.objects[manifest_key("a")][0]) == decided


def test_what_an_earlier_run_of_the_same_name_has_left_is_not_considered() -> None:
    store = MemoryStore()
    assert register(store, planned_at=1.0).take("orders", KEYS, "b")
    seen: list[Any] = []

    def build(taken: Any, earlier: Any) -> Manifest:
        seen.append((list(taken), earlier))
        return manifest()

    register(store, planned_at=2.0).decide(build)
    assert seen == [([], None)]


def test_the_keys_in_a_manifest_are_those_of_its_model() -> None:
    files = [{"key": f"orders/{kind}/1", "rows": 1, "bytes": 1, "sha256": "0" * 64} for kind in range(4)]
    kinds: Any = {
        kind: [file] for kind, file in zip(("files", "quarantine", "deletes", "superseded"), files, strict=True)
    }
    manifest = Manifest.model_validate(manifest_json(entry_json("orders", **kinds), entry_json("menu")))
    assert keys_in(manifest.to_json()) == manifest.keys == {f"orders/{kind}/1" for kind in range(4)}
