"""Every type at its edges, there and back: the files, loaded into an empty copy of the table, give the same rows."""

from __future__ import annotations

import io
import json
import os
from itertools import zip_longest
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rds_to_s3.mysql.select import quoted
from tests.integration.conftest import Database
from tests.integration.pipeline import Pipeline, entry
from tests.support.csv_reading import read_csv
from tests.support.every_type import IMPOSSIBLE_DATES, ONLY_MARIADB, ONLY_MYSQL, TABLES
from tests.support.loading import columns_of, differing_rows, literal, load, rows_of_csv, rows_of_parquet

pytestmark = pytest.mark.bucket_in_memory

FORMATS = ("csv", "parquet")


def make_table(database: Database, name: str, columns: dict[str, list[str]]) -> None:
    """Make a table with a column of each type, and a row for each of the longest column's values, and one of NULLs."""
    definitions = "".join(f", c{number} {definition}" for number, definition in enumerate(columns))
    database.execute(
        "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
        f"CREATE TABLE `{name}` (id INT PRIMARY KEY AUTO_INCREMENT, createdDate DATETIME NOT NULL "
        f"DEFAULT '2025-01-01 00:00:00'{definitions}) CHARACTER SET utf8mb4",
    )
    names = ", ".join(f"c{number}" for number in range(len(columns)))
    rows = [*zip_longest(*columns.values(), fillvalue="NULL"), ["NULL"] * len(columns)]
    database.execute(f"INSERT INTO `{name}` ({names}) VALUES " + ", ".join(f"({', '.join(row)})" for row in rows))


def extract(pipeline: Pipeline, *tables: str, file_format: str) -> dict[str, dict[str, Any]]:
    """Run the extraction of tables in full; return their entries in the manifest."""
    pipeline.tables = [{"name": name, "mode": "full", "format": file_format} for name in tables]
    manifest = pipeline.run()
    found = {name: entry(manifest, name) for name in tables}
    assert {name: table["error"] for name, table in found.items() if table["error"]} == {}
    return found


def bodies(pipeline: Pipeline, table: dict[str, Any]) -> list[bytes]:
    return [pipeline.body(file["key"]) for file in table["files"]]


def reload(pipeline: Pipeline, table: dict[str, Any], copy: str) -> None:
    """Load the files of a manifest entry into an empty copy of their table."""
    database, name = pipeline.database, table["table"]
    database.execute(f"DROP TABLE IF EXISTS {quoted(copy)}", f"CREATE TABLE {quoted(copy)} LIKE {quoted(name)}")
    columns = [column for column, _ in columns_of(database, name)]
    for body in bodies(pipeline, table):
        load(database, copy, rows_of_csv(body, columns) if table["format"] == "csv" else rows_of_parquet(body))


@pytest.fixture
def typed(any_pipeline: Pipeline) -> Pipeline:
    """A database with the whole table set."""
    special = ONLY_MYSQL if any_pipeline.database.server.flavour == "mysql" else ONLY_MARIADB
    for name, columns in {**TABLES, **special}.items():
        make_table(any_pipeline.database, name, columns)
    any_pipeline.tables = [*TABLES, *special]
    return any_pipeline


def test_files_loaded_back_give_the_rows_that_were_there(typed: Pipeline) -> None:
    tables = [*typed.tables]
    for file_format in FORMATS:
        for name, table in extract(typed, *tables, file_format=file_format).items():
            reload(typed, table, "copied")
            rows = typed.database.rows(f"SELECT COUNT(*) FROM `{name}`")[0][0]
            assert (name, file_format, table["rows"]) == (name, file_format, rows)
            assert (name, file_format, differing_rows(typed.database, name, "copied")) == (name, file_format, 0)


def test_a_difference_of_one_bit_would_be_found(database: Database) -> None:
    make_table(database, "t", {"FLOAT": ["0.1"], "TEXT": ["'a'"], "VARBINARY(3)": ["''"]})
    database.execute("CREATE TABLE copied LIKE t", "INSERT INTO copied SELECT * FROM t")
    assert differing_rows(database, "t", "copied") == 0
    for change in ("c0 = c0 + 1e-8", "c1 = 'A'", "c2 = NULL"):
        database.execute(f"UPDATE copied SET {change} WHERE id = 1")
        assert differing_rows(database, "t", "copied") == 2
        database.execute("DELETE FROM copied", "INSERT INTO copied SELECT * FROM t")


# --- columns and tables that are not like others ------------------------------------------------------------------


def test_generated_and_invisible_columns_and_names_that_need_quoting_are_there_too(any_pipeline: Pipeline) -> None:
    database = any_pipeline.database
    name = "odd `table`, \"100%\" {name} 'ünï'"
    invisible = "`unseen` INT INVISIBLE DEFAULT 7, `gone by` TIMESTAMP(6) NULL INVISIBLE"
    database.execute(
        f'CREATE TABLE {quoted(name)} (`order` INT PRIMARY KEY, {invisible}, `a,b` VARCHAR(9), `say "x"` INT, '
        "`ti``ck %s` TEXT, `new\nline` INT, `%(percent)s` INT, `тест` INT, "
        "`twice` INT AS (`order` * 2) VIRTUAL, `kept` VARCHAR(20) AS (CONCAT(`a,b`, '\"')) STORED)",
        f'INSERT INTO {quoted(name)} (`order`, unseen, `a,b`, `say "x"`, `ti``ck %s`, `new\nline`, `тест`) '
        "VALUES (1, 8, 'x', 2, 'y', 3, 4), (2, NULL, '', NULL, NULL, NULL, NULL)",
    )
    for file_format in FORMATS:
        table = extract(any_pipeline, name, file_format=file_format)[name]
        assert [column["name"] for column in table["columns"]] == [c.name for c, _ in columns_of(database, name)]
        reload(any_pipeline, table, "copied")
        assert differing_rows(database, name, "copied") == 0


def test_a_primary_key_that_mysql_generated_is_in_the_files(pipeline: Pipeline) -> None:
    pipeline.database.execute(
        "SET SESSION sql_generate_invisible_primary_key = ON",
        "CREATE TABLE keyless (note TEXT)",
        "INSERT INTO keyless VALUES ('a'), ('a'), (NULL)",
    )
    for file_format in FORMATS:
        table = extract(pipeline, "keyless", file_format=file_format)["keyless"]
        assert [column["name"] for column in table["columns"]] == ["my_row_id", "note"]
        reload(pipeline, table, "copied")
        assert differing_rows(pipeline.database, "keyless", "copied") == 0


def test_a_table_without_a_key_keeps_its_equal_rows_and_a_column_of_its_own_its_nulls(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE equal (note TEXT)", "INSERT INTO equal VALUES ('a'), ('a'), (NULL), (NULL), ('')"
    )
    for file_format in FORMATS:
        table = extract(any_pipeline, "equal", file_format=file_format)["equal"]
        reload(any_pipeline, table, "copied")
        assert differing_rows(any_pipeline.database, "equal", "copied") == 0


def test_dates_of_no_calendar_are_in_the_csv_and_in_parquet_null_with_a_count(any_pipeline: Pipeline) -> None:
    database = any_pipeline.database
    _make_dates(database)
    table = extract(any_pipeline, "dates", file_format="csv")["dates"]
    reload(any_pipeline, table, "copied")
    assert differing_rows(database, "dates", "copied") == 0
    table = extract(any_pipeline, "dates", file_format="parquet")["dates"]
    rows = [row for body in bodies(any_pipeline, table) for row in rows_of_parquet(body)]
    good = [row for row in rows if row["day"] is not None]
    assert [str(row["day"]) for row in good] == ["2024-02-29"]
    assert len(rows) == len(IMPOSSIBLE_DATES) + 1
    told = [warning for warning in table["warnings"] if "calendar" in warning]
    assert [warning.split(" not ")[0] for warning in told] == [
        f"{len(IMPOSSIBLE_DATES)} values of `{name}`" for name in ("day", "moment", "must")
    ] + ["1 value of `stamp`"]


def test_text_that_unicode_does_not_have_is_reported_with_a_count(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE odd (id INT PRIMARY KEY AUTO_INCREMENT, g VARCHAR(9) CHARACTER SET greek, "
        "s TEXT CHARACTER SET sjis, c VARCHAR(9) CHARACTER SET cp932, u VARCHAR(9) CHARACTER SET ucs2)",
        "INSERT INTO odd (g, s, c, u) VALUES (x'AE', x'8280', x'ED40', x'D800'), (x'C1', x'82A0', '?', x'D83DDE00'), "
        "('?', x'5C3F', x'FA5C', x'20AC'), (NULL, NULL, NULL, NULL)",
    )
    told = [
        "1 values of `g` have codes without a Unicode character in its character set greek: they arrive as ?",
        "1 values of `s` have codes without a Unicode character in its character set sjis: they arrive as ?",
        "2 values of `u` have codes without a Unicode character in its character set ucs2: halves of surrogate pairs",
    ]
    for file_format in FORMATS:
        warnings = extract(any_pipeline, "odd", file_format=file_format)["odd"]["warnings"]
        assert [warning for warning in warnings if "character set" in warning] == told


def _make_dates(database: Database) -> None:
    database.execute(
        "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
        "CREATE TABLE dates (id INT PRIMARY KEY AUTO_INCREMENT, day DATE, moment DATETIME(3), must DATE NOT NULL, "
        "stamp TIMESTAMP NULL)",
        *(
            f"INSERT INTO dates (day, moment, must) VALUES ('{date}', '{date} 01:02:03.5', '{date}')"
            for date in IMPOSSIBLE_DATES
        ),
        "INSERT INTO dates (day, moment, must, stamp) VALUES "
        "('2024-02-29', '2024-02-29 00:00:00', '2024-02-29', '0000-00-00 00:00:00')",
    )


# --- other readers ------------------------------------------------------------------------------------------------


def test_duckdb_pandas_and_pyarrow_read_the_csv_as_it_is_meant(typed: Pipeline, tmp_path: Any) -> None:
    for name, table in extract(typed, *typed.tables, file_format="csv").items():
        body = bodies(typed, table)[0]
        meant = list(read_csv(body))
        path = tmp_path / f"{name}.csv"
        path.write_bytes(body)
        read = duckdb.read_csv(
            str(path), header=True, all_varchar=True, allow_quoted_nulls=False, null_padding=False,
            delimiter=",", quotechar='"', escapechar='"', max_line_size=1 << 24,
        )  # fmt: skip
        assert (name, read.to_arrow_table().to_pylist()) == (name, meant)
        read = pyarrow.csv.read_csv(
            path,
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={column: pa.string() for column in meant[0]},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
            read_options=pyarrow.csv.ReadOptions(block_size=1 << 24),
        )
        assert (name, read.to_pylist()) == (name, meant)
        # pandas cannot tell "" from nothing.
        frame = pd.read_csv(io.BytesIO(body), dtype=str, keep_default_na=False, lineterminator="\n")
        assert (name, frame.to_dict("records")) == (name, [{k: v or "" for k, v in row.items()} for row in meant])


def test_duckdb_pandas_and_pyarrow_agree_on_the_parquet(typed: Pipeline, tmp_path: Any) -> None:
    for name, table in extract(typed, *typed.tables, file_format="parquet").items():
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(bodies(typed, table)[0])
        meant = pq.read_table(path)
        frame = pd.read_parquet(path, dtype_backend="pyarrow")
        assert pa.Table.from_pandas(frame, schema=meant.schema, preserve_index=False).equals(meant), name
        # DuckDB's DECIMAL ends at 38 digits, and it reads a longer one as a DOUBLE.
        long = [field.name for field in meant.schema if pa.types.is_decimal256(field.type)]
        read = duckdb.read_parquet(str(path)).to_arrow_table()
        assert read.drop_columns(long).to_pylist() == meant.drop_columns(long).to_pylist(), name


# --- whatever comes -----------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SPECIAL_TEXT = st.text(st.sampled_from('",\r\n \\\x00é😀N'), max_size=20)
GENERATED: dict[str, st.SearchStrategy[Any]] = {
    "BIGINT": st.integers(-(2**63), 2**63 - 1),
    "BIGINT UNSIGNED": st.integers(0, 2**64 - 1),
    "MEDIUMINT": st.integers(-(2**23), 2**23 - 1),
    "DECIMAL(65,30)": st.decimals(-(10**34), 10**34, places=30, allow_nan=False),
    "DECIMAL(20,2)": st.decimals(-(10**17), 10**17, places=2, allow_nan=False),
    "FLOAT": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "DOUBLE": st.floats(allow_nan=False, allow_infinity=False),
    "DATETIME(6)": st.datetimes(min_value=pd.Timestamp(1000, 1, 1).to_pydatetime()),
    "DATE": st.dates(),
    "TIME(6)": st.timedeltas(pd.Timedelta(hours=-838).to_pytimedelta(), pd.Timedelta(hours=838).to_pytimedelta()).map(
        lambda delta: f"{'-' if delta.days < 0 else ''}{_clock(abs(delta))}"
    ),
    "VARCHAR(40)": TEXT,
    "TEXT": SPECIAL_TEXT,
    "VARCHAR(40) CHARACTER SET utf16": TEXT | SPECIAL_TEXT,
    "VARCHAR(20) CHARACTER SET latin1": st.text(st.characters(codec="cp1252"), max_size=20),  # as MySQL means latin1
    "ENUM('a','b,c','d\"e','')": st.sampled_from(["a", "b,c", 'd"e', ""]),
    "SET('x','y z','\"')": st.sets(st.sampled_from(["x", "y z", '"'])).map(lambda members: ",".join(sorted(members))),
    "YEAR": st.integers(1901, 2155),
    "TIMESTAMP(6) NULL": st.datetimes(
        pd.Timestamp(1971, 1, 1).to_pydatetime(), pd.Timestamp(2037, 1, 1).to_pydatetime()
    ),
    "JSON": st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | SPECIAL_TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SPECIAL_TEXT, inner, max_size=3),
        max_leaves=6,
    ).map(json.dumps),
    "VARBINARY(40)": st.binary(max_size=40),
    "BLOB": st.binary(max_size=400),
    "BIT(64)": st.binary(min_size=8, max_size=8),
}


def _clock(delta: Any) -> str:
    seconds, microseconds = divmod(delta // pd.Timedelta(microseconds=1).to_pytimedelta(), 10**6)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{microseconds:06}"


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[Any]]]:
    types = draw(st.lists(st.sampled_from(sorted(GENERATED)), min_size=1, max_size=9))
    rows = draw(st.lists(st.tuples(*(st.none() | GENERATED[kind] for kind in types)), max_size=20))
    return types, [list(row) for row in rows]


@settings(
    max_examples=int(os.environ.get("TYPE_EXAMPLES", "8")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(tables(), st.booleans())
def test_any_table_comes_back(any_pipeline: Pipeline, drawn: tuple[list[str], list[list[Any]]], with_key: bool) -> None:
    types, rows = drawn
    database = any_pipeline.database
    key = ["id INT PRIMARY KEY AUTO_INCREMENT"] if with_key else []
    definitions = ", ".join([*key, *(f"c{number} {kind}" for number, kind in enumerate(types))])
    database.execute("DROP TABLE IF EXISTS t", f"CREATE TABLE t ({definitions}) CHARACTER SET utf8mb4")
    load_columns = [f"c{number}" for number in range(len(types))]
    columns = {column.name: column for column, _ in columns_of(database, "t")}
    for row in rows:
        values = [literal(value, columns[name].kind) for name, value in zip(load_columns, row, strict=True)]
        database.execute(f"INSERT INTO t ({', '.join(load_columns)}) VALUES ({', '.join(values)})")
    for file_format in FORMATS:
        table = extract(any_pipeline, "t", file_format=file_format)["t"]
        assert table["rows"] == len(rows)
        reload(any_pipeline, table, "copied")
        assert differing_rows(database, "t", "copied") == 0
