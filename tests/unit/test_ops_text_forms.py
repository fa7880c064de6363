"""Text of an older file in the form that the column has now."""

from __future__ import annotations

import duckdb
import pytest

from rds_to_s3.formats import OutputColumn
from rds_to_s3.rows.columns import Kind
from rds_to_s3_ops.verify.reading.text_forms import present_form


def written(text: str | None, column_type: str, kind: Kind = "numeric", *, from_file: bool = True) -> str | None:
    form = present_form("x", OutputColumn("c", column_type, kind), from_file=from_file)
    with duckdb.connect() as connection:
        ((value,),) = connection.execute(f"SELECT {form} FROM (SELECT ?::VARCHAR AS x)", [text]).fetchall()
    shown: str | None = value
    return shown


@pytest.mark.parametrize(
    ("column_type", "kind", "before", "now"),
    [
        ("decimal(12,4)", "numeric", "1.50", "1.5000"),
        ("decimal(12,4)", "numeric", "-0.5", "-0.5000"),
        ("decimal(12,2)", "numeric", "7", "7.00"),
        ("decimal(12,2)", "numeric", "12", "12.00"),
        ("decimal(12,2)", "numeric", "12.50", "12.50"),
        # Rounded by the server, so it is another value.
        ("decimal(12,2)", "numeric", "1.2345", "1.2345"),
        ("decimal(12,0)", "numeric", "100", "100"),
        ("datetime(6)", "temporal", "2025-01-01 10:00:00", "2025-01-01 10:00:00.000000"),
        ("timestamp(6)", "temporal", "2025-01-01 10:00:00.123", "2025-01-01 10:00:00.123000"),
        ("datetime(3)", "temporal", "2025-01-01 10:00:00.123", "2025-01-01 10:00:00.123"),
        ("datetime", "temporal", "2025-01-01", "2025-01-01 00:00:00"),
        ("datetime(2)", "temporal", "0000-00-00", "0000-00-00 00:00:00.00"),
        ("date", "temporal", "2025-01-01", "2025-01-01"),
        ("time(3)", "temporal", "-838:59:59", "-838:59:59.000"),
        ("time", "temporal", "10:00:00", "10:00:00"),
        ("int", "numeric", "00042", "42"),
        ("bigint unsigned", "numeric", "0", "0"),
        ("bigint", "numeric", "00000", "0"),
        ("bigint", "numeric", "-10", "-10"),
        ("year", "temporal", "2025", "2025"),
        ("bit(12)", "binary", "0F", "000F"),
        ("bit(12)", "binary", "0FFF", "0FFF"),
        ("bit(3)", "binary", "0FFF", "0FFF"),
        ("double", "numeric", "1e10", "1e10"),
        ("varchar(9)", "text", "00042", "00042"),
    ],
)
def test_text_of_a_narrower_type_reads_as_that_of_the_present_one(
    column_type: str, kind: Kind, before: str, now: str
) -> None:
    assert written(before, column_type, kind) == now
    assert written(now, column_type, kind) == now
    assert written(None, column_type, kind) is None


def test_zeros_in_front_count_neither_in_a_file_nor_in_a_zerofill_column() -> None:
    for column_type in ("int(5) unsigned zerofill", "int(10) unsigned zerofill"):
        assert written("00042", column_type) == written("0000000042", column_type, from_file=False) == "42"
    assert written("00000", "int(5) unsigned zerofill") == "0"
    filled = "decimal(8,3) unsigned zerofill"
    assert written("000001.50", filled) == written("00001.500", filled, from_file=False) == "1.500"
    assert written("00000.50", filled) == written("00000.500", filled, from_file=False)
