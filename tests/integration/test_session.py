"""What a server hands down to a session changes nothing of what is read from it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pymysql
import pytest

from rds_to_s3.errors import RdsToS3Error, RowCountError, SessionVariableError
from rds_to_s3.mysql import session
from rds_to_s3.mysql.catalogue.snapshot import open_snapshot
from rds_to_s3.mysql.catalogue.tables import read_table, table_names
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.session import prepare_session
from tests.integration.conftest import Database
from tests.integration.pipeline import Pipeline
from tests.support.memory_store import MemoryStore
from tests.support.session_variables import LEFT, SET
from tests.support.tls import trusting

pytestmark = pytest.mark.bucket_in_memory

TABLES = (
    "CREATE TABLE heap (a INT, f FLOAT, ch CHAR(10), t TEXT, ts TIMESTAMP NULL)",
    f"CREATE TABLE wide ({', '.join(f'c{n} INT NOT NULL' for n in range(43))}, PRIMARY KEY (c0, c1), KEY (c2, c3, c4))",
    "CREATE TABLE virt (id INT AUTO_INCREMENT PRIMARY KEY, a INT, d DATE, w INT AS (WEEK(d)) VIRTUAL, "
    "n VARCHAR(40) AS (DATE_FORMAT(d, '%W')) VIRTUAL, q VARCHAR(60) AS (CONCAT(a / 7)) VIRTUAL, "
    "c INT AS ('A\nB' REGEXP 'A.B') VIRTUAL, x VARBINARY(64) AS (AES_ENCRYPT('a', 'key')) VIRTUAL)",
    "CREATE TABLE longkey (k VARCHAR(700) CHARACTER SET latin1 PRIMARY KEY)",
    "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, createdDate DATETIME NOT NULL, "
    "modifiedDate TIMESTAMP NULL, KEY (createdDate), KEY (modifiedDate))",
    "INSERT INTO wide VALUES (" + ", ".join(map(str, range(43))) + ")",
    "INSERT INTO orders (createdDate, modifiedDate) VALUES ('2024-01-01', NULL), ('2024-01-01', '2024-07-01 10:00:00')",
    *(f"CREATE TABLE some{n} (id INT PRIMARY KEY)" for n in range(4)),
)
VERSIONED = (
    "CREATE TABLE versioned (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING",
    "INSERT INTO versioned VALUES (1, 1), (2, 2)",
)
INVISIBLE_KEY = (
    "SET SESSION sql_generate_invisible_primary_key = ON",
    "CREATE TABLE keyless (a INT)",
    "SET SESSION sql_generate_invisible_primary_key = OFF",
    "INSERT INTO keyless VALUES (1), (2)",
)
BITES = {
    # A table without a key, one of 43 columns, a pattern; and no row at all.
    "rows": "SET sql_select_limit = 1000",
    "columns": "SET sql_select_limit = 20",
    "tables": "SET sql_select_limit = 3",
    "nothing": "SET sql_select_limit = 0",
    "joins": "SET max_join_size = 1",
    "sorts": "SET max_sort_length = 4",
    "buffer": "SET sort_buffer_size = 1024",
    "now": "SET timestamp = 2000000000",
    "then": "SET timestamp = 1000000000",
    "zone": "SET time_zone = '-05:00'",
    "commits": "SET completion_type = 2",
    "transaction": "SET autocommit = 0; START TRANSACTION",
    "isolation": "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
    "mode": "SET sql_mode = 'ANSI_QUOTES,PAD_CHAR_TO_FULL_LENGTH,PIPES_AS_CONCAT,IGNORE_SPACE'",
    "encoding": "SET NAMES latin1",
    "weeks": "SET default_week_format = 3",
    "names": "SET lc_time_names = 'de_DE'",
    "divisions": "SET div_precision_increment = 0",
    "waits": "SET lock_wait_timeout = 1, net_write_timeout = 1, net_read_timeout = 1, wait_timeout = 2",
    "buffers": "SET sql_buffer_result = 1, sql_auto_is_null = 1, sql_safe_updates = 1",
    "database": "USE elsewhere",
}
OF_MYSQL = {
    "time": "SET max_execution_time = 1",
    "engine": "SET use_secondary_engine = FORCED",
    "invisible key": "SET show_gipk_in_create_table_and_information_schema = OFF",
    "encryption": "SET block_encryption_mode = 'aes-256-ecb'",
    "terms": "SET terminology_use_previous = BEFORE_8_0_26",
}
OF_MARIADB = {
    "time": "SET max_statement_time = 0.0001",
    "history": "SET system_versioning_asof = '2020-01-01 00:00:00'",
    "expressions": "SET default_regex_flags = 'DOTALL'",
    "disk": "SET tmp_disk_table_size = 1024",
    "oracle": "SET sql_mode = 'ORACLE'",
    "old": "SET old_mode = 'ZERO_DATE_TIME_CAST'",
    "idle": "SET idle_transaction_timeout = 1, idle_readonly_transaction_timeout = 1",
}


GLOBALS = {
    "sql_select_limit": "1000",
    "max_join_size": "1",
    "max_sort_length": "4",
    "completion_type": "2",
    "autocommit": "OFF",
    "default_week_format": "3",
    "lc_time_names": "'de_DE'",
    "sql_mode": "'PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES'",
}
Extracted = tuple[dict[str, Any], datetime]


@dataclass
class World:
    """A database, a user for whom ``init_connect`` runs, and what is extracted where nothing is handed down."""

    database: Database
    user: tuple[str, str]

    @property
    def is_mariadb(self) -> bool:
        return self.database.server.flavour == "mariadb"

    @property
    def handed_down(self) -> dict[str, str]:
        return BITES | (OF_MARIADB if self.is_mariadb else OF_MYSQL)

    def hand_down(self, statements: str) -> None:
        with self.database.connection.cursor() as cursor:
            cursor.execute("SET GLOBAL init_connect = %s", (statements,))

    def extracted(self) -> Extracted:
        """Return the columns and rows of each table, and where the window ends."""
        names = ["heap", "wid*", "virt", "longkey", "versioned" if self.is_mariadb else "keyless", "some*"]
        tables = [{"name": name, "mode": "full"} for name in names]
        pipeline = replace(self.pipeline(), tables=[*tables, "orders"])
        manifest = pipeline.run()
        assert manifest["status"] == "SUCCEEDED", [table["error"] for table in manifest["tables"]]
        return {
            table["table"]: (
                [(column["name"], column["type"]) for column in table["columns"]],
                sorted(map(repr, pipeline.delivered(table["table"]))),
            )
            for table in manifest["tables"]
        }, datetime.fromisoformat(str(pipeline.watermark("orders")).strip())

    def connect(self) -> Connection:
        """Connect as the functions do."""
        return self.pipeline().connect(60)

    def pipeline(self) -> Pipeline:
        """Make a pipeline with nothing in its bucket."""
        return Pipeline(self.database, "memory", None, user=self.user, memory=MemoryStore())

    def session(self) -> Connection:
        """Open a connection whose session nothing has prepared."""
        server = self.database.server
        return Connection(
            host=server.host,
            port=server.port,
            user=self.user[0],
            password=self.user[1],
            database=self.database.name,
            charset="utf8mb4",
            autocommit=None,
            read_timeout=20,
            ssl=trusting(server).context(server.host),
        )


@pytest.fixture
def world(any_database: Database) -> Iterator[World]:
    is_mariadb = any_database.server.flavour == "mariadb"
    any_database.execute(*TABLES, *(VERSIONED if is_mariadb else INVISIBLE_KEY))
    with any_database.connection.cursor() as cursor:
        rows = [(n, n / 3, "ab", "é€😀"[n % 3], f"2024-01-{n % 28 + 1:02} 12:00:00") for n in range(3000)]
        cursor.executemany("INSERT INTO heap VALUES (%s, %s, %s, %s, %s)", rows)
        cursor.executemany("INSERT INTO virt (a, d) VALUES (%s, %s)", [(n, f"2024-{n + 1:02}-04") for n in range(12)])
        keys = ["k" * 600 + f"{n * 7919 % 500:03}" for n in range(500)]
        cursor.executemany("INSERT INTO longkey VALUES (%s)", [(key,) for key in keys])
    user = f"reader_{secrets.token_hex(4)}"
    any_database.execute(
        f"CREATE USER '{user}'@'%' IDENTIFIED BY 'pass'",
        f"GRANT SELECT ON `{any_database.name}`.* TO '{user}'@'%'",
        f"GRANT PROCESS ON *.* TO '{user}'@'%'",
        "CREATE DATABASE elsewhere",
        "CREATE TABLE elsewhere.heap LIKE heap",
        f"GRANT SELECT ON elsewhere.* TO '{user}'@'%'",
    )
    yield World(any_database, (user, "pass"))
    any_database.execute(
        "SET GLOBAL init_connect = ''",
        *(f"SET GLOBAL {name} = DEFAULT" for name in [*GLOBALS, "sql_big_selects"]),
        "DROP DATABASE elsewhere",
        f"DROP USER '{user}'@'%'",
    )


def is_same(found: Extracted, expected: Extracted) -> None:
    for table, (columns, rows) in expected[0].items():
        assert found[0][table][0] == columns, table
        assert len(found[0][table][1]) == len(rows), table
        assert found[0][table][1] == rows, table
    assert found[0].keys() == expected[0].keys()
    assert abs(found[1] - expected[1]) < timedelta(minutes=30)


def test_what_init_connect_sets_changes_nothing_of_what_is_extracted(world: World) -> None:
    expected = world.extracted()
    assert {table: len(rows) for table, (_, rows) in expected[0].items()} == {
        **{"heap": 3000, "wide": 1, "virt": 12, "longkey": 500, "orders": 2, **{f"some{n}": 0 for n in range(4)}},
        "versioned" if world.is_mariadb else "keyless": 2,
    }
    assert len(expected[0]["wide"][0]) == 43
    world.hand_down(BITES["rows"])
    is_same(world.extracted(), expected)
    # Those that leave the session usable together; "transaction" last, since some may not be set inside one.
    several = [statement for name, statement in world.handed_down.items() if name not in {"transaction", "oracle"}]
    world.hand_down("; ".join([*several, world.handed_down["transaction"]]))
    is_same(world.extracted(), expected)


def test_nothing_that_init_connect_can_do_changes_what_is_read(world: World) -> None:
    expected = what_is_read(world.connect(), world)
    assert len(expected[-1]["heap"]) == 3000
    for name, statements in world.handed_down.items():
        world.hand_down(statements)
        with closing(world.connect()) as connection:
            assert what_is_read(connection, world) == expected, f"{name}: {statements}"


def test_global_values_change_nothing_of_what_is_extracted(world: World) -> None:
    expected = world.extracted()
    # The owner's own session, which restores them, is not to inherit them.
    world.database.execute(*(f"SET GLOBAL {name} = {value}" for name, value in GLOBALS.items()))
    is_same(world.extracted(), expected)


def session_variables(world: World) -> list[str]:
    """Return the server's variables that can have a session value, and those that only a session has."""
    if world.is_mariadb:
        listed = "SELECT LOWER(variable_name) FROM information_schema.system_variables WHERE variable_scope <> 'GLOBAL'"
        return [str(name) for (name,) in world.database.rows(listed)]
    found = []
    for (name,) in world.database.rows("SELECT variable_name FROM performance_schema.session_variables"):
        with suppress(pymysql.err.OperationalError):  # 1238: a global variable
            world.database.rows(f"SELECT @@SESSION.{name}")
            found.append(str(name))
    return found


def test_every_session_variable_of_the_server_is_on_the_page(world: World) -> None:
    found = session_variables(world)
    assert len(found) > 150
    assert {*found} - {*LEFT, *SET} == set(), "docs/session-variables.md: set it at connect, or say why not"


def what_is_read(connection: Connection, world: World, *, briefly: bool = False) -> Any:
    database = world.database.name
    columns = {
        "virt": "id, w, n, q, c, x",
        "heap": "a, t, ch, ts, CAST(f AS DOUBLE) AS f",
        **({"versioned": "id, a"} if world.is_mariadb else {"keyless": "my_row_id, a"}),
    }
    tables = [read_table(connection, database, name) for name in ("wide", *([] if briefly else columns))]
    now = connection.row("SELECT UTC_TIMESTAMP() AS now, NOW() AS here")
    open_snapshot(connection, database, "heap", seconds=60)
    return [
        table_names(connection, database),
        [table and (table.columns, table.indexes) for table in tables],
        abs(now["now"] - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=10),
        round((now["here"] - now["now"]) / timedelta(hours=1)),
        connection.rows("SELECT id FROM virt WHERE id IS NULL"),
        connection.rows("SELECT k FROM longkey IGNORE INDEX (PRIMARY) ORDER BY k LIMIT 5"),
        {
            table: connection.rows(f"SELECT {names} FROM {table} WHERE {'a < 30' if briefly else 'TRUE'}")
            for table, names in columns.items()
        },
    ]


def other_values(connection: Connection, name: str) -> Iterator[None]:
    """Set a variable to one value after the other."""
    seen = [connection.row(f"SELECT @@SESSION.{name} AS value")["value"]]
    for value in (
        "0",
        "1",
        "2",
        "3",
        str(2**64 - 1),
        "'NONE'",
        "''",
        "'de_DE'",
        "'latin1'",
        "'2020-01-01'",
        "'+05:00'",
    ):
        with suppress(RdsToS3Error):
            connection.run(f"SET SESSION {name} = {value}")
            now = connection.rows(f"SELECT @@SESSION.{name} AS value")
            if not now or now[0]["value"] not in seen:
                seen += [row["value"] for row in now]
                yield
        if not connection.open:
            return


def test_no_value_of_any_session_variable_changes_what_is_read(world: World) -> None:
    with closing(world.session()) as connection:
        prepare_session(connection, world.database.name)
        expected = what_is_read(connection, world, briefly=True)
    values = 0
    for name in session_variables(world):
        # Memory that the server's owner does not grant, and facts of the connection.
        if name in {"max_session_mem_used", "pseudo_thread_id"}:
            continue
        with closing(world.session()) as connection:
            for _ in other_values(connection, name):
                values += 1
                prepare_session(connection, world.database.name)
                assert what_is_read(connection, world, briefly=True) == expected, name
    assert values > 200


@pytest.mark.parametrize("wanted", [{"net_write_timeout": "99999999"}, {"sql_mode": "NO_SUCH_MODE"}])
def test_a_value_that_does_not_take_is_an_error_that_names_the_variable(
    world: World, wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PINNED", {**session.PINNED, **wanted})
    (name,) = wanted
    with (
        closing(world.session()) as connection,
        pytest.raises(SessionVariableError, match=f"session variable {name} is .* Run SET GLOBAL {name} = "),
    ):
        prepare_session(connection, world.database.name)


def test_a_proxy_that_hides_variables_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_shown", lambda _: {})
    with closing(world.session()) as connection, pytest.raises(SessionVariableError, match="does not list autocommit"):
        prepare_session(connection, world.database.name)


@pytest.mark.parametrize("limit", [0, 3, 20])
def test_what_the_catalogue_lists_is_held_against_a_count(world: World, limit: int) -> None:
    with closing(world.session()) as connection:
        prepare_session(connection, world.database.name)
        # As a proxy might, after the session was proved.
        connection.run(f"SET SESSION sql_select_limit = {limit}")
        with pytest.raises(RowCountError, match=r"limits|returned no row"):
            read_table(connection, world.database.name, "wide") if limit else table_names(connection, "any")
        if limit == 3:
            with pytest.raises(RowCountError, match=r"3 tables of database .* counts 1"):
                table_names(connection, world.database.name)


def test_a_table_of_which_the_user_may_see_some_columns_can_be_described(world: World) -> None:
    world.database.execute(
        "CREATE TABLE part (a INT PRIMARY KEY, b INT, c TEXT, KEY (b), FULLTEXT KEY (c))",
        f"REVOKE SELECT ON `{world.database.name}`.* FROM '{world.user[0]}'@'%'",
        f"GRANT SELECT (a, c) ON part TO '{world.user[0]}'@'%'",
    )
    with closing(world.session()) as connection:
        prepare_session(connection, world.database.name)
        table = read_table(connection, world.database.name, "part")
    assert table
    assert [column.name for column in table.columns] == ["a", "c"]
