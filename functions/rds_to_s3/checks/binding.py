"""Match a table's checks with its columns, before any row is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from rds_to_s3.checks.classes import ValueClass, value_class
from rds_to_s3.checks.expressions import (
    Column,
    Comparison,
    Constant,
    HasLength,
    IsNull,
    Matches,
    Member,
    Negation,
    Node,
    bind,
    column_names,
    parse_expression,
)
from rds_to_s3.checks.vocabulary import ColumnChecks, TableChecks
from rds_to_s3.errors import ColumnNotFoundError, ColumnTypeError
from rds_to_s3.mysql.catalogue.remedies import column_missing
from rds_to_s3.mysql.catalogue.schema import NONE_DENIED, DeniedColumns, Table, TableColumn

_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


@dataclass(frozen=True)
class Rule:
    """A condition that every row must fulfil.

    Attributes
    ----------
    label : str
        Its name in messages: ``total ge 0``.
    """

    label: str
    condition: Node


@dataclass(frozen=True)
class UniqueRule:
    """A column in which no value may occur twice in a window."""

    label: str
    column: str


@dataclass(frozen=True)
class BoundChecks:
    """The checks of one table, matched with its columns.

    Attributes
    ----------
    columns : tuple of TableColumn
        The columns that the checks read.
    """

    rules: tuple[Rule, ...] = ()
    unique: tuple[UniqueRule, ...] = ()
    columns: tuple[TableColumn, ...] = ()
    table: TableChecks = field(default_factory=TableChecks)

    @property
    def of_rows(self) -> bool:
        """Whether any check reads rows."""
        return bool(self.rules or self.unique)


def checked_names(columns: Mapping[str, ColumnChecks], of_table: TableChecks) -> list[str]:
    """Return the columns that the checks name, as written there."""
    expressions = (column_names(parse_expression(text)) for text in of_table.expressions)
    return list(dict.fromkeys([*columns, *chain.from_iterable(expressions)]))


def bind_checks(
    table: Table,
    columns: Mapping[str, ColumnChecks],
    of_table: TableChecks,
    *,
    denied: DeniedColumns = NONE_DENIED,
    shown: Callable[[str], str] = str,
) -> BoundChecks:
    """Match checks with a table's columns.

    Parameters
    ----------
    denied : DeniedColumns
        Columns that the table has and the user may not read.
    shown : callable
        Returns a column's name in messages.

    Raises
    ------
    ColumnNotFoundError
    ColumnTypeError
        A check does not suit its column's type.
    """
    rules: list[Rule] = []
    unique: list[UniqueRule] = []
    used: dict[str, TableColumn] = {}

    def found(name: str, where: str) -> TableColumn:
        column = table.column(name)
        if column is None:
            raise ColumnNotFoundError(column_missing(table, name, f"named in {where}", denied))
        used[column.name] = column
        return column

    def class_of(name: str) -> ValueClass:
        return value_class(used[name])

    def add(label: str, condition: Node, where: str) -> None:
        canonical = {name: found(name, where).name for name in column_names(condition)}
        try:
            rules.append(Rule(label, bind(condition, class_of, canonical)))
        except TypeError as error:
            raise ColumnTypeError(_unsuitable(table, where, canonical, used, error)) from None

    for name, checks in columns.items():
        own = found(name, '"checks"').name
        for label, condition in _conditions(own, checks):
            add(f"{shown(own)} {label}", condition, f"the check {own} {label}")
        if checks.unique:
            unique.append(UniqueRule(f"{shown(own)} unique", own))
    for text in of_table.expressions:
        add(text, parse_expression(text), f"the expression {text!r}")
    return BoundChecks(tuple(rules), tuple(unique), tuple(used.values()), of_table)


def bind_expression(
    table: Table, text: str, role: str, *, denied: DeniedColumns = NONE_DENIED
) -> tuple[Node, dict[str, TableColumn]]:
    """Match one condition with a table's columns.

    Parameters
    ----------
    role : str
        Its name in messages.

    Returns
    -------
    node : Node
        As `rds_to_s3.checks.expressions.bind` returns it.
    columns : dict
        The columns that it reads, by name.

    Raises
    ------
    ColumnNotFoundError
    ColumnTypeError
    """
    parsed = parse_expression(text)
    canonical: dict[str, str] = {}
    columns: dict[str, TableColumn] = {}
    for name in column_names(parsed):
        column = table.column(name)
        if column is None:
            raise ColumnNotFoundError(column_missing(table, name, f"named in {role}", denied))
        canonical[name] = column.name
        columns[column.name] = column
    try:
        return bind(parsed, lambda name: value_class(columns[name]), canonical), columns
    except TypeError as error:
        raise ColumnTypeError(_unsuitable(table, role, canonical, columns, error)) from None


def _unsuitable(
    table: Table, role: str, canonical: Mapping[str, str], columns: Mapping[str, TableColumn], error: TypeError
) -> str:
    types = ", ".join(f"{name} is {columns[own].column_type}" for name, own in canonical.items())
    return f"table {table.name!r}: {role} does not suit the columns ({types}): {error}"


def _conditions(name: str, checks: ColumnChecks) -> Iterator[tuple[str, Node]]:
    column = Column(name)
    if checks.not_null:
        yield "not_null", Negation(IsNull(column))
    for key, operator in _BOUNDS.items():
        bound = getattr(checks, key)
        if bound is not None:
            yield f"{key} {bound}", Comparison(operator, column, Constant(bound))  # type: ignore[arg-type]
    if checks.isin is not None:
        yield f"isin {_members(checks.isin)}", Member(column, tuple(checks.isin))
    if checks.matches is not None:
        yield f"matches {checks.matches}", Matches(column, checks.matches)
    if checks.min_length is not None:
        yield f"min_length {checks.min_length}", HasLength(column, ">=", checks.min_length)
    if checks.max_length is not None:
        yield f"max_length {checks.max_length}", HasLength(column, "<=", checks.max_length)


def _members(values: Sequence[object], most: int = 5) -> str:
    more = f", .. ({len(values)})" if len(values) > most else ""
    return "[" + ", ".join(str(value) for value in values[:most]) + more + "]"
