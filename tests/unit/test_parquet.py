from __future__ import annotations

import datetime
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rds_to_s3.errors import RowTooLargeError, SettingsError
from rds_to_s3.formats import OutputColumn, open_encoder, parquet
from rds_to_s3.mysql.wire.result_set import query
from tests.unit import wire

BINARY_TYPES = ("binary", "varbinary", "blob", "bit", "point")


def column(name: str, column_type: str) -> OutputColumn:
    return OutputColumn(name, column_type, "binary" if column_type.startswith(BINARY_TYPES) else "text")


def encode(
    rows: Sequence[wire.Row], types: Sequence[str], *, compression: str = "snappy", hidden: int = 0, **limits: Any
) -> tuple[pa.Table, Mapping[str, int]]:
    """Write `rows` to a file; return what is read back from it, and what the encoder could not store exactly."""
    columns = [column(f"c{index}", column_type) for index, column_type in enumerate(types)]
    file = io.BytesIO()
    encoder = open_encoder("parquet", compression, columns, file.write)
    names = [f"c{index}" for index in range(len(types) + hidden)]
    with query(wire.connection(wire.result_set(rows, names)), "SELECT 1", **limits) as result:
        for part in result:
            encoder.write(part)
    encoder.close()
    assert encoder.extension == "parquet"
    return pq.read_table(file), encoder.inexact


def stored(column_type: str, *values: bytes | None) -> tuple[pa.DataType, list[Any]]:
    table, inexact = encode([[value] for value in values], [column_type])
    assert not inexact
    return table.schema.field(0).type, table.column(0).to_pylist()


@pytest.mark.parametrize(
    ("column_type", "texts", "arrow", "values"),
    [
        ("tinyint(1)", [b"-128", b"2", b"127"], pa.int8(), [-128, 2, 127]),
        ("tinyint unsigned", [b"255"], pa.uint8(), [255]),
        ("smallint", [b"-32768"], pa.int16(), [-32768]),
        ("mediumint unsigned", [b"16777215"], pa.uint32(), [16777215]),
        ("int(10) unsigned zerofill", [b"0000000042"], pa.uint32(), [42]),
        ("int", [b"-2147483648", None], pa.int32(), [-2147483648, None]),
        ("bigint", [b"-9223372036854775808"], pa.int64(), [-(2**63)]),
        ("bigint unsigned", [b"18446744073709551615"], pa.uint64(), [2**64 - 1]),
        ("year", [b"0000", b"2155"], pa.int16(), [0, 2155]),
        ("decimal(10,2)", [b"-12345678.90", b"0.00"], pa.decimal128(10, 2), [Decimal("-12345678.90"), Decimal(0)]),
        ("decimal(38,0)", [b"9" * 38], pa.decimal128(38, 0), [Decimal("9" * 38)]),
        (
            "decimal(65,30)",
            [b"-" + b"9" * 35 + b"." + b"1" * 30],
            pa.decimal256(65, 30),
            [Decimal("-" + "9" * 35 + "." + "1" * 30)],
        ),
        ("float", [b"16777216", b"3.4028234663852886e38"], pa.float64(), [16777216.0, 3.4028234663852886e38]),
        ("double", [b"-1.7976931348623157e308", b"0.1"], pa.float64(), [-1.7976931348623157e308, 0.1]),
        ("date", [b"1000-01-01", b"9999-12-31"], pa.date32(), [datetime.date(1000, 1, 1), datetime.date.max]),
        ("datetime", [b"2024-02-29 23:59:59"], pa.timestamp("us"), [datetime.datetime(2024, 2, 29, 23, 59, 59)]),
        ("datetime(6)", [b"9999-12-31 23:59:59.999999"], pa.timestamp("us"), [datetime.datetime.max]),
        (
            "timestamp(3)",
            [b"1970-01-01 00:00:01.5"],
            pa.timestamp("us"),
            [datetime.datetime(1970, 1, 1, 0, 0, 1, 500000)],
        ),
        ("time(6)", [b"-838:59:59.000000"], pa.string(), ["-838:59:59.000000"]),
        ("varchar(20)", [b"", None, "é😀\x00".encode()], pa.string(), ["", None, "é😀\x00"]),
        ("enum('a,b','c')", [b"a,b"], pa.string(), ["a,b"]),
        ("json", [b'{"a": [1, null]}'], pa.string(), ['{"a": [1, null]}']),
        ("varbinary(9)", [b"\x00\xff", b"", None], pa.binary(), [b"\x00\xff", b"", None]),
        ("bit(64)", [b"\xff" * 8], pa.binary(), [b"\xff" * 8]),
    ],
)
def test_types_are_exact(column_type: str, texts: list[bytes | None], arrow: pa.DataType, values: list[Any]) -> None:
    assert stored(column_type, *texts) == (arrow, values)


def test_dates_that_no_calendar_has_are_null_and_counted() -> None:
    zero = [b"0000-00-00", b"2024-00-10", b"2024-10-00", b"0000-05-05", b"2023-02-29", b"2024-02-31"]
    rows: list[wire.Row] = [[date, date + b" 00:00:00"] for date in zero] + [
        [b"2024-02-29", b"0001-01-01 00:00:00"],
        [None, None],
    ]
    table, inexact = encode(rows, ["date", "datetime"])
    assert table.column(0).to_pylist() == [None] * 6 + [datetime.date(2024, 2, 29), None]
    assert table.column(1).to_pylist() == [None] * 6 + [datetime.datetime(1, 1, 1), None]
    assert inexact == {
        f"of `{name}` not a date of the calendar (such as 0000-00-00), stored as NULL": 6 for name in ("c0", "c1")
    }


def test_text_that_is_no_utf8_is_replaced_and_counted() -> None:
    table, inexact = encode([[b"a\xff"], [None], ["\ufffd".encode()]], ["varchar(9)"])
    assert table.column(0).to_pylist() == ["a\ufffd", None, "\ufffd"]
    assert inexact == {"of `c0` not UTF-8, stored with U+FFFD for what could not be decoded": 1}


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
            st.one_of(st.none(), st.text(max_size=300)),
            st.one_of(st.none(), st.binary(max_size=300)),
            st.one_of(st.none(), st.datetimes()),
            st.one_of(st.none(), st.decimals(-(10**18), 10**18, places=4)),
        ),
        max_size=30,
    ),
    st.sampled_from([1, 500, 1 << 20]),
    st.sampled_from([400, 1 << 20]),
)
def test_values_come_back_as_they_were(rows: list[tuple[Any, ...]], block_bytes: int, spool_bytes: int) -> None:
    as_sent: list[wire.Row] = [
        [value if isinstance(value, bytes) or value is None else str(value).encode() for value in row] for row in rows
    ]
    types = ["bigint", "longtext", "blob", "datetime(6)", "decimal(30,4)"]
    table, inexact = encode(
        [[*row, b"hidden"] for row in as_sent], types, hidden=1, block_bytes=block_bytes, spool_bytes=spool_bytes
    )
    assert [tuple(row.values()) for row in table.to_pylist()] == rows
    assert not inexact


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip"])
def test_row_groups_are_bounded(compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rds_to_s3.formats.parquet.ROW_GROUP_BYTES", 100_000)
    columns = [column("id", "int"), column("text", "longtext")]
    file = io.BytesIO()
    encoder = open_encoder("parquet", compression, columns, file.write)
    rows = [[b"%d" % number, b"x" * 100] for number in range(5_000)]
    with query(wire.connection(wire.result_set(rows, ["id", "text"])), "SELECT 1", block_bytes=20_000) as result:
        for part in result:
            encoder.write(part)
    encoder.close()
    metadata = pq.ParquetFile(file).metadata
    assert metadata.num_rows == 5_000
    assert metadata.num_row_groups >= 5
    assert metadata.row_group(0).column(1).compression == {"none": "UNCOMPRESSED"}.get(compression, compression.upper())


def test_a_row_that_would_not_fit_into_memory_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rds_to_s3.formats.parquet.LARGEST_ROW_BYTES", 50_000)
    assert encode([[b"x" * 40_000]], ["longtext"], block_bytes=1_000, spool_bytes=20_000)[0].num_rows == 1
    with pytest.raises(RowTooLargeError, match=r"format csv.*exclude_columns"):
        encode([[b"x" * 60_000]], ["longtext"], block_bytes=1_000, spool_bytes=20_000)


def test_a_pyarrow_without_the_compression_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "has_codec", lambda name: name != "snappy")
    with pytest.raises(SettingsError, match=f"pyarrow {pa.__version__} was built without snappy"):
        open_encoder("parquet", "snappy", [column("c0", "int")], lambda _: None)
    open_encoder("parquet", "gzip", [column("c0", "int")], lambda _: None)
    open_encoder("parquet", "none", [column("c0", "int")], lambda _: None)


def test_pandas_is_not_even_looked_for() -> None:
    script = """
import sys
from tests.unit import test_parquet
sys.meta_path.insert(0, type("Finder", (), {"find_spec": lambda name, *_: looked_for.append(name)}))
looked_for = []
columns = [test_parquet.column("a", "date"), test_parquet.column("b", "blob")]
encoder = test_parquet.open_encoder("parquet", "snappy", columns, len)
answer = test_parquet.wire.result_set([[b"2024-01-01", b"x" * 900], [b"0000-00-00", None]], ["a", "b"])
with test_parquet.query(test_parquet.wire.connection(answer), "SELECT 1", block_bytes=100, spool_bytes=500) as result:
    for part in result:
        encoder.write(part)
encoder.close()
assert "pandas" not in looked_for
"""
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )


def test_a_file_without_rows_has_its_columns() -> None:
    table, _ = encode([], ["int", "varchar(3)"])
    assert table.schema.names == ["c0", "c1"]
    assert table.num_rows == 0


def test_columns_that_cannot_be_null_say_so() -> None:
    file = io.BytesIO()
    columns = [
        OutputColumn("id", "int", "numeric", nullable=False),
        OutputColumn("note", "text", "text"),
        OutputColumn("born", "date", "temporal", nullable=False),
    ]
    open_encoder("parquet", "snappy", columns, file.write).close()
    assert [field.nullable for field in pq.read_schema(file)] == [False, True, True], "a zero date becomes NULL"


def test_long_values_have_no_statistics() -> None:
    file = io.BytesIO()
    types = ["int", "varchar(20)", "tinytext", "text", "longblob", "json", "multipolygon"]
    columns = [column(f"c{index}", column_type) for index, column_type in enumerate(types)]
    encoder = open_encoder("parquet", "snappy", columns, file.write)
    answer = wire.result_set([[b"1"] * len(types)], [c.name for c in columns])
    with query(wire.connection(answer), "SELECT 1") as result:
        for part in result:
            encoder.write(part)
    encoder.close()
    row_group = pq.ParquetFile(file).metadata.row_group(0)
    kept = [row_group.column(index).is_stats_set for index in range(len(types))]
    assert kept == [True, True, True, False, False, False, False]


def test_a_small_target_makes_small_row_groups_so_that_the_files_size_can_be_seen() -> None:
    file = io.BytesIO()
    encoder = open_encoder("parquet", "snappy", [column("c0", "varchar(200)")], file.write, target_bytes=1_000_000)
    rows = [[os.urandom(100).hex().encode()] for _ in range(5_000)]
    with query(wire.connection(wire.result_set(rows, ["c0"])), "SELECT 1", block_bytes=50_000) as result:
        for part in result:
            encoder.write(part)
    encoder.close()
    groups = pq.ParquetFile(file).metadata
    assert max(groups.row_group(group).total_byte_size for group in range(groups.num_row_groups)) < 320_000
    assert groups.num_row_groups <= 5
