"""`layout: hive`: the same files in a folder for each day, found wherever files are looked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.verify.unreported import unreported_files
from tests.integration.pipeline import Json, Pipeline, entry
from tests.integration.test_long_reads import hurry
from tests.integration.test_unreported import stopped_run
from tests.integration.verifying import counts, files, next_second, reconcile, with_orders
from tests.support.warehouse import LoadedFile

HIVE = re.compile(
    r"orders/(csv|parquet)/dt=(\d{4})-(\d\d)-(\d\d)/orders_data_\2\3\4_\d{6}(_part\d{4})?\.(csv|csv\.gz|parquet)$"
)


def orders(pipeline: Pipeline, **settings: Any) -> Pipeline:
    return with_orders(pipeline, {"layout": "hive", **settings})


def add(pipeline: Pipeline, key: int) -> None:
    pipeline.database.execute(f"INSERT INTO orders (id, part, createdDate) VALUES ({key}, 'z', NOW())")


def keys(manifest: Json) -> list[str]:
    return [file["key"] for file in entry(manifest, "orders")["files"]]


@pytest.mark.parametrize(
    "settings", [{}, {"compression": "gzip", "target_file_bytes": 100}, {"format": "parquet"}], ids=str
)
def test_each_file_is_in_the_folder_of_its_windows_day_and_is_verified_there(
    pipeline: Pipeline, settings: dict[str, Any]
) -> None:
    orders(pipeline, **settings)
    first = keys(pipeline.run())
    assert first
    assert all(HIVE.fullmatch(key) for key in first)
    assert pipeline.data_keys("orders", settings.get("format", "csv")) == first
    assert (files(pipeline).files, files(pipeline).broken) == (len(first), [])
    assert counts(reconcile(pipeline)) == {"equal": 3}


def test_the_day_is_that_of_the_windows_end_in_the_tables_zone(pipeline: Pipeline) -> None:
    orders(pipeline, time_zone="+14:00")
    far = keys(pipeline.run())
    assert all(HIVE.fullmatch(key) for key in far)


def test_quarantined_rows_and_deleted_keys_stay_where_they_are(pipeline: Pipeline) -> None:
    orders(pipeline, deletes="track", checks={"note": {"not_null": True}}, on_violation="quarantine")
    table = entry(pipeline.run(), "orders")
    assert [file["key"].rpartition("/")[0] for file in table["quarantine"]] == ["orders/quarantine"]
    pipeline.database.execute("DELETE FROM orders WHERE id = 1")
    table = entry(pipeline.run(), "orders")
    assert [file["key"].rpartition("/")[0] for file in table["deletes"]] == ["orders/deletes"]
    assert files(pipeline).broken == []


def test_a_change_of_the_layout_is_warned_of_once_and_loses_nothing(pipeline: Pipeline) -> None:
    with_orders(pipeline, {})
    flat = keys(pipeline.run())
    next_second()
    add(pipeline, 7)
    pipeline.defaults = {"layout": "hive"}
    changed = pipeline.run()
    assert all(HIVE.fullmatch(key) for key in keys(changed))
    assert "the layout is hive, and was flat until" in " ".join(entry(changed, "orders")["warnings"])
    assert not entry(pipeline.run(), "orders")["warnings"]
    assert pipeline.data_keys("orders") == sorted([*flat, *keys(changed)])
    assert counts(reconcile(pipeline)) == {"equal": 4}


def test_a_rewind_delivers_everything_in_the_new_layout(pipeline: Pipeline) -> None:
    with_orders(pipeline, {})
    pipeline.run()
    next_second()
    pipeline.defaults = {"layout": "hive"}
    pipeline.store.delete("orders/csv/last_extract.txt")
    again = entry(pipeline.run(), "orders")
    assert (again["rows"], all(HIVE.fullmatch(file["key"]) for file in again["files"])) == (3, True)
    assert counts(reconcile(pipeline)) == {"equal": 3}


def test_a_read_that_was_not_finished_begins_anew_in_the_new_layout(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_orders(pipeline, {"target_file_bytes": 1})
    hurry(monkeypatch, rows=1, pages=1)
    execution = pipeline.execution("failed")
    plan = pipeline.plan(execution)
    assert pipeline.extract("failed", "orders") == "CONTINUE"
    staged = list(pipeline.store.uploads("orders/"))
    killed = [{"table": "orders", "status": "FAILED", "error": "Sandbox.Timedout"}]
    failed = pipeline.report(execution, plan=plan, results=killed)
    pipeline.defaults |= {"layout": "hive"}
    redriven = pipeline.redrive(failed)
    assert staged
    assert (redriven["status"], entry(redriven, "orders")["rows"]) == ("SUCCEEDED", 3)
    assert all(HIVE.fullmatch(key) for key in keys(redriven))
    assert pipeline.data_keys("orders") == keys(redriven)
    assert list(pipeline.store.uploads("orders/")) == []


def test_files_of_a_stopped_run_are_found_and_reported_by_the_next_one(pipeline: Pipeline) -> None:
    orders(pipeline)
    stopped_run(pipeline, "stopped")
    bucket = Bucket(pipeline.s3_client, pipeline.bucket)
    assert [HIVE.fullmatch(file.key) is not None for file in unreported_files(bucket, list)] == [True]
    assert keys(pipeline.run()) == pipeline.data_keys("orders")
    assert unreported_files(bucket, list) == []


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_load_takes_no_folder_for_a_column_also_where_the_table_has_one_of_that_name(
    pipeline: Pipeline, file_format: str, tmp_path: Path
) -> None:
    pipeline.database.execute(
        "CREATE TABLE orders (id INT PRIMARY KEY, dt VARCHAR(20), "
        "createdDate DATETIME(6) NOT NULL DEFAULT '2025-01-01')",
        "INSERT INTO orders (id, dt) VALUES (1, 'mine'), (2, NULL)",
    )
    settings = {"name": "orders", "layout": "hive", "format": file_format, "modified_column": None}
    pipeline.tables = [settings]
    pipeline.run()
    pipeline.database.execute("INSERT INTO orders VALUES (3, '', NOW(6))")
    next_second()
    pipeline.run()
    by_command, by_script = (LoadedFile(pipeline, tmp_path / f"{name}.duckdb") for name in ("command", "script"))
    by_command.load()
    by_script.run_script(tmp_path / "copy")
    assert (by_command.differing("orders"), by_script.differing("orders")) == ({}, {})
