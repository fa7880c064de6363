"""Lines and paragraphs: states with their colours, times with their clock, text that is never cut."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from rds_to_s3.timestamps import short

T = TypeVar("T")
MOST_TABLES = 40
"""Longer lists are folded: what needs attention is always listed, the rest is counted."""

COLOURS = {
    "waiting": "dim",
    "running": "cyan",
    "retrying": "yellow",
    "succeeded": "green",
    "unchanged": "dim",
    "skipped": "dim",
    "failed": "bold red",
    "timed out": "bold red",
    "aborted": "bold red",
    "pending redrive": "cyan",
}


def plain(text: str) -> str:
    r"""Replace the characters that control a terminal; a name in MySQL may have them.

    Examples
    --------
    >>> plain("a\x1b[2Jb")
    'a\ufffd[2Jb'
    """
    return "".join("\ufffd" if unicodedata.category(each) in {"Cc", "Cs"} else each for each in text)


def paragraph(text: str, style: str = "") -> Text:
    """Return text that is wrapped between words; its own line breaks stay."""
    return Text("\n".join(map(plain, text.splitlines())), style=style, overflow="fold")


def whole(text: str, style: str = "") -> Text:
    """Return a line to copy. The terminal breaks it if it is too long, so that it has no line break of ours."""
    return Text(plain(text), style=style, no_wrap=True, overflow="ignore")


def indented(part: RenderableType, by: int = 2) -> RenderableType:
    """Return a part of the output, moved to the right."""
    return Padding(part, (0, 0, 0, by))


def about(name: str, style: str, *lines: str) -> RenderableType:
    """Return a name on a line of its own, and under it what there is to say about it."""
    return Group(paragraph(name, style), *(indented(paragraph(each)) for each in lines))


class Hanging:
    """Text that continues under itself, to the right of a head."""

    def __init__(self, head: Text, text: Text) -> None:
        self._head, self._text = head, text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        blank = Text(" " * self._head.cell_len)
        for number, line in enumerate(self._text.wrap(console, max(options.max_width - self._head.cell_len, 1))):
            yield Text.assemble(blank if number else self._head, line, no_wrap=True, overflow="ignore")


def state_text(word: str) -> Text:
    """Return the word for a state, in its colour."""
    word = word.lower().replace("_", " ")
    return Text(word, style=COLOURS.get(word, ""))


def instant(moment: datetime | str) -> str:
    """Write a time of AWS's clock.

    Examples
    --------
    >>> instant("2025-04-02T12:00:00.500Z")
    '2025-04-02 12:00:00 UTC'
    """
    return f"{bare_instant(moment)} UTC"


def bare_instant(moment: datetime | str) -> str:
    """Write a time of AWS's clock, where UTC is said already."""
    known = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{known.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def on_database(timestamp: str) -> str:
    """Write a time of the database's clock."""
    return f"{short(timestamp)} on the database's clock"


def next_steps(*steps: tuple[str, str]) -> list[RenderableType]:
    """Return the commands to run next, each with what it does.

    Parameters
    ----------
    steps : tuple of str
        The command, and what it does.
    """
    return [
        part
        for number, (command, reason) in enumerate(steps)
        for part in (whole(f"{'next:' if number == 0 else '  or:'} {command}", "bold"), indented(paragraph(reason), 6))
    ]


def folded(
    items: Sequence[T], is_urgent: Callable[[T], bool], is_telling: Callable[[T], bool], *, everything: bool
) -> Sequence[T]:
    """Return the items to list, in their order.

    All, unless there are many. Then everything urgent, and of the rest the first with something to report.
    """
    if everything or len(items) <= MOST_TABLES:
        return items
    chosen = {id(item) for item in items if is_urgent(item)}
    for item in items:
        if len(chosen) >= MOST_TABLES:
            break
        if is_telling(item):
            chosen.add(id(item))
    return [item for item in items if id(item) in chosen]


def rest_view(hidden: Iterable[str], what: str = "tables") -> list[RenderableType]:
    """Return the line that counts what is not listed, by its state; nothing if all is listed.

    Parameters
    ----------
    hidden : iterable of str
        The state of each.
    """
    states = list(hidden)
    if not states:
        return []
    kinds = [state for state in dict.fromkeys(states) if state]
    by_state = kinds[0] if len(kinds) == 1 else ", ".join(f"{states.count(state)} {state}" for state in kinds)
    rest = f"and {len(states)} more {what}{f' ({by_state})' if by_state else ''}: add --all to list them"
    return [Text(rest, style="dim")]
