"""DuckDB's SQL, run as it is printed: two runs, merged by key, are the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from rds_to_s3_ops.bucket import Bucket
from rds_to_s3_ops.warehouses import load_statements
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
    # A copy on disk stands for the bucket: DuckDB's way to S3 is an extension that it would have to fetch.
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
