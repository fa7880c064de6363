"""Credentials that lead to another server: its rows are extracted, also those of the time before anybody noticed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from rds_to_s3.extract.ranges import division
from rds_to_s3.extract.scope.settled import MOST_EDGE_ROWS
from tests.integration.conftest import Database, fresh_database
from tests.integration.pipeline import Pipeline, entry
from tests.support.ledger import problems_with_rows

pytestmark = pytest.mark.bucket_in_memory

TABLE = (
    "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40), createdDate DATETIME NULL DEFAULT "
    "CURRENT_TIMESTAMP, modifiedDate DATETIME NULL, KEY (createdDate), KEY (modifiedDate))"
)


@pytest.fixture
def other(any_database: Database) -> Iterator[Database]:
    """A second database on the same server: to a table's state, it is another source."""
    with fresh_database(any_database.server) as database:
        yield database


@pytest.fixture
def pipeline(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(TABLE)
    any_pipeline.tables = ["t"]
    return any_pipeline


def moved(pipeline: Pipeline, other: Database) -> Pipeline:
    """Copy the tables, as a replica that is promoted has them, and read them from there."""
    name = pipeline.database.name
    for table in pipeline.tables:
        other.execute(
            f"CREATE TABLE {table} LIKE `{name}`.{table}", f"INSERT INTO {table} SELECT * FROM `{name}`.{table}"
        )
    return replace(pipeline, database=other)


def age(database: Database) -> None:
    """Let the rows be as if they had been written four seconds ago, before any run."""
    database.execute("UPDATE t SET createdDate = createdDate - INTERVAL 4 SECOND")


def stop_run(pipeline: Pipeline, run_id: str) -> str:
    """Commit the table in a run whose execution is then stopped; return the status."""
    pipeline.plan(pipeline.execution(run_id))
    return str(pipeline.iterate(run_id, "t")["status"])


def warnings_of(manifest: dict[str, Any], table: str = "t") -> str:
    return "\n".join(entry(manifest, table)["warnings"])


def test_rows_that_the_other_server_got_before_anybody_noticed_come_once(
    any_pipeline: Pipeline, other: Database
) -> None:
    pipeline, rows = any_pipeline, {"none": 0, "one": 1, "five": 5}
    pipeline.tables = tables = list(rows)
    nothing: dict[str, list[str]] = {table: [] for table in tables}

    def execute(database: Database, *statements: str) -> None:
        database.execute(*(statement.replace("t_", table) for table in tables for statement in statements))

    execute(pipeline.database, TABLE.replace(" t ", " t_ "))
    for table in tables:
        for number in range(rows[table]):
            pipeline.database.execute(f"INSERT INTO {table} (note) VALUES ('before {number}')")
    pipeline.run()
    after = moved(pipeline, other)
    # The application writes there; a warm function continues to read the former server, and moves the watermark.
    execute(
        other,
        "INSERT INTO t_ (note) VALUES ('meanwhile')",
        "UPDATE t_ SET note = 'changed', modifiedDate = NOW() WHERE id = 1",
    )
    time.sleep(3.1)
    manifest = pipeline.run()
    assert [warnings_of(manifest, table) for table in tables] == ["", "", ""]
    manifest = after.run()
    for table in tables:
        assert "this is another server than the last run read" in warnings_of(manifest, table)
    assert {table: problems_with_rows(after, table) for table in tables} == nothing
    execute(other, "INSERT INTO t_ (note) VALUES ('later')")
    manifest = after.run()
    assert [warnings_of(manifest, table) for table in tables] == ["", "", ""]
    manifest = after.run()
    assert [entry(manifest, table)["status"] for table in tables] == ["UNCHANGED"] * 3
    assert {table: problems_with_rows(after, table) for table in tables} == nothing


def test_a_ledger_and_tracked_keys_that_begin_on_the_other_server_have_what_the_former_one_delivered(
    pipeline: Pipeline, other: Database
) -> None:
    soon = "NOW() + INTERVAL 1 HOUR"
    later = f"INSERT INTO t (note, createdDate) VALUES ('{{0}} a', {soon}), ('{{0}} b', {soon})"
    pipeline.tables = [{"name": "t", "prove_bytes": 0}]
    pipeline.database.execute(later.format("before"))
    pipeline.run()
    after = moved(replace(pipeline, tables=["t"]), other)
    after.tables = [{"name": "t", "deletes": "track"}]
    other.execute(later.format("after"))
    manifest = after.run()
    assert "everything is read" in warnings_of(manifest)
    assert entry(manifest, "t")["rows"] == 2
    assert entry(after.run(), "t")["status"] == "UNCHANGED"
    other.execute("DELETE FROM t WHERE note IN ('before a', 'after a')", "UPDATE t SET note = 'x' WHERE note LIKE '%b'")
    table = entry(after.run(), "t")
    assert (table["rows"], table["deleted_rows"]) == (2, 2)
    assert entry(after.run(), "t")["status"] == "UNCHANGED"


@pytest.mark.parametrize("stopped", [0, 2])
def test_where_too_many_rows_share_the_last_second_they_may_come_twice_and_a_run_says_so(
    pipeline: Pipeline, other: Database, stopped: int
) -> None:
    values = ", ".join(f"('{number}')" for number in range(MOST_EDGE_ROWS + 1))
    pipeline.database.execute(f"INSERT INTO t (note) VALUES {values}")
    age(pipeline.database)
    pipeline.run()
    after = moved(pipeline, other)
    other.execute("INSERT INTO t (note) VALUES ('new')")
    for number in range(stopped):  # after their commits, so the run after them reports what they had to
        stop_run(after, f"stopped-{number}")
    manifest = after.run()
    assert "may be extracted again" in warnings_of(manifest)
    assert entry(manifest, "t")["rows"] == MOST_EDGE_ROWS + 2
    assert {row["note"] for row in after.delivered("t")} >= {"new", "0", str(MOST_EDGE_ROWS)}


def test_a_table_in_full_and_a_rewound_one_need_no_word_of_it(pipeline: Pipeline, other: Database) -> None:
    pipeline.database.execute("INSERT INTO t (note) VALUES ('first')")
    pipeline.run()
    after = moved(pipeline, other)
    after.set_watermark("t", "2020-01-01 00:00:00")
    assert warnings_of(after.run()) == ""
    after.tables = [{"name": "t", "mode": "full"}]
    assert warnings_of(after.run()) == ""


def test_a_move_that_brings_no_row_is_reported_although_its_run_is_stopped(pipeline: Pipeline, other: Database) -> None:
    pipeline.database.execute("INSERT INTO t (note) VALUES ('first')")
    age(pipeline.database)
    pipeline.run()
    after = moved(pipeline, other)
    assert stop_run(after, "stopped") == "UNCHANGED"
    manifest = after.run()
    assert "this is another server than the last run read" in warnings_of(manifest)
    assert entry(manifest, "t")["status"] == "UNCHANGED"
    assert warnings_of(after.run()) == ""


def test_rows_near_the_end_of_the_former_server_may_come_again_with_other_columns_and_the_run_says_so(
    pipeline: Pipeline, other: Database
) -> None:
    pipeline.tables = [{"name": "t", "prove_bytes": 0}]
    pipeline.database.execute("INSERT INTO t (note) VALUES ('a'), ('b')")
    age(pipeline.database)
    pipeline.run()
    after = moved(replace(pipeline, tables=["t"]), other)
    after.tables = pipeline.tables
    other.execute("ALTER TABLE t ADD COLUMN price INT NOT NULL DEFAULT 7 AFTER id")
    manifest = after.run()
    assert entry(manifest, "t")["rows"] == 2
    assert "2 rows stamped up to" in warnings_of(manifest)
    assert "may be delivered again: the columns that are read, or their types, have changed" in warnings_of(manifest)
    assert warnings_of(after.run()) == ""


def test_four_readers_on_the_other_server_deliver_each_row_once(
    pipeline: Pipeline, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(division, "LEAST_BYTES", 1)
    pipeline.tables = [{"name": "t", "readers": 4}]
    values = ", ".join(f"('{number}')" for number in range(200))
    pipeline.database.execute(f"INSERT INTO t (note) VALUES {values}", "ANALYZE TABLE t")
    age(pipeline.database)
    pipeline.run()
    after = moved(replace(pipeline, tables=["t"]), other)
    after.tables = pipeline.tables
    other.execute(f"INSERT INTO t (note) VALUES {values}", "UPDATE t SET note = 'x', modifiedDate = NOW() WHERE id < 9")
    other.execute("ANALYZE TABLE t")
    manifest = after.run()
    assert (entry(manifest, "t")["readers"], entry(manifest, "t")["rows"]) == (4, 208)
    assert "this is another server than the last run read" in warnings_of(manifest)
    assert problems_with_rows(after, "t") == []


def test_there_and_back_each_row_of_both_servers_comes_once(pipeline: Pipeline, other: Database) -> None:
    former = pipeline.database
    pipeline.database.execute("INSERT INTO t (note) VALUES ('first')")
    age(pipeline.database)
    pipeline.run()
    after = moved(pipeline, other)
    for number in range(2):
        other.execute(f"INSERT INTO t (note) VALUES ('there {number}')")
        former.execute(f"INSERT INTO t SELECT * FROM `{other.name}`.t ORDER BY id DESC LIMIT 1")
        time.sleep(3.1)
        for server in (after, pipeline):
            warnings = warnings_of(server.run())
            assert "this is another server than the last run read" in warnings
            assert "again" not in warnings
    assert problems_with_rows(pipeline, "t") == []
