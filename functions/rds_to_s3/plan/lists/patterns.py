"""Names and patterns: which one selects a table, and which of several is the most specific."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

GLOB_CHARACTERS = "*?["
_WILDCARD = re.compile(r"\*|\?|\[!?\]?[^\]]*\]")


def is_pattern(name: str) -> bool:
    """Whether a name has glob characters. It may still be a table's literal name."""
    return any(character in name for character in GLOB_CHARACTERS)


def selects(listed: str, name: str, existing: Collection[str]) -> bool:
    """Whether a listed name or pattern selects the table `name`. A table's exact name selects only it."""
    return name == listed if listed in existing else fnmatchcase(name, listed)


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
    return max((pattern for pattern in patterns if fnmatchcase(name, pattern)), key=specificity, default=None)
