"""How a check compares the values of a column, and how it reads a literal beside them."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation
from typing import Literal

from rds_to_s3.mysql.catalogue.schema import TableColumn

ValueClass = Literal["exact", "float", "moment", "time", "text", "binary"]
Scalar = int | float | Decimal | str | bytes

MOMENT_BYTES = 26  # YYYY-MM-DD HH:MM:SS.ffffff
MIDNIGHT = b" 00:00:00.000000"
_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?")
_TIME = re.compile(r"(-?)(\d{1,3}):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?")


def value_class(column: TableColumn) -> ValueClass:
    """Return the class of a column's values.

    ``exact`` are integers, DECIMAL and YEAR; ``moment`` are DATE, DATETIME and TIMESTAMP.
    """
    if column.data_type in {"float", "double"}:
        return "float"
    if column.data_type == "time":
        return "time"
    if column.data_type == "year" or column.kind == "numeric":
        return "exact"
    if column.kind == "temporal":
        return "moment"
    return "binary" if column.kind == "binary" else "text"


def literal_of(value: Scalar, kind: ValueClass) -> Scalar:
    """Return a literal as a value of a class, in the form that the class compares.

    Returns
    -------
    int or Decimal for ``exact``, float for ``float``, 26 bytes for ``moment``, microseconds for ``time``, str for
    ``text``, bytes for ``binary``.

    Raises
    ------
    TypeError
        It is not a value of this class.

    Examples
    --------
    >>> literal_of("2025-01-01", "moment")
    b'2025-01-01 00:00:00.000000'
    """
    match kind:
        case "exact" | "float":
            number = _number(value)
            return float(number) if kind == "float" else number
        case "moment":
            return moment_of(value)
        case "time":
            return time_of(value)
        case "binary":
            return _binary(value)
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text: write it in quotes")
    return value


def moment_of(value: Scalar) -> bytes:
    """Write a date or a timestamp with all its digits: in this form the byte order is the order in time."""
    match = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise TypeError(f'{value!r} is not a date or timestamp such as "2025-01-31" or "2025-01-31 12:00:00"')
    year, month, day, hour, minute, second = (match[part] or "00" for part in range(1, 7))
    if int(month) > 12 or int(day) > 31 or int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        raise TypeError(f"{value!r} is not in the calendar")
    return f"{year}-{month}-{day} {hour}:{minute}:{second}.{(match[7] or '').ljust(6, '0')}".encode()


def time_of(value: Scalar) -> int:
    """Return the microseconds of a TIME, which may be negative and have more than 24 hours."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[3]) > 59 or int(match[4] or 0) > 59:
        raise TypeError(f'{value!r} is not a time such as "-12:30:00" or "100:00:00.5"')
    seconds = (int(match[2]) * 60 + int(match[3])) * 60 + int(match[4] or 0)
    micro = seconds * 1_000_000 + int((match[5] or "").ljust(6, "0"))
    return -micro if match[1] else micro


def _number(value: Scalar) -> int | Decimal:
    if isinstance(value, int | Decimal):
        return value
    if isinstance(value, float) and math.isfinite(value):
        # The shortest text that reads back as this float: what the operator wrote.
        return Decimal(repr(value))
    if isinstance(value, str):
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("nan")
        if number.is_finite():
            return number
    raise TypeError(f"{value!r} is not a number")


def _binary(value: Scalar) -> bytes:
    if isinstance(value, str):
        try:
            return bytes.fromhex(value)
        except ValueError:
            pass
    raise TypeError(f"{value!r} is not hexadecimal, as binary values are written")
