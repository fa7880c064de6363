"""Normalises the text of columns that were widened later: `1.50` of a DECIMAL(10,2) is `1.5000` now.

DuckDB evaluates the SQL that converts an older file's text to the column's current form. Text that already has it is
recognised by one character, so this costs almost nothing.
"""

from __future__ import annotations

from rds_to_s3.formats import OutputColumn
from rds_to_s3.rows.column_type import ColumnType


def present_form(value: str, column: OutputColumn, *, from_file: bool) -> str:
    """Return an SQL expression that converts a column's text to the form of its current type.

    It pads the fractions of DECIMAL and seconds with zeros, adds midnight to a date, and pads BIT with zero bytes. It
    strips leading zeros of an integer, on both sides if the column is ZEROFILL. Text that is longer than the current
    type stays unchanged: the server has rounded or truncated such values, so the row differs.

    Parameters
    ----------
    value : str
        An SQL expression.
    column : OutputColumn
        The current column.
    from_file : bool
        Whether the text is from a file. The server's text has the current form.
    """
    mysql = ColumnType.parse(column.column_type)
    name = mysql.name
    if mysql.zerofill or (from_file and mysql.bits):
        value = f"CASE WHEN {value} >= '1' THEN {value} ELSE ltrim({value}[:-2], '0') || {value}[-1] END"
    if not from_file:
        return value
    if name in {"datetime", "timestamp"}:
        value = f"CASE WHEN strlen({value}) = 10 THEN {value} || ' 00:00:00' ELSE {value} END"
    digits = mysql.scale if name == "decimal" else mysql.length or 0
    if digits and name in {"decimal", "datetime", "timestamp", "time"}:
        point = f"strpos({value}, '.')"
        return (
            f"CASE WHEN ({value})[-{digits + 1}] = '.' THEN {value} "
            f"WHEN {point} = 0 THEN {value} || '.{'0' * digits}' "
            f"WHEN strlen({value}) < {point} + {digits} THEN rpad({value}, ({point} + {digits})::INTEGER, '0') "
            f"ELSE {value} END"
        )
    if name == "bit":
        digits = 2 * -(-(mysql.length or 1) // 8)
        return f"CASE WHEN strlen({value}) < {digits} THEN lpad({value}, {digits}, '0') ELSE {value} END"
    return value
