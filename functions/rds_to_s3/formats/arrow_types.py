"""Which Arrow and Parquet type holds a MySQL column exactly, and how its text is parsed.

=============================================  ======================================================================
MySQL                                          Arrow / Parquet
=============================================  ======================================================================
TINYINT .. BIGINT, signed and unsigned         int8 .. int64, uint8 .. uint64; TINYINT(1) is a number like any other
YEAR                                           int16
DECIMAL(p, s)                                  decimal128 up to 38 digits, decimal256 up to MySQL's 65
FLOAT, DOUBLE                                  double; a FLOAT arrives as CAST(f AS DOUBLE) writes it, which is exact
DATE                                           date32
DATETIME, TIMESTAMP                            timestamp in microseconds without a zone: the same clock face
TIME                                           string: MySQL's TIME runs to 838 hours, Parquet's ends at 24
BIT, BINARY, VARBINARY, BLOB, spatial, VECTOR  binary
CHAR, VARCHAR, TEXT, ENUM, SET, JSON, others   string
=============================================  ======================================================================

A date that is not in the calendar (``0000-00-00``, a month or day of 0, the year 0, February 31) is NULL in Parquet,
and a warning counts it. Text that is not UTF-8 has U+FFFD in place of invalid bytes, also counted.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rds_to_s3.rows.column_type import ColumnType
from rds_to_s3.rows.columns import OutputColumn

_PLAIN = {
    "year": pa.int16(),
    "float": pa.float64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "timestamp": pa.timestamp("us"),
}
_LONG = re.compile(r"(medium|long)?(text|blob)|json|geom|(multi)?(point|linestring|polygon)|vector")
_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
_DATE_BYTES = 10  # YYYY-MM-DD
_DECIMAL128_DIGITS = 38


def arrow_type(column: OutputColumn) -> pa.DataType:
    """Return the type that holds the column's values exactly."""
    mysql = ColumnType.parse(column.column_type)
    if column.kind == "binary":
        return pa.binary()
    if mysql.bits:
        bits = 32 if mysql.bits == 24 else mysql.bits
        return getattr(pa, f"{'u' if mysql.unsigned else ''}int{bits}")()
    if mysql.name == "decimal":
        make = pa.decimal128 if mysql.precision <= _DECIMAL128_DIGITS else pa.decimal256
        return make(mysql.precision, mysql.scale)
    return _PLAIN.get(mysql.name, pa.string())


def has_statistics(column: OutputColumn) -> bool:
    """Return whether the file has a column's least and greatest value; not of a type with long values."""
    return not _LONG.match(ColumnType.parse(column.column_type).name)


def may_be_null(column: OutputColumn) -> bool:
    """Return whether the file's column takes NULL: also where it is NOT NULL in MySQL, if a zero date becomes NULL."""
    return column.nullable or arrow_type(column) in (pa.date32(), pa.timestamp("us"))


def parse(texts: pa.Array, data_type: pa.DataType) -> tuple[pa.Array, int]:
    """Turn values as MySQL writes them into values of a type.

    Parameters
    ----------
    data_type : pyarrow.DataType
        As `arrow_type` chose it.

    Returns
    -------
    values : pyarrow.Array
    lost : int
        How many values the type cannot hold.
    """
    if pa.types.is_binary(data_type):
        return texts, 0
    if pa.types.is_string(data_type):
        return _utf8(texts)
    strings = texts.view(pa.string())
    if pa.types.is_date(data_type) or pa.types.is_timestamp(data_type):
        return _calendar(strings, data_type)
    return pc.cast(strings, data_type), 0


def _utf8(texts: pa.Array) -> tuple[pa.Array, int]:
    strings = texts.view(pa.string())
    try:
        strings.validate(full=True)
    except pa.ArrowInvalid:
        values = texts.to_pylist()
        decoded = [None if value is None else value.decode(errors="replace") for value in values]
        # Valid text may also contain U+FFFD.
        lost = sum(text is not None and text.encode() != value for text, value in zip(decoded, values, strict=True))
        return pa.array(decoded, pa.string()), lost
    return strings, 0


def _calendar(strings: pa.Array, data_type: pa.DataType) -> tuple[pa.Array, int]:
    impossible = _impossible_dates(strings)
    lost = int(np.count_nonzero(impossible))
    if lost:
        _, offsets, data = strings.buffers()
        possible = np.pad(_present(strings) & ~impossible, (strings.offset, 0))
        validity = pa.py_buffer(np.packbits(possible, bitorder="little"))
        strings = pa.Array.from_buffers(pa.string(), len(strings), [validity, offsets, data], offset=strings.offset)
    return pc.cast(strings, data_type), lost


def _impossible_dates(strings: pa.Array) -> NDArray[np.bool_]:
    """Return which values are not dates of the proleptic Gregorian calendar from the year 1 on."""
    _, offsets, data = strings.buffers()
    starts = np.frombuffer(offsets, np.int32)[strings.offset : strings.offset + len(strings)]
    if data is None or not data.size:
        return np.zeros(len(strings), np.bool_)
    text = np.frombuffer(data, np.uint8)

    def number(first: int, last: int) -> NDArray[np.int64]:
        value = np.zeros(len(strings), np.int64)
        for position in range(first, last):
            value = value * 10 + text.take(starts + position, mode="clip") - ord("0")
        return value

    year, month, day = number(0, 4), number(5, 7), number(8, _DATE_BYTES)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = _DAYS.take(month, mode="clip") - ((month == 2) & ~leap)
    return np.asarray(_present(strings) & ((year == 0) | (month == 0) | (day == 0) | (day > days)))


def _present(array: pa.Array) -> NDArray[np.bool_]:
    """Return which elements are not NULL; Arrow's own way into numpy would import pandas."""
    validity = array.buffers()[0]
    if validity is None:
        return np.ones(len(array), np.bool_)
    bits = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].view(np.bool_)
