"""Conditions over the columns of a row: read from text, checked against the table's types. Nothing is ever executed.

The language is a small part of Python's: names and literals, ``+ - *``, comparisons (chained ones too), ``in``,
``is None``, ``and``, ``or``, ``not``. A name that is not a Python name is written in backticks. Every check of a column
becomes such a condition, so there is one evaluation, `rds_to_s3.checks.evaluation`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from rds_to_s3.checks.classes import Scalar, ValueClass, literal_of

LONGEST = 2_000
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`((?:[^`]|``)+)`""")

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
_OPERATORS: dict[type[ast.cmpop], Operator] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_ARITHMETIC: dict[type[ast.operator], Literal["+", "-", "*"]] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}
_NUMBERS = {"exact", "float"}
_ORDERED = {"exact", "float", "moment", "time"}


@dataclass(frozen=True)
class Column:
    """A column's value."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A literal; the other side of the comparison decides how its text is read."""

    value: Scalar


@dataclass(frozen=True)
class Arithmetic:
    """A sum, difference or product of numbers."""

    operator: Literal["+", "-", "*"]
    left: Node
    right: Node


@dataclass(frozen=True)
class Comparison:
    """Unknown where either side is NULL."""

    operator: Operator
    left: Node
    right: Node


@dataclass(frozen=True)
class Member:
    """Whether a value is one of several."""

    operand: Node
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class IsNull:
    """Never unknown."""

    operand: Node


@dataclass(frozen=True)
class Matches:
    """Whether a Python regular expression matches the whole text."""

    operand: Column
    pattern: str


@dataclass(frozen=True)
class HasLength:
    """Compare the length of a text in characters, or of a binary value in bytes."""

    operand: Column
    operator: Literal["<=", ">="]
    length: int


@dataclass(frozen=True)
class Logical:
    """SQL's AND and OR: unknown only if the known side does not decide."""

    operator: Literal["and", "or"]
    left: Node
    right: Node


@dataclass(frozen=True)
class Negation:
    """NOT; unknown stays unknown."""

    operand: Node


Node = Column | Constant | Arithmetic | Comparison | Member | IsNull | Matches | HasLength | Logical | Negation


def parse_expression(text: str) -> Node:
    """Read a condition.

    Parameters
    ----------
    text : str
        Such as ``total >= discount and status != "VOID"``.

    Raises
    ------
    ValueError
        It is not in the language; the message names the part.

    Examples
    --------
    >>> parse_expression("total >= 0")
    Comparison(operator='>=', left=Column(name='total'), right=Constant(value=0))
    """
    if len(text) > LONGEST:
        raise ValueError(f"an expression may have at most {LONGEST} characters")
    prefix = "q_"
    while prefix in text:
        prefix += "_"
    names: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        names[f"{prefix}{len(names)}"] = match[1].replace("``", "`")
        return f"{prefix}{len(names) - 1}"

    source = _QUOTED.sub(stand_in, text).strip()
    try:
        tree = ast.parse(source, mode="eval")
        node = _Reader(source, names).read(tree.body)
    except SyntaxError as error:
        hint = "; equality is ==" if re.search(r"(?<![=!<>])=(?!=)", source) else ""
        raise ValueError(f"{text!r} cannot be read: {error.msg}{hint}") from None
    except (RecursionError, MemoryError):
        raise ValueError(f"{text[:80]!r} .. is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    if not _is_condition(node):
        raise ValueError(f"{text!r} is a value, not a condition: compare it with something")
    return node


def column_names(node: Node) -> Iterator[str]:
    """Yield the names of the columns that a condition reads, as written in it."""
    if isinstance(node, Column):
        yield node.name
    for part in _parts(node):
        yield from column_names(part)


def bind(node: Node, class_of: Callable[[str], ValueClass], canonical: Mapping[str, str]) -> Node:  # noqa: PLR0911
    """Check a condition against its columns' types, and turn its literals into values of these types.

    Parameters
    ----------
    class_of : callable
        The class of a column's values, by its name in the table.
    canonical : mapping
        A column's name in the table by its name in the condition.

    Raises
    ------
    TypeError
        Two types cannot be compared.
    """
    match node:
        case Logical(operator, left, right):
            return Logical(operator, bind(left, class_of, canonical), bind(right, class_of, canonical))
        case Negation(operand):
            return Negation(bind(operand, class_of, canonical))
        case IsNull(operand):
            return IsNull(_typed(operand, class_of, canonical)[0])
        case Comparison(operator, left, right):
            return _bind_comparison(operator, left, right, class_of, canonical)
        case Member(operand, values):
            bound, kind = _typed(operand, class_of, canonical)
            if kind is None:
                raise TypeError("both sides of in are literals: put a column on its left")
            return Member(bound, tuple(literal_of(value, kind) for value in values))
        case Matches(Column(name), pattern):
            _require(class_of(canonical[name]), {"text"}, name, "matches")
            return Matches(Column(canonical[name]), pattern)
        case HasLength(Column(name), operator, length):
            _require(class_of(canonical[name]), {"text", "binary"}, name, "a length")
            return HasLength(Column(canonical[name]), operator, length)
    raise TypeError("a value is in the place of a condition")


def _bind_comparison(
    operator: Operator,
    left: Node,
    right: Node,
    class_of: Callable[[str], ValueClass],
    canonical: Mapping[str, str],
) -> Comparison:
    one, first = _typed(left, class_of, canonical)
    other, second = _typed(right, class_of, canonical)
    if first is None and second is None:
        raise TypeError("two literals are compared with each other")
    if first is None:
        assert second is not None  # noqa: S101 - one of them is a class
        first, one = second, _converted(one, second)
    elif second is None:
        second, other = first, _converted(other, first)
    assert second is not None  # noqa: S101 - set above
    if first != second and not {first, second} <= _NUMBERS:
        raise TypeError(f"{_A[first]} is compared with {_A[second]}")
    if operator not in {"==", "!="} and first not in _ORDERED:
        raise TypeError(f"{operator} needs numbers, dates or times: the order of {_MANY[first]} depends on a collation")
    return Comparison(operator, one, other)


def _typed(
    node: Node, class_of: Callable[[str], ValueClass], canonical: Mapping[str, str]
) -> tuple[Node, ValueClass | None]:
    """Return a value's bound node and its class; None for a literal, which takes the other side's class."""
    match node:
        case Column(name):
            return Column(canonical[name]), class_of(canonical[name])
        case Constant():
            return node, None
        case Arithmetic(operator, left, right):
            sides = [_typed(left, class_of, canonical), _typed(right, class_of, canonical)]
            kinds = [_number_class(part) if kind is None else kind for part, kind in sides]
            for kind in kinds:
                if kind not in _NUMBERS:
                    raise TypeError(f"{operator} needs numbers, not {_MANY[kind]}")
            if all(kind is None for _, kind in sides):
                raise TypeError("both operands are literals: write the result instead")
            result: ValueClass = "float" if "float" in kinds else "exact"
            one, other = (_converted(part, result) if isinstance(part, Constant) else part for part, _ in sides)
            return Arithmetic(operator, one, other), result
    raise TypeError("a condition is in the place of a value")


def _number_class(node: Node) -> ValueClass:
    return "text" if isinstance(node, Constant) and isinstance(node.value, str) else "exact"


def _converted(node: Node, kind: ValueClass) -> Node:
    return Constant(literal_of(node.value, kind)) if isinstance(node, Constant) else node


def _require(kind: ValueClass, wanted: set[str], name: str, check: str) -> None:
    if kind not in wanted:
        raise TypeError(f"{name} holds {_MANY[kind]}, and {check} needs {' or '.join(sorted(wanted))} values")


_A: dict[ValueClass, str] = {
    "exact": "a number",
    "float": "a number",
    "moment": "a date",
    "time": "a time span",
    "text": "a text",
    "binary": "a binary value",
}
_MANY: dict[ValueClass, str] = {
    "exact": "numbers",
    "float": "numbers",
    "moment": "dates",
    "time": "time spans",
    "text": "texts",
    "binary": "binary values",
}


def _parts(node: Node) -> Sequence[Node]:
    match node:
        case Arithmetic(_, left, right) | Comparison(_, left, right) | Logical(_, left, right):
            return (left, right)
        case Member(operand) | IsNull(operand) | Matches(operand) | HasLength(operand) | Negation(operand):
            return (operand,)
    return ()


def _is_condition(node: Node) -> bool:
    return not isinstance(node, Column | Constant | Arithmetic)


class _Reader:
    """Turns Python's syntax tree into ours, and refuses the syntax that ours lacks."""

    def __init__(self, source: str, names: Mapping[str, str]) -> None:
        self._source = source
        self._names = names

    def read(self, node: ast.expr) -> Node:  # noqa: PLR0911 - one for each kind of node
        match node:
            case ast.BoolOp(op, values):
                word: Literal["and", "or"] = "and" if isinstance(op, ast.And) else "or"
                return _folded(word, [self._condition(value) for value in values])
            case ast.UnaryOp(ast.Not(), operand):
                return Negation(self._condition(operand))
            case ast.UnaryOp(ast.USub() | ast.UAdd() as sign, operand):
                value = self._value(operand)
                if isinstance(sign, ast.UAdd):
                    return value
                if isinstance(value, Constant) and isinstance(value.value, int):
                    return Constant(-value.value)
                if isinstance(value, Constant) and isinstance(value.value, Decimal):
                    return Constant(value.value.copy_negate())
                return Arithmetic("-", Constant(0), value)
            case ast.BinOp(left, operator, right):
                if type(operator) not in _ARITHMETIC:
                    raise ValueError("arithmetic has + - * only; instead of dividing, multiply the other side")
                return Arithmetic(_ARITHMETIC[type(operator)], self._value(left), self._value(right))
            case ast.Compare(left, operators, comparators):
                sides = [left, *comparators]
                return _folded(
                    "and",
                    [
                        self._compared(one, op, other)
                        for one, op, other in zip(sides, operators, comparators, strict=False)
                    ],
                )
            case ast.Name(name):
                return Column(self._names.get(name, name))
            case ast.Constant():
                return Constant(self._literal(node))
        raise ValueError(
            f"{self._text(node)} is not supported; a condition has columns, literals, comparisons, + - *, "
            "in, is None, and, or, not"
        )

    def _compared(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Node:
        match operator:
            case ast.In() | ast.NotIn():
                if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts:
                    raise ValueError(f"in needs a list of literals, not {self._text(right)}")
                member = Member(self._value(left), tuple(self._signed_literal(item) for item in right.elts))
                return member if isinstance(operator, ast.In) else Negation(member)
            case ast.Is() | ast.IsNot():
                if not (isinstance(right, ast.Constant) and right.value is None):
                    raise ValueError("is compares with None only")
                null = IsNull(self._value(left))
                return null if isinstance(operator, ast.Is) else Negation(null)
        if any(isinstance(side, ast.Constant) and side.value is None for side in (left, right)):
            raise ValueError("nothing equals NULL: write is None or is not None")
        return Comparison(_OPERATORS[type(operator)], self._value(left), self._value(right))

    def _condition(self, node: ast.expr) -> Node:
        read = self.read(node)
        if not _is_condition(read):
            raise ValueError(f"{self._text(node)} is a value, not a condition: compare it with something")
        return read

    def _value(self, node: ast.expr) -> Node:
        read = self.read(node)
        if _is_condition(read):
            raise ValueError(f"{self._text(node)} is a condition in the place of a value")
        return read

    def _signed_literal(self, node: ast.expr) -> Scalar:
        read = self._value(node)
        if not isinstance(read, Constant):
            raise ValueError(f"{self._text(node)} is not a literal")  # noqa: TRY004 - of the text
        return read.value

    def _literal(self, node: ast.Constant) -> Scalar:
        match node.value:
            case bool() | None:
                raise ValueError(f"{node.value} is not a column's value; put a column of this name in backticks")
            case int() | str():
                return node.value
            case float():
                return Decimal(self._text(node))
        raise ValueError(f"{self._text(node)} is not a number or a text")

    def _text(self, node: ast.AST) -> str:
        return ast.get_source_segment(self._source, node) or ""


def _folded(word: Literal["and", "or"], conditions: Sequence[Node]) -> Node:
    folded = conditions[0]
    for condition in conditions[1:]:
        folded = Logical(word, folded, condition)
    return folded
