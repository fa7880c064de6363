"""Where in the table list's text something is: the line and the column for a message about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_BLANK = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_ATOM = re.compile(r"[^\s,\]}]+")
_ABOUT = re.compile(
    r'(?:(?P<section>defaults)|tables\[(?P<entry>\d+)\])?(?: \("(?:[^"\\]|\\.)*"\))?(?:: )?'
    r'(?:unknown key (?P<unknown>"(?:[^"\\]|\\.)*")|(?P<key>\w+)(?=[:.]))?'
)
Path = tuple[str | int, ...]


def with_place(problem: str, document: str) -> str:
    r"""Add to a message about the table list where that is.

    Parameters
    ----------
    problem : str
        It begins with what it is about, such as ``tables[2] ("orders"): format: …``.
    document : str
        Valid JSON.

    Examples
    --------
    >>> with_place('tables[0] ("a"): unknown key "formt"', '{"tables":\n [{"name": "a", "formt": "csv"}]}')
    'tables[0] ("a"): unknown key "formt" (line 2, column 16)'
    """
    about = _ABOUT.match(problem)
    path: Path = ()
    if about and about["section"]:
        path = ("defaults",)
    elif about and about["entry"]:
        path = ("tables", int(about["entry"]))
    if about and (about["unknown"] or about["key"]):
        path += (json.loads(about["unknown"]) if about["unknown"] else about["key"],)
    places = dict(_places(document, 0, ()))
    while path and path not in places:
        path = path[:-1]
    if not path:
        return problem
    place = places[path]
    line, column = document.count("\n", 0, place) + 1, place - document.rfind("\n", 0, place)
    return f"{problem} (line {line}, column {column})"


def _places(text: str, at: int, path: Path) -> Iterator[tuple[Path, int]]:
    """Yield the place of each member's key and of each element, and last the place after the value, with no path."""
    at = _after(_BLANK, text, at)
    if text[at] not in "{[":
        yield (), _after(_STRING if text[at] == '"' else _ATOM, text, at)
        return
    is_object, at = text[at] == "{", _after(_BLANK, text, at + 1)
    number = 0
    while text[at] not in "]}":
        name: str | int = number
        yield_at = at
        if is_object:
            end = _after(_STRING, text, at)
            name, at = json.loads(text[at:end]), _after(_BLANK, text, end) + 1
        yield (*path, name), yield_at
        for inner, place in _places(text, at, (*path, name)):
            if inner:
                yield inner, place
            else:
                at = place
        at = _after(_BLANK, text, at)
        if text[at] == ",":
            at = _after(_BLANK, text, at + 1)
        number += 1
    yield (), at + 1


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
