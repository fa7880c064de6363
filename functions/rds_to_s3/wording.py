"""Pieces of messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """Write how many there are.

    Examples
    --------
    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def first_names(names: Iterable[str], most: int = 20) -> str:
    """List the first names, and say how many more there are.

    Examples
    --------
    >>> first_names(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Ask whether the known name was meant that is like it; nothing where none is.

    Examples
    --------
    >>> did_you_mean("ordesr", ["menu", "orders"])
    " (did you mean 'orders'?)"
    """
    close = nearest(name, known)
    return f" (did you mean {close!r}?)" if close else ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, or None."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)
