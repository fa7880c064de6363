"""Deleted rows are each reported exactly once: on both servers, over crashes and over many runs."""

from __future__ import annotations

import errno
import json
import random
from typing import Any

import pytest

from rds_to_s3.extract import page_reader
from rds_to_s3.extract.stages import deletes, key_runs
from tests.integration.pipeline import Json, Pipeline, entry
from tests.support.csv_reading import read_csv
from tests.support.schemas import validate_manifest
from tests.support.staged_time import StagedTime

pytestmark = pytest.mark.bucket_in_memory

ORDERS = """CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(2000) NULL,
    createdDate DATETIME NOT NULL DEFAULT '2025-01-01 00:00:00', modifiedDate DATETIME NULL,
    KEY (createdDate), KEY (modifiedDate))"""
TRACKED: Json = {"name": "orders", "deletes": "track"}


@pytest.fixture
def orders(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(ORDERS, "INSERT INTO orders (note) VALUES ('a'), ('b'), ('c'), ('d')")
    any_pipeline.tables = [TRACKED]
    return any_pipeline


def deleted(pipeline: Pipeline, **how: Any) -> list[str | None]:
    """Run once; return the ids that the manifest's deletes files hold."""
    manifest = pipeline.run(**how)
    validate_manifest(manifest)
    table = entry(manifest, "orders")
    assert table["error"] is None, table["error"]
    rows = [row for file in table["deletes"] for row in read_csv(pipeline.body(file["key"]))]
    assert len(rows) == table["deleted_rows"]
    return sorted((row["id"] for row in rows), key=str)


def test_a_deleted_row_is_reported_once_under_the_commit_of_the_run_that_missed_it(orders: Pipeline) -> None:
    assert deleted(orders) == []
    orders.database.execute("DELETE FROM orders WHERE id IN (2, 3)")
    manifest = orders.run()
    table = entry(manifest, "orders")
    assert (table["status"], table["rows"], table["deleted_rows"], table["files"]) == ("SUCCEEDED", 0, 2, [])
    (file,) = table["deletes"]
    stamp = table["window"]["until"][:19].translate(str.maketrans(" ", "_", "-:"))
    assert file["key"] == f"orders/deletes/orders_deletes_{stamp}.csv"
    assert sorted(row["id"] or "" for row in read_csv(orders.body(file["key"]))) == ["2", "3"]
    assert deleted(orders) == []


def test_a_key_that_comes_back_can_be_deleted_again(orders: Pipeline) -> None:
    deleted(orders)
    for _ in range(3):
        orders.database.execute("DELETE FROM orders WHERE id = 2")
        assert deleted(orders) == ["2"]
        orders.database.execute("INSERT INTO orders (id, note, createdDate) VALUES (2, 'again', NOW())")
        assert deleted(orders) == []


def test_a_row_that_came_and_went_between_two_runs_was_never_delivered(orders: Pipeline) -> None:
    deleted(orders)
    orders.database.execute(
        "INSERT INTO orders (id, createdDate) VALUES (99, NOW())", "DELETE FROM orders WHERE id = 99"
    )
    assert deleted(orders) == []


def test_a_row_in_quarantine_was_not_delivered_either(orders: Pipeline) -> None:
    orders.tables = [TRACKED | {"checks": {"note": {"isin": ["a", "b", "c"]}}, "on_violation": "quarantine"}]
    deleted(orders)
    orders.database.execute("DELETE FROM orders WHERE note IN ('a', 'd')")
    assert deleted(orders) == ["1"]


def test_tracking_begins_with_what_the_table_has_and_says_so(orders: Pipeline) -> None:
    orders.tables = ["orders"]
    orders.run()
    orders.database.execute("DELETE FROM orders WHERE id = 1")
    orders.tables = [TRACKED]
    table = entry(orders.run(), "orders")
    assert table["deleted_rows"] == 0
    assert "deletes are tracked from this run on: rows deleted before it are not reported" in table["warnings"]
    orders.database.execute("DELETE FROM orders WHERE id = 2")
    assert deleted(orders) == ["2"]


def test_tracking_that_begins_with_a_whole_read_says_so_too(orders: Pipeline) -> None:
    orders.tables = [{"name": "orders", "mode": "full"}]
    orders.run()
    orders.database.execute("DELETE FROM orders WHERE id = 1")
    orders.tables = [TRACKED | {"mode": "full"}]
    table = entry(orders.run(), "orders")
    assert (table["rows"], table["deleted_rows"]) == (3, 0)
    assert "deletes are tracked from this run on: rows deleted before it are not reported" in table["warnings"]
    assert not [warning for warning in entry(orders.run(), "orders")["warnings"] if "tracked" in warning]


def test_a_table_without_a_key_cannot_have_its_deletes_tracked(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute("CREATE TABLE orders (id INT NULL, createdDate DATETIME, UNIQUE (id))")
    any_pipeline.tables = [TRACKED]
    table = entry(any_pipeline.run(), "orders")
    assert (table["error"]["type"], table["attempts"]) == ("NoKeyError", 1)
    assert "add one" in table["error"]["message"]


def test_a_changed_key_begins_anew(orders: Pipeline) -> None:
    deleted(orders)
    orders.database.execute("ALTER TABLE orders MODIFY id VARCHAR(20)", "DELETE FROM orders WHERE id = 1")
    assert any("tracked from this run on" in warning for warning in entry(orders.run(), "orders")["warnings"])
    orders.database.execute("DELETE FROM orders WHERE id = 2")
    assert deleted(orders) == ["2"]


@pytest.mark.parametrize(
    ("before", "after"), [("INT", "BIGINT UNSIGNED"), ("BIGINT", "INT"), ("VARCHAR(9)", "VARCHAR(99)")]
)
def test_a_key_whose_values_keep_their_text_goes_on(any_pipeline: Pipeline, before: str, after: str) -> None:
    any_pipeline.database.execute(
        f"CREATE TABLE orders (id {before} PRIMARY KEY, createdDate DATETIME NOT NULL DEFAULT '2025-01-01')",
        "INSERT INTO orders (id) VALUES (1), (2), (3)",
    )
    any_pipeline.tables = [TRACKED]
    assert deleted(any_pipeline) == []
    any_pipeline.database.execute(f"ALTER TABLE orders MODIFY id {after}", "DELETE FROM orders WHERE id = 1")
    assert deleted(any_pipeline) == ["1"]
    any_pipeline.database.execute("DELETE FROM orders WHERE id = 2")
    assert deleted(any_pipeline) == ["2"]


def test_keys_of_several_columns_and_of_bytes_come_out_as_they_are(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE orders (id VARCHAR(40) COLLATE utf8mb4_bin, part VARBINARY(20), createdDate DATETIME, "
        "PRIMARY KEY (part, id))",
        "INSERT INTO orders VALUES ('a,\"b', x'00FF', '2025-01-01'), ('', '', '2025-01-01'), "
        "(REPEAT('long ', 8), x'01', '2025-01-01'), ('stays', x'02', '2025-01-01')",
    )
    any_pipeline.tables = [TRACKED]
    any_pipeline.run()
    any_pipeline.database.execute("DELETE FROM orders WHERE id != 'stays'")
    (file,) = entry(any_pipeline.run(), "orders")["deletes"]
    rows = {(row["part"], row["id"]) for row in read_csv(any_pipeline.body(file["key"]))}
    assert rows == {("00FF", 'a,"b'), ("", ""), ("01", "long " * 8)}


@pytest.mark.parametrize(
    "step", ["after keys", "before decision", "after decision", "before complete 1", "after applied"]
)
def test_a_death_at_any_step_neither_loses_a_delete_nor_tells_it_twice(orders: Pipeline, step: str) -> None:
    deleted(orders)
    orders.database.execute(
        "DELETE FROM orders WHERE id = 3", "INSERT INTO orders (id, createdDate) VALUES (7, NOW() - INTERVAL 1 HOUR)"
    )
    deaths = iter([step])

    def dying(run_id: str, table: str) -> str:
        fatal = next(deaths, None)

        def on_effect(name: str) -> None:
            if name == fatal:
                raise ConnectionError(name)

        return orders.extract(run_id, table, on_effect)

    assert deleted(orders, extract=dying) == ["3"]
    assert deleted(orders) == []
    assert len(orders.keys("orders/deletes/")) == 1


def test_many_runs_tell_every_delete_of_a_delivered_row_once_and_keep_few_objects(
    orders: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_runs, "RUN_ROWS", 50)
    monkeypatch.setattr(deletes, "ROWS_AT_ONCE", 30)
    monkeypatch.setattr(deletes, "CACHED_ROWS", 60)
    monkeypatch.setattr(deletes, "MOST_LATER_RUNS", 3)
    chance = random.Random(7)
    present, told = {1, 2, 3, 4}, 4
    deleted(orders)
    for number in range(14):
        gone = {key for key in present if chance.random() < 0.2}
        new = set(range(1000 + number * 100, 1000 + number * 100 + chance.randrange(30)))
        back = set() if number % 3 else {key for key in gone if chance.random() < 0.5}
        for key in sorted(gone):
            orders.database.execute(f"DELETE FROM orders WHERE id = {key}")
        for key in sorted(new):
            orders.database.execute(f"INSERT INTO orders (id, createdDate) VALUES ({key}, NOW())")
        assert deleted(orders) == sorted(map(str, gone))
        for key in sorted(back):
            orders.database.execute(f"INSERT INTO orders (id, createdDate) VALUES ({key}, NOW())")
        assert deleted(orders) == []
        present = (present - gone) | new | back
        told += len(gone)
    assert len(orders.keys("_state/keys/")) < 40


def staged_rows(pipeline: Pipeline) -> int:
    stored = pipeline.store.get("_state/tables/orders/csv.json")
    staged = json.loads(stored.body)["staged"] if stored else None
    return sum(file["rows"] for file in staged["written"]["files"]) if staged else 0


def test_a_row_deleted_while_its_window_is_read_is_reported_by_the_next_run(
    orders: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders.database.execute(
        "INSERT INTO orders (note) WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 900) "
        "SELECT REPEAT('y', 2000) FROM n"
    )
    orders.tables = [TRACKED | {"target_file_bytes": 50_000}]
    monkeypatch.setattr(page_reader, "FIRST_PAGE_BYTES", 200_000)
    statuses: list[str] = []
    gone: list[int] = []
    time = StagedTime(monkeypatch)

    def impatient(run_id: str, table: str) -> str:
        if staged_rows(orders) and not gone:
            # Delivered by the invocation before, gone in the snapshot of those after it.
            orders.database.execute("DELETE FROM orders WHERE id = 1")
            gone.append(len(statuses))
        orders.seconds = 2.5 if len(statuses) < 4 else 60.0
        on_effect = lambda name: time.passes(0.15 if name == "after part" else 0)  # noqa: E731
        statuses.append(orders.extract(run_id, table, on_effect))
        return statuses[-1]

    # It is in this run's rows: in its deletes, too, no order of the two would do.
    assert deleted(orders, extract=impatient) == []
    assert gone
    assert "1" in {row["id"] for row in orders.delivered("orders")}
    orders.seconds = 900.0
    orders.database.execute("DELETE FROM orders WHERE id IN (4, 900)")
    assert deleted(orders) == ["1", "4", "900"]
    assert deleted(orders) == []


def test_what_a_dead_run_delivered_is_not_reported_as_deleted_in_the_manifest_that_reports_it(orders: Pipeline) -> None:
    deleted(orders)
    orders.database.execute("INSERT INTO orders (id, createdDate) VALUES (9, NOW() - INTERVAL 1 HOUR)")
    orders.set_watermark("orders", "2025-01-02 00:00:00")
    execution = orders.execution("dead")
    orders.plan(execution)

    def die(step: str) -> None:
        if step == "after applied":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        orders.extract("dead", "orders", die)
    orders.database.execute("DELETE FROM orders WHERE id = 9")
    manifest = orders.run()
    table = entry(manifest, "orders")
    assert [row["id"] for file in table["files"] for row in read_csv(orders.body(file["key"]))] == ["9"]
    assert (table["deleted_rows"], table["deletes"]) == (0, [])
    assert "the next run will report the rows deleted since run dead" in table["warnings"]
    assert deleted(orders) == ["9"]


def test_a_full_disk_is_reported_as_that_with_the_parameter_that_helps(
    orders: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted(orders)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(key_runs.KeySpill, "add", full)
    table = entry(orders.run(), "orders")
    assert (table["error"]["type"], table["attempts"]) == ("DiskFullError", 1)
    assert "ExtractStorageSize" in table["error"]["message"]
