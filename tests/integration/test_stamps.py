"""Stamps of other people's applications: *never* in place of NULL, other zones, columns that are hidden or gone."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.integration.conftest import Database
from tests.integration.pipeline import Pipeline, entry
from tests.support.ledger import problems_with_rows

pytestmark = pytest.mark.bucket_in_memory

INDEXES = ", KEY (createdDate), KEY (modifiedDate)"
NEVER = ("0000-00-00 00:00:00", "1000-01-01 00:00:00", "1970-01-01 00:00:00", "1970-01-02 00:00:01")


def warnings_of(manifest: dict[str, Any], table: str = "t") -> str:
    return "\n".join(entry(manifest, table)["warnings"])


def execute_lax(database: Database, *statements: str) -> None:
    """Run statements under the mode of servers that took zero dates."""
    database.execute("SET SESSION sql_mode = ''", *statements)


# --- a modified column that means never ---


# A table for each: the kind of the column, the value that means never, the indexes.
OF_NEVER = {
    f"t{number}": case
    for number, case in enumerate(
        [
            *(("DATETIME", never, INDEXES) for never in NEVER),
            ("DATETIME(3)", NEVER[0], INDEXES),
            ("TIMESTAMP", NEVER[0], INDEXES),
            ("TIMESTAMP", NEVER[3], ""),
            *(("DATETIME", NEVER[0], indexes) for indexes in (", KEY (createdDate)", ", KEY (modifiedDate)", "")),
        ]
    )
}


def test_a_row_whose_modification_means_never_is_extracted_by_its_creation(any_pipeline: Pipeline) -> None:
    def execute(statement: str) -> None:
        execute_lax(any_pipeline.database, *(statement.replace("TABLE_", table) for table in OF_NEVER))

    def run() -> list[tuple[str, int]]:
        manifest = any_pipeline.run()
        return [(entry(manifest, table)["status"], entry(manifest, table)["rows"]) for table in OF_NEVER]

    for table, (kind, never, indexes) in OF_NEVER.items():
        execute_lax(
            any_pipeline.database,
            f"CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(20), createdDate DATETIME NOT NULL "
            f"DEFAULT CURRENT_TIMESTAMP, modifiedDate {kind} NOT NULL DEFAULT '{never}'{indexes})",
        )
    execute("INSERT INTO TABLE_ (note, createdDate) VALUES ('first', NOW() - INTERVAL 1 HOUR)")
    any_pipeline.tables = list(OF_NEVER)
    run()
    execute("INSERT INTO TABLE_ (note) VALUES ('second'), ('third')")
    assert run() == [("SUCCEEDED", 2)] * len(OF_NEVER)
    execute("UPDATE TABLE_ SET note = 'changed', modifiedDate = NOW() WHERE id = 2")
    assert run() == [("SUCCEEDED", 1)] * len(OF_NEVER)
    assert run() == [("UNCHANGED", 0)] * len(OF_NEVER)
    assert {table: problems_with_rows(any_pipeline, table) for table in OF_NEVER} == {table: [] for table in OF_NEVER}


def test_a_creation_later_than_the_modification_counts(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(20), createdDate DATETIME NOT NULL DEFAULT "
        f"CURRENT_TIMESTAMP, modifiedDate DATETIME NOT NULL DEFAULT '2001-01-01'{INDEXES})",
        "INSERT INTO t (note, createdDate) VALUES ('first', '2002-01-01')",
    )
    any_pipeline.tables = ["t"]
    any_pipeline.run()
    any_pipeline.database.execute("INSERT INTO t (note) VALUES ('second')")
    any_pipeline.run()
    any_pipeline.run()
    assert problems_with_rows(any_pipeline, "t") == []


def test_rows_without_any_stamp_are_counted_whatever_means_never(any_pipeline: Pipeline) -> None:
    execute_lax(
        any_pipeline.database,
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, createdDate DATETIME NULL, modifiedDate DATETIME NOT NULL "
        f"DEFAULT '0000-00-00 00:00:00'{INDEXES})",
        "INSERT INTO t (createdDate) VALUES (NOW())",
    )
    any_pipeline.tables = [{"name": "t", "prove_bytes": 0}]
    any_pipeline.run()
    execute_lax(
        any_pipeline.database,
        "INSERT INTO t (createdDate) VALUES (NULL), ('0000-00-00'), ('1970-01-01'), ('1000-01-01'), (NOW())",
    )
    manifest = any_pipeline.run()
    assert entry(manifest, "t")["rows"] == 1
    assert "4 rows have no timestamp" in warnings_of(manifest)


# --- cursor columns that are not there ---


@pytest.fixture
def table(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(20), createdDate DATETIME NULL DEFAULT "
        f"CURRENT_TIMESTAMP, modifiedDate DATETIME NULL{INDEXES})",
        "INSERT INTO t (note) VALUES ('first')",
    )
    any_pipeline.tables = ["t"]
    return any_pipeline


def test_a_table_that_is_extracted_by_creation_alone_says_so_in_every_run_until_somebody_decides(
    table: Pipeline,
) -> None:
    table.database.execute("ALTER TABLE t DROP COLUMN modifiedDate")
    for _ in range(2):
        warning = warnings_of(table.run())
        assert "changes of its rows are not extracted" in warning
        assert '"modified_column": null' in warning
    table.tables = [{"name": "t", "modified_column": None}]
    assert warnings_of(table.run()) == ""


@pytest.mark.parametrize("column", ["modifiedDate", "createdDate"])
def test_a_table_that_lost_a_cursor_column_fails_until_somebody_decides(table: Pipeline, column: str) -> None:
    table.run()
    table.database.execute(f"ALTER TABLE t RENAME COLUMN {column} TO changed", "INSERT INTO t (note) VALUES ('new')")
    for _ in range(2):
        error = entry(table.run(), "t")["error"]
        assert error["type"] == "NoCursorColumnError"
        assert column in error["message"]
    setting = "modified_column" if column == "modifiedDate" else "created_column"
    table.tables = [{"name": "t", setting: "changed"}]
    decided = table.run()
    assert entry(decided, "t")["status"] == "SUCCEEDED"
    assert "the cursor columns are" in warnings_of(decided)
    assert warnings_of(table.run()) == ""


def test_a_cursor_column_that_the_user_may_not_read_is_named_with_its_grant(table: Pipeline) -> None:
    server, name = table.database.server, table.database.name
    server.execute(
        "DROP USER IF EXISTS 'narrow'@'%'",
        "CREATE USER 'narrow'@'%' IDENTIFIED BY 'narrow-Pa55'",
        "GRANT PROCESS ON *.* TO 'narrow'@'%'",
        f"GRANT SELECT (id, note, createdDate) ON `{name}`.t TO 'narrow'@'%'",
    )
    owner, table.user = table.user, ("narrow", "narrow-Pa55")
    for _ in range(2):
        assert f"GRANT SELECT (`modifiedDate`) ON `{name}`.`t` TO 'narrow'@'%'" in warnings_of(table.run())
    server.execute(f"REVOKE SELECT (createdDate) ON `{name}`.t FROM 'narrow'@'%'")
    error = entry(table.run(), "t")["error"]
    assert error["type"] == "NoCursorColumnError"
    grant = f"GRANT SELECT (`modifiedDate`, `createdDate`) ON `{name}`.`t` TO 'narrow'@'%'"
    assert error["message"].endswith(grant)
    server.execute(grant)
    assert entry(table.run(), "t")["error"] is None
    table.user = owner
    table.database.execute("INSERT INTO t (note) VALUES ('second')")
    assert entry(table.run(), "t")["error"] is None
    assert {row["note"] for row in table.delivered("t")} == {"first", "second"}


# --- another zone ---


def write_in_zone(database: Database, zone: str, *statements: str) -> None:
    """Run statements of an application that sets its sessions' zone."""
    connection = database.connect(autocommit=True)
    with connection.cursor() as cursor:
        for statement in (f"SET SESSION time_zone = '{zone}'", *statements):
            cursor.execute(statement)
    connection.close()


INSERT = "INSERT INTO t (note, createdDate) VALUES ('x', NOW(6))"
UPDATE = "UPDATE t SET note = CONCAT(note, 'y'), modifiedDate = NOW(6) WHERE id = 1"
# A table for each: the kind of its column, the application's zone, and the name that the table's setting has for it.
OF_ZONES = {
    "t0": ("DATETIME", "-05:00", "-05:00"),
    "t1": ("DATETIME(6)", "+05:30", "Asia/Kolkata"),
    "t2": ("TIMESTAMP", "-03:00", "Brazil/East"),
    "t3": ("DATE", "-05:00", "-05:00"),
}


def test_rows_stamped_in_another_zone_are_extracted_once_if_the_table_names_it(any_pipeline: Pipeline) -> None:
    for table, (kind, _, _) in OF_ZONES.items():
        any_pipeline.database.execute(
            f"CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(20), createdDate {kind} NULL, "
            f"modifiedDate DATETIME(3) NULL{INDEXES})"
        )
    any_pipeline.tables = [{"name": table, "time_zone": name} for table, (_, _, name) in OF_ZONES.items()]
    for number in range(4):
        for table, (_, zone, _) in OF_ZONES.items():
            statements = [INSERT, *[UPDATE] * (number > 0)]
            renamed = (statement.replace(" t ", f" {table} ") for statement in statements)
            write_in_zone(any_pipeline.database, zone, *renamed)
        manifest = any_pipeline.run()
        assert [warnings_of(manifest, table) for table in OF_ZONES] == [""] * len(OF_ZONES)
        if number == 1:
            time.sleep(2.5)
    server = any_pipeline.database.rows("SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW()) / 3600")[0][0]
    for table, (_, zone, _) in OF_ZONES.items():
        window = entry(manifest, table)["window"]
        assert any_pipeline.watermark(table) == window["until"][:19]
        hours = (float(zone[:3]) * 60 + float(zone[4:]) * (1 if zone[0] == "+" else -1)) / 60
        behind = any_pipeline.database.rows(
            f"SELECT TIMESTAMPDIFF(SECOND, '{window['until']}', '{manifest['window_end']}') / 3600"
        )[0][0]
        assert abs(float(behind) - (float(server) - hours)) < 0.01, "the window is in that zone"
    any_pipeline.run()
    assert {table: problems_with_rows(any_pipeline, table) for table in OF_ZONES} == {table: [] for table in OF_ZONES}


def test_rows_stamped_in_another_zone_are_noticed_where_the_table_does_not_name_it(table: Pipeline) -> None:
    zone = "-05:00"
    server = table.database.rows("SELECT TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), NOW())")[0][0]
    assert server == 0, "the test's servers run in UTC"
    table.database.execute("DELETE FROM t")
    write_in_zone(table.database, zone, INSERT)
    assert warnings_of(table.run()) == ""
    assert warnings_of(table.run()) == ""
    time.sleep(1.1)
    write_in_zone(table.database, zone, INSERT)
    warning = warnings_of(table.run())
    assert 'set "time_zone" (it looks like "-05:00")' in warning
    assert warnings_of(table.run()) == "", "once for each time that such rows come"
    # What it says brings them.
    rewind = warning.split("rds-to-s3 rewind t '")[1].split("'")[0]
    table.set_watermark("t", rewind)
    table.tables = [{"name": "t", "time_zone": zone}]
    table.run()
    write_in_zone(table.database, zone, INSERT, UPDATE.replace("id = 1", "id = 2"))
    table.run()
    table.run()
    newest = {row["id"]: row["note"] for row in table.delivered("t")}
    assert newest == {str(key): note for key, note in table.database.rows("SELECT id, note FROM t")}


def test_a_late_stamp_in_an_unindexed_table_is_noticed_too_and_an_import_of_old_rows_is_no_alarm(
    any_pipeline: Pipeline,
) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(20), createdDate DATETIME NULL, "
        "modifiedDate DATETIME NULL)",
        "INSERT INTO t (note, createdDate) VALUES ('a', NOW() - INTERVAL 2 DAY)",
    )
    any_pipeline.tables = ["t"]
    any_pipeline.run()
    # Its creation is old, and its stamp, the later one, is not.
    any_pipeline.database.execute(
        "INSERT INTO t (note, createdDate, modifiedDate) VALUES ('b', NOW() - INTERVAL 1 DAY, NOW())"
    )
    assert "new rows are stamped" not in warnings_of(any_pipeline.run())
    any_pipeline.database.execute("INSERT INTO t (note, createdDate) VALUES ('c', NOW() - INTERVAL 1 HOUR)")
    assert 'it looks like "-01:00"' in warnings_of(any_pipeline.run())


def test_naming_the_zone_later_loses_nothing_and_says_what_may_come_twice(table: Pipeline) -> None:
    table.run()
    for zone in ("-05:00", "+03:00"):
        table.tables = [{"name": "t", "time_zone": zone}]
        write_in_zone(table.database, zone, INSERT)
        manifest = table.run()
        assert "the zone of the stamps is" in warnings_of(manifest)
        write_in_zone(table.database, zone, INSERT)
        table.run()
    table.run()
    newest = {row["id"]: row["note"] for row in table.delivered("t")}
    assert len(newest) == 5


# --- changed settings ---


def test_a_table_that_becomes_incremental_after_full_repeats_no_row(table: Pipeline) -> None:
    table.tables = [{"name": "t", "mode": "full"}]
    table.database.execute("INSERT INTO t (note, createdDate) VALUES ('future', '2099-01-01'), ('now', NOW())")
    table.run()
    table.tables = ["t"]
    again = table.run()
    assert entry(again, "t")["status"] == "UNCHANGED"
    table.database.execute("INSERT INTO t (note) VALUES ('new')")
    assert entry(table.run(), "t")["rows"] == 1


def test_changed_settings_say_what_they_leave_out_or_repeat(table: Pipeline) -> None:
    table.database.execute("INSERT INTO t (note, createdDate) VALUES ('future', '2099-01-01')")
    table.tables = [{"name": "t", "columns": ["id"]}]
    table.run()
    table.tables = [{"name": "t", "columns": ["id", "note"]}]
    warning = warnings_of(table.run())
    assert "note: rows in earlier files lack this" in warning
    assert "rows that the last run delivered ahead may be delivered again" in warning
    table.tables = [{"name": "t", "columns": ["id", "note"], "lookback_seconds": 3600}]
    assert "lookback_seconds grew to 3600" in warnings_of(table.run())
    assert warnings_of(table.run()) == ""
    table.tables = [{"name": "t", "columns": ["id", "note"], "format": "parquet"}]
    assert "the format is parquet, and was another" in warnings_of(table.run())
    assert warnings_of(table.run()) == ""
    table.tables = [{"name": "t", "columns": ["id", "note"]}]
    assert "the format is csv, and was another" in warnings_of(table.run())


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE t MODIFY createdDate DATE NULL, MODIFY modifiedDate DATE NULL",
        {"created_column": "made", "modified_column": None},
        {"created_column": "made", "modified_column": None, "time_zone": "-11:00"},
    ],
)
def test_a_cursor_column_that_is_a_date_from_now_on_hides_no_row_of_that_day(
    table: Pipeline, change: str | dict[str, Any]
) -> None:
    zone = "+00:00"
    table.database.execute("ALTER TABLE t ADD COLUMN made DATE NULL")
    time.sleep(2.1)
    table.run()
    if isinstance(change, str):
        table.database.execute(change)
    else:
        zone = change.get("time_zone", zone)
        table.tables = [{"name": "t", **change}]
    insert = "INSERT INTO t (note, createdDate, made) VALUES ('of this day', NOW(), NOW())"
    write_in_zone(table.database, zone, insert)
    assert "a cursor column is a DATE" in warnings_of(table.run())
    write_in_zone(table.database, zone, insert)
    assert "a cursor column is a DATE" not in warnings_of(table.run())
    assert entry(table.run(), "t")["status"] == "UNCHANGED"
    assert [row["id"] for row in table.delivered("t") if row["note"] == "of this day"] == ["2", "3"]


def test_days_of_another_zone_are_read_from_their_beginning(table: Pipeline) -> None:
    table.database.execute("ALTER TABLE t DROP COLUMN modifiedDate, MODIFY createdDate DATE NULL")
    for zone in ("+00:00", "-12:00", "+13:00", "-11:00"):
        table.tables = [{"name": "t", "modified_column": None, "time_zone": zone}]
        for _ in range(2):
            write_in_zone(table.database, zone, "INSERT INTO t (note, createdDate) VALUES ('x', NOW())")
            table.run()
    assert not [problem for problem in problems_with_rows(table, "t") if not problem.startswith("delivered more")]
