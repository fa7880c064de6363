"""Checks before upload, on both servers: what becomes visible, and what is reported."""

from __future__ import annotations

from typing import Any

import pytest

from rds_to_s3.extract import page_reader
from tests.integration.pipeline import Json, Pipeline, entry
from tests.integration.test_long_reads import hurry
from tests.support.csv_reading import read_csv
from tests.support.schemas import validate_manifest
from tests.support.staged_time import StagedTime

pytestmark = pytest.mark.bucket_in_memory

ORDERS = """CREATE TABLE orders (
    id INT PRIMARY KEY AUTO_INCREMENT, code VARCHAR(20) NULL, total DECIMAL(10,2) NULL, note LONGTEXT NULL,
    createdDate DATETIME NOT NULL DEFAULT '2025-01-01 00:00:00', modifiedDate DATETIME NULL,
    KEY (createdDate), KEY (modifiedDate))"""
ROWS = "INSERT INTO orders (code, total) VALUES ('A', 1), ('B', -0.01), (NULL, 0), ('A', 3), ('C', -5)"


@pytest.fixture
def orders(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(ORDERS, ROWS)
    return any_pipeline


def checked(pipeline: Pipeline, checks: Json, **settings: Any) -> Json:
    """Run once with these checks; return the table's entry in a valid manifest."""
    pipeline.tables = [{"name": "orders", "checks": checks, **settings}]
    manifest = pipeline.run()
    validate_manifest(manifest)
    return entry(manifest, "orders")


def test_a_broken_check_leaves_nothing_visible_and_says_which_check_how_many_rows_and_whose(orders: Pipeline) -> None:
    table = checked(orders, {"total": {"ge": 0}, "code": {"not_null": True, "unique": True}})
    assert (table["status"], table["attempts"], table["error"]["type"]) == ("FAILED", 1, "ChecksFailedError")
    assert "total ge 0: 2 rows (id 2; id 5)" in table["error"]["message"]
    assert "code not_null: 1 row (id 3)" in table["error"]["message"]
    assert "code unique: 1 row (id 4)" in table["error"]["message"]
    assert orders.keys("orders/") == []
    orders.database.execute("UPDATE orders SET total = 0 WHERE total < 0")
    assert checked(orders, {"total": {"ge": 0}})["rows"] == 5


def test_quarantine_sets_bad_rows_aside_with_their_reasons_and_the_rest_continues(orders: Pipeline) -> None:
    checks = {"total": {"ge": 0}, "code": {"not_null": True}, "*": {"expressions": ["total > -5 or code is None"]}}
    table = checked(orders, checks, on_violation="quarantine")
    assert (table["status"], table["rows"], table["quarantined_rows"], table["source_rows"]) == ("SUCCEEDED", 2, 3, 5)
    assert [row["id"] for row in orders.delivered("orders")] == ["1", "4"]
    (file,) = table["quarantine"]
    stamp = table["files"][0]["key"].rpartition("_data_")[2]
    assert file["key"] == f"orders/quarantine/orders_quarantine_{stamp}"
    rows = list(read_csv(orders.body(file["key"])))
    assert list(rows[0]) == ["id", "code", "total", "note", "createdDate", "modifiedDate", "_violations"]
    assert [(row["id"], row["total"], row["_violations"]) for row in rows] == [
        ("2", "-0.01", "total ge 0"),
        ("3", "0.00", "code not_null"),
        ("5", "-5.00", "total ge 0; total > -5 or code is None"),
    ]
    assert any("in quarantine: total ge 0: 2 rows (id 2; id 5)" in warning for warning in table["warnings"])
    again = checked(orders, checks, on_violation="quarantine")
    assert (again["status"], again["quarantined_rows"], again["quarantine"]) == ("UNCHANGED", 0, [])


def test_a_window_of_bad_rows_only_succeeds_with_a_quarantine_file_and_no_other(orders: Pipeline) -> None:
    table = checked(orders, {"total": {"gt": 1000}}, on_violation="quarantine")
    assert (table["status"], table["rows"], table["quarantined_rows"], table["files"]) == ("SUCCEEDED", 0, 5, [])
    assert orders.data_keys("orders") == []


def test_warn_delivers_every_row_and_says_so(orders: Pipeline) -> None:
    table = checked(orders, {"total": {"ge": 0}, "*": {"min_rows": 6}}, on_violation="warn")
    assert (table["status"], table["rows"]) == ("SUCCEEDED", 5)
    assert "check broken: total ge 0: 2 rows (id 2; id 5)" in table["warnings"]
    assert "check broken: min_rows 6: the window has 5 rows" in table["warnings"]
    assert "quarantined_rows" not in table


@pytest.mark.parametrize("on_violation", ["fail", "quarantine"])
def test_too_few_rows_fail_the_table_since_no_row_can_be_set_aside_for_it(orders: Pipeline, on_violation: str) -> None:
    table = checked(orders, {"*": {"min_rows": 6}}, on_violation=on_violation)
    assert table["error"]["type"] == "ChecksFailedError"
    assert "min_rows 6: the window has 5 rows" in table["error"]["message"]
    assert orders.keys("orders/") == []


def test_a_table_whose_newest_row_is_too_old_fails(orders: Pipeline) -> None:
    stale = checked(orders, {"*": {"max_age_seconds": 3600}})
    assert "the newest row is from 2025-01-01 00:00:00" in stale["error"]["message"]
    orders.database.execute("UPDATE orders SET modifiedDate = NOW() WHERE id = 1")
    fresh = {"*": {"max_age_seconds": 3600}}
    assert checked(orders, fresh)["rows"] == 5
    # A quiet window is not a stale table.
    assert checked(orders, fresh)["status"] in {"UNCHANGED", "SUCCEEDED"}
    orders.database.execute("DELETE FROM orders")
    assert "no row has a timestamp" in checked(orders, fresh)["error"]["message"]


@pytest.mark.parametrize(
    ("checks", "error", "message"),
    [
        ({"totl": {"ge": 0}}, "ColumnNotFoundError", "did you mean 'total'"),
        ({"code": {"ge": 0}}, "ColumnTypeError", "code is varchar(20)"),
        ({"*": {"expressions": ["total > code"]}}, "ColumnTypeError", "a number is compared with a text"),
    ],
)
def test_a_check_that_does_not_suit_the_table_fails_it_before_anything_is_read(
    orders: Pipeline, checks: Json, error: str, message: str
) -> None:
    table = checked(orders, checks)
    assert (table["error"]["type"], table["attempts"]) == (error, 1)
    assert message in table["error"]["message"]


def test_a_check_that_does_not_suit_the_table_is_found_in_the_plan_and_fixed_by_a_redrive(orders: Pipeline) -> None:
    orders.database.execute("CREATE TABLE menu LIKE orders", "INSERT INTO menu SELECT * FROM orders")
    orders.tables = [{"name": "orders", "checks": {"totl": {"ge": 0}}}, "menu"]
    orders.set_watermark("orders", "2024-12-31 00:00:00")
    connections: list[int] = []
    connect = orders.connect

    def counted(read_seconds: int) -> Any:
        connections.append(read_seconds)
        return connect(read_seconds)

    orders.connect = counted  # type: ignore[method-assign]
    manifest = orders.run()
    assert len(connections) == 2, "one for the plan, one for menu"
    table = entry(manifest, "orders")
    assert (table["status"], table["attempts"], table["window"]["after"]) == ("FAILED", 1, "2024-12-31 00:00:00.000000")
    assert (table["error"]["type"], entry(manifest, "menu")["rows"]) == ("ColumnNotFoundError", 5)
    assert "did you mean 'total'" in table["error"]["message"]

    orders.tables = [{"name": "orders", "checks": {"total": {"ge": 0}}, "on_violation": "warn"}, "menu"]
    mended = orders.redrive(manifest)
    assert (mended["status"], entry(mended, "orders")["rows"]) == ("SUCCEEDED", 5)


def test_a_newer_version_of_a_row_does_not_repeat_the_value_that_it_had_before(
    orders: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders.database.execute(
        "DELETE FROM orders",
        "INSERT INTO orders (code, modifiedDate) WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n "
        "WHERE n < 900) SELECT CONCAT('C', n), '2025-02-01' + INTERVAL n SECOND FROM n",
    )
    orders.set_watermark("orders", "2025-01-01 00:00:00")
    orders.tables = [{"name": "orders", "checks": {"code": {"unique": True}}, "on_violation": "quarantine"}]
    hurry(monkeypatch, rows=300, pages=1)
    statuses: list[str] = []

    def extract(run_id: str, table: str) -> str:
        statuses.append(orders.extract(run_id, table))
        if len(statuses) == 2:  # the first read the half of the rows that were never modified, which is empty
            # Read already; they come again at the window's end. The last one takes the value of another row.
            orders.database.execute(
                "UPDATE orders SET modifiedDate = '2025-03-01' WHERE code IN ('C1', 'C2')",
                "UPDATE orders SET modifiedDate = '2025-03-01', code = 'C4' WHERE code = 'C3'",
            )
        return statuses[-1]

    table = entry(orders.run(extract=extract), "orders")
    assert statuses[0] == "CONTINUE"
    assert (table["rows"], table["quarantined_rows"]) == (902, 1)
    (bad,) = [row for file in table["quarantine"] for row in read_csv(orders.body(file["key"]))]
    assert (bad["code"], bad["_violations"]) == ("C4", "code unique")
    assert sum(row["code"] == "C1" for row in orders.delivered("orders")) == 2


def test_a_column_that_is_checked_need_not_be_in_the_files(orders: Pipeline) -> None:
    table = checked(orders, {"total": {"ge": 0}}, columns=["id", "code"], on_violation="quarantine")
    assert (table["rows"], table["quarantined_rows"]) == (3, 2)
    assert list(next(orders.delivered("orders"))) == ["id", "code"]
    rows = read_csv(orders.body(table["quarantine"][0]["key"]))
    assert next(rows) == {"id": "2", "code": "B", "_violations": "total ge 0"}


def test_rows_too_large_for_memory_are_checked_and_quarantined_too(orders: Pipeline) -> None:
    orders.database.execute("UPDATE orders SET note = REPEAT('x', 5000000) WHERE id IN (1, 2)")
    table = checked(orders, {"total": {"ge": 0}, "note": {"max_length": 5_000_000}}, on_violation="quarantine")
    assert (table["rows"], table["quarantined_rows"]) == (3, 2)
    rows = list(read_csv(orders.body(table["quarantine"][0]["key"])))
    assert [len(row["note"] or "") for row in rows] == [5_000_000, 0]


def test_parquet_has_its_bad_rows_in_quarantine_as_csv(orders: Pipeline) -> None:
    table = checked(orders, {"total": {"ge": 0}}, format="parquet", on_violation="quarantine")
    assert table["files"][0]["key"].endswith(".parquet")
    assert [row["id"] for row in read_csv(orders.body(table["quarantine"][0]["key"]))] == ["2", "5"]


def test_checks_hold_over_every_invocation_of_a_long_read(orders: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    orders.database.execute(
        "DELETE FROM orders",
        "INSERT INTO orders (code, total, note) WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n "
        "WHERE n < 900) SELECT CONCAT('C', n % 850), n % 10 - 1, REPEAT('y', 2000) FROM n",
    )
    checks = {"code": {"unique": True}, "total": {"ge": 0}}
    settings = {"on_violation": "quarantine", "target_file_bytes": 50_000}
    orders.tables = [{"name": "orders", "checks": checks, **settings}]
    monkeypatch.setattr(page_reader, "FIRST_PAGE_BYTES", 200_000)
    statuses: list[str] = []
    time = StagedTime(monkeypatch)

    def impatient(run_id: str, table: str) -> str:
        orders.seconds = 2.5 if len(statuses) < 4 else 60.0
        on_effect = lambda name: time.passes(0.15 if name == "after part" else 0)  # noqa: E731
        statuses.append(orders.extract(run_id, table, on_effect))
        return statuses[-1]

    manifest = orders.run(extract=impatient)
    table = entry(manifest, "orders")
    validate_manifest(manifest)
    assert table["status"] == "SUCCEEDED", (table["error"], statuses)
    good = list(orders.delivered("orders"))
    bad = [row for file in table["quarantine"] for row in read_csv(orders.body(file["key"]))]
    assert len(good) + len(bad) == table["source_rows"] == 900
    assert len({row["id"] for row in [*good, *bad]}) == 900
    assert table["quarantined_rows"] == len(bad) == 90 + 50 - 5
    assert orders.keys("_state/seen/") == []
    assert "CONTINUE" in statuses


def test_a_commit_that_dies_halfway_brings_out_the_quarantine_with_the_rest(orders: Pipeline) -> None:
    orders.tables = [{"name": "orders", "checks": {"total": {"ge": 0}}, "on_violation": "quarantine"}]
    deaths = iter(["after decision", "after complete 1", "before complete 2"])

    def dying(run_id: str, table: str) -> str:
        step = next(deaths, None)

        def on_effect(name: str) -> None:
            if name == step:
                raise ConnectionError(name)

        return orders.extract(run_id, table, on_effect)

    table = entry(orders.run(extract=dying), "orders")
    assert (table["status"], table["rows"], table["quarantined_rows"]) == ("SUCCEEDED", 3, 2)
    assert len(orders.keys("orders/quarantine/")) == len(orders.data_keys("orders")) == 1
    assert list(orders.store.uploads("orders/")) == []
