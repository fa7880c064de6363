"""Rows that the files need not have, or need not have so: deleted, or in quarantine, as the bucket tells."""

from __future__ import annotations

import re

import pytest

from tests.integration.pipeline import Pipeline
from tests.integration.verifying import FIRST_ROW, SETTINGS, counts, files, next_second, reconcile, with_orders


@pytest.fixture(params=SETTINGS, ids=lambda settings: "-".join(map(str, settings.values())))
def orders(request: pytest.FixtureRequest, pipeline: Pipeline) -> Pipeline:
    return with_orders(pipeline, request.param)


def test_deleted_and_quarantined_rows_are_no_fault_where_the_bucket_lists_them(orders: Pipeline) -> None:
    checks = {"note": {"not_null": True}}
    orders.defaults = orders.defaults | {"deletes": "track", "checks": checks, "on_violation": "quarantine"}
    orders.run()
    orders.database.execute("DELETE FROM orders WHERE id = 1")
    orders.run()
    assert counts(reconcile(orders)) == {"equal": 1, "deleted": 1, "quarantined": 1}
    checked = files(orders, "orders")
    assert (checked.is_fine, checked.rows) == (True, 4)


def test_a_quarantined_version_excuses_that_version_only(orders: Pipeline) -> None:
    orders.defaults = orders.defaults | {"checks": {"note": {"not_null": True}}, "on_violation": "quarantine"}
    orders.run()
    assert counts(reconcile(orders)) == {"equal": 2, "quarantined": 1}
    # Corrected, without a stamp that would bring it into a window.
    orders.database.execute("UPDATE orders SET note = 'mended' WHERE id = 3")
    assert counts(reconcile(orders)) == {"equal": 2, "missing": 1}
    # Delivered, and lost again.
    orders.database.execute("UPDATE orders SET modifiedDate = '2025-01-02' WHERE id = 3")
    orders.store.put(f"orders/{orders.defaults['format']}/last_extract.txt", b"2025-01-01 00:00:00")
    next_second()
    orders.run()
    assert counts(reconcile(orders)) == {"equal": 3}
    orders.database.execute("UPDATE orders SET note = 'lost' WHERE id = 3")
    assert counts(reconcile(orders)) == {"equal": 2, "different": 1}
    # Back to what was set aside before the newest version was delivered.
    orders.database.execute("UPDATE orders SET note = NULL, modifiedDate = NULL WHERE id = 3")
    assert counts(reconcile(orders)) == {"equal": 2, "different": 1}


def test_a_delete_excuses_what_was_delivered_before_it_only(orders: Pipeline) -> None:
    orders.defaults = orders.defaults | {"deletes": "track"}
    orders.run()
    next_second()
    orders.database.execute("DELETE FROM orders WHERE id = 1")
    orders.run()
    assert counts(reconcile(orders)) == {"equal": 2, "deleted": 1}
    next_second()
    orders.database.execute(FIRST_ROW, "UPDATE orders SET createdDate = NOW() WHERE id = 1")
    orders.run()
    assert counts(reconcile(orders)) == {"equal": 3}
    orders.database.execute("DELETE FROM orders WHERE id = 1")
    assert counts(reconcile(orders)) == {"equal": 2, "extra": 1}


def test_a_row_that_came_back_after_its_delete_was_reported_is_missing_until_it_is_delivered_again(
    orders: Pipeline,
) -> None:
    orders.defaults = orders.defaults | {"deletes": "track"}
    orders.run()
    next_second()
    orders.database.execute("DELETE FROM orders WHERE id = 1")
    orders.run()
    # As it was, stamp included: a reader who applies the deletes does not have it.
    orders.database.execute(FIRST_ROW)
    assert counts(reconcile(orders)) == {"equal": 2, "missing": 1}


def test_rows_and_deletes_of_windows_that_end_in_one_second_are_fine_in_either_order(orders: Pipeline) -> None:
    orders.defaults = orders.defaults | {"deletes": "track"}
    orders.run()
    orders.database.execute("DELETE FROM orders WHERE id = 1")
    orders.run()
    (deletes,) = orders.keys("orders/deletes/")
    (rows,) = orders.data_keys("orders", orders.defaults["format"])[:1]
    stamp = re.findall(r"_(\d{8}_\d{6})", rows)[0]
    # The window of the delete ended with that of the row.
    same = f"orders/deletes/orders_deletes_{stamp}_part0002.csv"
    orders.store.put(same, orders.body(deletes))
    if deletes != same:
        orders.store.delete(deletes)
    found = reconcile(orders)
    assert counts(found) == {"equal": 2, "deleted": 1}
    assert "1 key is both in the rows and in the deletes of windows that end in the same second" in found.notes[-1]
    orders.database.execute(FIRST_ROW)
    assert counts(reconcile(orders)) == {"equal": 3}


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_keys_of_every_kind_are_the_same_in_the_deletes_and_in_the_quarantine(
    pipeline: Pipeline, file_format: str
) -> None:
    pipeline.database.execute(
        "CREATE TABLE orders (moment DATETIME(6), padded INT(8) UNSIGNED ZEROFILL, number DOUBLE, "
        "amount DECIMAL(12,4), great DECIMAL(40,3), raw BINARY(2), day DATE, elapsed TIME(3), note VARCHAR(9) NULL, "
        "createdDate DATETIME(6) DEFAULT '2025-01-01 00:00:00.5', "
        "PRIMARY KEY (moment, padded, number, amount, great, raw, day, elapsed))",
        *(
            f"INSERT INTO orders VALUES ('2025-01-01 10:00:00.5', {number}, 1e20, 1.5, -2.25, x'0a00', '2025-01-01', "
            f"'-100:00:00.5', {note}, DEFAULT)"
            for number, note in ((7, "'stays'"), (8, "'goes'"), (9, "NULL"))
        ),
    )
    pipeline.tables = ["orders"]
    pipeline.defaults = {"format": file_format, "deletes": "track", "on_violation": "quarantine"} | {
        "checks": {"note": {"not_null": True}}
    }
    pipeline.run()
    pipeline.database.execute("DELETE FROM orders WHERE note = 'goes'")
    pipeline.run()
    assert counts(reconcile(pipeline)) == {"equal": 1, "deleted": 1, "quarantined": 1}


def test_a_table_in_full_is_excused_by_the_quarantine_of_its_newest_run_only(orders: Pipeline) -> None:
    checks = {"note": {"not_null": True}}
    orders.defaults = orders.defaults | {"mode": "full", "checks": checks, "on_violation": "quarantine"}
    orders.run()
    assert counts(reconcile(orders)) == {"equal": 2, "quarantined": 1}
    orders.database.execute("UPDATE orders SET note = 'mended' WHERE id = 3")
    orders.run()
    orders.database.execute("UPDATE orders SET note = NULL WHERE id = 3")
    assert counts(reconcile(orders)) == {"equal": 2, "different": 1}
