"""The watermark's text and keys."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rds_to_s3.bucket_keys import data_key, data_stem, partition_of, record_key, state_key, watermark_key
from rds_to_s3.errors import SettingsError
from rds_to_s3.extract.stages.files import WindowFiles
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.settings import PlanSettings
from rds_to_s3.timestamps import Watermark, format_timestamp


@pytest.mark.parametrize(
    "body", [b"2025-04-02 12:00:00", b" 2025-04-02 12:00:00\r\n", b"\xef\xbb\xbf2025-04-02T12:00:00\n"]
)
def test_a_watermark_may_have_blanks_around_it(body: bytes) -> None:
    assert Watermark.parse(body) == Watermark(body.decode("utf-8-sig").strip(), datetime(2025, 4, 2, 12))


@pytest.mark.parametrize("body", [b"", b"\n", b"  "])
def test_an_empty_one_is_none(body: bytes) -> None:
    assert Watermark.parse(body) is None


@pytest.mark.parametrize(
    "body",
    [b"now", b"2025-04-02", b"2025-04-31 00:00:00", b"0000-00-00 00:00:00", b"2025-04-02 12:00:00Z", b"\xff" * 300],
)
def test_anything_else_is_malformed(body: bytes) -> None:
    with pytest.raises(ValueError, match="malformed"):
        Watermark.parse(body)


@given(st.datetimes(min_value=datetime(1000, 1, 1)))
def test_what_is_written_is_read_back(moment: datetime) -> None:
    written = Watermark.at(moment)
    assert Watermark.parse(written.text.encode()) == written
    assert ("." in written.text) == bool(moment.microsecond)


def test_keys_follow_from_table_and_window() -> None:
    assert data_key("orders", "csv", "20250402_120000", 1, "csv") == "orders/csv/orders_data_20250402_120000.csv"
    assert data_key("a/b", "parquet", "x", 12, "parquet") == "a%2Fb/parquet/a%2Fb_data_x_part0012.parquet"
    assert watermark_key("zwei Wörter", "csv") == "zwei Wörter/csv/last_extract.txt"


@given(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8))
def test_two_tables_never_share_a_key(one: str, other: str) -> None:
    assert (state_key(one, "csv") == state_key(other, "csv")) == (one == other)
    assert (record_key("run", one) == record_key("run", other)) == (one == other)


def test_settings_are_checked_and_what_is_wrong_is_named() -> None:
    environment = {"DATA_BUCKET": "bucket", "DATABASE_CREDENTIALS": "ssm:/x", "MAX_CONCURRENCY": "7"}
    assert PlanSettings.from_environment(environment).max_concurrency == 7
    with pytest.raises(SettingsError, match=r"MAX_CONCURRENCY.*DATABASE_TLS|DATABASE_TLS.*MAX_CONCURRENCY"):
        PlanSettings.from_environment(environment | {"MAX_CONCURRENCY": "0", "DATABASE_TLS": "maybe"})
    with pytest.raises(SettingsError, match="DATA_BUCKET"):
        PlanSettings.from_environment({})


def test_an_early_year_keeps_its_zeros() -> None:
    assert Watermark.at(datetime(1, 1, 1)).text == "0001-01-01 00:00:00"
    assert format_timestamp(datetime(999, 1, 1)) == "0999-01-01 00:00:00.000000"


def test_in_the_layout_hive_the_day_of_the_windows_end_is_a_folder_that_can_be_read_back() -> None:
    key = data_key("a/b", "parquet", "20250402_235959", 12, "parquet", layout="hive")
    assert key == "a%2Fb/parquet/dt=2025-04-02/a%2Fb_data_20250402_235959_part0012.parquet"
    assert partition_of(key) == "2025-04-02"
    assert partition_of(data_key("a", "csv", "20250402_235959", 1, "csv")) is None
    # A table may be named like a folder.
    assert partition_of(data_key("dt=2025-04-02", "csv", "20250402_235959", 1, "csv")) is None


@pytest.mark.parametrize(
    ("layout", "earlier", "first"), [("hive", "flat", 8), ("flat", "hive", 8), ("hive", "hive", 3), ("flat", "flat", 8)]
)
def test_the_files_of_one_windows_end_are_numbered_together_in_both_layouts(
    layout: str, earlier: str, first: int
) -> None:
    stems = {
        "flat": data_stem("orders", "csv", "20250402_120000"),
        "hive": data_stem("orders", "csv", "20250402_120000", "hive"),
    }
    next_parts = {stems["flat"]: 8, stems["hive"]: 3}
    spec = TableSpec.model_validate({"name": "orders", "layout": layout})
    files = WindowFiles(spec, "20250402_120000", None, next_parts.__getitem__, {earlier})  # type: ignore[arg-type]
    assert files.data([], before=()).next_part() == first
