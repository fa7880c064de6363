"""Text as MySQL writes it, of a column that has been widened since: `1.50` of a DECIMAL(10,2) is `1.5000` now.

An older file's text is brought to the form that the column has now, as SQL that DuckDB evaluates. Text that has it
already is let through by a look at one place of it, so that this costs next to nothing.
"""

from __future__ import annotations

from rds_to_s3.formats import OutputColumn
from rds_to_s3.rows.column_type import ColumnType


def present_form(value: str, column: OutputColumn, *, from_file: bool) -> str:
    """Write an expression of a column's text anew, so that it is in the form that the column's type has now.

    Digits after the point, of a DECIMAL and of seconds, are filled up with zeros, a date gets its midnight, a BIT its
    further bytes. Zeros in front of an integer go; on both sides where the column is ZEROFILL. Text that is longer than
    the type now has it stays as it is: the server has rounded or cut such values, so the row is another one.

    Parameters
    ----------
    value : str
        SQL.
    column : OutputColumn
        As it is now.
    from_file : bool
        Whether the text is a file's. The server's has the present form.
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
