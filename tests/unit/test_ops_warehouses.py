"""The SQL for warehouses that are not here to run it: parsed, and held against what their documentation says."""

from __future__ import annotations

import logging
from typing import Any, get_args

import pytest
import sqlglot
from sqlglot import exp

from rds_to_s3.commit.entries import ColumnEntry, DriftEntry
from rds_to_s3_ops.warehouses import TableLoad, Warehouse, ddl, load_statements
from rds_to_s3_ops.warehouses.types import warehouse_column

WAREHOUSES: tuple[Warehouse, ...] = get_args(Warehouse)
COLUMNS = [
    {"name": "id", "type": "bigint unsigned", "nullable": False},
    {"name": "line, no", "type": "smallint", "nullable": False},
    {"name": 'say "x"', "type": "varchar(40)", "nullable": True},
    {"name": "raw", "type": "varbinary(16)", "nullable": True},
    {"name": "at", "type": "datetime(6)", "nullable": True},
    {"name": "total", "type": "decimal(65,30)", "nullable": True},
]
KEY = ["id", "line, no"]


def load(file_format: str = "csv", **changes: Any) -> TableLoad:
    extension = {"csv": "csv", "parquet": "parquet"}[file_format]
    files = [f"orders/{file_format}/orders_data_20250402_120000{part}.{extension}" for part in ("", "_part0002")]
    given: dict[str, Any] = {
        "table": "orders", "bucket": "data", "run_id": "run-1", "format": file_format, "columns": COLUMNS,
        "key": KEY, "files": files, **changes,
    }  # fmt: skip
    columns = [ColumnEntry.model_validate(column) for column in given["columns"]]
    drift = [DriftEntry.model_validate(change) for change in given.get("drift", [])]
    return TableLoad(**given | {"columns": columns, "drift": drift})


DELETES: dict[str, Any] = {"deletes": ["orders/deletes/orders_deletes_20250402_120000.csv"], "deletes_key": KEY}
RUNS: dict[str, dict[str, Any]] = {
    "rows": {},
    "rows without a key": {"key": []},
    "rows and deletes": DELETES,
    "deletes": DELETES | {"files": []},
}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_a_parser_of_the_warehouses_dialect_takes_every_statement(
    warehouse: Warehouse, file_format: str, run: str, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load(file_format, **RUNS[run])
    statements = load_statements(warehouse, loaded)
    with caplog.at_level(logging.ERROR, "sqlglot"):  # it warns of what it takes without a look inside
        parsed = [sqlglot.parse_one(statement, dialect=warehouse) for statement in statements]
    changing = [type(statement) for statement in parsed if _target(statement) == "orders"]
    deleting = exp.Merge if warehouse == "athena" else exp.Delete
    assert changing == [deleting] * ("deletes" in run) + [exp.Merge if loaded.key else exp.Insert] * ("rows" in run)
    created = [
        table for statement in parsed if isinstance(statement, exp.Create) for table in statement.find_all(exp.Schema)
    ]
    names = [[column.name for column in table.find_all(exp.ColumnDef)] for table in created]
    every = [column["name"] for column in COLUMNS]
    assert all(found == KEY or found[: len(every)] == every for found in names)
    assert (KEY in names) == ("deletes" in run and warehouse != "duckdb")
    assert any(found[: len(every)] == every for found in names) == ("rows" in run)
    script = ddl(warehouse, loaded)
    assert all(f"{statement};\n" in script for statement in statements)


def _target(statement: Any) -> str | None:
    if not isinstance(statement, exp.Merge | exp.Insert | exp.Delete):
        return None
    return str(next(statement.this.find_all(exp.Table)).name)


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_deletes_come_after_the_table_and_before_the_rows_and_by_the_tables_own_key(warehouse: Warehouse) -> None:
    statements = load_statements(warehouse, load("parquet", **DELETES | {"key": ["line, no"]}))
    own = ('DELETE FROM "orders"\n', "MERGE")
    (deleting,) = (text for text in statements if text.startswith(own) and "THEN UPDATE" not in text)
    assert ('."id" = ' in deleting, '."line, no" = ' in deleting) == (True, True)
    merging = next(text for text in statements if "THEN UPDATE" in text)
    assert '."id" = s."id" AND' not in merging
    (created,) = (text for text in statements if text.startswith("CREATE TABLE IF NOT EXISTS"))
    assert statements.index(created) < statements.index(deleting) < statements.index(merging)


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_deletes_files_are_csv_and_not_compressed_whatever_the_table_is(warehouse: Warehouse) -> None:
    gzipped = load(files=["orders/csv/orders_data_20250402_120000.csv.gz"], **DELETES)
    for loaded in (gzipped, load("parquet", **DELETES)):
        statements = load_statements(warehouse, loaded)
        told = {
            "snowflake": "TYPE = CSV COMPRESSION = NONE",
            "redshift": "TIMEFORMAT 'auto'",
            "athena": "OpenCSVSerde",
            "duckdb": "compression = 'none'",
        }[warehouse]
        first = next(n for n, text in enumerate(statements) if told in text)
        assert not statements[first].endswith("GZIP")
        assert first < next(n for n, text in enumerate(statements) if "THEN UPDATE" in text)


def test_deletes_that_the_files_have_no_key_for_are_left_out_and_reported() -> None:
    for warehouse in WAREHOUSES:
        loaded = load(deletes=DELETES["deletes"], key=[])
        assert load_statements(warehouse, loaded) == load_statements(warehouse, load(key=[]))
        assert "deletes files are left out" in ddl(warehouse, loaded)


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_the_script_says_what_the_warehouse_cannot_hold(warehouse: Warehouse) -> None:
    script = ddl(warehouse, load())
    assert "-- total: more than 38 digits" in script
    assert "-- at: an invalid date" in script
    assert "no key" not in script
    assert "no key" in ddl(warehouse, load(key=[]))


DRIFT = [
    {"change": "added", "column": 'say "x"', "from": None, "to": "varchar(40)"},
    {"change": "added", "column": "at", "from": None, "to": "datetime(6)"},
    {"change": "renamed", "column": "raw", "from": "rough", "to": "raw"},
    {"change": "widened", "column": "line, no", "from": "tinyint", "to": "smallint"},
]


@pytest.mark.parametrize("warehouse", ["snowflake", "duckdb"])
def test_columns_beyond_the_key_are_added_where_they_are_missing(warehouse: Warehouse) -> None:
    statements = load_statements(warehouse, load(drift=DRIFT))
    altering = [text for text in statements if text.startswith("ALTER")]
    assert [text.split(" ADD COLUMN IF NOT EXISTS ")[0] for text in altering] == ['ALTER TABLE "orders"'] * 4
    # Without NOT NULL: the rows that are there have no value.
    assert altering[0].endswith(' "say ""x""" VARCHAR' + ("(40)" if warehouse == "snowflake" else ""))
    assert statements.index(altering[0]) == 1 + next(
        n for n, text in enumerate(statements) if text.startswith('CREATE TABLE IF NOT EXISTS "orders"')
    )
    required = [{**column, "nullable": False} for column in COLUMNS]
    assert not any("NOT NULL" in text for text in load_statements(warehouse, load(columns=required)) if "ALTER" in text)


@pytest.mark.parametrize(
    ("warehouse", "told"),
    [
        (
            "redshift",
            [
                'ALTER TABLE "orders" ADD COLUMN "say ""x""" VARCHAR(160);',
                'ALTER TABLE "orders" ADD COLUMN "at" TIMESTAMP;',
            ],
        ),
        ("athena", ['ALTER TABLE `orders` ADD COLUMNS (`say "x"` string, `at` timestamp);']),
    ],
)
def test_where_columns_cannot_be_added_if_they_are_missing_the_runs_drift_is_reported(
    warehouse: Warehouse, told: list[str]
) -> None:
    script = ddl(warehouse, load(drift=DRIFT))
    assert [line for line in script.splitlines() if line.startswith("--   ALTER")] == [f"--   {text}" for text in told]
    assert not any(text.startswith("ALTER") for text in load_statements(warehouse, load(drift=DRIFT)))
    sqlglot.parse_one(told[0], dialect=warehouse)
    assert "ALTER" not in ddl(warehouse, load()).replace("ALTER the table", "")


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_drift_that_a_table_does_not_follow_by_itself_is_reported(warehouse: Warehouse) -> None:
    script = ddl(warehouse, load(drift=DRIFT))
    assert "-- Drift: column rough is gone, and column raw of the same type is in its place" in script
    assert "-- Drift: column line, no was widened from tinyint to smallint" in script
    assert "Drift: " not in ddl(warehouse, load())


@pytest.mark.parametrize(
    ("warehouse", "told"),
    [
        ("snowflake", ["EMPTY_FIELD_AS_NULL = TRUE", "NULL_IF = ()", "ESCAPE_UNENCLOSED_FIELD = NONE", "= '\"'"]),
        ("redshift", ["EMPTYASNULL", "QUOTE AS '\"'", "IGNOREHEADER 1"]),
        ("duckdb", ["allow_quoted_nulls = false", "nullstr = ''"]),
        ("athena", ["does not tell NULL from the empty string"]),
    ],
)
def test_csv_tells_null_from_the_empty_string_where_the_warehouse_can(warehouse: Warehouse, told: list[str]) -> None:
    script = ddl(warehouse, load())
    assert [option for option in told if option not in script] == []


def test_every_file_of_the_run_is_loaded_and_the_later_one_wins() -> None:
    for warehouse in ("snowflake", "redshift", "athena"):
        script = ddl(warehouse, load())
        assert script.index("orders_data_20250402_120000.csv") < script.index(
            "orders_data_20250402_120000_part0002.csv"
        )
    assert "runs/run-1/manifest.json" in ddl("duckdb", load())


def test_a_column_of_the_load_has_a_name_that_no_column_of_the_table_has_in_any_case() -> None:
    columns = [*COLUMNS, *({"name": n, "type": "int", "nullable": True} for n in ("_FILE", "_file_", "_Rank"))]
    names: tuple[tuple[Warehouse, str], ...] = (
        ("snowflake", '"_file__" VARCHAR'),
        ("athena", 'AS "_rank_"'),
        ("duckdb", "= '_file__'"),
    )
    for warehouse, own in names:
        assert own in ddl(warehouse, load(columns=columns))


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_redshift_merges_from_a_table_that_has_each_key_once(file_format: str) -> None:
    statements = load_statements("redshift", load(file_format))
    (merge,) = (
        parsed for text in statements if isinstance(parsed := sqlglot.parse_one(text, dialect="redshift"), exp.Merge)
    )
    assert merge.args["using"].sql("redshift") == '"orders_load" AS s'
    newer = statements[: statements.index(next(text for text in statements if "MERGE" in text))]
    (replaced,) = (text for text in newer if text.startswith("DELETE FROM") and "USING" in text)
    assert '"orders_load"."line, no" = "orders_file"."line, no"' in replaced


def test_snowflakes_file_format_is_that_of_the_run_and_its_stage_serves_every_format() -> None:
    formats = [f"orders/csv/orders_data_1.csv{end}" for end in ("", ".gz")]
    for file, compression in zip(formats, ("NONE", "GZIP"), strict=True):
        statements = load_statements("snowflake", load(files=[file]))
        (made,) = (text for text in statements if text.startswith('CREATE OR REPLACE FILE FORMAT "orders_csv"'))
        assert f"COMPRESSION = {compression}" in made
    stages = {load_statements("snowflake", load(file_format))[0] for file_format in ("csv", "parquet")}
    (stage,) = stages
    assert "URL = 's3://data/orders/'" in stage


@pytest.mark.parametrize(("files", "copies"), [(1000, [1000]), (2001, [1000, 1000, 1])])
def test_snowflake_copies_a_thousand_files_at_a_time(files: int, copies: list[int]) -> None:
    names = [f"orders/parquet/orders_data_{number}.parquet" for number in range(files)]
    statements = load_statements("snowflake", load("parquet", files=names))
    found = [text for text in statements if text.startswith("COPY")]
    assert [text.count(".parquet'") for text in found] == copies
    assert all('FROM @"orders_files"/parquet/)' in text for text in found)


def test_redshifts_tables_of_the_load_are_gone_with_its_transaction() -> None:
    statements = load_statements("redshift", load())
    begin, commit = statements.index("BEGIN"), statements.index("COMMIT")
    made = [text.split('"')[1] for text in statements[begin:commit] if text.startswith("CREATE TEMP TABLE")]
    dropped = [text.split('"')[1] for text in statements[begin:commit] if text.startswith("DROP TABLE")]
    assert made == ["orders_load", "orders_file"]
    assert sorted(dropped) == sorted(made)
    assert sum(text.startswith("CREATE TEMP") for text in statements) == 2


def test_redshift_needs_no_second_table_for_one_file() -> None:
    script = ddl("redshift", load(files=["orders/csv/orders_data_20250402_120000.csv"]))
    assert "orders_file" not in script
    assert script.count("COPY ") == 1


def test_athena_takes_parquets_unsigned_numbers_for_what_they_are() -> None:
    types = {
        "b": "bigint unsigned",
        "i": "int unsigned",
        "m": "mediumint unsigned",
        "d": "decimal(20,0)",
        "s": "bigint",
    }
    columns = [{"name": name, "type": mysql, "nullable": name != "b"} for name, mysql in types.items()]
    target, external, merge = (
        text
        for text in load_statements("athena", load("parquet", columns=columns, key=["b"]))
        if not text.startswith("DROP")
    )
    # As the file has them: INT64 and INT32, whatever the logical type says.
    assert "(`b` bigint, `i` int, `m` int, `d` decimal(20, 0), `s` bigint)" in external
    assert "`b` decimal(20, 0),\n  `i` bigint,\n  `m` int,\n  `d` decimal(20, 0),\n  `s` bigint" in target
    assert "CAST(\"b\" AS decimal(20, 0)) + IF(\"b\" < 0, DECIMAL '18446744073709551616', DECIMAL '0') AS" in merge
    assert 'CAST("i" AS bigint) + IF("i" < 0, 4294967296, 0) AS "i"' in merge
    assert ', "m", "d", "s"' in merge


def test_athenas_script_can_be_run_again_and_drops_no_table_but_its_own() -> None:
    statements = load_statements("athena", load(run_id="run-20250402-120000-k3x9"))
    (external,) = (text for text in statements if text.startswith("CREATE EXTERNAL TABLE"))
    table = external.split("`")[1]
    assert table == "orders_load_run_20250402_120000_k3x9"
    assert [text for text in statements if text.startswith("DROP")] == [f"DROP TABLE IF EXISTS `{table}`"] * 2
    assert "'s3://YOUR_BUCKET/orders_load/run-20250402-120000-k3x9/'" in external
    assert "s3://YOUR_BUCKET/orders_load/run-20250402-120000-k3x9/files.txt" in ddl(
        "athena", load(run_id="run-20250402-120000-k3x9")
    )


def test_athena_takes_an_empty_text_that_cannot_be_null_for_what_it_is() -> None:
    columns = [{"name": n, "type": "varchar(9)", "nullable": n == "note"} for n in ("id", "note")]
    merge = load_statements("athena", load(columns=columns, key=["id"]))[-2]
    assert '"id" AS "id", NULLIF("note", \'\') AS "note"' in merge


def test_gzipped_files_are_said_to_be() -> None:
    files = ["orders/csv/orders_data_20250402_120000.csv.gz"]
    assert "COMPRESSION = GZIP" in ddl("snowflake", load(files=files))
    assert "GZIP" in ddl("redshift", load(files=files))
    assert "compression = 'gzip'" in ddl("duckdb", load(files=files))


def test_so_are_files_in_zstd() -> None:
    files = ["orders/csv/orders_data_20250402_120000.csv.zst"]
    assert "COMPRESSION = ZSTD" in ddl("snowflake", load(files=files))
    assert "CSV ZSTD" in ddl("redshift", load(files=files)).replace("\n", " ") or " ZSTD" in ddl(
        "redshift", load(files=files)
    )
    assert "compression = 'zstd'" in ddl("duckdb", load(files=files))


@pytest.mark.parametrize(
    ("mysql", "types"),
    [
        ("tinyint", ("NUMBER(3, 0)", "SMALLINT", "int", "TINYINT")),
        ("tinyint unsigned", ("NUMBER(3, 0)", "SMALLINT", "int", "UTINYINT")),
        ("smallint unsigned", ("NUMBER(5, 0)", "INTEGER", "int", "USMALLINT")),
        ("mediumint", ("NUMBER(7, 0)", "INTEGER", "int", "INTEGER")),
        ("int(10) unsigned zerofill", ("NUMBER(10, 0)", "BIGINT", "bigint", "UINTEGER")),
        ("bigint", ("NUMBER(19, 0)", "BIGINT", "bigint", "BIGINT")),
        ("bigint unsigned", ("NUMBER(20, 0)", "DECIMAL(20, 0)", "decimal(20, 0)", "UBIGINT")),
        ("decimal(10,2)", ("NUMBER(10, 2)", "DECIMAL(10, 2)", "decimal(10, 2)", "DECIMAL(10, 2)")),
        ("decimal(39,0)", ("VARCHAR(67)", "VARCHAR(268)", "string", "VARCHAR")),
        ("float", ("FLOAT", "DOUBLE PRECISION", "double", "DOUBLE")),
        ("datetime(3)", ("TIMESTAMP_NTZ(3)", "TIMESTAMP", "timestamp", "TIMESTAMP")),
        ("timestamp", ("TIMESTAMP_NTZ(0)", "TIMESTAMP", "timestamp", "TIMESTAMP")),
        ("time(6)", ("VARCHAR(17)", "VARCHAR(17)", "string", "VARCHAR")),
        ("year", ("NUMBER(4, 0)", "SMALLINT", "int", "SMALLINT")),
        ("varchar(10)", ("VARCHAR(10)", "VARCHAR(40)", "string", "VARCHAR")),
        ("longtext", ("VARCHAR", "VARCHAR(65535)", "string", "VARCHAR")),
        ("enum('a','b')", ("VARCHAR", "VARCHAR(65535)", "string", "VARCHAR")),
        ("binary(16)", ("BINARY", "VARBYTE(16)", "binary", "BLOB")),
        ("bit(9)", ("BINARY", "VARBYTE(1024000)", "binary", "BLOB")),
        ("point", ("BINARY", "VARBYTE(1024000)", "binary", "BLOB")),
    ],
)
def test_types_are_exact(mysql: str, types: tuple[str, ...]) -> None:
    column = ColumnEntry(name="c", type=mysql, nullable=True)
    order: tuple[Warehouse, ...] = ("snowflake", "redshift", "athena", "duckdb")
    assert tuple(warehouse_column(warehouse, column, "csv").type for warehouse in order) == types


def test_a_date_that_must_be_there_may_be_null_in_parquet() -> None:
    column = ColumnEntry(name="c", type="date", nullable=False)
    assert warehouse_column("duckdb", column, "parquet").nullable
    assert not warehouse_column("duckdb", column, "csv").nullable
