"""Athena's tables over the files themselves, as text; what can be run of it runs in DuckDB."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
import sqlglot
import trino_sql_validator

from rds_to_s3.commit.entries import TableEntry
from rds_to_s3_ops.catalogue.athena_files import HiveTable, notes, script, statements
from rds_to_s3_ops.errors import InvalidInputError
from tests.support.manifests import entry_json

COLUMNS = {
    "id": "bigint unsigned",
    "small": "int unsigned",
    "total": "decimal(20,2)",
    "wide": "decimal(65,30)",
    "on": "datetime(6)",
    "day": "date",
    "year": "year",
    "ratio": "float",
    "raw": "varbinary(9)",
    "long": "time",
    "note": "varchar(20)",
}


def hive(file_format: str = "csv", **but: Any) -> HiveTable:
    key = f"orders/{file_format}/dt=2025-04-02/orders_data_20250402_120000.{file_format}"
    columns = [{"name": name, "type": kind, "nullable": name != "id"} for name, kind in COLUMNS.items()]
    members = {
        "format": file_format,
        "key": ["id"],
        "columns": columns,
        "files": [{"key": key, "rows": 1, "bytes": 1, "sha256": "0" * 64}],
    }
    return HiveTable(TableEntry.model_validate(entry_json("orders", "SUCCEEDED", **(members | but))), "lake")


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_the_statements_are_athenas(file_format: str) -> None:
    found = statements(hive(file_format))
    assert len(found) == 2
    for statement in found:
        sqlglot.parse_one(statement, dialect="athena")
    assert trino_sql_validator.validate(found[1]).valid
    assert "PARTITIONED BY (`dt` string)" in found[0]
    assert f"LOCATION 's3://lake/orders/{file_format}/'" in found[0]


def test_a_backslash_in_csv_is_no_escape() -> None:
    assert r"'escapeChar' = '\u0001'" in statements(hive())[0]


def test_unsigned_numbers_of_parquet_are_lifted_and_everything_else_keeps_its_type() -> None:
    table, view = statements(hive("parquet"))
    fields = dict(line.strip(" ,").split(" ", 1) for line in table.splitlines() if line.startswith("  `"))
    assert fields == {
        "`id`": "bigint",
        "`small`": "int",
        "`total`": "decimal(20, 2)",
        "`wide`": "decimal(38, 30)",
        "`on`": "timestamp",
        "`day`": "date",
        "`year`": "int",
        "`ratio`": "double",
        "`raw`": "binary",
        "`long`": "string",
        "`note`": "string",
    }
    assert "18446744073709551616" in view
    assert "4294967296" in view
    assert any(note.startswith("wide: 38 digits") for note in notes(hive("parquet")))


def test_the_view_has_the_newest_version_of_each_row_with_its_type() -> None:
    view = statements(hive())[1]
    base = "lake/orders/csv/dt=2025-04-0"
    versions = [
        ("1", "old", f"{base}2/orders_data_20250402_120000.csv"),
        ("1", "new", f"{base}2/orders_data_20250402_120000_part0002.csv"),
        ("2", "new", f"{base}3/orders_data_20250403_000000.csv"),
        ("2", "old", f"{base}2/orders_data_20250402_120000_part0002.csv"),
        ("18446744073709551615", "", f"{base}2/orders_data_20250402_120000.csv"),
    ]
    others = "'7', '1.50', '1.5', '2025-04-02 01:02:03.000004', '0000-00-00', '1999', '0.5', '00FF', '-838:59:59'"
    with duckdb.connect() as database:
        names = ", ".join(f'"{name}"' for name in [*list(COLUMNS)[1:-1], "id", "note", "$path"])
        rows = ", ".join(f"({others}, '{key}', '{note}', '{path}')" for key, note, path in versions)
        database.execute(f"CREATE TABLE orders_files AS SELECT * FROM (VALUES {rows}) AS t({names})")
        database.execute("CREATE MACRO from_hex(value) AS unhex(value)")
        database.execute(view)
        found = database.execute('SELECT id, note, total, "on", day, raw, long FROM orders ORDER BY id').fetchall()
    assert [(str(row[0]), row[1]) for row in found] == [
        ("1", "new"),
        ("2", "new"),
        ("18446744073709551615", None),
    ]
    assert [str(value) for value in found[0][2:]] == [
        "1.50",
        "2025-04-02 01:02:03.000004",
        "None",
        r"b'\x00\xff'",
        "-838:59:59",
    ]


@pytest.mark.parametrize(
    ("but", "note"),
    [
        ({"mode": "full"}, "Only the newest run's files count"),
        ({"deletes": [], "deleted_rows": 0}, "Deletes are tracked"),
        ({"deletes": [{"key": "orders/deletes/x", "rows": 1, "bytes": 1, "sha256": "0" * 64}]}, "Deletes are tracked"),
        ({"key": []}, "no key"),
    ],
)
def test_where_files_alone_do_not_say_what_a_table_is_now_there_is_no_view_but_a_reason(
    but: dict[str, Any], note: str
) -> None:
    assert len(statements(hive(**but))) == 1
    assert any(note in each for each in notes(hive(**but)))


def test_a_column_that_is_named_like_the_partitions_is_an_error() -> None:
    with pytest.raises(InvalidInputError, match="column dt"):
        statements(hive(columns=[{"name": "DT", "type": "int", "nullable": True}], key=[]))


def test_every_note_is_a_comment() -> None:
    text = script(HiveTable(hive().entry, "lake", "2025-04-01"))
    assert "'rds_to_s3.since' = '2025-04-02'" in text
    assert all(line.startswith("--") for line in text.partition("\nCREATE")[0].splitlines() if line)
