"""Tables that do not fit into one invocation: stopped in time, resumed, committed once."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Any

import pytest

from tests.integration.pipeline import Pipeline, entry

ROWS = 18_000


def fill(pipeline: Pipeline, key: str = "id INT PRIMARY KEY", identifier: str = "n") -> None:
    """Make a table of `ROWS` rows of about 200 bytes; `n` counts from 1."""
    pipeline.database.execute(
        f"CREATE TABLE big ({key}, pad CHAR(160) NOT NULL, createdDate DATETIME NOT NULL, modifiedDate DATETIME NULL, "
        "KEY (createdDate), KEY (modifiedDate))",
        f"INSERT INTO big SELECT {identifier}, REPEAT('x', 160), "
        "'2025-01-01' + INTERVAL n DIV 1500 SECOND, IF(n % 3, NULL, '2025-02-01' + INTERVAL n DIV 1500 SECOND) FROM "
        "(SELECT a.d + 10*b.d + 100*c.d + 1000*e.d + 10000*f.d + 1 AS n FROM digits a, digits b, digits c, digits e, "
        f"digits f) numbers WHERE n <= {ROWS}",
    )


@pytest.fixture
def big(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(
        "CREATE TABLE digits (d INT PRIMARY KEY)", "INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)"
    )
    any_pipeline.tables = [{"name": "big", "target_file_bytes": 600_000}]
    return any_pipeline


class Hurried:
    """Invocations whose clock runs out after a few pages, whatever the machine's speed; some are killed."""

    def __init__(self, pipeline: Pipeline, kill: set[int] | None = None) -> None:
        self.pipeline = pipeline
        self.kill = kill or set()
        self.statuses: list[str] = []

    def __call__(self, run_id: str, table: str) -> str:
        if len(self.statuses) in self.kill:
            self._killed(run_id, table)
        status = self.pipeline.extract(run_id, table)
        self.statuses.append(status)
        return status

    def _killed(self, run_id: str, table: str) -> None:
        self.kill.discard(len(self.statuses))
        if (child := os.fork()) == 0:
            parts = 0

            def die(step: str) -> None:
                nonlocal parts
                parts += step == "after part"
                if parts == 2:
                    os.kill(os.getpid(), signal.SIGKILL)

            self.pipeline.extract(run_id, table, die)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the invocation ended before it could be killed"
        self.statuses.append("KILLED")


def hurry(monkeypatch: pytest.MonkeyPatch, rows: int, pages: int) -> None:
    """Let every page have `rows` rows, and every invocation end after `pages` of them."""
    from rds_to_s3.extract import page_reader  # noqa: PLC0415

    monkeypatch.setattr(page_reader, "MOST_ROWS", rows)
    run_page = page_reader.WindowRead._page

    def page(self: Any, segment: Any) -> None:
        run_page(self, segment)
        self.pages = getattr(self, "pages", 0) + 1
        if self.pages >= pages:
            self.stop_at = 0.0
            self.pace.seconds = 1e12

    monkeypatch.setattr(page_reader.WindowRead, "_page", page)


def ids(pipeline: Pipeline, column: str = "id") -> Counter[str | None]:
    return Counter(row[column] for row in pipeline.delivered("big"))


def test_a_first_load_in_ten_invocations_delivers_each_row_once(big: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(big)
    hurry(monkeypatch, rows=1_800, pages=1)
    invocations = Hurried(big)
    manifest = big.run(extract=invocations)
    table = entry(manifest, "big")
    assert invocations.statuses.count("CONTINUE") >= 9
    assert (table["status"], table["rows"], table["attempts"]) == ("SUCCEEDED", ROWS, 1)
    assert table["invocations"] == len(invocations.statuses)
    assert set(ids(big).values()) == {1}
    assert len(ids(big)) == ROWS


def test_killed_invocations_lose_only_what_they_had_not_recorded(
    big: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(big)
    hurry(monkeypatch, rows=9_000, pages=1)
    invocations = Hurried(big, kill={0, 1})
    table = entry(big.run(extract=invocations), "big")
    assert "KILLED" in invocations.statuses
    assert table["rows"] == ROWS
    assert set(ids(big).values()) == {1}
    assert big.s3_client.list_multipart_uploads(Bucket=big.bucket).get("Uploads", []) == []


def test_a_window_is_resumed_in_each_of_its_halves(big: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(big)
    big.set_watermark("big", "2024-12-31 00:00:00")
    hurry(monkeypatch, rows=2_100, pages=1)
    invocations = Hurried(big)
    table = entry(big.run(extract=invocations), "big")
    assert invocations.statuses.count("CONTINUE") >= 8
    assert table["rows"] == ROWS
    assert set(ids(big).values()) == {1}
    again = entry(big.run(), "big")
    assert again["status"] == "UNCHANGED"


KEYS = {
    "composite": (
        "a INT, b VARCHAR(20) COLLATE utf8mb4_general_ci, PRIMARY KEY (a, b)",
        "n DIV 30, CONCAT('k', n)",
        "b",
    ),
    "text": ("k VARCHAR(30) CHARACTER SET latin1 PRIMARY KEY", "CONCAT('Ä', n, '''\\\\')", "k"),
    "binary": ("k BINARY(32) PRIMARY KEY", "UNHEX(SHA2(n, 256))", "k"),
    "decimal": ("k DECIMAL(20,5) PRIMARY KEY", "n / 7 - 1000", "k"),
    "datetime": ("k DATETIME(6) PRIMARY KEY", "'2020-01-01' + INTERVAL n * 1001 MICROSECOND", "k"),
    "unsigned": ("k BIGINT UNSIGNED PRIMARY KEY", "18446744073709551615 - n", "k"),
    "negative": ("k INT PRIMARY KEY", "30000 - n", "k"),
    "unique": ("k INT NOT NULL UNIQUE", "n", "k"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_type_can_be_resumed(big: Pipeline, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    ddl, expression, column = KEYS[kind]
    monkeypatch.setattr("tests.integration.test_long_reads.ROWS", 3_000)
    fill(big, ddl, expression)
    hurry(monkeypatch, rows=900, pages=1)
    table = entry(big.run(extract=Hurried(big)), "big")
    assert table["status"] == "SUCCEEDED", table["error"]
    assert table["invocations"] >= 3
    assert set(ids(big, column).values()) == {1}
    assert len(ids(big, column)) == 3_000


def test_a_table_without_a_key_is_read_in_one_invocation(big: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(big, "k INT", "n")
    hurry(monkeypatch, rows=900, pages=1)
    table = entry(big.run(), "big")
    assert (table["status"], table["rows"]) == ("SUCCEEDED", ROWS)
    assert any("primary key" in warning for warning in table["warnings"])


def test_a_table_without_a_key_that_does_not_fit_says_so(big: Pipeline) -> None:
    fill(big, "k INT", "n")
    big.seconds = 0.02
    table = entry(big.run(), "big")
    assert table["error"]["type"] == "CannotResumeError"
    assert "primary key" in table["error"]["message"]


def test_columns_that_change_between_invocations_start_the_read_over(
    big: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(big)
    hurry(monkeypatch, rows=6_000, pages=1)
    statuses = []

    def extract(run_id: str, table: str) -> str:
        statuses.append(big.extract(run_id, table))
        if len(statuses) == 1:
            big.database.execute("ALTER TABLE big ADD COLUMN added INT DEFAULT 7")
        return statuses[-1]

    assert entry(big.run(extract=extract), "big")["rows"] == ROWS
    assert {row["added"] for row in big.delivered("big")} == {"7"}


@pytest.mark.parametrize(
    ("before", "after"), [("utf8mb4_general_ci", "utf8mb4_bin"), ("utf8mb4_bin", "utf8mb4_general_ci")]
)
def test_a_key_that_is_ordered_in_another_way_between_invocations_starts_the_read_over(
    big: Pipeline, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    monkeypatch.setattr("tests.integration.test_long_reads.ROWS", 3_000)
    key = "k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE {} NOT NULL PRIMARY KEY"
    fill(big, key.format(before), "CONCAT(CHAR(IF(n % 2, 65, 97) + n DIV 150 USING utf8mb4), n)")
    hurry(monkeypatch, rows=900, pages=1)
    statuses: list[str] = []

    def extract(run_id: str, table: str) -> str:
        statuses.append(big.extract(run_id, table))
        if len(statuses) == 1:
            big.database.execute(f"ALTER TABLE big MODIFY {key.format(after).removesuffix('PRIMARY KEY')}")
        return statuses[-1]

    assert entry(big.run(extract=extract), "big")["rows"] == 3_000
    assert statuses[0] == "CONTINUE"
    assert set(ids(big, "k").values()) == {1}


@pytest.mark.parametrize(
    ("kind", "index"),
    [
        ("DATE", "PRIMARY KEY (due, n)"),
        ("DATETIME(6)", "PRIMARY KEY (due, n)"),
        ("DATE", "PRIMARY KEY (n), KEY (modifiedDate, due)"),
    ],
)
def test_a_read_is_resumed_after_a_date_that_no_calendar_has(
    any_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, kind: str, index: str
) -> None:
    from rds_to_s3.extract import page_reader  # noqa: PLC0415

    monkeypatch.setattr(page_reader, "MOST_ROWS", 1)
    days = [
        "0000-00-00",
        "0000-02-28",
        "2023-02-29",
        "2024-00-10",
        "2024-02-29",
        "2024-02-30",
        "2024-02-31",
        "2024-03-01",
    ]
    rows = ", ".join(f"('{day}', {n})" for n, day in enumerate(sorted(days * 2)))
    any_pipeline.database.execute(
        "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
        f"CREATE TABLE big (due {kind} NOT NULL, n INT NOT NULL, modifiedDate DATETIME NOT NULL DEFAULT '2025-06-01', "
        f"{index})",
        f"INSERT INTO big (due, n) VALUES {rows}",
    )
    any_pipeline.tables = [{"name": "big", "created_column": None}]
    any_pipeline.set_watermark("big", "2025-01-01 00:00:00")
    table = entry(any_pipeline.run(), "big")
    assert table["error"] is None
    assert ids(any_pipeline, "n") == Counter(map(str, range(len(days) * 2)))
