"""Which rows fulfil a condition: all rows of a block at once by Arrow, exactly.

A result is true, false, or null for unknown. Numbers are compared exactly: integers and DECIMALs without rounding, at
any scale. Where exact arithmetic would need more digits than Arrow has, the block is computed again row by row, with
Python's numbers.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rds_to_s3.checks.expressions import (
    Arithmetic,
    Column,
    Comparison,
    Constant,
    HasLength,
    IsNull,
    Logical,
    Matches,
    Member,
    Negation,
    Node,
    Operator,
    column_names,
)
from rds_to_s3.checks.values import Values

_COMPARE: dict[str, Callable[..., Any]] = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_LONGEST_INTEGER, _DECIMAL128_DIGITS = 20, 38
_MIRRORED: dict[Operator, Operator] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "+": pc.add_checked,
    "-": pc.subtract_checked,
    "*": pc.multiply_checked,
}
_PYTHON: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def evaluate(condition: Node, values: Values) -> pa.Array:
    """Return whether each row fulfils a condition.

    Parameters
    ----------
    condition : Node
        As `rds_to_s3.checks.expressions.bind` returned it.
    """
    try:
        return _condition(condition, values)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError):
        return _row_by_row(condition, values)


def _condition(node: Node, values: Values) -> pa.Array:  # noqa: PLR0911 - one for each kind of node
    match node:
        case Logical("and", left, right):
            return pc.and_kleene(_condition(left, values), _condition(right, values))
        case Logical(_, left, right):
            return pc.or_kleene(_condition(left, values), _condition(right, values))
        case Negation(operand):
            return pc.invert(_condition(operand, values))
        case IsNull(Column(name)):
            return values.is_null(name)
        case IsNull(operand):
            return pc.is_null(_value(operand, values))
        case Comparison(sign, left, Constant(value)):
            return _compare_constant(_value(left, values), sign, value)
        case Comparison(sign, Constant(value), right):
            return _compare_constant(_value(right, values), _MIRRORED[sign], value)
        case Comparison(sign, left, right):
            return _COMPARE[sign](*_alike(_value(left, values), _value(right, values)))
        case Member(operand, members):
            return _member(_value(operand, values), members)
        case Matches(Column(name), pattern):
            return _matches(values.column(name), pattern)
        case HasLength(Column(name), sign, length):
            array = values.column(name)
            measured = pc.utf8_length(array) if pa.types.is_string(array.type) else pc.binary_length(array)
            return _COMPARE[sign](measured, length)
    raise TypeError(f"not a condition: {node}")


def _value(node: Node, values: Values) -> pa.Array:
    match node:
        case Column(name):
            return values.column(name)
        case Constant(value):
            return pa.scalar(value)
        case Arithmetic(sign, left, right):
            return _ARITHMETIC[sign](*_alike(_value(left, values), _value(right, values)))
    raise TypeError(f"not a value: {node}")


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Return two operands in types that Arrow computes with exactly."""
    types = [side.type for side in (left, right)]
    if any(pa.types.is_floating(each) for each in types):
        return _float(left), _float(right)
    if all(pa.types.is_int64(each) for each in types) or not any(
        pa.types.is_decimal(each) or pa.types.is_uint64(each) for each in types
    ):
        return left, right
    precisions = [each.precision if pa.types.is_decimal(each) else _LONGEST_INTEGER for each in types]
    make = pa.decimal128 if sum(precisions) < _DECIMAL128_DIGITS else pa.decimal256
    return _decimal(left, make), _decimal(right, make)


def _float(side: Any) -> Any:
    return side if pa.types.is_floating(side.type) else pc.cast(side, pa.float64())


def _decimal(side: Any, make: Callable[[int, int], pa.DataType]) -> Any:
    if pa.types.is_decimal(side.type):
        return pc.cast(side, make(side.type.precision, side.type.scale))
    return pc.cast(side, make(_LONGEST_INTEGER, 0))


def _compare_constant(array: pa.Array, sign: Operator, value: Any) -> pa.Array:
    """Compare with a literal. It is converted to the array's type, and may be between two values of that type."""
    kind = array.type
    if isinstance(value, int | Decimal) and not pa.types.is_floating(kind):
        scale = kind.scale if pa.types.is_decimal(kind) else 0
        exact = Fraction(value) * 10**scale
        if exact.denominator != 1:
            if sign in {"==", "!="}:
                return _always(array, sign == "!=")
            # No value is between floor and ceil.
            sign, whole = (">=", ceil(exact)) if sign in {">", ">="} else ("<=", floor(exact))
        else:
            whole = int(exact)
        low, high = _range(kind)
        if not low <= whole <= high:
            is_above = whole > high
            return _always(array, sign == "!=" or (sign != "==" and (sign in {"<", "<="}) == is_above))
        value = _in_units(whole, scale) if pa.types.is_decimal(kind) else whole
    return _COMPARE[sign](array, pa.scalar(value, kind))


def _range(kind: pa.DataType) -> tuple[int, int]:
    if pa.types.is_decimal(kind):
        return -(10**kind.precision) + 1, 10**kind.precision - 1
    return (0, 2**64 - 1) if pa.types.is_uint64(kind) else (-(2**63), 2**63 - 1)


def _in_units(unscaled: int, scale: int) -> Decimal:
    # Decimal's own arithmetic would round to 28 digits.
    return Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -scale))


def _always(array: pa.Array, answer: bool) -> pa.Array:
    return pc.if_else(pc.is_valid(array), pa.scalar(answer), pa.scalar(None, pa.bool_()))


def _member(array: pa.Array, members: tuple[Any, ...]) -> pa.Array:
    kind = array.type
    if pa.types.is_floating(kind):
        # Arrow looks members up by their bits, and -0.0 equals 0.0.
        array, members = pc.add(array, 0.0), tuple(member + 0.0 for member in members)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        low, high = _range(kind)
        scale = kind.scale if pa.types.is_decimal(kind) else 0
        units = [Fraction(value) * 10**scale for value in members]
        whole = [int(unit) for unit in units if unit.denominator == 1 and low <= unit <= high]
        members = tuple(_in_units(unit, scale) for unit in whole) if pa.types.is_decimal(kind) else tuple(whole)
    found = pc.is_in(array, value_set=pa.array(members, kind))
    return pc.if_else(pc.is_valid(array), found, pa.scalar(None, pa.bool_()))


def _matches(array: pa.Array, pattern: str) -> pa.Array:
    # Each distinct text once, by Python's rules: Arrow's RE2 reads some patterns differently.
    encoded = array.dictionary_encode()
    matched = re.compile(pattern).fullmatch
    answers = pa.array([matched(text) is not None for text in encoded.dictionary.to_pylist()], pa.bool_())
    return answers.take(encoded.indices)


# --- the same, row by row ---


def _row_by_row(condition: Node, values: Values) -> pa.Array:
    columns = {name: _python(values.column(name)) for name in set(column_names(condition))}
    rows = ({name: column[row] for name, column in columns.items()} for row in range(values.rows.rows))
    return pa.array([evaluate_row(condition, row) for row in rows], pa.bool_())


def _python(array: pa.Array) -> list[Any]:
    # Fractions are never rounded.
    exact = pa.types.is_decimal(array.type)
    return [Fraction(value) if exact and value is not None else value for value in array.to_pylist()]


def evaluate_row(node: Node, row: Mapping[str, Any]) -> Any:  # noqa: PLR0911 - one for each kind of node
    """Return the result of a condition or value for one row, None for unknown.

    Parameters
    ----------
    row : mapping
        Values by column name: int or Fraction for exact numbers, otherwise as in `Values`.
    """
    match node:
        case Column(name):
            return row[name]
        case Constant(value):
            return Fraction(value) if isinstance(value, Decimal) else value
        case Negation(operand):
            known = evaluate_row(operand, row)
            return None if known is None else not known
        case IsNull(operand):
            return evaluate_row(operand, row) is None
        case Logical(word, left, right):
            sides = {evaluate_row(left, row), evaluate_row(right, row)}
            deciding = word == "or"
            return deciding if deciding in sides else None if None in sides else not deciding
        case Arithmetic(sign, left, right) | Comparison(sign, left, right):
            one, other = evaluate_row(left, row), evaluate_row(right, row)
            if one is None or other is None:
                return None
            if isinstance(one, float) or isinstance(other, float):
                one, other = float(one), float(other)
            return _PYTHON[sign](one, other)
        case Member(operand, members):
            value = evaluate_row(operand, row)
            return (
                None
                if value is None
                else any(value == (Fraction(member) if isinstance(member, Decimal) else member) for member in members)
            )
        case Matches(operand, pattern):
            text = evaluate_row(operand, row)
            return None if text is None else re.fullmatch(pattern, text) is not None
        case HasLength(operand, sign, length):
            measured = evaluate_row(operand, row)
            return None if measured is None else _PYTHON[sign](len(measured), length)
    raise TypeError(f"unknown: {node}")
