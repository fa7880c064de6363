"""The SQL for warehouses that are not here to run it: parsed, and held against what their documentation says."""

from __future__ import annotations

import logging
from typing import Any, get_args

import pytest
import sqlglot
import trino_sql_validator
from sqlglot import exp

from rds_to_s3.commit.entries import ColumnEntry
from rds_to_s3_ops.warehouses.deliveries import DeliveredFile, Delivery
from rds_to_s3_ops.warehouses.script import TableScript, scripts
from rds_to_s3_ops.warehouses.types import Names, Warehouse, warehouse_column

WAREHOUSES: tuple[Warehouse, ...] = get_args(Warehouse)
COLUMNS = [
    {"name": "id", "type": "bigint unsigned", "nullable": False},
    {"name": "line, no", "type": "smallint", "nullable": False},
    {"name": 'say "x"', "type": "varchar(40)", "nullable": True},
    {"name": "raw", "type": "varbinary(16)", "nullable": True},
    {"name": "at", "type": "datetime(6)", "nullable": True},
    {"name": "total", "type": "decimal(65,30)", "nullable": True},
]
KEY = ("id", "line, no")
EVERY = tuple(str(column["name"]) for column in COLUMNS)


def file(key: str, names: tuple[str, ...] = EVERY) -> DeliveredFile:
    return DeliveredFile(f"orders/{key}", 2, 9, "0" * 64, names)


def delivery(file_format: str = "csv", *, sequence: int = 1, deletes: bool = False, **changes: Any) -> Delivery:
    stems = [f"{file_format}/orders_data_{sequence}{part}" for part in ("", "_part0002")]
    columns = changes.pop("columns", COLUMNS)
    given: dict[str, Any] = {
        "table": "orders", "sequence": sequence, "run_id": f"run-{sequence}", "after": None, "until": "2025-04-02",
        "is_whole": sequence == 1, "key": KEY, "columns": tuple(map(ColumnEntry.model_validate, columns)),
        "files": tuple(file(f"{stem}.{file_format}", tuple(column["name"] for column in columns)) for stem in stems),
        "deletes": (file(f"deletes/orders_deletes_{sequence}.csv", KEY),) if deletes else (),
    }  # fmt: skip
    return Delivery(**given | changes)


def script(warehouse: Warehouse, *deliveries: Delivery, names: Names | None = None) -> TableScript:
    _, made = scripts(warehouse, "data", {"orders": list(deliveries)}, names)
    return made


CASES: dict[str, list[Delivery]] = {
    "all rows": [delivery()],
    "rows without a key": [delivery(key=())],
    "rows, and later rows and deletes": [delivery(), delivery("parquet", sequence=2, deletes=True)],
    "later rows and deletes": [delivery(sequence=2, deletes=True)],
    "an empty table": [delivery(files=())],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_a_parser_of_the_warehouses_dialect_takes_every_statement(
    warehouse: Warehouse, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = scripts(warehouse, "data", {"orders": CASES[case]})
    with caplog.at_level(logging.ERROR, "sqlglot"):  # it warns of what it takes without a look inside
        parsed = [sqlglot.parse_one(statement, dialect=warehouse) for each in made for statement in each.statements]
    changing = [type(statement) for statement in parsed if _target(statement) == "orders"]
    first, *_ = CASES[case]
    expected: list[type] = [exp.Delete] if first.is_whole else []
    if first.files:
        expected += [exp.Delete] if warehouse == "redshift" and first.key else []
        expected += [exp.Merge if first.key else exp.Insert]
    assert changing == expected


@pytest.mark.parametrize("case", CASES)
def test_trinos_own_grammar_takes_athenas_statements_about_rows(case: str) -> None:
    rows = [text for text in script("athena", *CASES[case]).statements if text.split()[0] not in {"CREATE", "DROP"}]
    assert rows
    for text in rows:
        result = trino_sql_validator.validate(text)
        assert result.valid, f"{result}\n{text}"


def _target(statement: Any) -> str | None:
    if not isinstance(statement, exp.Merge | exp.Insert | exp.Delete):
        return None
    return str(next(statement.this.find_all(exp.Table)).name)


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_what_is_applied_is_recorded_in_the_same_transaction(warehouse: Warehouse) -> None:
    statements = script(warehouse, *CASES["rows, and later rows and deletes"]).statements
    (recorded,) = (n for n, text in enumerate(statements) if text.startswith("INSERT INTO") and "_loads" in text)
    (merged,) = (n for n, text in enumerate(statements) if text.startswith("MERGE"))
    assert merged < recorded
    if warehouse != "athena":  # it has no transactions: the record comes last
        assert statements.index("BEGIN") < merged < recorded < statements.index("COMMIT")
        # A DDL statement would end Snowflake's transaction.
        inside = statements[statements.index("BEGIN") + 1 : statements.index("COMMIT")]
        assert {text.split()[0] for text in inside} <= {"DELETE", "MERGE", "INSERT"}


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_each_file_is_read_by_its_own_columns(warehouse: Warehouse) -> None:
    former = tuple(name for name in reversed(EVERY) if name != "raw")
    old = delivery(files=(file("csv/orders_data_1.csv", former),))
    text = "\n".join(script(warehouse, old, delivery(sequence=2)).statements)
    if warehouse == "snowflake":
        assert '("total", "at", "say ""x""", "line, no", "id", "_gone", "_file")' in text
    elif warehouse == "redshift":
        assert 'COPY "_rds_to_s3_file" ("total", "at", "say ""x""", "line, no", "id")' in text
    elif warehouse == "duckdb":
        assert "columns = {'total': 'VARCHAR', 'at': 'VARCHAR'" in text
    else:
        assert '(`total` string, `at` string, `say "x"` string, `line, no` string, `id` string)' in text
        assert 'CAST(NULL AS varbinary) AS "raw"' in text


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_a_table_without_a_key_is_appended_once(warehouse: Warehouse) -> None:
    made = script(warehouse, delivery(sequence=2, key=()))
    assert any("no key" in note for note in made.notes)
    (insert,) = (text for text in made.statements if text.startswith('INSERT INTO "orders"'))
    if warehouse == "athena":
        # A crash may come between the rows and the record, so the rows have the number of their commit.
        assert '"_rds_to_s3_commit" NOT IN' not in insert
        assert 'NOT IN (SELECT "_rds_to_s3_commit" FROM "orders"' in insert


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_the_script_says_what_the_warehouse_cannot_hold(warehouse: Warehouse) -> None:
    text = script(warehouse, delivery()).text()
    assert "-- total: more than 38 digits" in text
    assert "-- at: an invalid date" in text
    assert "no key" not in text


@pytest.mark.parametrize(
    ("warehouse", "told"),
    [
        ("snowflake", ["EMPTY_FIELD_AS_NULL = TRUE", "NULL_IF = ()", "ESCAPE_UNENCLOSED_FIELD = NONE", "= '\"'"]),
        ("redshift", ["EMPTYASNULL", "QUOTE AS '\"'", "IGNOREHEADER 1", "only a cluster can tell"]),
        ("duckdb", ["allow_quoted_nulls = false", "nullstr = ''"]),
        ("athena", ["does not tell NULL from the empty string", "'escapeChar' = '\\u0001'"]),
    ],
)
def test_csv_tells_null_from_the_empty_string_where_the_warehouse_can(warehouse: Warehouse, told: list[str]) -> None:
    text = script(warehouse, delivery()).text()
    assert [option for option in told if option not in text] == []


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_a_column_of_the_load_has_a_name_that_no_column_of_the_table_has_in_any_case(warehouse: Warehouse) -> None:
    columns = [*COLUMNS, *({"name": n, "type": "int", "nullable": True} for n in ("_FILE", "_Place", "_GONE", "_Rank"))]
    text = "\n".join(script(warehouse, delivery(columns=columns)).statements)
    assert '"_place_"' in text
    assert '"_gone_"' in text
    assert ('"_file_" VARCHAR' in text) == (warehouse == "snowflake")
    assert ('AS "_rank_"' in text) == (warehouse == "athena")


def test_names_are_what_the_operator_calls_them() -> None:
    names = Names(database="DB", schema="RAW", integration="s3_int", case="upper")
    made = scripts("snowflake", "data", {"orders": [delivery()]}, names)
    text = "\n".join(each.text() for each in made)
    assert "YOUR_INTEGRATION" not in text
    assert 'CREATE STAGE IF NOT EXISTS "DB"."RAW"."rds_to_s3"' in text
    assert 'MERGE INTO "DB"."RAW"."ORDERS" AS t' in text
    assert '"LINE, NO" = s."LINE, NO"' in text
    own = "\n".join(script("snowflake", delivery(), names=Names(stage="mine")).statements)
    assert 'FROM @"mine"/orders/csv/' in own
    redshift = script("redshift", delivery(), names=Names(schema="raw", role="arn:aws:iam::1:role/copy")).text()
    assert "IAM_ROLE 'arn:aws:iam::1:role/copy'" in redshift
    athena = scripts("athena", "data", {"orders": [delivery()]}, Names(schema="raw", location="s3://lake/raw/"))
    assert "YOUR_BUCKET" not in "\n".join(each.text() for each in athena)


@pytest.mark.parametrize(("files", "copies"), [(1000, [1000]), (2001, [1000, 1000, 1])])
def test_snowflake_copies_a_thousand_files_at_a_time(files: int, copies: list[int]) -> None:
    many = tuple(file(f"parquet/orders_data_{number}.parquet") for number in range(files))
    found = [text for text in script("snowflake", delivery(files=many)).statements if text.startswith("COPY")]
    assert [text.count(".parquet'") for text in found] == copies


def test_redshifts_merge_is_preceded_by_the_deletes_and_has_each_key_once() -> None:
    statements = script("redshift", *CASES["rows, and later rows and deletes"]).statements
    merge = next(n for n, text in enumerate(statements) if text.startswith("MERGE"))
    assert statements[merge - 1] == 'DELETE FROM "_rds_to_s3_stage"\nWHERE "_gone"'
    assert statements[merge - 2].startswith('DELETE FROM "orders"\nUSING "_rds_to_s3_stage"')
    assert any('"_rds_to_s3_stage"."_place" < "_rds_to_s3_newest"."_place"' in text for text in statements[:merge])


def test_where_columns_cannot_be_added_if_they_are_missing_the_script_says_how() -> None:
    by_hand: tuple[tuple[Warehouse, str], ...] = (
        ("redshift", '  ALTER TABLE "orders" ADD COLUMN "say ""x""" VARCHAR(160);'),
        ("athena", '  ALTER TABLE `orders` ADD COLUMNS (`say "x"` string);'),
    )
    for warehouse, told in by_hand:
        made = script(warehouse, delivery())
        assert told in made.notes
        assert not any(text.startswith("ALTER") for text in made.statements)
        sqlglot.parse_one(told, dialect=warehouse)
    by_themselves: tuple[Warehouse, ...] = ("snowflake", "duckdb")
    for each in by_themselves:
        altering = [text for text in script(each, delivery()).statements if text.startswith("ALTER")]
        assert [text.split(" ADD COLUMN IF NOT EXISTS ")[0] for text in altering] == ['ALTER TABLE "orders"'] * 4


def test_athena_takes_parquets_unsigned_numbers_for_what_they_are() -> None:
    types = {"b": "bigint unsigned", "i": "int unsigned", "m": "mediumint unsigned", "d": "decimal(20,0)"}
    columns = [{"name": name, "type": mysql, "nullable": name != "b"} for name, mysql in types.items()]
    statements = script("athena", delivery("parquet", columns=columns, key=("b",))).statements
    (external,) = (text for text in statements if text.startswith("CREATE EXTERNAL"))
    (merge,) = (text for text in statements if text.startswith("MERGE"))
    # As the file has them: INT64 and INT32, whatever the logical type says.
    assert "(`b` bigint, `i` int, `m` int, `d` decimal(20, 0))" in external
    assert 'CAST(e."b" AS decimal(20, 0)) + IF(e."b" < 0, DECIMAL \'18446744073709551616\'' in merge
    assert 'CAST(e."i" AS bigint) + IF(e."i" < 0, 4294967296, 0) AS "i"' in merge


def test_athenas_script_drops_no_table_but_its_own() -> None:
    statements = script("athena", delivery(sequence=7)).statements
    (external,) = (text for text in statements if text.startswith("CREATE EXTERNAL TABLE"))
    table = external.split("`")[1]
    assert table == "_rds_to_s3_orders_7_7_1"
    assert [text for text in statements if text.startswith("DROP")] == [f"DROP TABLE IF EXISTS `{table}`"] * 2


def test_athena_takes_an_empty_text_that_cannot_be_null_for_what_it_is() -> None:
    columns = [{"name": n, "type": "varchar(9)", "nullable": n == "note"} for n in ("id", "note")]
    text = "\n".join(script("athena", delivery(columns=columns, key=("id",))).statements)
    assert 'e."id" AS "id", NULLIF(e."note", \'\') AS "note"' in text


@pytest.mark.parametrize(("ending", "compression"), [("csv.gz", "gzip"), ("csv.zst", "zstd")])
def test_compressed_files_are_said_to_be(ending: str, compression: str) -> None:
    packed = delivery(files=(file(f"csv/orders_data_1.{ending}"),))
    assert f"COMPRESSION = {compression.upper()}" in script("snowflake", packed).text()
    assert f"TIMEFORMAT 'auto' {compression.upper()}" in script("redshift", packed).text()
    assert f"compression = '{compression}'" in script("duckdb", packed).text()


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
    assert tuple(warehouse_column(warehouse, column).type for warehouse in order) == types


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_athena_needs_no_list_of_files_in_the_layout_hive(file_format: str) -> None:
    days = ("2025-04-02", "2025-04-03")
    files = tuple(
        file(f"{file_format}/dt={day}/orders_data_{day.replace('-', '')}_000000.{file_format}") for day in days
    )
    made = script("athena", delivery(file_format, sequence=2, files=files, deletes=True))
    assert "files.txt" not in made.text()
    assert "Symlink" not in made.text()
    (partitions,) = [statement for statement in made.statements if statement.startswith("ALTER TABLE")]
    assert [f"(`dt` = '{day}') LOCATION 's3://data/orders/{file_format}/dt={day}/'" in partitions for day in days] == [
        True,
        True,
    ]
    (merged,) = [statement for statement in made.statements if statement.startswith("MERGE")]
    assert trino_sql_validator.validate(merged).valid
    keys = [f"s3://data/{each.key}" for each in files]
    assert f"""e."$path" BETWEEN '{keys[0]}' AND '{keys[1]}'""" in merged


def test_athena_needs_lists_for_the_files_of_the_layout_flat_and_only_for_them() -> None:
    hive = file("csv/dt=2025-04-02/orders_data_20250402_000000.csv")
    made = script("athena", delivery(sequence=2, deletes=True), delivery(sequence=3, files=(hive,)))
    listed = [line for line in made.text().splitlines() if line.startswith("--   s3://")]
    assert listed == [
        "--   s3://data/orders/csv/orders_data_2.csv",
        "--   s3://data/orders/csv/orders_data_2_part0002.csv",
    ]


def test_duckdb_makes_no_column_of_a_folder() -> None:
    hive = file("parquet/dt=2025-04-02/orders_data_20250402_000000.parquet")
    text = script("duckdb", delivery("parquet", files=(hive,))).text() + script("duckdb", delivery()).text()
    assert text.count("hive_partitioning = false") == text.count("FROM read_")
