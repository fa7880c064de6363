"""A ``where`` accepts, on the server, exactly the rows that a check of it accepts: random conditions, both servers."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from rds_to_s3.checks.binding import bind_checks
from rds_to_s3.checks.engine import RowChecks
from rds_to_s3.checks.in_sql import where_in_sql
from rds_to_s3.checks.vocabulary import parse_checks
from rds_to_s3.errors import ColumnNotFoundError, ColumnTypeError
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.catalogue.tables import read_table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import SelectColumn, quoted
from rds_to_s3.mysql.wire.result_set import query
from tests.integration.conftest import Database
from tests.integration.pipeline import Pipeline

CONDITIONS = 220
COLUMNS: dict[str, tuple[str, list[str]]] = {
    "tiny": ("TINYINT", ["-128", "0", "7", "127"]),
    "big": ("BIGINT", ["-9223372036854775808", "9223372036854775807", "0", "7"]),
    "huge": ("BIGINT UNSIGNED", ["18446744073709551615", "9223372036854775808", "0", "7"]),
    "zero": ("INT(6) UNSIGNED ZEROFILL", ["7", "0", "123456"]),
    "price": ("DECIMAL(10,2)", ["0.10", "-0.10", "7.00", "99999999.99"]),
    "fine": ("DECIMAL(40,20)", ["0.00000000000000000001", "7", "-12345678901234567890.12345678901234567890"]),
    "born": ("YEAR", ["1901", "1999", "2024", "2000", "0"]),
    "single": ("FLOAT", ["0.1", "16777216", "-0.0e0", "7"]),
    "pair": ("DOUBLE", ["0.1", "9007199254740993", "1e300", "-5e-324", "7"]),
    "day": ("DATE", ["'2025-01-31'", "'0000-00-00'", "'1000-01-01'", "'2025-02-00'"]),
    "made": ("DATETIME", ["'2025-01-31 00:00:00'", "'2025-01-31 12:00:00'", "'0000-00-00'"]),
    "`exact` ``moment": (
        "DATETIME(3)",
        ["'2025-01-31 12:00:00.5'", "'2025-01-31 12:00:00'", "'9999-12-31 23:59:59.999'"],
    ),
    "stamp": ("TIMESTAMP(6) NULL", ["'2025-01-31 12:00:00.000001'", "'2025-01-31'"]),
    "never": ("DATE NOT NULL", ["'0000-00-00'", "'2025-01-31'"]),
    "span": ("TIME(3)", ["'-00:00:00.500'", "'838:59:59'", "'00:00:00'", "'-12:30:00.001'"]),
    "ci": ("VARCHAR(20)", ["'a'", "'A'", "'a '", "'ä'", "''", "' '", "'7'"]),
    "fixed": ("CHAR(10)", ["'a'", "'a '", "'é'", "''"]),
    "old": ("VARCHAR(20) CHARACTER SET latin1", ["'é'", "'e'", "x'80'"]),
    "wide": ("TEXT CHARACTER SET utf16", ["'😀'", "'a'"]),
    "kind": ("ENUM('a','B','')", ["'a'", "'B'", "''"]),
    "flags": ("SET('x','y')", ["'x,y'", "''"]),
    "raw": ("VARBINARY(8)", ["x'00'", "x'0000'", "''", "'a'"]),
    "padded": ("BINARY(3)", ["x'00'", "'abc'"]),
    "bits": ("BIT(10)", ["b'1'", "b'1000000001'", "0"]),
    "blob_": ("BLOB", ["x'FF00'", "''"]),
    "doc": ("JSON", ["'{\"a\": 1}'", "'7'"]),
}
LITERALS: dict[str, list[str]] = {
    "number": [
        "0",
        "7",
        "-1",
        "0.1",
        "0.105",
        "-0.10",
        "99",
        "24",
        "2024",
        "1e30",
        "-1e-30",
        "18446744073709551615",
        "2.5",
    ],
    "moment": ["'2025-01-31'", "'2025-01-31 12:00:00'", "'2025-01-31 12:00:00.5'", "'2025-02-31'", "'0000-00-00'"],
    "time": ["'00:00:00'", "'-00:00:00.5'", "'-12:30'", "'999:00:00'"],
    "text": ["'a'", "'A'", "'a '", "''", "'é'", "'😀'", "'7'", "'x,y'", "'{\"a\": 1}'"],
    "binary": ["'00'", "'0000'", "''", "'61'", "'0201'", "'0001'", "'FF00'", "'616263'", "'000000'"],
}
KIND = {
    **dict.fromkeys(["tiny", "big", "huge", "zero", "price", "fine", "born", "single", "pair"], "number"),
    **dict.fromkeys(["day", "made", "`exact` ``moment", "stamp", "never"], "moment"),
    "span": "time",
    **dict.fromkeys(["ci", "fixed", "old", "wide", "kind", "flags", "doc"], "text"),
    **dict.fromkeys(["raw", "padded", "bits", "blob_"], "binary"),
}
ORDERED = ["==", "!=", "<", "<=", ">", ">="]


def name_in(condition_name: str) -> str:
    return "`" + condition_name.replace("`", "``") + "`"


class Conditions:
    """Makes conditions that suit the columns' types."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def one(self, depth: int = 3) -> str:
        choose = self._random
        if depth and choose.random() < 0.5:
            shape = choose.choice(["({}) and ({})", "({}) or ({})", "not ({})"])
            return shape.format(self.one(depth - 1), self.one(depth - 1))
        name = choose.choice(list(COLUMNS))
        kind, value = KIND[name], name_in(name)
        if choose.random() < 0.1:
            return f"{value} is {choose.choice(['', 'not '])}None"
        literal = choose.choice(LITERALS[kind])
        signs = ORDERED if kind in {"number", "moment", "time"} else ORDERED[:2]
        if choose.random() < 0.2:
            literals = ", ".join(choose.sample(LITERALS[kind], 3))
            return f"{value} {choose.choice(['', 'not '])}in [{literals}]"
        if choose.random() < 0.3:
            other = choose.choice([each for each in COLUMNS if KIND[each] == kind])
            return f"{value} {choose.choice(signs)} {name_in(other)}"
        if kind == "number" and name != "pair" and choose.random() < 0.5:
            other = choose.choice([each for each in COLUMNS if KIND[each] == kind and each != "pair"])
            value = f"{value} {choose.choice('+-*')} {choose.choice([name_in(other), literal])}"
        if choose.random() < 0.1:
            return f"{literal} {choose.choice(signs)} {value}"
        return f"{value} {choose.choice(signs)} {literal}"


@pytest.fixture
def connection(any_pipeline: Pipeline) -> Iterator[Connection]:
    database = any_pipeline.database
    fill(database)
    connection = any_pipeline.connect(30)
    yield connection
    connection.close()


def fill(database: Database) -> None:
    columns = ", ".join(f"{quoted(name)} {kind}" for name, (kind, _) in COLUMNS.items())
    database.execute("SET SESSION sql_mode = ''", f"CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, {columns})")
    choose = random.Random(7)
    rows = []
    for _ in range(120):
        values = [
            "NULL" if "NOT NULL" not in kind and choose.random() < 0.15 else choose.choice(values)
            for kind, values in COLUMNS.values()
        ]
        rows.append(f"({', '.join(values)})")
    names = ", ".join(map(quoted, COLUMNS))
    database.execute(f"INSERT INTO t ({names}) VALUES {', '.join(rows)}")


def accepted(connection: Connection, table: Table, text: str) -> set[int]:
    """The rows that a check accepts."""
    select = [SelectColumn(column.name, column.data_type, column.kind) for column in table.columns]
    checks = bind_checks(table, *parse_checks({"*": {"expressions": [text]}}))
    engine = RowChecks(checks, {column.name: place for place, column in enumerate(table.columns)})
    found: set[int] = set()
    with query(connection, f"SELECT {', '.join(each.expression for each in select)} FROM t", table="t") as result:
        for block in result:
            ids = [int(block.value(row, 0) or 0) for row in range(block.rows)]
            found |= set(ids)
            for _, mask in engine.broken(block):
                found -= {ids[row] for row in mask.nonzero()[0].tolist()}
    return found


def test_the_server_accepts_the_rows_that_a_check_accepts(connection: Connection) -> None:
    database = str(connection.row("SELECT DATABASE() AS name")["name"])
    table = read_table(connection, database, "t")
    assert table is not None
    conditions = Conditions(seed=11)
    asked = refused = 0
    while asked < CONDITIONS:
        text = conditions.one()
        try:
            sql = where_in_sql(table, text)
        except ColumnTypeError as error:
            # More digits than the server computes exactly.
            assert "digits" in str(error), (text, str(error))
            refused += 1
            continue
        asked += 1
        rows = connection.rows(f"SELECT id FROM t WHERE {sql}")
        assert {int(row["id"]) for row in rows} == accepted(connection, table, text), (text, sql)
    assert refused < CONDITIONS / 4


def test_what_cannot_be_evaluated_is_refused_before_a_row_is_read(connection: Connection) -> None:
    database = str(connection.row("SELECT DATABASE() AS name")["name"])
    table = read_table(connection, database, "t")
    assert table is not None
    with pytest.raises(ColumnNotFoundError, match="no column 'nothing'"):
        where_in_sql(table, "nothing == 1")
    with pytest.raises(ColumnTypeError, match="collation"):
        where_in_sql(table, "ci > 'a'")
    with pytest.raises(ColumnTypeError, match="65 digits"):
        where_in_sql(table, "fine * fine * fine > 1")
