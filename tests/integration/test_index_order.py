"""Which index gives the order that a window is read in: what is said of it, and what the servers make of it."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

import pytest

from rds_to_s3.extract.scope.selection import Selection, select_columns
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.catalogue.tables import read_table
from rds_to_s3.mysql.select import Cursor, SelectColumn, select_page, window_segments
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3_ops.inspection import database_checks
from tests.integration.conftest import Database
from tests.integration.pipeline import Pipeline, entry
from tests.integration.test_long_reads import Hurried, hurry

pytestmark = pytest.mark.bucket_in_memory

AFTER = "2025-01-01 00:00:00"
COLUMNS = """id INT NOT NULL, part VARCHAR(9) NOT NULL, status INT NOT NULL, word VARCHAR(20) NOT NULL,
    kind ENUM('b', 'a') NOT NULL, loose INT NULL, odd VARCHAR(9) CHARACTER SET sjis NOT NULL, ratio DOUBLE NOT NULL,
    createdDate DATETIME NOT NULL, modifiedDate DATETIME NULL"""
# What follows the columns, whether the read is in the index's order, and that order.
SHAPES: dict[str, tuple[str, list[str] | None]] = {
    "alone": ("PRIMARY KEY (id), KEY i (modifiedDate)", ["modifiedDate", "id"]),
    "with the key": ("PRIMARY KEY (id), KEY i (modifiedDate, id)", ["modifiedDate", "id"]),
    "with the key and more": ("PRIMARY KEY (id), KEY i (modifiedDate, id, loose)", ["modifiedDate", "id"]),
    "with a number": ("PRIMARY KEY (id), KEY i (modifiedDate, status)", ["modifiedDate", "status", "id"]),
    "with a text": ("PRIMARY KEY (id), KEY i (modifiedDate, word)", ["modifiedDate", "word", "id"]),
    "with a date": ("PRIMARY KEY (id), KEY i (modifiedDate, createdDate)", ["modifiedDate", "createdDate", "id"]),
    "of a key of two": ("PRIMARY KEY (id, part), KEY i (modifiedDate)", ["modifiedDate", "id", "part"]),
    "with the key turned round": ("PRIMARY KEY (id, part), KEY i (modifiedDate, part)", ["modifiedDate", "part", "id"]),
    "of a unique key": ("UNIQUE KEY u (id), KEY i (modifiedDate, status)", ["modifiedDate", "status", "id"]),
    "unique": (
        "PRIMARY KEY (id), UNIQUE KEY i (modifiedDate, status, part, word)",
        ["modifiedDate", "status", "part", "word"],
    ),
    "with a column that may be NULL": ("PRIMARY KEY (id), KEY i (modifiedDate, loose)", None),
    "with an ENUM": ("PRIMARY KEY (id), KEY i (modifiedDate, kind)", None),
    "with a text that comes back otherwise": ("PRIMARY KEY (id), KEY i (modifiedDate, odd)", None),
    "with a DOUBLE": ("PRIMARY KEY (id), KEY i (modifiedDate, ratio)", None),
    "with a prefix": ("PRIMARY KEY (id), KEY i (modifiedDate, word(3))", None),
    "unique with a column that may be NULL": ("PRIMARY KEY (id), UNIQUE KEY i (modifiedDate, ratio, loose)", None),
    "with the key and a prefix": ("PRIMARY KEY (id), KEY i (modifiedDate, id, word(3))", ["modifiedDate", "id"]),
    "of a key by a prefix": (
        "PRIMARY KEY (id, word(3)), UNIQUE KEY u (id), KEY i (modifiedDate)",
        ["modifiedDate", "id"],
    ),
    "of a key that begins with a prefix": (
        "PRIMARY KEY (word(3), id), UNIQUE KEY u (id), KEY i (modifiedDate)",
        None,
    ),
    "of another engine": ("PRIMARY KEY (id), KEY i (modifiedDate)) ENGINE = MyISAM -- ", None),
    "of another engine with the key": (
        "PRIMARY KEY (id), KEY i (modifiedDate, id)) ENGINE = MyISAM -- ",
        ["modifiedDate", "id"],
    ),
    "descending": ("PRIMARY KEY (id), KEY i (modifiedDate DESC)", None),
    "descending in part": ("PRIMARY KEY (id), KEY i (modifiedDate, status DESC)", None),
    "descending with the key": ("PRIMARY KEY (id), KEY i (modifiedDate DESC, id DESC)", ["modifiedDate", "id"]),
}
OLD_SERVER = "the server has no descending indexes"


def described(database: Database, pipeline: Pipeline) -> tuple[Table, Selection]:
    with closing(pipeline.connect(60)) as connection:
        table = read_table(connection, database.name, "t")
    assert table is not None
    return table, select_columns(table, TableSpec(name="t", created_column=None))


def fill(database: Database, rows: int = 2000) -> None:
    database.execute(
        "INSERT INTO t SELECT n, n % 7, n % 5, CONCAT('w', n % 3), IF(n % 2, 'a', 'b'), NULLIF(n % 4, 0), 'o', n, "
        "'2025-06-01', '2025-06-01' + INTERVAL n DIV 50 SECOND FROM "
        f"(WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {min(rows, 1000)}) "
        f"SELECT r.n + 1000 * s.n AS n FROM r, (SELECT 0 AS n UNION SELECT 1) AS s) AS numbers WHERE n <= {rows}"
    )
    database.execute("ANALYZE TABLE t")


def make(database: Database, shape: str, rows: int = 2000) -> list[str] | None:
    keys, order = SHAPES[shape]
    if "DESC" in keys and "mariadb" in str(database.rows("SELECT VERSION()")).lower():
        version = re.match(r"\D*(\d+)\.(\d+)", str(database.rows("SELECT VERSION()")))
        assert version is not None
        if (int(version[1]), int(version[2])) < (10, 8):
            pytest.skip(OLD_SERVER)
    database.execute(f"CREATE TABLE t ({COLUMNS}, {keys})")
    fill(database, rows)
    return order


def cursor_of(table: Table, selection: Selection) -> Cursor:
    column = selection.column("modifiedDate")
    found = selection.index_of(table, column)
    assert found is not None
    order = None if found.order is None else tuple(selection.position_column(name) for name in found.order[1:])
    return Cursor(column, AFTER, found.name, order)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_server_sorts_exactly_where_no_index_is_said_to_have_the_order(
    any_database: Database, any_pipeline: Pipeline, shape: str
) -> None:
    wanted = make(any_database, shape)
    table, selection = described(any_database, any_pipeline)
    cursor = cursor_of(table, selection)
    key = [selection.position_column(name) for name in table.ordered_key]
    (segment,) = window_segments([cursor], key)
    if wanted is not None:
        assert [column.name for column in segment.order] == wanted
    advice = selection.index_advice(table)
    assert bool(advice) == (wanted is None)
    page = select_page("t", selection.select, segment, position=None, rows=100)
    position = [
        str(any_database.rows(f"SELECT {column.expression} FROM t WHERE id = 777")[0][0]).encode()
        for column in segment.order
    ]
    later = select_page("t", selection.select, segment, position=position, rows=100)
    for sql in (page, later):
        extra = str(explain(any_database, sql)["Extra"])
        assert ("filesort" in extra) == (wanted is None), (sql, extra)
    for _, wrong, statement in advice:
        assert "sorts the rest of the window for every page" in wrong
        any_database.execute(statement)
    if advice:
        assert described(any_database, any_pipeline)[1].index_advice(described(any_database, any_pipeline)[0]) == []


def explain(database: Database, sql: str) -> dict[str, Any]:
    with database.connection.cursor() as cursor:
        how = "" if "MariaDB" in str(database.rows("SELECT VERSION()")) else "FORMAT=TRADITIONAL "
        cursor.execute(f"EXPLAIN {how}{sql}")
        assert cursor.description is not None
        return dict(zip([column[0] for column in cursor.description], cursor.fetchall()[0], strict=True))


def pages(database: Database, columns: list[SelectColumn], selection: Selection, table: Table) -> list[int]:
    cursor = cursor_of(table, selection)
    (segment,) = window_segments([cursor], [selection.position_column(name) for name in table.ordered_key])
    ids: list[int] = []
    position: list[bytes] | None = None
    while True:
        rows = database.rows(select_page("t", columns, segment, position=position, rows=37))
        ids += [row[0] for row in rows]
        if len(rows) < 37:
            return ids
        position = [str(rows[-1][columns.index(column)]).encode() for column in segment.order]


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if "otherwise" not in shape])
def test_each_row_of_the_window_is_on_one_page_whatever_the_index(
    any_database: Database, any_pipeline: Pipeline, shape: str
) -> None:
    make(any_database, shape, rows=800)
    table, selection = described(any_database, any_pipeline)
    assert sorted(pages(any_database, selection.select, selection, table)) == list(range(1, 801))


# --- indexes that the server does not use ---


def test_an_index_that_the_server_leaves_alone_gives_no_order_and_the_advice_brings_it_back(
    any_database: Database, any_pipeline: Pipeline
) -> None:
    any_database.execute(f"CREATE TABLE t ({COLUMNS}, PRIMARY KEY (id), KEY `by ``change` (modifiedDate))")
    is_mariadb = "MariaDB" in str(any_database.rows("SELECT VERSION()"))
    how = "IGNORED" if is_mariadb else "INVISIBLE"
    any_database.execute(f"ALTER TABLE t ALTER INDEX `by ``change` {how}")
    table, selection = described(any_database, any_pipeline)
    assert selection.index_of(table, selection.column("modifiedDate")) is None
    ((_, wrong, statement),) = selection.index_advice(table)
    assert wrong == f"the index by `change on column modifiedDate is {how.lower()}, so every run scans the table"
    any_database.server.execute(statement)  # no database is selected there
    table, selection = described(any_database, any_pipeline)
    assert selection.index_advice(table) == []


def test_a_hash_index_gives_no_order_and_the_advice_makes_a_tree(
    any_database: Database, any_pipeline: Pipeline
) -> None:
    any_database.execute(f"CREATE TABLE t ({COLUMNS}, PRIMARY KEY (id), KEY h (modifiedDate)) ENGINE = MEMORY")
    table, selection = described(any_database, any_pipeline)
    ((_, wrong, statement),) = selection.index_advice(table)
    assert "is of the kind HASH" in wrong
    any_database.server.execute(statement)
    table, selection = described(any_database, any_pipeline)
    # The MEMORY engine's primary key is a hash as well: no read can be resumed by it.
    assert selection.index_of(table, selection.column("modifiedDate")) is not None


@pytest.mark.parametrize(
    ("name", "column"), [("order", "select"), ("two words", "a `tick`"), ("t" * 64, "modifiedDate"), ("größe", "日付")]
)
def test_the_statement_that_makes_an_index_runs_as_printed_whatever_the_names(
    any_pipeline: Pipeline, name: str, column: str
) -> None:
    database, pipeline = any_pipeline.database, any_pipeline
    quoted, stamp = (f"`{part.replace('`', '``')}`" for part in (name, column))
    database.execute(
        f"CREATE TABLE {quoted} (id INT PRIMARY KEY, made DATETIME NOT NULL, {stamp} DATETIME NULL)",
        # A name that the advice might take is taken.
        f"CREATE INDEX `{(name + '_' + column)[:64].rstrip().replace('`', '``')}` ON {quoted} (made, id)",
    )
    pipeline.tables = [{"name": name, "created_column": "made", "modified_column": column}]
    warnings = entry(pipeline.run(), name)["warnings"]
    statements = [warning[warning.index("CREATE INDEX") :] for warning in warnings if "CREATE INDEX" in warning]
    assert len(statements) == 1, warnings
    database.server.execute(*statements)
    assert entry(pipeline.run(), name)["warnings"] == []


def test_plan_doctor_and_manifest_warn_of_an_index_that_has_no_usable_order(any_pipeline: Pipeline) -> None:
    database = any_pipeline.database
    database.execute(f"CREATE TABLE t ({COLUMNS}, PRIMARY KEY (id), KEY by_kind (modifiedDate, kind))")
    fill(database, 50)
    any_pipeline.tables = [{"name": "t", "created_column": None}]
    told = "the index by_kind on column modifiedDate does not have the rows in the order that a read is resumed in"
    (warning,) = entry(any_pipeline.run(), "t")["warnings"]
    assert warning.startswith(told)
    (finding,) = database_checks.check_indexes([described(database, any_pipeline)])
    assert told in finding.message
    assert finding.remedy == f"CREATE INDEX `t_modifiedDate` ON `{database.name}`.`t` (`modifiedDate`)"
    assert warning.endswith(finding.remedy)


# --- a read that is resumed in the order of a longer index ---


@pytest.mark.parametrize("index", ["(modifiedDate, status)", "(modifiedDate, word)", "(modifiedDate, kind)"])
def test_a_read_that_ends_many_invocations_inside_equal_stamps_delivers_each_row_once(
    any_pipeline: Pipeline, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, rows=90, pages=2)
    database = any_pipeline.database
    database.execute(f"CREATE TABLE t ({COLUMNS}, PRIMARY KEY (id), KEY i {index})")
    any_pipeline.tables = [{"name": "t", "created_column": None, "target_file_bytes": 4000}]
    any_pipeline.run()
    fill(database, 900)
    database.execute("UPDATE t SET modifiedDate = '2025-06-01'")
    any_pipeline.set_watermark("t", "2025-05-01 00:00:00")
    hurried = Hurried(any_pipeline)
    assert entry(any_pipeline.run(extract=hurried), "t")["rows"] == 900
    assert hurried.statuses.count("CONTINUE") >= 4
    assert sorted(int(row["id"] or 0) for row in any_pipeline.delivered("t")) == list(range(1, 901))
