"""Tables whose columns change between runs, and while they are read."""

from __future__ import annotations

import threading
from itertools import cycle
from typing import Any

import pymysql
import pytest

from rds_to_s3.extract import page_reader
from tests.integration.pipeline import Pipeline, entry
from tests.support.csv_reading import read_csv
from tests.support.ledger import problems_with_rows
from tests.support.replicas import wait_until
from tests.support.schemas import validate_manifest

pytestmark = pytest.mark.bucket_in_memory

ORDERS = """CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(20) NULL,
    createdDate DATETIME NOT NULL DEFAULT '2025-01-01 00:00:00', modifiedDate DATETIME NULL,
    KEY (createdDate), KEY (modifiedDate))"""


@pytest.fixture
def orders(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(ORDERS, "INSERT INTO orders (note) VALUES ('a'), ('b')")
    any_pipeline.tables = [{"name": "orders"}]
    any_pipeline.run()
    return any_pipeline


def test_drift_is_reported_once_as_what_it_is_and_the_next_files_have_the_new_columns(orders: Pipeline) -> None:
    orders.database.execute(
        "ALTER TABLE orders ADD extra INT NULL, RENAME COLUMN note TO remark",
        "ALTER TABLE orders MODIFY id BIGINT AUTO_INCREMENT",
        "UPDATE orders SET modifiedDate = NOW() WHERE id = 1",
    )
    manifest = orders.run()
    validate_manifest(manifest)
    table = entry(manifest, "orders")
    changes = {(change["change"], change["column"], change["from"].split("(")[0] if change["from"] else None)
               for change in table["drift"]}  # fmt: skip
    assert changes == {("renamed", "remark", "note"), ("added", "extra", None), ("widened", "id", "int")}
    (told,) = (warning for warning in table["warnings"] if "note" in warning)
    assert told.startswith("drift: column note is gone, and column remark of the same type is in its place")
    (file,) = table["files"]
    assert list(next(read_csv(orders.body(file["key"])))) == ["id", "remark", "createdDate", "modifiedDate", "extra"]
    assert "drift" not in entry(orders.run(), "orders")


def test_a_column_dropped_and_another_added_in_its_place_is_not_called_renamed_as_a_fact(orders: Pipeline) -> None:
    orders.database.execute(
        "ALTER TABLE orders DROP COLUMN note, ADD COLUMN phone VARCHAR(20) NULL AFTER id",
        "UPDATE orders SET modifiedDate = NOW() WHERE id = 1",
    )
    warnings = entry(orders.run(), "orders")["warnings"]
    (told,) = (warning for warning in warnings if "drift: " in warning)
    assert "or dropped and another one added" in told


def test_a_table_that_may_not_drift_stops_and_says_how_to_accept_it(orders: Pipeline) -> None:
    orders.tables = [{"name": "orders", "on_drift": "fail"}]
    assert entry(orders.run(), "orders")["status"] == "UNCHANGED"
    orders.database.execute(
        "ALTER TABLE orders DROP note", "UPDATE orders SET modifiedDate = NOW() WHERE id = 1"
    )  # fmt: skip
    before = orders.keys("orders/")
    failed = orders.run()
    validate_manifest(failed)
    table = entry(failed, "orders")
    assert (table["error"]["type"], table["attempts"]) == ("DriftError", 1)
    assert "column note varchar(20) was dropped" in table["error"]["message"]
    assert 'set its on_drift to "evolve"' in table["error"]["message"]
    assert [change["change"] for change in table["drift"]] == ["dropped"]
    assert orders.keys("orders/") == before
    orders.tables = [{"name": "orders"}]
    assert entry(orders.redrive(failed), "orders")["rows"] == 1
    orders.tables = [{"name": "orders", "on_drift": "fail"}]
    assert entry(orders.run(), "orders")["status"] in {"UNCHANGED", "SUCCEEDED"}


def test_what_the_table_list_leaves_out_or_takes_in_is_no_drift(orders: Pipeline) -> None:
    # The proof would deliver what is taken in.
    orders.defaults = {"prove_bytes": 0}
    orders.tables = [{"name": "orders", "exclude_columns": ["note"], "on_drift": "fail"}]
    assert entry(orders.run(), "orders")["status"] == "UNCHANGED"
    orders.database.execute("ALTER TABLE orders MODIFY note TEXT")
    assert entry(orders.run(), "orders")["status"] == "UNCHANGED"
    orders.tables = [{"name": "orders", "on_drift": "fail"}]
    assert entry(orders.run(), "orders")["status"] == "UNCHANGED"


def test_only_the_order_of_the_files_columns_counts_and_where_the_list_fixes_it_none(orders: Pipeline) -> None:
    without_note = {"name": "orders", "exclude_columns": ["note"], "on_drift": "fail"}
    orders.tables = [without_note]
    orders.run()
    orders.database.execute("ALTER TABLE orders MODIFY note VARCHAR(20) NULL FIRST")
    assert entry(orders.run(), "orders")["status"] == "UNCHANGED"
    orders.database.execute("ALTER TABLE orders MODIFY modifiedDate DATETIME NULL AFTER note")
    assert "the columns have another order" in entry(orders.run(), "orders")["error"]["message"]
    orders.tables = [{"name": "orders", "columns": ["id", "createdDate"], "on_drift": "fail"}]
    assert entry(orders.run(), "orders")["status"] == "UNCHANGED"


def test_an_alter_while_the_table_is_read_leaves_windows_that_are_wholly_old_or_wholly_new(
    any_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_reader, "FIRST_PAGE_BYTES", 20_000)
    pipeline = any_pipeline
    pipeline.database.execute(
        ORDERS,
        "INSERT INTO orders (note) WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 1000) "
        "SELECT REPEAT('n', 20) FROM n",
    )
    pipeline.tables = [{"name": "orders", "mode": "full"}]
    over = threading.Event()
    altered = 0

    def alter() -> None:
        nonlocal altered
        connection = pipeline.database.connect()
        with connection, connection.cursor() as cursor:
            for statement in cycle(["ADD extra INT NOT NULL DEFAULT 7 AFTER id", "DROP extra"]):
                if over.is_set() and statement.startswith("ADD"):
                    return
                try:
                    cursor.execute(f"ALTER TABLE orders {statement}")
                except pymysql.err.MySQLError:
                    continue
                altered += 1

    thread = threading.Thread(target=alter)
    thread.start()
    try:
        manifests = [pipeline.run() for _ in range(12)]
    finally:
        over.set()
        thread.join()
    assert altered > 2
    for manifest in manifests:
        table = entry(manifest, "orders")
        if table["status"] == "FAILED":
            # Four attempts were not enough to find the table at rest; nothing came of it.
            assert table["error"]["type"] == "ReadInterruptedError"
            assert table["files"] == []
            continue
        names = [column["name"] for column in table["columns"]]
        rows = [row for file in table["files"] for row in read_csv(pipeline.body(file["key"]))]
        assert len(rows) == 1000
        assert {tuple(row) for row in rows} == {tuple(names)}
        assert {row.get("extra", "7") for row in rows} == {"7"}
        assert {row["note"] for row in rows} == {"n" * 20}
    assert any(entry(manifest, "orders")["status"] == "SUCCEEDED" for manifest in manifests)


def test_a_table_that_takes_the_place_of_another_while_the_read_waits_is_read_as_it_then_is(
    any_pipeline: Pipeline,
) -> None:
    pipeline, database = any_pipeline, any_pipeline.database
    database.execute(
        ORDERS,
        "CREATE TABLE orders_new LIKE orders",
        "INSERT INTO orders (note) VALUES ('a')",
    )
    pipeline.tables = ["orders"]
    manifests: list[dict[str, Any]] = []
    owner, renamer = database.connect(), database.connect()
    waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE STATE LIKE '%metadata lock%'"
    with owner, renamer, owner.cursor() as locked, renamer.cursor() as renaming:
        # As an online schema change cuts over: the rest is copied under the lock, and the RENAME goes before any read.
        locked.execute("LOCK TABLES orders WRITE, orders_new WRITE, orders AS o READ")
        rename = "RENAME TABLE orders TO orders_old, orders_new TO orders"
        work = [lambda: manifests.append(pipeline.run()), lambda: renaming.execute(rename)]
        threads = [threading.Thread(target=each) for each in work]
        for number, thread in enumerate(threads, 1):
            thread.start()
            wait_until(lambda number=number: database.rows(waiting)[0][0] == number)  # type: ignore[misc]
        locked.execute("INSERT INTO orders_new SELECT * FROM orders AS o")
        locked.execute("COMMIT")
        locked.execute("UNLOCK TABLES")
        for thread in threads:
            thread.join()
    assert entry(manifests[0], "orders")["rows"] == 1
    assert problems_with_rows(pipeline, "orders") == []
