"""What `plan` makes of EXPLAIN, and what it shows."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import pytest
from rich.console import Console

from rds_to_s3.plan.bound import Bound
from rds_to_s3.plan.table_list import parse_table_list
from rds_to_s3.s3.objects import StoredObject
from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.errors import UnreadableError
from rds_to_s3_ops.inspection.preview import Estimate, RunPreview, TablePreview, preview_table
from rds_to_s3_ops.inspection.views import preview_view

BOUND = Bound(datetime(2025, 4, 2, 12), datetime(2025, 4, 2, 12, 0, 2), 0.0, 0.0, "transaction", 2.0, "UTC")


def shown(tables: list[TablePreview], **options: Any) -> str:
    output = io.StringIO()
    Console(file=output, width=160).print(preview_view(RunPreview("food", BOUND, tables), **options))
    return output.getvalue()


def explained(**told: Any) -> dict[str, Any]:
    return {"key": None, "type": "ALL", "rows": 900, "filtered": 100.0, "extra": None} | told


@pytest.mark.parametrize(
    ("as_read", "unforced", "expected", "way"),
    [
        (explained(key="m", type="range", rows=1), explained(filtered=33.33), Estimate("m", 300), "m"),
        (explained(key="PRIMARY", type="index"), explained(), Estimate("PRIMARY", 900, True), "PRIMARY, whole table"),
        (explained(extra="Using filesort"), explained(), Estimate(None, 900, True, True), "no index, whole table"),
        # MariaDB sends its figures as text.
        (explained(key="m", type="range"), explained(rows="40", filtered="50.00"), Estimate("m", 20), "m"),
        (explained(type=None, rows=None), explained(rows=None, filtered=None), Estimate(None, 0), "no row can match"),
    ],
)
def test_an_estimate_is_what_explain_says(
    as_read: dict[str, Any], unforced: dict[str, Any], expected: Estimate, way: str
) -> None:
    estimate = Estimate.of(as_read, unforced)
    assert (estimate, estimate.way) == (expected, way)


def test_the_parts_of_a_window_add_up() -> None:
    table = TablePreview("menu", "incremental", "csv", estimates=[Estimate("m", 10), Estimate("c", 300)])
    assert table.rows == 310
    assert "m, c" in shown([table])


def test_a_table_that_would_fail_has_no_estimate_and_its_reason() -> None:
    error = {"type": "TableNotFoundError", "message": "there is no table"}
    table = TablePreview("ghost", "incremental", "csv", error=error)
    assert (table.rows, table.as_json()["window"]) == (None, None)
    text = shown([table])
    assert "1 would fail" in text
    assert "ghost\n  would fail: TableNotFoundError: there is no table" in text


def test_the_head_says_up_to_when_and_what_decided_it() -> None:
    text = shown([TablePreview("menu", "full", "csv", until="2025-04-02 12:00:00.000000")])
    assert (
        "window up to 2025-04-02 12:00:00 on the database's clock (zone UTC), decided by the oldest open transaction"
        in text
    )


def test_a_long_list_shows_what_is_telling_and_counts_the_rest() -> None:
    quiet = [
        TablePreview(f"quiet_{number}", "incremental", "csv", estimates=[Estimate("i", 0)]) for number in range(60)
    ]
    busy = TablePreview("busy", "incremental", "csv", estimates=[Estimate("i", 5)], warnings=["mind this"])
    text = shown([*quiet, busy])
    assert "busy\n  mind this" in text
    assert "quiet_7" not in text
    assert "and 60 more tables (nothing to read): add --all" in text
    assert "quiet_7" in shown([*quiet, busy], everything=True)


def test_a_large_table_shows_who_would_share_it_or_why_one_reads_it() -> None:
    shared = TablePreview("orders", "full", "csv", readers=8, reader_bytes=1_300_000_000)
    alone = TablePreview("menu", "full", "csv", why_one="one reader reads this table: it has no key")
    small = TablePreview("location", "full", "csv")
    text = shown([shared, alone, small])
    assert "orders\n  8 readers would share it, about 1.3 GB each" in text
    assert "menu\n  one reader reads this table: it has no key" in text
    assert text.count("location") == 1
    told = [table.as_json() for table in (shared, alone, small)]
    assert [(each["readers"], each["reader_bytes"], bool(each["why_one_reader"])) for each in told] == [
        (8, 1_300_000_000, False),
        (1, None, True),
        (1, None, False),
    ]


class Stored(Bucket):
    """A bucket with one object."""

    def __init__(self, key: str, body: bytes) -> None:
        self.name, self._key, self._body = "data", key, body

    def read(self, key: str) -> StoredObject | None:
        return StoredObject(self._body, "etag") if key == self._key else None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            b'{"table": "orders", "format": "csv", "invented_later": 1}',
            "invented_later: Extra inputs are not permitted",
        ),
        (b'{"table": "orders"', "Invalid JSON"),
        (b"[]", "Input should be an object"),
        (b"\xff", "Invalid JSON"),
    ],
)
def test_a_table_whose_state_cannot_be_read_is_reported_as_the_run_would_fail_it(body: bytes, told: str) -> None:
    bucket = Stored("_state/tables/orders/csv.json", body)
    spec = parse_table_list('{"tables": ["orders"]}').tables[0]
    unused: Any = None
    error = preview_table(unused, bucket, unused, spec).error
    assert error is not None
    assert (error["type"], "\n" in error["message"]) == ("StateMalformedError", False)
    assert "s3://data/_state/tables/orders/csv.json cannot be read (" in error["message"]
    assert told in error["message"]
    assert "newer release" in error["message"]
    with pytest.raises(UnreadableError, match="restore an earlier version"):
        bucket.table_state("orders", "csv")
