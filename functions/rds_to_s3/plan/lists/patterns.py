"""Names and patterns: which one selects a table, and which of several is the most specific."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

GLOB_CHARACTERS = "*?["
DOT = "."
_WILDCARD = re.compile(r"\*|\?|\[!?\]?[^\]]*\]")


class QualifiedName(str):
    """The name ``schema.table`` of a table that is not in the default database.

    Attributes
    ----------
    schema, table : str
    """

    schema: str
    table: str

    def __new__(cls, schema: str, table: str) -> QualifiedName:
        """Join the two."""
        name = super().__new__(cls, f"{schema}{DOT}{table}")
        name.schema, name.table = schema, table
        return name


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern matches a table's name; one without a dot matches tables of the default database only."""
    if not isinstance(name, QualifiedName):
        return fnmatchcase(name, pattern)
    schema, dot, table = pattern.partition(DOT)
    return bool(dot) and fnmatchcase(name.schema, schema) and fnmatchcase(name.table, table)


def is_pattern(name: str) -> bool:
    """Whether a name has glob characters. It may still be a table's literal name."""
    return any(character in name for character in GLOB_CHARACTERS)


def selects(listed: str, name: str, existing: Collection[str]) -> bool:
    """Whether a listed name or pattern selects the table `name`. A table's exact name selects only it."""
    return name == listed if listed in existing else matches(name, listed)


def specificity(pattern: str) -> tuple[int, int]:
    """Return how specific a pattern is; the greater of two wins.

    The number of literal characters decides, then the number of characters for which the pattern has ``?`` or a set.

    Examples
    --------
    >>> max(["*", "audit_*", "*_log", "audit_?"], key=specificity)
    'audit_?'
    """
    literal = _WILDCARD.sub("", pattern)
    single = sum(wildcard != "*" for wildcard in _WILDCARD.findall(pattern))
    return len(literal), single


def most_specific(name: str, patterns: Iterable[str]) -> str | None:
    """Return the most specific pattern that selects a table; of equally specific ones the first, or None."""
    return max((pattern for pattern in patterns if matches(name, pattern)), key=specificity, default=None)
