"""The reader against real servers, beside PyMySQL's own cursor on the same query."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rds_to_s3.errors import ReadInterruptedError, TableNotFoundError
from rds_to_s3.mysql.wire.result_set import query
from rds_to_s3.rows import SpooledRow
from tests.integration.conftest import Database

UNDECODED = {"conv": {}, "use_unicode": False}  # PyMySQL then hands over the server's bytes

COLUMN_TYPES = {
    "TINYINT": st.integers(-128, 127),
    "BIGINT UNSIGNED": st.integers(0, 2**64 - 1),
    "DECIMAL(65,30)": st.decimals(-(10**30), 10**30, places=30),
    "DOUBLE": st.floats(allow_nan=False, allow_infinity=False),
    "DATETIME(6)": st.datetimes(min_value=datetime(1000, 1, 1)),
    "TIME(3)": st.integers(-838, 838).map(lambda hours: f"{hours}:59:59.5"),
    "BIT(13)": st.integers(0, 2**13 - 1),
    "VARCHAR(300)": st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    "LONGTEXT": st.integers(0, 70_000).map(lambda size: "é" * size),
    "VARBINARY(300)": st.binary(max_size=300),
    "LONGBLOB": st.integers(0, 70_000).map(lambda size: b"\xff" * size),
    "JSON": st.dictionaries(st.text('ab"\\,', max_size=4), st.integers(), max_size=3).map(json.dumps),
}


def read(connection: Any, sql: str, **limits: Any) -> list[tuple[bytes | None, ...]]:
    with query(connection, sql, **limits) as result:
        return [
            tuple(part.value(row, column) for column in range(len(result.columns)))
            for part in result
            for row in range(part.rows)
        ]


def read_by_pymysql(connection: Any, sql: str) -> list[tuple[bytes | None, ...]]:
    with connection.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[Any]]]:
    types = draw(st.lists(st.sampled_from(sorted(COLUMN_TYPES)), min_size=1, max_size=6))
    row = [st.one_of(st.none(), COLUMN_TYPES[column_type]) for column_type in types]
    return types, draw(st.lists(st.tuples(*row).map(list), max_size=20))


@pytest.mark.parametrize("encrypted", [True, False], ids=["tls", "plain"])
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables(), block_bytes=st.sampled_from([1_000, 1 << 20]))
def test_a_table_reads_as_it_does_with_pymysql(
    any_database: Database, encrypted: bool, table: tuple[list[str], list[list[Any]]], block_bytes: int
) -> None:
    types, rows = table
    columns = ", ".join(f"c{number} {column_type}" for number, column_type in enumerate(types))
    any_database.execute("SET SESSION sql_mode = ''", "DROP TABLE IF EXISTS t", f"CREATE TABLE t ({columns})")
    with any_database.connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO t VALUES ({', '.join(['%s'] * len(types))})", rows)
    any_database.connection.commit()
    connection = any_database.connect(**UNDECODED, ssl_disabled=not encrypted)
    try:
        expected = read_by_pymysql(connection, "SELECT * FROM t")
        assert read(connection, "SELECT * FROM t", block_bytes=block_bytes) == expected
        assert len(expected) == len(rows)
    finally:
        connection.close()


def test_the_servers_own_count_follows_on_the_same_connection(any_database: Database) -> None:
    any_database.execute("CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1), (2), (3)")
    with query(any_database.connection, "SELECT id FROM t") as result:
        assert sum(block.rows for block in result) == 3
    assert any_database.rows("SELECT FOUND_ROWS()") == [(3,)]


def test_many_rows_come_in_many_blocks(any_database: Database) -> None:
    limit = {"mysql": "cte_max_recursion_depth", "mariadb": "max_recursive_iterations"}[any_database.server.flavour]
    any_database.execute(f"SET SESSION {limit} = 200000")
    numbers = "WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < 100000)"
    sql = f"{numbers} SELECT id, REPEAT('x', id % 400) FROM n"
    blocks = rows = 0
    with query(any_database.connection, sql) as result:
        for block in result:
            assert block.value(0, 0) == b"%d" % (rows + 1)
            rows += block.rows
            blocks += 1
            assert block.value(block.rows - 1, 1) == b"x" * (rows % 400)
    assert rows == result.rows_read == 100_000
    assert blocks > 10


def test_a_row_of_more_than_one_packet_is_spooled(any_database: Database) -> None:
    any_database.server.execute("SET GLOBAL max_allowed_packet = 67108864")
    connection = any_database.connect()
    try:
        with query(connection, "SELECT 1, REPEAT('ab', 20000000), 'end'") as result:
            (row,) = list(result)
        assert isinstance(row, SpooledRow)
        assert row.value(0, 1) == b"ab" * 20_000_000
        assert (row.value(0, 0), row.value(0, 2)) == (b"1", b"end")
    finally:
        connection.close()


def test_an_error_among_the_rows_carries_the_servers_number_and_text(any_database: Database) -> None:
    any_database.execute("CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1), (2)")
    # The subquery has two rows only for the second id: the first row is sent before the error.
    sql = "SELECT id, (SELECT u.id FROM t AS u WHERE u.id <= t.id) FROM t"
    with pytest.raises(ReadInterruptedError, match="1242"), query(any_database.connection, sql) as result:
        list(result)
    assert any_database.rows("SELECT 1") == [(1,)], "the connection is usable"


@pytest.mark.parametrize("kill", ["KILL", "KILL QUERY"])
def test_a_read_that_is_killed_is_interrupted(any_database: Database, kill: str) -> None:
    victim = any_database.connect()
    sql = "SELECT CONNECTION_ID(), SLEEP(0.01), REPEAT('x', 10000) FROM information_schema.columns a"
    killed = False
    with pytest.raises(ReadInterruptedError), query(victim, sql, block_bytes=20_000) as result:
        for block in result:
            if not killed:
                any_database.execute(f"{kill} {int(block.value(0, 0) or 0)}")
                killed = True
    assert killed
    assert result.rows_read < 1_000


def test_an_abandoned_read_ends_the_query_on_the_server(any_database: Database) -> None:
    victim = any_database.connect()
    sql = "SELECT CONNECTION_ID(), REPEAT('x', 10000) FROM information_schema.columns a, information_schema.columns b"
    with query(victim, sql) as result:
        number = int(next(iter(result)).value(0, 0) or 0)
        result.abandon()
    assert not victim.open
    assert eventually(
        lambda: not any_database.rows(f"SELECT 1 FROM information_schema.processlist WHERE id = {number}")
    )


def test_a_missing_table_is_reported_as_such(any_database: Database) -> None:
    with pytest.raises(TableNotFoundError):
        query(any_database.connection, "SELECT 1 FROM nothing")


def test_warnings_are_counted(any_database: Database) -> None:
    with query(any_database.connection, "SELECT 1 + 'abc'") as result:
        list(result)
    assert result.warnings == 1


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
