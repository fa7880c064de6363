"""DuckDB's SQL, run as it is printed: two runs, merged by key, are the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.warehouses import ddl, load_statements
from rds_to_s3_ops.warehouses.loads import table_loads
from tests.integration.pipeline import Pipeline

ORDERS = """CREATE TABLE `the "orders"` (
    id BIGINT UNSIGNED, `part of, it` VARCHAR(9), note TEXT, amount DECIMAL(38,10), rate FLOAT, ratio DOUBLE,
    raw VARBINARY(9), bits BIT(9), tiny TINYINT UNSIGNED, born DATE, y YEAR, t TIME(3), kind ENUM('a,b','c'), doc JSON,
    createdDate DATETIME(6) NOT NULL DEFAULT '2025-01-01 00:00:00', modifiedDate TIMESTAMP NULL,
    PRIMARY KEY (id, `part of, it`), KEY (createdDate), KEY (modifiedDate))"""
INSERTS = """INSERT INTO `the "orders"`
       (id, `part of, it`, note, amount, rate, ratio, raw, bits, tiny, born, y, t, kind, doc)
VALUES (18446744073709551615, 'a', '', '-1234567890123456789012345678.0123456789', 16777216, 0.1, x'00FF', 257, 255,
        '2024-02-29', 1901, '-838:59:58.125', 'a,b', '{"a": [1]}'),
       (1, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
       (2, 'b', 'NULL', 0, -1.5, 1e300, x'', 0, 0, '1000-01-01', 2155, '00:00:00', 'c', 'null'),
       (3, 'c', 'a "quoted", line\\r\\nbreak 😀 \\\\N', 1, 0, 0, x'22', 1, 1, '9999-12-31', 2000, '1:00', 'c', '"x"')"""
CHANGES = (
    """UPDATE `the "orders"` SET note = '', amount = 7, modifiedDate = NOW() WHERE id = 1""",
    """INSERT INTO `the "orders"` (id, `part of, it`, createdDate) VALUES (4, 'new', NOW(6))""",
)
FILES = """CREATE TABLE files (id INT PRIMARY KEY, FileName VARCHAR(9), _file INT, _FILE_ INT,
    createdDate DATETIME NOT NULL DEFAULT '2025-01-01 00:00:00', KEY (createdDate))"""
SETTINGS: list[dict[str, Any]] = [
    {"format": "csv"},
    {"format": "csv", "compression": "gzip", "target_file_bytes": 100},
    {"format": "parquet"},
]
TABLE = 'the "orders"'
# As the server writes each value, whatever type it became.
SHOWN = (
    "id, `part of, it`, note, amount, CAST(rate AS DOUBLE), ratio, raw, bits, tiny, born, y, CAST(t AS CHAR), kind, "
    "CAST(doc AS CHAR), createdDate, modifiedDate"
)


def copy_bucket(pipeline: Pipeline, folder: Path) -> None:
    for key in pipeline.store.keys(""):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pipeline.body(key))


def load_newest(pipeline: Pipeline, warehouse: duckdb.DuckDBPyConnection, folder: Path, table: str) -> list[str]:
    """Run the printed statements; return them."""
    copy_bucket(pipeline, folder)
    (load,) = table_loads(Bucket(pipeline.s3_client, pipeline.bucket), table, None, [])
    # A copy on disk represents the bucket: DuckDB's way to S3 is an extension that it would have to fetch.
    statements = [
        statement.replace(f"s3://{pipeline.bucket}", str(folder)) for statement in load_statements("duckdb", load)
    ]
    for statement in statements:
        warehouse.execute(statement)
    return statements


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(map(str, settings.values())))
def test_what_duckdb_loads_and_merges_is_the_table(
    any_pipeline: Pipeline, settings: dict[str, Any], tmp_path: Path
) -> None:
    any_pipeline.database.execute(ORDERS, INSERTS)
    any_pipeline.tables, any_pipeline.defaults = [TABLE], settings
    with duckdb.connect() as warehouse:
        for changes in ((), CHANGES):
            any_pipeline.database.execute(*changes)
            any_pipeline.run()
            load_newest(any_pipeline, warehouse, tmp_path, TABLE)
        loaded = warehouse.execute('SELECT * FROM "the ""orders""" ORDER BY id').fetchall()
    there = any_pipeline.database.rows(f"SELECT {SHOWN} FROM `{TABLE}` ORDER BY id")
    assert loaded == there


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_columns_may_have_the_names_that_the_load_would_take(
    pipeline: Pipeline, file_format: str, tmp_path: Path
) -> None:
    pipeline.database.execute(FILES, "INSERT INTO files (id, FileName, _file, _FILE_) VALUES (1, 'a', 2, 3)")
    pipeline.tables, pipeline.defaults = ["files"], {"format": file_format}
    pipeline.run()
    with duckdb.connect() as warehouse:
        load_newest(pipeline, warehouse, tmp_path, "files")
        assert warehouse.execute("SELECT id, FileName, _file, _FILE_ FROM files").fetchall() == [(1, "a", 2, 3)]


LINES = """CREATE TABLE `lines` (`order, id` BIGINT UNSIGNED, code VARBINARY(4),
    `sub "code"` VARCHAR(9) COLLATE utf8mb4_bin, note TEXT,
    createdDate DATETIME(6) NOT NULL DEFAULT '2025-01-01 00:00:00', modifiedDate DATETIME(6),
    PRIMARY KEY (`sub "code"`, code, `order, id`), KEY (createdDate), KEY (modifiedDate))"""
LINE = 'INSERT INTO `lines` (`order, id`, code, `sub "code"`, note, createdDate) VALUES '
HISTORY = (
    (
        LINE + "(18446744073709551615, x'00FF', '', 'a', '2025-01-01'), (1, x'', 'A, \"b\"', NULL, '2025-01-01'), "
        "(2, x'41', 'a', '', '2025-01-01'), (3, x'41', 'NULL', 'c', '2025-01-01'), (4, x'41', '4', '', '2025-01-01')",
    ),
    (
        "DELETE FROM `lines` WHERE `order, id` IN (1, 18446744073709551615)",
        "UPDATE `lines` SET note = 'new', modifiedDate = NOW(6) WHERE `order, id` = 2",
        LINE + "(5, x'41', '5', '', NOW(6))",
    ),
    ("DELETE FROM `lines` WHERE `order, id` = 3",),
    (),
    (
        LINE + "(3, x'41', 'NULL', 'again', NOW(6)), (1, x'', 'A, \"b\"', 'again', NOW(6))",
        "UPDATE `lines` SET `order, id` = 40, modifiedDate = NOW(6) WHERE `order, id` = 4",
    ),
    ("DELETE FROM `lines` WHERE `order, id` IN (3, 5)",),
    ("DELETE FROM `lines`",),
)
ALL_LINES = 'SELECT `order, id`, code, `sub "code"`, note, createdDate, modifiedDate FROM `lines` ORDER BY 1, 2, 3'


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(map(str, settings.values())))
def test_rows_that_were_deleted_are_deleted_from_what_is_loaded(
    any_pipeline: Pipeline, settings: dict[str, Any], tmp_path: Path
) -> None:
    any_pipeline.database.execute(LINES)
    any_pipeline.tables, any_pipeline.defaults = ["lines"], settings | {"deletes": "track"}
    every = ALL_LINES.replace('`sub "code"`', '"sub ""code"""').replace("`", '"')
    with duckdb.connect() as warehouse:
        for changes in HISTORY:
            any_pipeline.database.execute(*changes)
            any_pipeline.run()
            load_newest(any_pipeline, warehouse, tmp_path, "lines")
            assert warehouse.execute(every).fetchall() == any_pipeline.database.rows(ALL_LINES)


def test_a_run_that_has_deletes_only_is_the_newest_and_only_they_are_loaded(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.database.execute(LINES, *HISTORY[0])
    pipeline.tables, pipeline.defaults = ["lines"], {"deletes": "track"}
    with duckdb.connect() as warehouse:
        pipeline.run()
        load_newest(pipeline, warehouse, tmp_path, "lines")
        pipeline.database.execute("DELETE FROM `lines` WHERE `order, id` = 1")
        pipeline.run()
        statements = load_newest(pipeline, warehouse, tmp_path, "lines")
        assert [statement.split()[0] for statement in statements] == ["SET", "SET", "DELETE"]
        assert warehouse.execute('SELECT count(*) FROM "lines"').fetchone() == (4,)


@pytest.mark.parametrize("excluded", [[], ["code"]])
def test_a_key_to_merge_by_does_not_become_the_key_of_the_deletes(
    pipeline: Pipeline, excluded: list[str], tmp_path: Path
) -> None:
    pipeline.database.execute(LINES, *HISTORY[0])
    pipeline.tables = [{"name": "lines", "deletes": "track"} | ({"exclude_columns": excluded} if excluded else {})]
    pipeline.run()
    pipeline.database.execute(*HISTORY[1])
    pipeline.run()
    copy_bucket(pipeline, tmp_path)
    (load,) = table_loads(Bucket(pipeline.s3_client, pipeline.bucket), "lines", None, ["order, id"])
    assert (list(load.key), len(load.deletes)) == (["order, id"], 1)
    deleting = [statement for statement in load_statements("duckdb", load) if statement.startswith("DELETE")]
    assert [statement.count('s."code"') for statement in deleting] == ([] if excluded else [1])
    assert ("deletes files are left out" in ddl("duckdb", load)) == bool(excluded)


def test_a_row_that_came_back_after_a_dead_run_had_reported_its_delete_is_there(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    def die(step: str) -> None:
        if step == "after applied":
            raise KeyboardInterrupt

    pipeline.database.execute(LINES, *HISTORY[0])
    pipeline.tables, pipeline.defaults = ["lines"], {"deletes": "track"}
    with duckdb.connect() as warehouse:
        pipeline.run()
        load_newest(pipeline, warehouse, tmp_path, "lines")
        pipeline.database.execute(*HISTORY[2])
        pipeline.plan(pipeline.execution("dead"))
        with pytest.raises(KeyboardInterrupt):
            pipeline.extract("dead", "lines", die)
        pipeline.database.execute(HISTORY[4][0].partition(", (1,")[0])
        # Its manifest reports both runs' commits.
        manifest = pipeline.run()
        assert (len(manifest["tables"][0]["deletes"]), len(manifest["tables"][0]["files"])) == (1, 1)
        load_newest(pipeline, warehouse, tmp_path, "lines")
        assert warehouse.execute('SELECT note FROM "lines" WHERE "order, id" = 3').fetchall() == [("again",)]


def test_a_column_that_was_added_is_added_to_what_is_loaded(any_pipeline: Pipeline, tmp_path: Path) -> None:
    any_pipeline.database.execute(LINES, *HISTORY[0])
    any_pipeline.tables = ["lines"]
    drifts = (
        ('ALTER TABLE `lines` ADD `say "x"` INT NULL', *HISTORY[1][1:]),
        # First in the table, and in a run without files: the next one does not report it.
        ("ALTER TABLE `lines` ADD first DECIMAL(9,2) NOT NULL DEFAULT 0 FIRST",),
        ("UPDATE `lines` SET first = `order, id` % 1000, modifiedDate = NOW(6)",),
    )
    with duckdb.connect() as warehouse:
        any_pipeline.run()
        load_newest(any_pipeline, warehouse, tmp_path, "lines")
        for changes in drifts:
            any_pipeline.database.execute(*changes)
            any_pipeline.run()
            load_newest(any_pipeline, warehouse, tmp_path, "lines")
        loaded = warehouse.execute('SELECT "order, id", note, "say ""x""", first FROM "lines" ORDER BY 1').fetchall()
    there = any_pipeline.database.rows('SELECT `order, id`, note, `say "x"`, first FROM `lines` ORDER BY 1')
    assert loaded == there


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(map(str, settings.values())))
def test_a_table_without_a_key_is_appended_with_its_generated_and_invisible_columns(
    pipeline: Pipeline, settings: dict[str, Any], tmp_path: Path
) -> None:
    pipeline.database.execute(
        """CREATE TABLE events (n INT, doubled BIGINT UNSIGNED AS (2 * n) STORED, hidden VARCHAR(9) INVISIBLE,
           createdDate DATETIME(6) NOT NULL DEFAULT '2025-01-01 00:00:00', KEY (createdDate))""",
        "INSERT INTO events (n, hidden) VALUES (1, ''), (1, NULL), (2, 'x')",
    )
    pipeline.tables, pipeline.defaults = ["events"], settings
    with duckdb.connect() as warehouse:
        for changes in ((), ("INSERT INTO events (n, hidden, createdDate) VALUES (1, '', NOW(6))",)):
            pipeline.database.execute(*changes)
            pipeline.run()
            load_newest(pipeline, warehouse, tmp_path, "events")
        loaded = warehouse.execute("SELECT n, doubled, hidden, createdDate FROM events").fetchall()
    there = pipeline.database.rows("SELECT n, doubled, hidden, createdDate FROM events")
    assert sorted(loaded, key=str) == sorted(there, key=str)
