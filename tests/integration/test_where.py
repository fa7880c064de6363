"""A table of which some rows are extracted: what becomes visible, what counts as deleted, what the proof brings."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tests.integration.pipeline import Json, Pipeline, entry
from tests.support.csv_reading import read_csv
from tests.support.schemas import manifest_schema

ORDERS = """CREATE TABLE orders (
    id INT PRIMARY KEY AUTO_INCREMENT, status VARCHAR(20) NULL, tenant_id INT NOT NULL DEFAULT 7,
    createdDate DATETIME NOT NULL DEFAULT '2025-01-01 00:00:00', modifiedDate DATETIME NULL,
    KEY (createdDate), KEY (modifiedDate))"""
ROWS = "INSERT INTO orders (status, tenant_id) VALUES ('paid', 7), ('draft', 7), (NULL, 7), ('paid', 8), ('DRAFT', 7)"
WHERE = "status != 'draft' and tenant_id == 7"


pytestmark = pytest.mark.bucket_in_memory


@pytest.fixture
def orders(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(ORDERS, ROWS)
    return any_pipeline


def extracted(pipeline: Pipeline, where: str | None = WHERE, **settings: Any) -> Json:
    """Run once; return the table's entry in a valid manifest."""
    pipeline.tables = [{"name": "orders", "where": where, **settings}]
    manifest = pipeline.run()
    jsonschema.validate(manifest, manifest_schema())
    return entry(manifest, "orders")


def ids(pipeline: Pipeline, files: list[Json]) -> list[str]:
    return sorted(str(row["id"]) for file in files for row in read_csv(pipeline.body(file["key"])))


@pytest.mark.parametrize("mode", ["incremental", "full", "compare"])
def test_the_rows_are_those_that_a_check_would_accept(orders: Pipeline, mode: str) -> None:
    table = extracted(orders, mode=mode)
    assert (table["status"], table["rows"], table["source_rows"]) == ("SUCCEEDED", 3, 3)
    assert ids(orders, table["files"]) == ["1", "3", "5"]  # a NULL is not known to break it; case counts
    again = extracted(orders, mode=mode)
    assert (again["status"], again["rows"]) == (("SUCCEEDED", 3) if mode == "full" else ("UNCHANGED", 0))


@pytest.mark.parametrize("mode", ["incremental", "compare"])
def test_a_row_that_ceases_to_fulfil_it_is_a_delete_once_and_one_that_fulfils_it_again_is_delivered(
    orders: Pipeline, mode: str
) -> None:
    assert ids(orders, extracted(orders, mode=mode, deletes="track")["files"]) == ["1", "3", "5"]
    orders.database.execute("UPDATE orders SET status = 'draft' WHERE id = 1")
    gone = extracted(orders, mode=mode, deletes="track")
    assert (gone["rows"], gone["deleted_rows"], ids(orders, gone["deletes"])) == (0, 1, ["1"])
    assert extracted(orders, mode=mode, deletes="track")["deleted_rows"] == 0
    orders.database.execute("UPDATE orders SET status = 'paid' WHERE id = 1")  # no stamp shows it
    back = extracted(orders, mode=mode, deletes="track")
    assert (back["rows"], back["deleted_rows"], ids(orders, back["files"])) == (1, 0, ["1"])


def test_a_row_that_comes_to_fulfil_it_comes_by_its_stamp_or_else_by_the_proof(orders: Pipeline) -> None:
    extracted(orders)
    orders.database.execute("UPDATE orders SET status = 'paid', modifiedDate = NOW() WHERE id = 2")
    by_stamp = extracted(orders)
    assert (ids(orders, by_stamp["files"]), by_stamp["proof"]["healed"]) == (["2"], 0)
    orders.database.execute("UPDATE orders SET tenant_id = 7 WHERE id = 4")
    by_proof = extracted(orders)
    assert (ids(orders, by_proof["files"]), by_proof["proof"]["healed"]) == (["4"], 1)
    assert by_proof["proof"]["whole_until"] is not None


def test_a_changed_where_is_drift_and_the_proof_brings_what_it_adds(orders: Pipeline) -> None:
    first = extracted(orders, deletes="track")
    assert first.get("drift", []) == []
    table = extracted(orders, "tenant_id == 8", deletes="track")
    assert table["drift"] == [{"change": "where", "column": "*", "from": WHERE, "to": "tenant_id == 8"}]
    assert any("count as deleted" in warning for warning in table["warnings"])
    assert (ids(orders, table["files"]), ids(orders, table["deletes"])) == (["4"], ["1", "3", "5"])
    refused = extracted(orders, None, on_drift="fail")
    assert refused["error"]["type"] == "DriftError"
    all_of_it = extracted(orders, None)
    assert ids(orders, all_of_it["files"]) == ["1", "2", "3", "5"]
    assert "drift" not in extracted(orders, None)


@pytest.mark.parametrize(
    ("where", "error"),
    [("colour == 'red'", "ColumnNotFoundError"), ("status > 'a'", "ColumnTypeError"), ("id == 'x'", "ColumnTypeError")],
)
def test_a_where_that_does_not_suit_the_table_fails_it_before_a_row_is_read(
    orders: Pipeline, where: str, error: str
) -> None:
    table = extracted(orders, where)
    assert (table["status"], table["error"]["type"], orders.keys("orders/")) == ("FAILED", error, [])
