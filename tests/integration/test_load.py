"""`load` into DuckDB: after every run, the database equals MySQL; a load may be repeated, divided, or killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from rds_to_s3_ops.deployment.bucket import Bucket
from tests.integration.pipeline import Pipeline, entry
from tests.support.warehouse import LoadedFile

ORDERS = """CREATE TABLE {} (id INT, part VARCHAR(9) COLLATE utf8mb4_bin, note VARCHAR(40), total DECIMAL(10,2),
    createdDate DATETIME(6) NOT NULL DEFAULT '2025-01-01', modifiedDate DATETIME(6), PRIMARY KEY (part, id),
    KEY (createdDate), KEY (modifiedDate))"""
MENU = "CREATE TABLE {} (id INT PRIMARY KEY, name VARCHAR(40))"
LOG = """CREATE TABLE {} (message VARCHAR(40), createdDate DATETIME(6) NOT NULL DEFAULT '2025-01-01',
    KEY (createdDate))"""
LIST: list[tuple[str, dict[str, Any]]] = [
    (ORDERS, {"name": "orders_gz", "compression": "gzip", "deletes": "track", "target_file_bytes": 100}),
    (ORDERS, {"name": "orders_pq", "format": "parquet", "deletes": "track"}),
    (MENU, {"name": "menu", "mode": "full"}),
    (MENU, {"name": "menu_pq", "mode": "full", "format": "parquet"}),
    (LOG, {"name": "log", "modified_column": None}),
]
TABLES = [settings["name"] for _, settings in LIST]
# What happens before each run; {o} and {m} are tables in each format.
STEPS: tuple[tuple[str, ...], ...] = (
    (
        "INSERT INTO {o} (id, part, note, total) VALUES (1, 'a', '', 1.5), (2, 'a', NULL, NULL)",
        "INSERT INTO {o} (id, part, note, total) VALUES (3, 'b', 'x,\"y\"', 0)",
        "INSERT INTO {o} (id, part, note) VALUES (1, 'A', 'line\\nbreak'), (5, '', 'NULL'), (6, '\\\\N', '\\\\.')",
        "INSERT INTO {m} VALUES (1, 'soup'), (2, ''), (3, NULL)",
        "INSERT INTO log (message) VALUES ('same'), ('same'), ('')",
    ),
    (
        "UPDATE {o} SET note = 'new', modifiedDate = NOW(6) WHERE id = 1",
        "DELETE FROM {o} WHERE id = 2",
        "INSERT INTO {o} (id, part, createdDate) VALUES (9, 'n', NOW(6))",
        "DELETE FROM {m} WHERE id = 1",
        "INSERT INTO log (message, createdDate) VALUES ('same', NOW(6))",
    ),
    (),
    (
        "ALTER TABLE {o} ADD COLUMN extra INT AFTER id",
        "UPDATE {o} SET extra = id, modifiedDate = NOW(6)",
        "INSERT INTO {o} (id, part, note, createdDate) VALUES (2, 'a', 'again', NOW(6))",
        "DELETE FROM {m}",
        "ALTER TABLE {m} ADD COLUMN price DECIMAL(5,1) FIRST",
    ),
    (
        "ALTER TABLE {o} MODIFY total DECIMAL(14,4), MODIFY extra BIGINT",
        "UPDATE {o} SET extra = 12345678901, modifiedDate = NOW(6) WHERE id = 9",
        "DELETE FROM {o} WHERE id = 1",
        "INSERT INTO {m} VALUES (1.5, 7, 'back')",
    ),
    ("DELETE FROM {o}",),
)


def play(pipeline: Pipeline, step: tuple[str, ...]) -> None:
    """Change the tables, and run."""
    for statement in step:
        for names in ({"o": "orders_gz", "m": "menu"}, {"o": "orders_pq", "m": "menu_pq"})[: 1 + ("{" in statement)]:
            pipeline.database.execute(statement.format(**names))
    pipeline.run()


def test_the_warehouse_equals_the_source_after_every_run_however_it_is_loaded(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    always, killed, scripted, late = (
        LoadedFile(pipeline, tmp_path / f"{name}.duckdb") for name in ("always", "killed", "scripted", "late")
    )
    for ddl, settings in LIST:
        pipeline.database.execute(ddl.format(settings["name"]))
        pipeline.tables.append(settings)
    for number, step in enumerate(STEPS):
        play(pipeline, step)
        results = always.load()
        assert {table: result.error for table, result in results.items()} == dict.fromkeys(results)
        assert always.differing(*TABLES) == {}
        if number in {0, 4}:
            assert {result.status for result in always.load().values()} == {"CURRENT"}
            deaths = 0
            while load_and_die(killed, deaths):
                deaths += 1
            assert deaths > 5
            assert killed.differing(*TABLES) == {}
            scripted.run_script(tmp_path / "copy")
        if number in {4, 5}:
            scripted.run_script(tmp_path / "copy")
            assert scripted.differing(*TABLES) == {}
    assert {result.status for result in late.load(dry_run=True).values()} == {"PENDING"}
    assert not late.path.exists()
    late.load("log", "orders_pq")
    assert late.differing("log", "orders_pq") == {}
    assert [name for name, result in late.load().items() if result.status == "CURRENT"] == ["log", "orders_pq"]
    assert late.differing(*TABLES) == {}


def load_and_die(file: LoadedFile, steps: int) -> bool:
    """Load in a child that is killed after some steps; return whether it was."""
    child = os.fork()
    if child == 0:
        left = [steps]

        def die(_: str) -> None:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

        file.load(on_step=die)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


FORMATS: dict[str, dict[str, Any]] = {
    "zst": {"compression": "zstd"},
    "gz": {"compression": "gzip"},
    "pq": {"format": "parquet"},
}
VALUES = """CREATE TABLE `{}` (
    id BIGINT UNSIGNED, `part of, it` VARCHAR(9), note TEXT, amount DECIMAL(38,10), `long` DECIMAL(65,30), rate FLOAT,
    ratio DOUBLE, raw VARBINARY(9), bits BIT(9), tiny TINYINT UNSIGNED, born DATE, y YEAR, t TIME(3),
    kind ENUM('a,b','c'), doc JSON, _place INT, `_GONE` INT, twice BIGINT AS (2 * tiny), hidden INT INVISIBLE,
    createdDate DATETIME(6) NOT NULL DEFAULT '2025-01-01 00:00:00', modifiedDate TIMESTAMP NULL,
    PRIMARY KEY (id, `part of, it`), KEY (createdDate), KEY (modifiedDate))"""
INSERTS = """INSERT INTO `{}`
       (id, `part of, it`, note, amount, `long`, rate, ratio, raw, bits, tiny, born, y, t, kind, doc, hidden)
VALUES (18446744073709551615, 'a', '', '-1234567890123456789012345678.0123456789', -0.000000000000000000000000000001,
        16777216, 0.1, x'00FF', 257, 255, '2024-02-29', 1901, '-838:59:58.125', 'a,b', '{{"a": [1]}}', 1),
       (1, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
       (2, 'b', 'NULL', 0, 99999999999999999999999999999999999.5, -1.5, 1e300, x'', 0, 0, '1000-01-01', 2155,
        '00:00:00', 'c', 'null', 0),
       (3, 'c', 'a "quoted", line\\r\\nbreak 😀 \\\\N', 1, 0, 0, 0, x'22', 1, 1, '9999-12-31', 2000, '1:00', 'c',
        '"x"', 3)"""


def test_every_value_arrives_exactly(pipeline: Pipeline, tmp_path: Path) -> None:
    tables = {f'the "{suffix}"': settings for suffix, settings in FORMATS.items()}
    for table in tables:
        pipeline.database.execute(VALUES.format(table), INSERTS.format(table))
    pipeline.tables = [{"name": table, **settings} for table, settings in tables.items()]
    file = LoadedFile(pipeline, tmp_path / "values.duckdb")
    pipeline.run()
    file.load()
    assert file.differing(*tables) == {}
    for table in tables:
        pipeline.database.execute(f"UPDATE `{table}` SET note = '', amount = 7, modifiedDate = NOW() WHERE id = 1")
    pipeline.run()
    file.load()
    assert file.differing(*tables) == {}


@pytest.fixture
def orders(pipeline: Pipeline, tmp_path: Path) -> LoadedFile:
    pipeline.database.execute(
        ORDERS.format("orders"), "INSERT INTO orders (id, part) VALUES (1, 'a'), (2, 'b')",
        LOG.format("log"), "INSERT INTO log (message) VALUES ('first')",
    )  # fmt: skip
    pipeline.tables = [{"name": "orders", "deletes": "track"}, {"name": "log", "modified_column": None}]
    return LoadedFile(pipeline, tmp_path / "orders.duckdb")


def test_a_rewound_table_keeps_its_newest_rows_and_one_without_a_key_is_loaded_when_all_of_it_is_extracted(
    orders: LoadedFile,
) -> None:
    pipeline = orders.pipeline
    pipeline.run()
    pipeline.database.execute("UPDATE orders SET note = 'newer', modifiedDate = NOW(6) WHERE id = 1")
    pipeline.run()
    orders.load()
    for table in ("orders", "log"):
        pipeline.store.put(f"{table}/csv/last_extract.txt", b"2024-01-01 00:00:00", content_type="text/plain")
    pipeline.database.execute("DELETE FROM orders WHERE id = 2")
    pipeline.run()
    results = orders.load()
    assert "has no key" in str(results["log"].error)
    assert "rewind log --all" in str(results["log"].error)
    assert orders.differing("orders", "log") == {}
    for table in ("orders", "log"):
        pipeline.store.delete(f"{table}/csv/last_extract.txt")
    pipeline.run()
    assert [result.error for result in orders.load().values()] == [None, None]
    assert orders.differing("orders", "log") == {}
    assert orders.load()["log"].status == "CURRENT"


def test_a_redriven_run_is_loaded_by_what_is_new_in_it(orders: LoadedFile) -> None:
    pipeline = orders.pipeline
    pipeline.tables.append("late")
    failed = pipeline.run()
    orders.load()
    pipeline.database.execute(
        "UPDATE orders SET note = 'newer', modifiedDate = NOW(6)",
        "INSERT INTO log (message, createdDate) VALUES ('second', NOW(6))",
    )
    pipeline.run()
    results = orders.load()
    assert "the newest run of it failed" in results["late"].warnings[0]
    pipeline.database.execute(ORDERS.format("late"), "INSERT INTO late (id, part) VALUES (1, 'x')")
    pipeline.redrive(failed)
    assert {name: result.commits for name, result in orders.load().items()} == {"late": 1, "log": 0, "orders": 0}
    assert orders.differing("orders", "log", "late") == {}


def test_a_commit_that_is_reported_late_does_not_replace_newer_rows(orders: LoadedFile) -> None:
    pipeline = orders.pipeline
    pipeline.run()
    orders.load()
    time.sleep(1.1)  # the windows end in seconds of their own
    pipeline.database.execute(
        "UPDATE orders SET note = 'old', modifiedDate = NOW(6)",
        "INSERT INTO log (message, createdDate) VALUES ('of the slow run', NOW(6))",
    )
    slow = pipeline.execution("slow")
    pipeline.plan(slow)
    for table in ("orders", "log"):
        pipeline.iterate("slow", table)
    pipeline.database.execute(
        "UPDATE orders SET note = 'new', modifiedDate = NOW(6) WHERE id = 1", "DELETE FROM orders WHERE id = 2"
    )  # the run after the slow one's report will list the delete
    pipeline.running = ["slow"]
    pipeline.run("fast")
    assert any("no manifest has the window" in warning for warning in orders.load()["orders"].warnings)
    pipeline.report(slow)
    assert orders.load()["orders"].commits == 2
    assert orders.rows("SELECT note FROM orders ORDER BY id") == [("new",), ("old",)]
    pipeline.running = []
    pipeline.run()
    orders.load()
    assert orders.differing("orders", "log") == {}
    assert {result.status for result in orders.load().values()} == {"CURRENT"}


def test_the_format_the_types_and_the_columns_may_change(orders: LoadedFile) -> None:
    pipeline = orders.pipeline
    pipeline.run()
    orders.load()
    pipeline.tables = [{**table, "format": "parquet"} for table in pipeline.tables]
    pipeline.database.execute(
        "ALTER TABLE orders DROP COLUMN total, MODIFY note TEXT, ADD COLUMN born DATE, "
        "ADD COLUMN t TIME DEFAULT '-1:02:03', "
        "ADD COLUMN bits BIT(3) DEFAULT 5, ADD COLUMN exact DECIMAL(39,1) DEFAULT 1.5",
        "UPDATE orders SET born = '2024-02-29', modifiedDate = NOW(6) WHERE id = 1",
        "DELETE FROM log",
    )
    pipeline.run()
    orders.load()
    assert orders.differing("orders", "log") == {}
    pipeline.database.execute(
        "ALTER TABLE orders MODIFY born DATETIME(3), MODIFY id BIGINT, MODIFY t TIME(3), MODIFY bits BIT(12), "
        "MODIFY exact DECIMAL(41,2)",
        "INSERT INTO orders (id, part, born, createdDate) VALUES (12345678901, 'x', '2024-02-29 12:00:00.5', NOW(6))",
    )
    pipeline.run()
    orders.load()
    assert orders.differing("orders", "log") == {}
    assert orders.rows("SELECT DISTINCT t, bits, exact FROM orders WHERE id < 9") == [
        ("-01:02:03.000", b"\x00\x05", "1.50")
    ]


def test_everything_again_replaces_values_that_another_type_cannot_hold(orders: LoadedFile) -> None:
    pipeline = orders.pipeline
    pipeline.database.execute("UPDATE orders SET note = 'no number'")
    pipeline.run()
    orders.load()
    pipeline.database.execute("UPDATE orders SET note = id", "ALTER TABLE orders MODIFY note INT")
    pipeline.store.delete("orders/csv/last_extract.txt")
    pipeline.run()
    assert orders.load()["orders"].error is None
    assert orders.differing("orders", "log") == {}


def test_a_format_that_comes_back_and_continues_is_refused_until_everything_is_extracted_again(
    orders: LoadedFile,
) -> None:
    pipeline = orders.pipeline
    csv, parquet = ([{"name": "orders", "format": kind, "deletes": "track"}] for kind in ("csv", "parquet"))
    for pipeline.tables in (csv, parquet):
        pipeline.run()
    pipeline.database.execute("INSERT INTO orders (id, part, createdDate) VALUES (7, 'p', NOW(6))")
    pipeline.run()
    orders.load()
    # No file of CSV ever has this row, nor its delete.
    pipeline.database.execute("DELETE FROM orders WHERE id = 7")
    pipeline.tables = csv
    pipeline.run()
    assert "rewind orders --all" in str(orders.load()["orders"].error)
    pipeline.store.delete("orders/csv/last_extract.txt")
    pipeline.run()
    assert orders.load()["orders"].error is None
    assert orders.differing("orders") == {}


def test_dates_that_do_not_exist_become_null_with_a_warning(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.database.execute(
        "CREATE TABLE born (id INT PRIMARY KEY, day DATE)",
    )
    with pipeline.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = ''")
        cursor.execute("INSERT INTO born VALUES (1, '0000-00-00'), (2, '2024-02-29'), (3, NULL)")
        connection.commit()
    pipeline.tables = [{"name": "born", "mode": "full"}]
    pipeline.run()
    file = LoadedFile(pipeline, tmp_path / "born.duckdb")
    assert "day: 1 value of CSV not a date" in file.load()["born"].warnings[0]
    assert file.rows("SELECT id FROM born WHERE day IS NULL ORDER BY id") == [(1,), (3,)]


def test_rows_in_quarantine_are_left_out_and_a_key_that_changed_is_refused(orders: LoadedFile) -> None:
    pipeline = orders.pipeline
    checks = {"checks": {"note": {"max_length": 3}}, "on_violation": "quarantine"}
    pipeline.tables = [{"name": "orders", **checks}]
    pipeline.database.execute("INSERT INTO orders (id, part, note) VALUES (3, 'c', 'too long')")
    assert entry(pipeline.run(), "orders")["quarantined_rows"] == 1
    orders.load()
    assert orders.rows("SELECT count(*) FROM orders") == [(2,)]
    pipeline.database.execute(
        "ALTER TABLE orders DROP PRIMARY KEY, ADD PRIMARY KEY (id)",
        "INSERT INTO orders (id, part, createdDate) VALUES (4, 'd', NOW(6))",
    )
    pipeline.run()
    assert "its key is (id) since" in str(orders.load()["orders"].error)
    pipeline.store.delete("orders/csv/last_extract.txt")
    pipeline.run()
    assert orders.load()["orders"].error is None
    assert orders.rows("SELECT id FROM orders ORDER BY id") == [(1,), (2,), (4,)]
    assert Bucket(pipeline.s3_client, pipeline.bucket).latest_manifest() is not None
