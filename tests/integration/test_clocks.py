"""Servers with wrong clocks: a repeated hour, and a clock that is turned back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local.debian_packages import unpack
from local.errors import LocalSystemError
from local.mysql_programs import PACKAGES, fetched
from local.mysql_server import MySqlServer
from rds_to_s3.extract import page_reader
from rds_to_s3.mysql.server.clock import earliest_instant, hours_repeat, local_times
from tests.integration.conftest import Database, fresh_database
from tests.integration.pipeline import Pipeline, entry
from tests.support.ledger import problems_with_rows

pytestmark = pytest.mark.bucket_in_memory

ZONE = ZoneInfo("Europe/Berlin")


def write_whole(file: Path, text: str) -> None:
    """Replace a file at once: the server reads it whenever it asks for the time, and would end at an empty one."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@dataclass(frozen=True)
class ClockedDatabase:
    """A database on a server in Berlin whose clock can be set."""

    database: Database
    _file: Path

    def set(self, utc: str) -> None:
        """Let the server's clock go on from that instant."""
        lead = datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp() - time.time()
        write_whole(self._file, f"{lead:+.3f}")


@pytest.fixture(scope="module")
def clocked_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MySqlServer, Path]]:
    try:
        root = unpack(["libfaketime"], "bookworm", PACKAGES / "faketime")
    except LocalSystemError as error:
        pytest.skip(f"no libfaketime: {error}")
    library = next(root.rglob("libfaketimeMT.so.1"))
    directory = tmp_path_factory.mktemp("clocked")
    program = fetched("mariadb")
    MySqlServer.start(directory, program=program).stop()  # its certificates are of today
    clock = directory / "clock.txt"
    clock.write_text("+0")
    environment = (
        "/usr/bin/env",
        f"TZ={ZONE.key}",
        f"FAKETIME_TIMESTAMP_FILE={clock}",
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
    )
    loader, *rest = program.command
    wrapped = replace(program, command=(*environment, loader, "--preload", str(library), *rest))
    server = MySqlServer.start(directory, program=wrapped)
    yield server, clock
    write_whole(clock, "+0")
    server.stop()


@pytest.fixture
def clocked(clocked_server: tuple[MySqlServer, Path]) -> Iterator[ClockedDatabase]:
    server, file = clocked_server
    with fresh_database(server) as database:
        yield ClockedDatabase(database, file)
        write_whole(file, "+0")


@pytest.fixture
def clocked_pipeline(clocked: ClockedDatabase, bucket: str, s3_client: Any) -> Pipeline:
    return Pipeline(clocked.database, bucket, s3_client, tables=["t"])


def make(database: Database, kind: str) -> Callable[[str], None]:
    """Make a table with cursors of a type; return what inserts a row and updates another."""
    database.execute(
        f"CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40), createdDate {kind} NULL DEFAULT NULL, "
        f"modifiedDate {kind} NULL DEFAULT NULL, KEY (createdDate), KEY (modifiedDate))"
    )

    def write(note: str) -> None:
        connection = database.connect()
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO t (note, createdDate) VALUES ('{note}', NOW(6))")
            cursor.execute(f"UPDATE t SET note = '{note} again', modifiedDate = NOW(6) WHERE id % 3 = 0")
        connection.close()

    return write


@pytest.mark.parametrize("kind", ["DATETIME", "DATETIME(6)", "TIMESTAMP", "TIMESTAMP(3)"])
def test_the_repeated_hour_hides_no_row_and_repeats_none(
    clocked: ClockedDatabase, clocked_pipeline: Pipeline, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = make(clocked.database, kind)
    monkeypatch.setattr(page_reader, "MOST_ROWS", 2)  # pages end everywhere, also in the repeated hour
    deciders = []
    # Berlin, 26 October 2025: 02:00 to 03:00 is repeated, from 00:00 to 02:00 UTC.
    for utc in ("23:30", "23:59", "00:10", "00:50", "01:05", "01:10", "01:55", "02:00", "02:01", "03:30"):
        clocked.set(f"2025-10-{25 if utc > '23' else 26} {utc}:30")
        write(utc)
        if utc not in {"01:05", "03:30"}:
            manifest = clocked_pipeline.run()
            assert manifest["status"] == "SUCCEEDED", entry(manifest, "t")["error"]
            deciders.append(manifest["bound"]["decided_by"])
    clocked.set("2025-10-26 04:00:00")
    clocked_pipeline.run()
    assert problems_with_rows(clocked_pipeline, "t") == []
    assert deciders.count("clock change") == 4
    assert entry(clocked_pipeline.run(), "t")["status"] == "UNCHANGED"


@pytest.mark.parametrize("zone", ["+00:00", "America/New_York"])
def test_timestamps_in_the_hour_that_stands_twice_come_once_where_the_table_names_a_zone_without_it(
    clocked: ClockedDatabase, clocked_pipeline: Pipeline, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = make(clocked.database, "TIMESTAMP")
    clocked_pipeline.tables = [{"name": "t", "time_zone": zone}]
    monkeypatch.setattr(page_reader, "MOST_ROWS", 2)
    for utc in ("23:30", "00:10", "00:50", "01:05", "01:10", "01:55", "02:10"):
        clocked.set(f"2025-10-{25 if utc > '23' else 26} {utc}:30")
        write(utc)
        if utc != "01:05":
            clocked_pipeline.run()
    assert problems_with_rows(clocked_pipeline, "t") == []


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_lookback_is_as_long_when_the_clock_was_turned_forward(
    clocked: ClockedDatabase, clocked_pipeline: Pipeline, zone: str | None
) -> None:
    make(clocked.database, "DATETIME")
    clocked_pipeline.tables = [{"name": "t", "lookback_seconds": 3600, "time_zone": zone}]
    # Berlin, 30 March 2025: 02:00 to 03:00 is left out, at 01:00 UTC.
    for utc, stamp in (("00:40", "01:40"), ("01:10", "03:10"), ("01:20", "01:45")):
        clocked.set(f"2025-03-30 {utc}:00")
        clocked.database.execute(f"INSERT INTO t (createdDate) VALUES ('2025-03-30 {stamp}:00')")
        clocked_pipeline.run()
    assert problems_with_rows(clocked_pipeline, "t") == []


def test_the_servers_own_rules_tell_local_times(clocked: ClockedDatabase, clocked_pipeline: Pipeline) -> None:
    connection = clocked_pipeline.connect(10)
    clocked.set("2025-10-26 00:30:00")
    instants = [datetime(2025, 10, 26, hour, 30, tzinfo=UTC).timestamp() for hour in range(4)]
    wanted = [datetime.fromtimestamp(instant, ZONE).replace(tzinfo=None) for instant in instants]
    assert local_times(connection, instants) == wanted
    assert earliest_instant(connection, wanted[0]) == earliest_instant(connection, wanted[1]) == instants[0]
    assert earliest_instant(connection, wanted[2]) == instants[2]
    assert hours_repeat(connection, datetime(2025, 10, 25, 12))
    clocked.set("2025-10-30 12:00:00")
    assert not hours_repeat(connection, datetime(2025, 10, 28))
    assert hours_repeat(connection, datetime(2025, 9, 1))
    connection.close()


def test_a_transaction_from_before_the_repeated_hour_is_as_old_as_it_is(
    clocked: ClockedDatabase, clocked_pipeline: Pipeline
) -> None:
    write = make(clocked.database, "DATETIME")
    clocked.set("2025-10-25 23:50:00")  # 01:50
    write("before")
    writer = clocked.database.connect(autocommit=False)
    with writer.cursor() as cursor:
        cursor.execute("INSERT INTO t (note, createdDate) VALUES ('late', NOW())")
    clocked.set("2025-10-26 02:10:00")  # 03:10, two hours and twenty minutes later
    manifest = clocked_pipeline.run()
    assert manifest["window_end"] < "2025-10-26 01:50:00"
    writer.commit()
    writer.close()
    clocked_pipeline.run()
    assert problems_with_rows(clocked_pipeline, "t") == []


@pytest.mark.parametrize("hours", [0, 3])
def test_a_clock_turned_back_between_two_runs_loses_nothing_and_is_warned_about(
    clocked: ClockedDatabase, clocked_pipeline: Pipeline, hours: int
) -> None:
    write = make(clocked.database, "DATETIME")
    clocked.set("2025-06-01 12:00:00")
    write("before")
    before = clocked_pipeline.run()
    observer = time.time
    clocked.set("2025-06-01 11:00:00")
    write("after the step")
    # Hours later the server's clock has passed where it was: only its lead over ours tells.
    clocked.set(f"2025-06-01 {11 + hours}:01:00")
    with pytest.MonkeyPatch.context() as later:
        later.setattr("rds_to_s3.mysql.server.clock.time.time", lambda: observer() + hours * 3600 + 60)
        manifest = clocked_pipeline.run()
    table = entry(manifest, "t")
    assert any("turned back by 36" in warning for warning in table["warnings"]), table["warnings"]
    newest = {row["id"]: row["note"] for row in clocked_pipeline.delivered("t")}
    assert newest == {"1": "before", "2": "after the step"}
    assert clocked_pipeline.data_keys("t")[0] == entry(before, "t")["files"][0]["key"], "keys sort as runs came"
