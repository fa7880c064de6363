"""One table, several readers: divided evenly, read side by side, committed once."""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest.mock import patch

import pytest

from rds_to_s3.extract.ranges import cuts, division
from tests.integration.conftest import Database
from tests.integration.pipeline import Pipeline, entry
from tests.support.csv_reading import read_csv
from tests.support.ledger import problems_with_leftovers, problems_with_rows
from tests.support.memory_store import MemoryStore

ROWS = 20_000
COLUMNS = "pad VARCHAR(400) NOT NULL, createdDate DATETIME(6) NOT NULL, modifiedDate DATETIME(6) NULL"
INDEXES = "KEY (createdDate), KEY (modifiedDate)"
PAD = "REPEAT('x', IF(n > 14000, 300, 60))"
STAMPS = "'2025-01-01' + INTERVAL n SECOND, IF(n % 3, NULL, '2025-02-01' + INTERVAL n SECOND)"
UNKNOWN_SIZE = "STATS_AUTO_RECALC=0"
"""Of a table: the server does not count the bytes of what comes. Other tables are so for some seconds."""
CODE = "EEFC"  # of a character that has another one, too
KEYS = {
    "dense": ("id INT PRIMARY KEY", "n"),
    "gappy": ("id BIGINT PRIMARY KEY", "n * n * 1000"),
    "negative": ("id DECIMAL(20, 4) PRIMARY KEY", "(n - 9000) * 1.5"),
    "uuid": ("id CHAR(36) PRIMARY KEY", "UUID()"),
    "hash": ("id BINARY(16) PRIMARY KEY", "UNHEX(LEFT(SHA2(n, 256), 32))"),
    "numbered": ("id VARCHAR(40) PRIMARY KEY", "CONCAT('ORD-2025-', LPAD(n, 10, '0'))"),
    "skewed": ("a INT, id INT, PRIMARY KEY (a, id)", "IF(n % 10 < 7, 5, n % 10), n"),
    "wide": ("id DECIMAL(65, 30) PRIMARY KEY", "CAST(n AS DECIMAL(65, 30)) * 1e20 - 7e23 + 0.5"),
    "accents": ("id VARCHAR(40) CHARACTER SET latin1 PRIMARY KEY", "CONCAT(IF(n % 2, 'a', '€'), n)"),
    "codes": ("id VARCHAR(40) CHARACTER SET cp932 PRIMARY KEY", f"CONCAT(CONVERT(UNHEX('{CODE}') USING cp932), n)"),
    "impossible": ("day DATE, id INT, PRIMARY KEY (day, id)", "IF(n < 15000, '2024-02-31', '2024-00-00'), n"),
    "moments": ("at DATETIME(3), id INT, PRIMARY KEY (at, id)", "'2020-01-01' + INTERVAL n * n DIV 1000 MINUTE, n"),
}

pytestmark = pytest.mark.bucket_in_memory


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "LEAST_BYTES", 200_000)


def fill(pipeline: Pipeline, key: str, values: str, *, stamps: str = STAMPS, options: str = "") -> None:
    digits = " UNION ALL ".join(f"SELECT {n} AS d" for n in range(10))
    pipeline.database.execute(
        f"CREATE TABLE big ({key}, {COLUMNS}, {INDEXES}) {options}",
        f"INSERT INTO big SELECT {values}, {PAD}, {stamps} FROM (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d "
        f"+ 10000 * f.d + 1 AS n FROM ({digits}) a, ({digits}) b, ({digits}) c, ({digits}) e, ({digits}) f) numbers "
        f"WHERE n <= {ROWS}",
        *(["ANALYZE TABLE big"] if options != UNKNOWN_SIZE else []),
    )
    pipeline.tables = [{"name": "big", "readers": 4}]


def everything(pipeline: Pipeline, key: str = "id") -> Counter[Any]:
    return Counter(str(row[0]) for row in pipeline.database.rows(f"SELECT {key} FROM big"))


UNEVEN = {"accents", "impossible"}
"""Keys between which the server estimates badly."""


def check_a_first_load(pipeline: Pipeline, kind: str, options: str = "") -> None:
    pipeline.database.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
    fill(pipeline, *KEYS[kind], options=options)
    table = entry(pipeline.run(), "big")
    assert (table["status"], table["rows"], table["readers"], table["attempts"]) == ("SUCCEEDED", ROWS, 4, 1)
    assert table["invocations"] == 1 + 4 + 1  # the last one is in the call of the last range: manifest/cost.py
    key = "HEX(id)" if kind == "hash" else "id"
    delivered = Counter(row["id"] for row in pipeline.delivered("big", [file["key"] for file in table["files"]]))
    assert delivered == everything(pipeline, key)
    sizes = [file["bytes"] for file in table["files"]]
    assert len(sizes) == 4
    assert kind in UNEVEN or max(sizes) < 1.3 * sum(sizes) / 4, sizes
    assert pipeline.keys("_state/ranges/") == []
    again = entry(pipeline.run(), "big")
    assert (again["status"], again["readers"], again["proof"]["healed"]) == ("UNCHANGED", 1, 0)


@pytest.mark.parametrize("kind", KEYS)
def test_a_first_load_is_shared_evenly_whatever_the_key(pipeline: Pipeline, kind: str) -> None:
    check_a_first_load(pipeline, kind)


@pytest.mark.parametrize("kind", ["uuid", "skewed"])
def test_so_it_is_on_mariadb(mariadb_database: Database, kind: str) -> None:
    check_a_first_load(Pipeline(mariadb_database, "memory", None, memory=MemoryStore()), kind)


def test_large_values_behind_small_ones_are_shared_evenly(any_pipeline: Pipeline) -> None:
    fill(any_pipeline, *KEYS["dense"])
    any_pipeline.database.execute(
        "ALTER TABLE big MODIFY pad LONGTEXT NOT NULL",
        # On pages of their own, outside of the index.
        "UPDATE big SET pad = REPEAT('x', 12000) WHERE id BETWEEN 6600 AND 7100",
        "ANALYZE TABLE big",
    )
    table = entry(any_pipeline.run(), "big")
    sizes = [file["bytes"] for file in table["files"]]
    assert (table["rows"], len(sizes)) == (ROWS, 4)
    assert max(sizes) < 1.5 * sum(sizes) / 4, sizes  # without a look at a piece's last rows: twice as much


@pytest.mark.parametrize("kind", ["dense", "uuid"])
def test_so_it_is_before_the_server_knows_how_large_the_table_is(any_pipeline: Pipeline, kind: str) -> None:
    check_a_first_load(any_pipeline, kind, UNKNOWN_SIZE)


def test_the_keys_sort_in_the_order_of_the_rows_however_many_numbers_the_ranges_want(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(pipeline, *KEYS["dense"])
    pipeline.tables = [{"name": "big", "readers": 4, "target_file_bytes": 10_000}]
    monkeypatch.setattr(division, "PARTS_SPARE", 40)  # more than ten thousand numbers for few files
    files = [file["key"] for file in entry(pipeline.run(), "big")["files"]]
    assert files == sorted(files) == pipeline.data_keys("big")
    assert [int(row["id"] or 0) for row in pipeline.delivered("big")] == [*range(1, ROWS + 1)]


@pytest.fixture
def loaded(pipeline: Pipeline) -> Pipeline:
    """A table of integers that has been extracted once."""
    fill(pipeline, *KEYS["dense"])
    assert entry(pipeline.run(), "big")["readers"] == 4
    return pipeline


def test_a_large_window_is_divided_by_its_index(loaded: Pipeline) -> None:
    (yesterday,) = loaded.database.rows("SELECT CAST(NOW() - INTERVAL 1 DAY AS CHAR)")[0]
    loaded.set_watermark("big", yesterday)
    # Most of them by one statement: the same stamp.
    loaded.database.execute(
        "UPDATE big SET pad = CONCAT(pad, '!'), modifiedDate = NOW(6) - INTERVAL 30 SECOND WHERE id <= 12000",
        "UPDATE big SET pad = CONCAT(pad, '?'), modifiedDate = NOW(6) - INTERVAL id MICROSECOND WHERE id > 15000",
        "INSERT INTO big SELECT id + 100000, 'new', NOW(6), NULL FROM big WHERE id <= 100",
    )
    table = entry(loaded.run(), "big")
    assert (table["readers"], table["rows"], table["proof"]["healed"]) == (4, 17_100, 0)
    assert problems_with_rows(loaded, "big") == []
    assert problems_with_leftovers(loaded, "big") == []


def test_a_small_window_of_a_large_table_is_not_searched_for_borders(
    loaded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(division, "LEAST_BYTES", 1_000_000)
    (yesterday,) = loaded.database.rows("SELECT CAST(NOW() - INTERVAL 1 DAY AS CHAR)")[0]
    loaded.set_watermark("big", yesterday)
    stamp = "NOW(6) - INTERVAL 30 SECOND - INTERVAL id MICROSECOND"
    loaded.database.execute(f"UPDATE big SET pad = CONCAT(pad, '!'), modifiedDate = {stamp} WHERE id <= 50")
    with patch.object(cuts.CutFinder, "_split", side_effect=AssertionError("searched")):
        table = entry(loaded.run(), "big")
    assert (table["status"], table["rows"], table["readers"]) == ("SUCCEEDED", 50, 1)


def test_a_table_whose_range_failed_is_redriven_with_that_range_alone(loaded: Pipeline) -> None:
    loaded.set_watermark("big", "2024-01-01 00:00:00")
    execution = loaded.execution("half")
    loaded.plan(execution)
    assert loaded.extract("half", "big") == "DIVIDED"
    assert [loaded.extract("half", "big", number=number) for number in (1, 2, 4)] == ["RANGE_READ"] * 3
    failed = {"table": "big", "range": 3, "status": "FAILED", "error": "Sandbox.Timedout"}
    done = {"table": "big", "status": "RANGE_READ"}
    manifest = loaded.report(execution, results=[{"table": "big", "status": "DIVIDED"}], range_results=[done, failed])
    assert entry(manifest, "big")["error"]["type"] == "Sandbox.Timedout"
    assert loaded.missing_ranges("big") == [3]
    with patch.object(Pipeline, "read_range", autospec=True, side_effect=Pipeline.read_range) as reading:
        redriven = entry(loaded.redrive(manifest), "big")
    assert [call.args[3] for call in reading.call_args_list] == [3]
    assert (redriven["status"], redriven["rows"], redriven["readers"]) == ("SUCCEEDED", ROWS, 4)
    assert problems_with_leftovers(loaded, "big") == []


def test_a_table_whose_range_failed_is_free_once_nobody_reads_it(loaded: Pipeline) -> None:
    loaded.set_watermark("big", "2024-01-01 00:00:00")
    loaded.tables = [{"name": "big", "readers": 4, "checks": {"pad": {"matches": "x+"}}}]
    loaded.database.execute("UPDATE big SET pad = 'bad' WHERE id = 1")
    execution = loaded.execution("half")
    loaded.plan(execution)
    assert loaded.extract("half", "big") == "DIVIDED"
    results = [loaded.read_range("half", "big", number) for number in (1, 2, 3, 4)]
    # The ranges after the failed one keep the table as long as they are read.
    assert "FAILED" in [result["status"] for result in results[:-1]]
    assert results[-1]["status"] == "RANGE_READ"
    loaded.report(execution, results=[{"table": "big", "status": "DIVIDED"}], range_results=results)
    loaded.database.execute("UPDATE big SET pad = 'xx' WHERE id = 1")
    table = entry(loaded.run(), "big")
    assert (table["status"], table["rows"], table["readers"]) == ("SUCCEEDED", ROWS, 4)
    assert problems_with_leftovers(loaded, "big") == []


def test_what_changes_between_two_ranges_is_the_next_windows(loaded: Pipeline) -> None:
    loaded.tables = [{"name": "big", "readers": 4, "deletes": "track"}]
    loaded.run()
    loaded.store.delete("big/csv/last_extract.txt")
    execution = loaded.execution("moving")
    loaded.plan(execution)
    assert loaded.extract("moving", "big") == "DIVIDED"
    loaded.extract("moving", "big", number=1)
    loaded.database.execute(
        # From a range that is read into one that is not, and back; a row at each border; deletes in both.
        "UPDATE big SET id = 19500 + 100000, modifiedDate = NOW(6) WHERE id = 10",
        "UPDATE big SET id = -5, modifiedDate = NOW(6) WHERE id = 19000",
        "INSERT INTO big SELECT -id, 'border', NOW(6), NULL FROM big WHERE id IN (20, 15001, 19999)",
        "DELETE FROM big WHERE id IN (30, 18000)",
    )
    for number in (2, 3, 4):
        loaded.extract("moving", "big", number=number)
    first = loaded.report(execution, results=[])
    assert entry(first, "big")["status"] == "SUCCEEDED"
    second = loaded.run()
    assert entry(second, "big")["proof"]["healed"] == 0
    table = {str(row[0]) for row in loaded.database.rows("SELECT id FROM big")}
    got = {str(row["id"]) for row in loaded.delivered("big")}
    assert table <= got
    gone = [str(row["id"]) for key in loaded.keys("big/deletes/") for row in read_csv(loaded.body(key))]
    assert sorted(gone) == sorted(got - table)


def test_a_table_altered_between_two_ranges_fails_and_is_read_again(loaded: Pipeline) -> None:
    loaded.set_watermark("big", "2024-01-01 00:00:00")
    execution = loaded.execution("altered")
    loaded.plan(execution)
    assert loaded.extract("altered", "big") == "DIVIDED"
    loaded.extract("altered", "big", number=1)
    loaded.database.execute("ALTER TABLE big ADD COLUMN added INT DEFAULT 7")
    result = loaded.read_range("altered", "big", 2)
    assert result["error"] == "SourceChangedError"
    failed = loaded.report(execution, results=[], range_results=[result])
    assert "altered" in entry(failed, "big")["error"]["message"]
    again = entry(loaded.redrive(failed), "big")
    assert (again["status"], again["rows"], again["readers"]) == ("SUCCEEDED", ROWS, 4)
    assert problems_with_leftovers(loaded, "big") == []


def test_a_table_altered_as_its_ranges_are_joined_is_read_again_by_the_last_reader(loaded: Pipeline) -> None:
    loaded.set_watermark("big", "2024-01-01 00:00:00")
    execution = loaded.execution("altered")
    loaded.plan(execution)
    assert loaded.extract("altered", "big") == "DIVIDED"
    *others, last = loaded.missing_ranges("big")
    for number in others:
        assert loaded.read_range("altered", "big", number)["status"] == "RANGE_READ"

    def alter(effect: str) -> None:
        if effect == "after join":
            loaded.database.execute("ALTER TABLE big ADD COLUMN added INT DEFAULT 7")

    assert loaded.extract("altered", "big", alter, number=last) == "SUCCEEDED"
    table = entry(loaded.report(execution, results=[], range_results=[]), "big")
    assert (table["rows"], table["readers"], table["columns"][-1]["name"]) == (ROWS, 1, "added")
    assert problems_with_rows(loaded, "big") == problems_with_leftovers(loaded, "big") == []


def test_checks_mean_the_whole_window(pipeline: Pipeline) -> None:
    fill(pipeline, *KEYS["dense"])
    pipeline.tables = [
        {
            "name": "big",
            "readers": 4,
            "on_violation": "quarantine",
            "checks": {"id": {"le": 19_990}, "pad": {"matches": "x+"}, "*": {"min_rows": ROWS}},
        }
    ]
    pipeline.database.execute("UPDATE big SET pad = 'bad' WHERE id IN (1, 9000, 19995)")
    table = entry(pipeline.run(), "big")
    assert (table["status"], table["readers"]) == ("SUCCEEDED", 4)
    assert (table["rows"], table["quarantined_rows"]) == (ROWS - 12, 12)
    assert len({file["key"] for file in table["quarantine"]}) == len(table["quarantine"])


def test_unique_values_are_found_by_one_reader(pipeline: Pipeline) -> None:
    fill(pipeline, *KEYS["dense"])
    pipeline.tables = [{"name": "big", "readers": 4, "checks": {"id": {"unique": True}}}]
    table = entry(pipeline.run(), "big")
    assert (table["status"], table["readers"]) == ("SUCCEEDED", 1)
    assert any("one reader reads this table" in text for text in table["warnings"])


def test_cuts_that_the_server_does_not_find_in_order_are_left_out(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = cuts.chosen_cuts
    monkeypatch.setattr(division, "chosen_cuts", lambda *given: [chosen(*given)[place] for place in (1, 0, 1, 2)])
    fill(pipeline, *KEYS["skewed"])
    table = entry(pipeline.run(), "big")
    assert (table["rows"], table["readers"]) == (ROWS, 3)


@pytest.mark.parametrize("changed", [{"prove_bytes": 0}, {"readers": 1}])
def test_a_read_that_its_redrive_reads_otherwise_begins_anew(pipeline: Pipeline, changed: dict[str, Any]) -> None:
    fill(pipeline, *KEYS["dense"])
    pipeline.tables = [{"name": "big", "readers": 4, **changed}] if "prove_bytes" in changed else pipeline.tables
    execution = pipeline.execution("half")
    pipeline.plan(execution)
    pipeline.extract("half", "big")
    pipeline.extract("half", "big", number=1)
    failed = pipeline.report(execution, results=[], range_results=[{"table": "big", "status": "FAILED", "error": "X"}])
    pipeline.tables = [{"name": "big", "readers": 4} if "prove_bytes" in changed else {"name": "big", **changed}]
    table = entry(pipeline.redrive(failed), "big")
    assert (table["rows"], table["readers"]) == (ROWS, changed.get("readers", 4))
    assert entry(pipeline.run(), "big")["proof"]["healed"] == 0
    assert problems_with_leftovers(pipeline, "big") == []


def test_what_the_files_cannot_store_is_counted_over_all_of_them(pipeline: Pipeline) -> None:
    fill(pipeline, *KEYS["dense"])
    pipeline.database.execute(
        "SET SESSION sql_mode = ''", "UPDATE big SET modifiedDate = '0000-00-00' WHERE id % 100 = 0"
    )
    pipeline.tables = [{"name": "big", "readers": 4, "format": "parquet"}]
    table = entry(pipeline.run(), "big")
    assert (table["rows"], len(table["files"])) == (ROWS, 4)
    assert [text for text in table["warnings"] if "of the calendar" in text] == [
        "200 values of `modifiedDate` not a date of the calendar (such as 0000-00-00), stored as NULL"
    ]


def test_a_search_for_cuts_that_takes_too_long_leaves_the_read_to_one(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A statement that the server stops after a second: the snapshot it was in stays as it is.
    endless = " AND (SELECT COUNT(*) FROM big a, big b WHERE a.id * b.id % 7 = big.id) >= 0"
    key = cuts.CutFinder._key
    monkeypatch.setattr(cuts, "MOST_SECONDS", 0.5)
    monkeypatch.setattr(
        cuts.CutFinder,
        "_key",
        lambda finder, stretch, condition, **how: key(finder, stretch, condition + endless, **how),
    )
    fill(pipeline, *KEYS["dense"])
    table = entry(pipeline.run(), "big")
    assert (table["status"], table["rows"], table["readers"]) == ("SUCCEEDED", ROWS, 1)
    assert any("took too long" in text for text in table["warnings"])
