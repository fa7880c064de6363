"""A condition as SQL that is true, false or NULL for the rows for which the condition is true, false or unknown.

The server's own comparisons follow other rules than `rds_to_s3.checks.evaluation`: collations and trailing spaces, a
YEAR of two digits, a DATE from a text that is not in the calendar, BIGINT UNSIGNED minus something. So each value is
turned into a form that both compare alike: bytes, numbers with so few digits that the server computes exactly, doubles.
Literals are digits or hexadecimal, never text.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from rds_to_s3.checks.binding import bind_expression
from rds_to_s3.checks.classes import MIDNIGHT, ValueClass, value_class
from rds_to_s3.checks.expressions import (
    Arithmetic,
    Column,
    Comparison,
    Constant,
    IsNull,
    Logical,
    Member,
    Negation,
    Node,
    Operator,
)
from rds_to_s3.errors import ColumnTypeError
from rds_to_s3.mysql.catalogue.schema import NONE_DENIED, DeniedColumns, Table, TableColumn
from rds_to_s3.mysql.select import quoted
from rds_to_s3.rows.column_type import ColumnType

MOST_DIGITS, MOST_SCALE = (
    65,
    30,
)  # of a DECIMAL: https://dev.mysql.com/doc/refman/8.4/en/precision-math-decimal-characteristics.html
_INTEGER_DIGITS = {"tinyint": 3, "smallint": 5, "mediumint": 8, "int": 10, "bigint": 20, "year": 4}
_SQL = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_MIRRORED: dict[Operator, Operator] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_UNCOMPARED = {
    *("vector", "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"),
    *("geometrycollection", "geomcollection"),
}
_FULL = b"0000-00-00" + MIDNIGHT


@dataclass(frozen=True)
class _Value:
    """A value in SQL.

    Attributes
    ----------
    digits, scale : int
        Of an exact number: the most digits before the point, and the digits after it.
    written : int
        Of a moment: how many of the 26 characters the server writes.
    """

    sql: str
    kind: ValueClass
    digits: int = 0
    scale: int = 0
    written: int = 0


def where_in_sql(table: Table, text: str, *, denied: DeniedColumns = NONE_DENIED) -> str:
    """Write a table's ``where`` as a condition in SQL that holds for the rows that a check of it would accept.

    Like a check, it accepts a row for which it is unknown, because a value in it is NULL.

    Parameters
    ----------
    denied : DeniedColumns
        Columns that the table has and the user may not read.

    Raises
    ------
    ColumnNotFoundError
    ColumnTypeError
        It does not suit the columns' types, or needs more digits than the server computes with.
    """
    node, columns = bind_expression(table, text, 'the "where"', denied=denied)
    try:
        return f"({_Writer(columns).condition(node)}) IS NOT FALSE"
    except TypeError as error:
        raise ColumnTypeError(f'table {table.name!r}: the "where" {text!r} cannot be evaluated: {error}') from None


class _Writer:
    def __init__(self, columns: dict[str, TableColumn]) -> None:
        self._columns = columns

    def condition(self, node: Node) -> str:  # noqa: PLR0911 - one for each kind of node
        match node:
            case Logical(word, left, right):
                return f"({self.condition(left)}) {word.upper()} ({self.condition(right)})"
            case Negation(operand):
                return f"NOT ({self.condition(operand)})"
            case IsNull(operand):
                return self._is_null(operand)
            case Comparison(sign, left, Constant(value)):
                return _compared_with(self._value(left), sign, value)
            case Comparison(sign, Constant(value), right):
                return _compared_with(self._value(right), _MIRRORED[sign], value)
            case Comparison(sign, left, right):
                return _compared(self._value(left), sign, self._value(right))
            case Member(operand, members):
                of = self._value(operand)
                return " OR ".join(f"({_compared_with(of, '==', member)})" for member in members)
        raise TypeError(f"not a condition: {node}")

    def _is_null(self, operand: Node) -> str:
        if isinstance(operand, Column) and not self._columns[operand.name].nullable:
            return "FALSE"  # asked of a zero date, IS NULL may be true: see `rds_to_s3.mysql.select`
        value = self._value(operand)
        return f"({value.sql}) IS NULL"

    def _value(self, node: Node) -> _Value:
        match node:
            case Column(name):
                return _column(self._columns[name])
            case Constant(value):
                return _number(value)
            case Arithmetic(sign, left, right):
                return _computed(sign, self._value(left), self._value(right))
        raise TypeError(f"not a value: {node}")


def _column(column: TableColumn) -> _Value:
    name, kind = quoted(column.name), value_class(column)
    return _EXPRESSIONS[kind](column, name)


def _exact(column: TableColumn, name: str) -> _Value:
    mysql = ColumnType.parse(column.column_type)
    if mysql.name == "decimal":
        return _Value(name, "exact", mysql.precision - mysql.scale, mysql.scale)
    # A number of two digits beside a YEAR would be a year of this century or the last.
    sql = f"CAST({name} AS UNSIGNED)" if column.data_type == "year" else name
    return _Value(sql, "exact", _INTEGER_DIGITS[column.data_type])


def _float(column: TableColumn, name: str) -> _Value:
    return _Value(f"CAST({name} AS DOUBLE)" if column.data_type == "float" else name, "float")


def _moment(column: TableColumn, name: str) -> _Value:
    digits = column.fraction_digits
    written = 10 if column.data_type == "date" else 19 + (digits + 1 if digits else 0)
    return _Value(f"CAST({name} AS BINARY)", "moment", written=written)


def _time(_column: TableColumn, name: str) -> _Value:
    microseconds = f"(HOUR({name}) * 3600 + MINUTE({name}) * 60 + SECOND({name})) * 1000000 + MICROSECOND({name})"
    return _Value(f"(IF(LEFT(CAST({name} AS CHAR), 1) = '-', -1, 1) * ({microseconds}))", "time", 13)


def _text(_column: TableColumn, name: str) -> _Value:
    # As the server sends it, and without padding: two texts are equal if their characters are.
    return _Value(f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)", "text")


def _binary(column: TableColumn, name: str) -> _Value:
    if column.data_type == "bit":
        width = ((ColumnType.parse(column.column_type).length or 1) + 7) // 8
        return _Value(f"UNHEX(LPAD(HEX({name} + 0), {2 * width}, '0'))", "binary")
    if column.data_type in _UNCOMPARED:
        raise TypeError(f"{column.name} is {column.column_type}, which a where cannot compare")
    return _Value(f"CAST({name} AS BINARY)", "binary")


_EXPRESSIONS: dict[ValueClass, Callable[[TableColumn, str], _Value]] = {
    "exact": _exact,
    "float": _float,
    "moment": _moment,
    "time": _time,
    "text": _text,
    "binary": _binary,
}


def _number(value: Any) -> _Value:
    """Return a number in an arithmetic expression; its class is that of the expression."""
    if isinstance(value, float):
        return _Value(_double(value), "float")
    exact = Decimal(value)
    _, digits, exponent = exact.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - literals are finite
    scale = max(-exponent, 0)
    text = _plain(int(Fraction(exact) * 10**scale), scale)
    return _checked(_Value(text, "exact", max(len(digits) + exponent, 1), scale))


def _computed(sign: str, left: _Value, right: _Value) -> _Value:
    if "float" in {left.kind, right.kind}:
        return _Value(f"({_as_double(left)} {sign} {_as_double(right)})", "float")
    scale = left.scale + right.scale if sign == "*" else max(left.scale, right.scale)
    digits = left.digits + right.digits if sign == "*" else max(left.digits, right.digits) + 1
    # As DECIMAL: integers of 64 bits would overflow.
    return _checked(_Value(f"({_as_decimal(left)} {sign} {_as_decimal(right)})", "exact", digits, scale))


def _checked(value: _Value) -> _Value:
    if value.digits + value.scale > MOST_DIGITS or value.scale > MOST_SCALE:
        raise TypeError(
            f"a number in it may need {value.digits} digits before the point and {value.scale} after it, and the "
            f"server computes exactly with {MOST_DIGITS} digits, of them {MOST_SCALE} after the point"
        )
    return value


def _as_decimal(value: _Value) -> str:
    return f"CAST({value.sql} AS DECIMAL({value.digits + value.scale}, {value.scale}))"


def _as_double(value: _Value) -> str:
    return value.sql if value.kind == "float" else f"CAST({value.sql} AS DOUBLE)"


def _compared(left: _Value, sign: Operator, right: _Value) -> str:
    one, other = left.sql, right.sql
    if left.kind == "moment":
        one, other = (f"CONCAT({side.sql}, x'{_FULL[side.written :].hex()}')" for side in (left, right))
    elif "float" in {left.kind, right.kind}:
        one, other = _as_double(left), _as_double(right)
    return f"{one} {_SQL[sign]} {other}"


def _compared_with(value: _Value, sign: Operator, literal: Any) -> str:
    match value.kind:
        case "exact" | "time":
            return _compared_number(value, sign, Fraction(literal))
        case "float":
            if math.isinf(literal):
                return _always(value, sign == "!=" or (sign != "==" and (sign in {"<", "<="}) == (literal > 0)))
            return f"{value.sql} {_SQL[sign]} {_double(literal)}"
        case "moment":
            return _compared_moment(value, sign, literal)
    data = literal.encode() if isinstance(literal, str) else literal
    return f"{value.sql} {_SQL[sign]} x'{data.hex()}'"


def _compared_number(value: _Value, sign: Operator, literal: Fraction) -> str:
    """Compare with a number, which may be between two values of this scale, or beyond all of them."""
    scaled = literal * 10**value.scale
    if scaled.denominator != 1:
        if sign in {"==", "!="}:
            return _always(value, sign == "!=")
        sign, whole = (">=", ceil(scaled)) if sign in {">", ">="} else ("<=", floor(scaled))
    else:
        whole = int(scaled)
    if abs(whole) >= 10 ** (value.digits + value.scale):
        return _always(value, sign == "!=" or (sign != "==" and (sign in {"<", "<="}) == (whole > 0)))
    return f"{value.sql} {_SQL[sign]} {_plain(whole, value.scale)}"


def _compared_moment(value: _Value, sign: Operator, literal: bytes) -> str:
    """Compare the characters that the server writes; the others are those of midnight."""
    if literal[value.written :] != _FULL[value.written :]:
        # Later than the moment with these first characters, and before the next one.
        if sign in {"==", "!="}:
            return _always(value, sign == "!=")
        sign = "<=" if sign in {"<", "<="} else ">"
    return f"{value.sql} {_SQL[sign]} x'{literal[: value.written].hex()}'"


def _always(value: _Value, answer: bool) -> str:
    return f"IF(({value.sql}) IS NULL, NULL, {str(answer).upper()})"


def _plain(whole: int, scale: int) -> str:
    """Write ``whole / 10**scale`` without an exponent, which would make it a double."""
    digits = str(abs(whole)).rjust(scale + 1, "0")
    text = digits if not scale else f"{digits[:-scale]}.{digits[-scale:]}"
    return f"-{text}" if whole < 0 else text


def _double(value: float) -> str:
    text = repr(value)
    return text if "e" in text else f"{text}e0"
