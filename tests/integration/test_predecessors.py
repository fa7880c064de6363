"""A predecessor of the same run that wakes up, and a commit whose files do not all fit into one invocation."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from rds_to_s3.mysql.catalogue import snapshot
from rds_to_s3.plan.lists import databases
from rds_to_s3.s3.objects import ObjectStore
from tests.integration.crash_matrix import hurried
from tests.integration.pipeline import Pipeline, entry
from tests.support.deaths import extract_in_child, stand_still
from tests.support.ledger import problems_with_leftovers, problems_with_manifests, problems_with_rows
from tests.support.staged_time import StagedTime


@pytest.fixture
def orders(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(
        "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(60), createdDate DATETIME DEFAULT NOW(), "
        "modifiedDate DATETIME, KEY (createdDate), KEY (modifiedDate))",
        "INSERT INTO orders (note) VALUES " + ", ".join(f"('{number}')" for number in range(48)),
    )
    any_pipeline.tables = [
        {"name": "orders", "target_file_bytes": 400, "deletes": "track", "checks": {"note": {"unique": True}}}
    ]
    return any_pipeline


def test_a_predecessor_removes_no_keys_and_no_values_of_its_successor(orders: Pipeline) -> None:
    orders.plan(orders.execution("twice"))
    open_snapshot = snapshot.open_snapshot

    def stop_first(*given: Any, **options: Any) -> Any:
        stand_still()
        return open_snapshot(*given, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(databases, "open_snapshot", stop_first)
        child = extract_in_child(orders, "twice", "orders", lambda _: None)
    assert os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1])
    with hurried(1):
        assert orders.extract("twice", "orders") == "CONTINUE"
    made = {*orders.keys("_state/keys/orders/"), *orders.keys("_state/seen/orders/")}
    assert {key.split("/")[1] for key in made} == {"keys", "seen"}
    os.kill(child, signal.SIGCONT)
    assert os.waitpid(child, 0)[1] != 0, "it should have lost its lease"
    assert made <= set(orders.keys("_state/"))
    manifest = orders.report(orders.execution("twice"), results=[orders.iterate("twice", "orders")])
    assert entry(manifest, "orders")["rows"] == 48
    later = orders.run()
    assert problems_with_rows(orders, "orders") == []
    assert problems_with_leftovers(orders, "orders") == []
    assert problems_with_manifests(orders, "orders", [manifest, later]) == []


def test_a_commit_of_many_files_takes_several_short_invocations(
    orders: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders.tables = [{"name": "orders", "target_file_bytes": 40}]
    complete = ObjectStore.complete_upload
    visible_at: list[int] = []
    time = StagedTime(monkeypatch)

    def slowly(store: ObjectStore, *given: Any) -> None:
        complete(store, *given)
        time.passes(0.1)

    def extract_and_look(run_id: str, table: str) -> str:
        status = orders.extract(run_id, table)
        visible_at.append(len(orders.data_keys("orders")))
        if status == "CONTINUE":
            assert orders.watermark("orders") is None, "the watermark moves after the last file"
        return status

    monkeypatch.setattr(ObjectStore, "complete_upload", slowly)
    orders.seconds = 2.5
    manifest = orders.run(extract=extract_and_look)
    files = entry(manifest, "orders")["files"]
    assert len(files) == 48
    assert len(visible_at) > 1
    assert visible_at[-1] == 48
    assert problems_with_rows(orders, "orders") == []
    assert problems_with_leftovers(orders, "orders") == []
