"""Runs that are stopped before they could write a manifest: each of their files is in exactly one, all the same."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
from typing import Any

import pyarrow.parquet as pq
import pytest

from rds_to_s3.commit.entries import TableEntry
from rds_to_s3.plan.plan_run import read_manifest
from tests.integration.pipeline import Json, Pipeline, entry
from tests.support.deaths import extract_and_die, extract_in_child, stand_still_at
from tests.support.ledger import expire_lease, problems_with_manifests, problems_with_rows
from tests.support.schemas import validate_manifest


@pytest.fixture
def orders(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(
        "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40), createdDate DATETIME DEFAULT NOW(), "
        "modifiedDate DATETIME, KEY (createdDate), KEY (modifiedDate))",
        "INSERT INTO orders (note) VALUES ('a'), ('b'), ('c')",
    )
    any_pipeline.tables = ["orders"]
    return any_pipeline


def stopped_run(pipeline: Pipeline, run_id: str, tables: tuple[str, ...] = ("orders",)) -> Json:
    """Extract the tables of a run whose execution is then stopped."""
    execution = pipeline.execution(run_id)
    pipeline.plan(execution)
    for table in tables:
        assert pipeline.iterate(run_id, table)["status"] in {"SUCCEEDED", "UNCHANGED"}
    return execution


def insert(pipeline: Pipeline, *notes: str) -> None:
    pipeline.database.execute(*(f"INSERT INTO orders (note) VALUES ('{note}')" for note in notes))


def every_manifest(pipeline: Pipeline) -> list[Json]:
    keys = [key for key in pipeline.keys("runs/") if key.endswith("/manifest.json")]
    return [json.loads(pipeline.body(key)) for key in keys]


def problems(pipeline: Pipeline, table: str = "orders") -> list[str]:
    manifests = every_manifest(pipeline)
    for manifest in manifests:
        validate_manifest(manifest)
    return problems_with_manifests(pipeline, table, manifests)


def test_what_a_stopped_run_warned_of_is_in_the_later_runs_entry(orders: Pipeline) -> None:
    orders.run()
    orders.tables = [{"name": "orders", "checks": {"note": {"isin": ["a", "b", "c"]}}, "on_violation": "warn"}]
    insert(orders, "odd")
    stopped_run(orders, "stopped")
    orders.tables = ["orders"]
    for changes in (["d"], []):  # with rows of its own, and without
        insert(orders, *changes)
        warnings = entry(orders.run(), "orders")["warnings"]
        assert any("check broken: note isin" in text for text in warnings), warnings
        assert any("ended before it could report" in text for text in warnings)
        orders.tables = [{"name": "orders", "checks": {"note": {"isin": ["a"]}}, "on_violation": "warn"}]
        insert(orders, "odd")
        stopped_run(orders, f"stopped after {len(changes)}")
        orders.tables = ["orders"]


@pytest.mark.parametrize("between", [False, True])
def test_what_a_stopped_run_without_files_warned_of_is_reported_once(orders: Pipeline, between: bool) -> None:
    orders.tables = [{"name": "orders", "prove_bytes": 0}]
    orders.database.execute("UPDATE orders SET createdDate = '2025-01-01'")
    orders.run()
    orders.database.execute("ALTER TABLE orders ADD COLUMN price INT")
    stopped_run(orders, "stopped")
    if between:  # while the other is still running, as it seems
        orders.running = ["stopped"]
        table = entry(orders.run("between"), "orders")
        assert (table["warnings"], table.get("drift")) == ([], None)
        orders.running = []
    table = entry(orders.run("later"), "orders")
    assert (table["status"], table["files"]) == ("UNCHANGED", [])
    assert [change["change"] for change in table["drift"]] == ["added"]
    assert "run stopped ended before it could report its commit: this entry reports its warnings" in table["warnings"]
    assert "drift: column price int was added" in " ".join(table["warnings"]).replace("int(11)", "int")
    table = entry(orders.run("last"), "orders")
    assert (table["warnings"], table.get("drift")) == ([], None)


@pytest.mark.parametrize("written", [True, False])
def test_what_the_own_manifest_of_a_run_without_files_says_no_other_run_says(
    orders: Pipeline, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    orders.tables = [{"name": "orders", "prove_bytes": 0}]
    orders.database.execute("UPDATE orders SET createdDate = '2025-01-01'")
    orders.run()
    orders.database.execute("ALTER TABLE orders ADD COLUMN price INT")
    execution = stopped_run(orders, "late")
    if written:
        orders.report(execution)
    else:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("rds_to_s3.reported.register.RunRegister.publish", _die)
            orders.report(execution)
    assert entry(orders.run("later"), "orders")["warnings"] == []
    manifest = read_manifest(orders.store, "late")
    assert manifest is not None
    assert [change["change"] for change in entry(manifest, "orders")["drift"]] == ["added"]


def test_a_run_that_deletes_rows_does_not_wait_for_one_that_only_warned(orders: Pipeline) -> None:
    orders.tables = [{"name": "orders", "prove_bytes": 0, "deletes": "track"}]
    orders.database.execute("UPDATE orders SET createdDate = '2025-01-01'")
    orders.run()
    orders.database.execute("ALTER TABLE orders ADD COLUMN price INT")
    stopped_run(orders, "stopped")
    orders.database.execute("DELETE FROM orders WHERE id = 1")
    table = entry(orders.run("later"), "orders")
    assert (table["rows"], table["deleted_rows"]) == (0, 1)
    assert len(table["drift"]) == 1
    assert problems(orders) == []


def test_a_later_run_reports_the_files_of_one_that_was_stopped(orders: Pipeline) -> None:
    stopped_run(orders, "stopped")
    later = orders.run("later")
    table = entry(later, "orders")
    assert (table["status"], table["rows"], table["redrive"]) == ("SUCCEEDED", 3, 0)
    assert "run stopped ended before it could report" in " ".join(table["warnings"])
    assert problems(orders) == []
    assert entry(orders.run("last"), "orders")["status"] == "UNCHANGED"
    assert problems(orders) == []


def test_several_stopped_runs_in_a_row_are_reported_by_the_first_that_is_not(orders: Pipeline) -> None:
    for number in range(3):
        stopped_run(orders, f"stopped-{number}")
        insert(orders, f"after {number}")
    later = orders.run("later")
    assert entry(later, "orders")["rows"] == 6
    assert problems(orders) == []
    assert problems_with_rows(orders, "orders") == []


@pytest.mark.parametrize("first", ["the late manifest", "the later run"])
def test_a_late_manifest_and_a_later_run_never_both_report_a_file(orders: Pipeline, first: str) -> None:
    late = stopped_run(orders, "late")
    if first == "the late manifest":
        orders.report(late)
    later = orders.run("later")
    again = orders.report(late)
    status = "SUCCEEDED" if first == "the late manifest" else "SKIPPED"
    assert (entry(again, "orders")["status"], entry(later, "orders")["status"]) == (
        status,
        "UNCHANGED" if status == "SUCCEEDED" else "SUCCEEDED",
    )
    assert problems(orders) == []
    if status == "SKIPPED":
        assert "run later, or a later one, reports what this run extracted" in entry(again, "orders")["warnings"][-1]


def test_a_run_that_is_still_going_keeps_its_files_and_a_run_after_it_reports_its_own(orders: Pipeline) -> None:
    slow = stopped_run(orders, "slow")
    insert(orders, "d")
    orders.running = ["slow"]
    between = orders.run("between")
    table = entry(between, "orders")
    assert table["rows"] == 1
    assert "run slow is still running: its manifest will report 1 files of this table" in table["warnings"]
    assert entry(orders.report(slow), "orders")["rows"] == 3
    assert problems(orders) == []


def test_a_run_that_was_going_and_then_stopped_is_reported_by_a_run_after_that(orders: Pipeline) -> None:
    stopped_run(orders, "slow")
    insert(orders, "d")
    orders.running = ["slow"]
    orders.run("between")
    orders.running = []
    assert entry(orders.run("later"), "orders")["rows"] == 3
    assert problems(orders) == []


def test_a_running_runs_commit_without_a_record_is_in_its_own_manifest(orders: Pipeline) -> None:
    slow = orders.execution("slow")
    orders.plan(slow)
    extract_and_die(orders, "slow", "orders", "before record")
    insert(orders, "d")
    orders.running = ["slow"]
    orders.run("between")
    failed = [{"table": "orders", "status": "FAILED", "error": "Sandbox.Timedout"}]
    assert entry(orders.report(slow, results=failed), "orders")["rows"] == 3
    assert problems(orders) == []


@pytest.mark.parametrize(
    "step", ["before take", "after take", "before decision", "after decision", "before applied", "before record"]
)
@pytest.mark.parametrize("retried", [True, False])
def test_a_run_that_dies_while_it_takes_files_over_loses_none_of_them(
    orders: Pipeline, step: str, retried: bool
) -> None:
    late = stopped_run(orders, "late")
    insert(orders, "d")
    heir = orders.execution("heir")
    orders.plan(heir)
    extract_and_die(orders, "heir", "orders", step)
    if retried:
        orders.report(heir, results=[orders.iterate("heir", "orders")])
    else:
        expire_lease(orders, "orders")
    orders.report(late)
    orders.run("later")
    orders.report(heir, results=[{"table": "orders", "status": "FAILED", "error": "Sandbox.Timedout"}])
    orders.report(late)
    assert problems(orders) == []
    assert problems_with_rows(orders, "orders") == []


def test_a_run_that_is_frozen_while_it_takes_files_over_reports_nothing(orders: Pipeline) -> None:
    late = stopped_run(orders, "late")
    insert(orders, "d")
    frozen = orders.execution("frozen")
    orders.plan(frozen)
    child = extract_in_child(orders, "frozen", "orders", stand_still_at("after take"))
    assert os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1])
    expire_lease(orders, "orders")
    later = orders.run("later")
    os.kill(child, signal.SIGCONT)
    assert os.waitpid(child, 0)[1] != 0
    assert entry(later, "orders")["rows"] == 4
    orders.report(frozen, results=[{"table": "orders", "status": "FAILED", "error": "LeaseLostError"}])
    orders.report(late)
    assert problems(orders) == []


def test_files_with_other_columns_say_which(orders: Pipeline) -> None:
    stopped_run(orders, "stopped")
    orders.database.execute("ALTER TABLE orders ADD COLUMN price INT AFTER id")
    insert(orders, "d")
    old, new = entry(orders.run("later"), "orders")["files"]
    assert old["columns"] == ["id", "note", "createdDate", "modifiedDate"]
    assert "columns" not in new
    assert problems(orders) == []


@pytest.mark.parametrize("killed_at", [None, "after decision"])
def test_files_of_a_format_that_the_table_had_are_reported_too(orders: Pipeline, killed_at: str | None) -> None:
    if killed_at is None:
        stopped_run(orders, "stopped")
    else:
        orders.plan(orders.execution("stopped"))
        extract_and_die(orders, "stopped", "orders", killed_at)
        expire_lease(orders, "orders")
    orders.tables = [{"name": "orders", "format": "parquet"}]
    manifest = orders.run("later")
    table = entry(manifest, "orders")
    assert (table["format"], table["rows"], len(table["superseded"])) == ("parquet", 3, 1), "the new file has every row"
    assert {key.rpartition(".")[2] for key in TableEntry.model_validate(table).keys} == {"csv", "parquet"}
    assert orders.data_keys("orders") == [key for key in TableEntry.model_validate(table).keys if key.endswith(".csv")]
    assert entry(orders.run("last"), "orders")["status"] == "UNCHANGED"


def test_the_last_full_extraction_is_to_be_loaded_and_those_before_it_are_named(orders: Pipeline) -> None:
    orders.tables = [{"name": "orders", "mode": "full"}]
    stopped_run(orders, "stopped")
    insert(orders, "d")
    table = entry(orders.run("later"), "orders")
    assert (table["mode"], table["rows"], len(table["files"]), len(table["superseded"])) == ("full", 4, 1, 1)
    assert sorted(TableEntry.model_validate(table).keys) == orders.data_keys("orders")


def test_commits_that_are_reported_together_keep_their_places_in_the_tables_order(orders: Pipeline) -> None:
    stopped_run(orders, "first")
    insert(orders, "d")
    orders.running = ["first"]  # as it seems to the next one
    slow = stopped_run(orders, "slow")
    insert(orders, "e")
    orders.running = ["slow"]
    later = entry(orders.run("later"), "orders")
    between = entry(orders.report(slow), "orders")
    first, own = later["files"]
    assert "sequence" not in own
    assert first["sequence"] < between["sequence"] < later["sequence"]
    assert later["window"]["after"] is None


def test_what_was_delivered_before_a_whole_extraction_is_replaced_by_it(orders: Pipeline) -> None:
    orders.run("first")
    insert(orders, "d")
    stopped_run(orders, "stopped")
    orders.store.delete("orders/csv/last_extract.txt")
    table = entry(orders.run("later"), "orders")
    assert (table["window"]["after"], table["rows"], len(table["superseded"])) == (None, 4, 1)


@pytest.mark.parametrize("settings", [{}, {"compression": "gzip"}, {"format": "parquet"}])
def test_a_full_table_has_a_file_in_every_run_a_header_alone_where_it_is_empty(
    orders: Pipeline, settings: Json
) -> None:
    orders.tables = [{"name": "orders", "mode": "full", **settings}]
    orders.run()
    orders.database.execute("DELETE FROM orders")
    table = entry(orders.run(), "orders")
    assert (table["status"], table["rows"], [file["rows"] for file in table["files"]]) == ("SUCCEEDED", 0, [0])
    body = orders.body(table["files"][0]["key"])
    if settings.get("format") == "parquet":
        assert pq.read_table(io.BytesIO(body)).column_names == ["id", "note", "createdDate", "modifiedDate"]
    else:
        text = gzip.decompress(body) if settings else body
        assert text == b"id,note,createdDate,modifiedDate\n"
        assert problems(orders) == []


def test_quarantined_and_deleted_rows_of_a_stopped_run_are_reported_and_its_deletes_come_first(
    orders: Pipeline,
) -> None:
    orders.tables = [
        {"name": "orders", "deletes": "track", "checks": {"note": {"max_length": 1}}, "on_violation": "quarantine"}
    ]
    orders.run("first")
    orders.database.execute("DELETE FROM orders WHERE id = 1", "INSERT INTO orders (note) VALUES ('bad'), ('d')")
    stopped_run(orders, "stopped")
    orders.database.execute("DELETE FROM orders WHERE note = 'd'")
    table = entry(orders.run("later"), "orders")
    assert (table["rows"], table["deleted_rows"], table["quarantined_rows"]) == (1, 1, 1)
    assert "the next run will report the rows deleted since run stopped" in table["warnings"]
    last = entry(orders.run("last"), "orders")
    assert (last["status"], last["deleted_rows"]) == ("SUCCEEDED", 1)
    assert problems(orders) == []


def test_a_redrive_says_which_entries_it_has_made(orders: Pipeline) -> None:
    orders.tables = ["orders", "late"]
    failed = orders.run("first")
    orders.database.execute("CREATE TABLE late LIKE orders", "INSERT INTO late (note) VALUES ('x')")
    redriven = orders.redrive(failed)
    assert {table["table"]: table["redrive"] for table in redriven["tables"]} == {"orders": 0, "late": 1}
    assert {table["mode"] for table in redriven["tables"]} == {"incremental"}


def test_a_manifest_that_was_decided_and_not_written_is_written_by_the_next_run(
    orders: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = stopped_run(orders, "late")
    with monkeypatch.context() as patch:
        patch.setattr("rds_to_s3.reported.register.RunRegister.publish", _die)
        with pytest.raises(KeyboardInterrupt):
            orders.report(execution)
    assert read_manifest(orders.store, "late") is None
    assert entry(orders.run("later"), "orders")["status"] == "UNCHANGED"
    assert problems(orders) == []


def _die(*_: Any) -> None:
    raise KeyboardInterrupt
