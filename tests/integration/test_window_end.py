"""Up to when a run may move its watermark: on real servers, with sessions that hold it back."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from rds_to_s3.mysql.server import clock
from tests.integration.conftest import Database, fresh_database
from tests.integration.pipeline import Pipeline, entry
from tests.support.ledger import problems_with_rows
from tests.support.replicas import wait_until
from tests.support.servers import StartServer

pytestmark = pytest.mark.bucket_in_memory

TABLE = (
    "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40), createdDate DATETIME NULL DEFAULT "
    "CURRENT_TIMESTAMP, modifiedDate DATETIME NULL, KEY (createdDate), KEY (modifiedDate))"
)


@pytest.fixture
def pipeline(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(TABLE, "INSERT INTO t (note) VALUES ('first')")
    any_pipeline.tables = ["t"]
    return any_pipeline


@contextmanager
def session(database: Database, *statements: str, autocommit: bool = False) -> Iterator[Any]:
    connection = database.connect(autocommit=autocommit)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def background(work: Callable[[], None]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


@contextmanager
def table_altered_behind_a_reader(database: Database) -> Iterator[Any]:
    """Let every new statement on the table wait for a metadata lock; end the given session to let them go."""
    with session(database, "SELECT * FROM t") as reader:

        def alter() -> None:
            with session(database, "ALTER TABLE t COMMENT = 'altered'", autocommit=True):
                pass

        with background(alter):
            wait_for(database, "Waiting for table metadata lock")
            try:
                yield reader
            finally:
                reader.rollback()


def wait_for(database: Database, state: str, sessions: int = 1) -> None:
    query = f"SELECT COUNT(*) FROM information_schema.processlist WHERE STATE = '{state}' AND DB = '{database.name}'"
    end = time.monotonic() + 60
    while database.rows(query)[0][0] < sessions:
        assert time.monotonic() < end
        time.sleep(0.02)


def seconds_before_now(manifest: dict[str, Any]) -> float:
    bound = manifest["bound"]
    return (
        datetime.fromisoformat(bound["server_now"]) - datetime.fromisoformat(manifest["window_end"])
    ).total_seconds()


def test_an_open_transaction_holds_the_window_back_and_everything_is_delivered_all_the_same(pipeline: Pipeline) -> None:
    database = pipeline.database
    with session(database) as writer:
        # In the middle of a second: two readings of its age differ by milliseconds, which shall not tell it apart.
        insert_in_the_middle_of_a_second(writer, "late")
        time.sleep(1.1)
        first = pipeline.run()
        assert first["bound"]["decided_by"] == "transaction"
        assert seconds_before_now(first) > 3
        database.execute("INSERT INTO t (note) VALUES ('meanwhile')", "UPDATE t SET note = 'first again' WHERE id = 1")
        second = pipeline.run()
        assert second["window_end"] == first["window_end"]
        assert {row["note"] for row in pipeline.delivered("t", keys(second))} == {"meanwhile", "first again"}
        assert keys(second)[0].endswith("_part0002.csv")
        writer.commit()
    third = pipeline.run()
    assert [row["note"] for row in pipeline.delivered("t", keys(third))] == ["late"]
    assert entry(pipeline.run(), "t")["status"] == "UNCHANGED"


def insert_in_the_middle_of_a_second(connection: Any, note: str) -> None:
    """Begin a transaction with a row, however late this process is scheduled."""
    while True:
        connection.rollback()
        time.sleep(1.4 - time.time() % 1)
        began = time.time()
        connection.cursor().execute(f"INSERT INTO t (note) VALUES ('{note}')")
        if began % 1 > 0.3 and time.time() < int(began) + 0.8:
            return


def keys(manifest: dict[str, Any]) -> list[str]:
    return [file["key"] for file in entry(manifest, "t")["files"]]


def test_a_transaction_that_cannot_write_holds_nothing_back(pipeline: Pipeline) -> None:
    database = pipeline.database
    started = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
    with session(database, started) as reader, background(lambda: read_slowly(reader)):
        time.sleep(1.2)
        assert pipeline.run()["bound"]["decided_by"] == "clock"


def read_slowly(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, SLEEP(2.5) FROM t")


def test_a_statement_that_waits_for_a_lock_holds_the_window_back(pipeline: Pipeline) -> None:
    database = pipeline.database

    def write() -> None:
        with session(database, "INSERT INTO t (note) VALUES ('waited')", autocommit=True):
            pass

    with table_altered_behind_a_reader(database) as reader, background(write):
        try:
            wait_for(database, "Waiting for table metadata lock", 2)
            time.sleep(2.1)
            with pipeline.connect(10) as connection:
                waiting_since = clock.read_clock(connection).statement_age or 0.0
            until = datetime.fromisoformat(str(pipeline.plan(pipeline.execution("held-back"))["until"]))
        finally:
            reader.rollback()
    assert waiting_since >= 2
    bound = json.loads(pipeline.body("_state/runs/held-back/plan.json"))["bound"]
    # The reader's transaction is a moment older, and a busy machine makes that moment long.
    assert bound["decided_by"] in {"statement", "transaction"}
    stamp = database.rows("SELECT createdDate FROM t WHERE note = 'waited'")[0][0]
    assert until < stamp
    pipeline.iterate("held-back", "t")
    pipeline.run()
    assert problems_with_rows(pipeline, "t") == []


def test_an_events_statement_counts_as_a_sessions_does(pipeline: Pipeline) -> None:
    database = pipeline.database
    database.execute("SET GLOBAL event_scheduler = ON")
    with table_altered_behind_a_reader(database) as reader:
        database.execute("CREATE EVENT e ON SCHEDULE AT NOW() DO INSERT INTO t (note) VALUES ('by an event')")
        wait_for(database, "Waiting for table metadata lock", 2)
        time.sleep(1.1)
        threads = [
            row for row in database.rows("SELECT COMMAND FROM information_schema.processlist") if row[0] == "Connect"
        ]
        assert threads, "the server runs events under another command than sessions"
        with pipeline.connect(10) as connection:
            # The ALTER that waits is older; without it only the event's statement is left.
            assert (clock.read_clock(connection).statement_age or 0) >= 1
        reader.rollback()


@pytest.mark.parametrize("granted", [True, False], ids=["all is seen", "performance_schema is not"])
def test_a_first_statement_that_waited_holds_the_window_back_after_it_has_ended(
    pipeline: Pipeline, granted: bool
) -> None:
    database = pipeline.database
    if not granted:
        database.server.execute(
            "CREATE OR REPLACE USER 'narrow'@'%' IDENTIFIED BY 'narrow-Pa55'"
            if database.server.flavour == "mariadb"
            else "CREATE USER IF NOT EXISTS 'narrow'@'%' IDENTIFIED BY 'narrow-Pa55'",
            f"GRANT SELECT ON `{database.name}`.* TO 'narrow'@'%'",
            "GRANT PROCESS ON *.* TO 'narrow'@'%'",
        )
        pipeline.user = ("narrow", "narrow-Pa55")
    held = threading.Event()
    written = threading.Event()

    def write() -> None:
        with session(database, "INSERT INTO t (note) VALUES ('waited')") as writer:
            written.set()
            held.wait(20)
            writer.commit()

    with table_altered_behind_a_reader(database) as reader, background(write):
        wait_for(database, "Waiting for table metadata lock", 2)
        time.sleep(3.2)
        reader.rollback()
        assert written.wait(10)
        until = datetime.fromisoformat(pipeline.plan(pipeline.execution("meanwhile"))["until"])
        held.set()
    assert until < database.rows("SELECT createdDate FROM t WHERE note = 'waited'")[0][0]
    pipeline.iterate("meanwhile", "t")
    pipeline.run()
    assert problems_with_rows(pipeline, "t") == []


@pytest.mark.parametrize("statements", [0, 12])
def test_a_transactions_first_statement_is_known_until_ten_others_have_followed(
    database: Database, bucket: str, s3_client: Any, statements: int
) -> None:
    pipeline = Pipeline(database, bucket, s3_client)
    database.execute("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(20))")
    with session(database, *["INSERT INTO t (note) VALUES ('x')"] * (1 + statements)), pipeline.connect(10) as reader:
        reading = clock.read_clock(reader)
    assert reading.transaction_age is not None
    assert reading.first_statement_unseen == (statements > 0)


def test_without_the_privilege_the_window_ends_early_and_the_manifest_warns(pipeline: Pipeline) -> None:
    server, name = pipeline.database.server, pipeline.database.name
    server.execute(
        "DROP USER IF EXISTS 'blind'@'%'",
        "DROP ROLE IF EXISTS 'seer'",
        "CREATE USER 'blind'@'%' IDENTIFIED BY 'blind-Pa55'",
        f"GRANT SELECT ON `{name}`.* TO 'blind'@'%'",
    )
    pipeline.user = ("blind", "blind-Pa55")
    pipeline.unobserved_settle_seconds = 300.0
    with session(pipeline.database, "INSERT INTO t (note) VALUES ('late')") as writer:
        manifest = pipeline.run()
        assert 300 <= seconds_before_now(manifest) < 302
        assert manifest["warnings"][0].endswith(": GRANT PROCESS ON *.* TO 'blind'@'%'")
        writer.commit()
    pipeline.run()
    assert problems_with_rows(pipeline, "t") == []
    # A role's privilege is as good as one's own.
    server.execute("CREATE ROLE seer", "GRANT PROCESS ON *.* TO seer", "GRANT seer TO 'blind'@'%'")
    of = " FOR" if server.flavour == "mariadb" else " TO"
    server.execute(f"SET DEFAULT ROLE seer{of} 'blind'@'%'")
    seen = pipeline.run()
    assert (seen["bound"]["decided_by"], seen["warnings"]) == ("clock", [])


def test_a_list_of_transactions_that_is_kept_stale_is_not_believed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_FRESH_WITHIN_SECONDS", 1.0)
    stop = threading.Event()

    def poll() -> None:
        with pipeline.database.connect() as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("SELECT COUNT(*) FROM information_schema.innodb_trx")

    with background(poll), session(pipeline.database, "INSERT INTO t (note) VALUES ('unlisted')"):
        try:
            # A poll that comes late, on a busy machine, lets the server renew its list: then the transaction is seen.
            while not (manifest := pipeline.run())["warnings"]:
                assert manifest["bound"]["decided_by"] == "transaction"
        finally:
            stop.set()
    assert "innodb_trx" in manifest["warnings"][0]
    assert seconds_before_now(manifest) >= 900


TYPES = ["DATETIME", "DATETIME(1)", "DATETIME(3)", "DATETIME(6)", "TIMESTAMP", "TIMESTAMP(6)", "DATE"]


def test_cursors_of_every_precision_neither_lose_nor_repeat(any_pipeline: Pipeline) -> None:
    database = any_pipeline.database
    tables = [f"t{number}" for number in range(len(TYPES))]
    for table, kind in zip(tables, TYPES, strict=True):
        database.execute(
            f"CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(9), createdDate {kind} NULL, "
            "modifiedDate DATETIME(6) NULL, KEY (createdDate), KEY (modifiedDate))"
        )
    any_pipeline.tables = list(tables)
    for number in range(3):
        for table in tables:
            database.execute(
                f"INSERT INTO {table} (note, createdDate) VALUES ('n{number}', NOW(6)), ('m{number}', NOW())",
                f"UPDATE {table} SET note = 'u{number}', modifiedDate = NOW(6) WHERE id = {number * 2 - 1}",
            )
        any_pipeline.run()
    any_pipeline.run()
    assert {table: problems_with_rows(any_pipeline, table) for table in tables} == {table: [] for table in tables}


# --- what a run costs the server ---


@pytest.fixture
def large(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(
        "CREATE TABLE large (id INT PRIMARY KEY AUTO_INCREMENT, note CHAR(40), createdDate DATETIME NOT NULL, "
        "modifiedDate DATETIME NULL, KEY by_creation (createdDate), KEY by_change (modifiedDate))",
        "INSERT INTO large (note, createdDate) VALUES ('x', '2025-01-01')",
        *["INSERT INTO large (note, createdDate) SELECT note, '2025-01-01' FROM large"] * 17,
        "UPDATE large SET createdDate = '2025-01-01' + INTERVAL id MINUTE, "
        "modifiedDate = IF(id % 2, NULL, '2025-01-01' + INTERVAL id + 10 MINUTE)",
        "ANALYZE TABLE large",
    )
    any_pipeline.tables = [{"name": "large", "prove_bytes": 0}]  # a proof reads the others, too
    return any_pipeline


def rows_touched(database: Database) -> int:
    return sum(int(value) for _, value in database.rows("SHOW GLOBAL STATUS LIKE 'Handler_read%'"))


def test_a_small_window_of_a_large_table_touches_about_its_rows_and_without_indexes_all_of_them_with_a_warning(
    large: Pipeline,
) -> None:
    database = large.database
    last = database.rows("SELECT MAX(createdDate) FROM large")[0][0]
    large.set_watermark("large", str(last - timedelta(minutes=500)))
    before = rows_touched(database)
    table = entry(large.run(), "large")
    touched = rows_touched(database) - before
    assert 400 < table["rows"] < 600
    assert touched < 4_000, "131,072 rows stand in the table"
    assert table["warnings"] == []

    large.set_watermark("large", str(last - timedelta(minutes=500)))
    database.execute("ALTER TABLE large DROP KEY by_change, DROP KEY by_creation")
    before = rows_touched(database)
    table = entry(large.run(), "large")
    assert rows_touched(database) - before > 131_072
    assert [re.findall("CREATE INDEX .*", warning)[0] for warning in table["warnings"]] == [
        f"CREATE INDEX `large_modifiedDate` ON `{database.name}`.`large` (`modifiedDate`)",
        f"CREATE INDEX `large_createdDate` ON `{database.name}`.`large` (`createdDate`)",
    ]


# --- a replica ---


@pytest.fixture
def replicated(start_server: StartServer, bucket: str, s3_client: Any) -> Iterator[tuple[Database, Pipeline]]:
    """A source's database, and a pipeline that reads its replica."""
    gtid = ("--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--log-bin=binlog")
    source = start_server("mysql", "--server-id=1", *gtid)
    replica = start_server("mysql", "--server-id=2", *gtid)
    replica.execute(
        "RESET BINARY LOGS AND GTIDS",
        f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='{source.host}', SOURCE_PORT={source.port}, "
        f"SOURCE_USER='{source.user}', SOURCE_PASSWORD='{source.password}', SOURCE_SSL=1, SOURCE_AUTO_POSITION=1",
    )
    source.execute("RESET BINARY LOGS AND GTIDS")
    replica.execute("START REPLICA")
    with fresh_database(source) as database:
        database.execute(TABLE, "INSERT INTO t (note) VALUES ('first')")
        there = Database(replica, database.name, replica.connect())
        wait_until(lambda: there.rows(f"SELECT COUNT(*) FROM `{database.name}`.t")[0][0] == 1)
        there.execute(f"USE `{database.name}`")
        yield database, Pipeline(there, bucket, s3_client, tables=["t"], unobserved_settle_seconds=60.0)
        there.connection.close()


def test_a_replicas_window_ends_before_what_it_has_applied(replicated: tuple[Database, Pipeline]) -> None:
    source, pipeline = replicated
    replica = pipeline.database.server
    running = pipeline.run()
    assert "this server is a replica" in running["warnings"][0]
    last_applied = pipeline.database.rows("SELECT createdDate FROM t")[0][0]
    assert seconds_before_now(running) >= 60
    assert datetime.fromisoformat(running["window_end"]) >= last_applied - timedelta(seconds=61)

    # Stopped: the window's end stays where the last transaction was applied.
    replica.execute("STOP REPLICA SQL_THREAD")
    applied = datetime.now()
    source.execute("INSERT INTO t (note) VALUES ('not there yet')")
    time.sleep(3)
    stopped = pipeline.run()
    assert stopped["bound"]["decided_by"] == "replica"
    assert datetime.fromisoformat(stopped["window_end"]) <= applied - timedelta(seconds=60)
    assert seconds_before_now(stopped) > 62

    replica.execute("START REPLICA SQL_THREAD")
    wait_until(lambda: pipeline.database.rows("SELECT COUNT(*) FROM t")[0][0] == 2)
    pipeline.run()
    assert problems_with_rows(pipeline, "t") == []
