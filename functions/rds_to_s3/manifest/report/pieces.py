"""The pieces of the page's sections."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from urllib.parse import quote

from rds_to_s3.commit.entries import TableEntry

_CONSOLES = {
    "cn-": "console.amazonaws.cn",
    "us-gov-": "console.amazonaws-us-gov.com",
    "eusc-": "console.amazonaws-eusc.eu",
}

LABELS = {
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "UNCHANGED": "unchanged",
    "SKIPPED": "skipped",
    "CURRENT": "up to date",
    "FAILING": "failing",
    "BEHIND": "behind",
    "NEW": "not extracted yet",
    "UNLISTED": "no longer listed",
}
# A sign beside each word and colour: no meaning depends on colour alone.
_SIGNS = {
    "SUCCEEDED": "✓",
    "FAILED": "✗",
    "UNCHANGED": "=",
    "SKIPPED": "→",
    "CURRENT": "✓",
    "FAILING": "✗",
    "BEHIND": "!",
    "NEW": "…",
    "UNLISTED": "→",
}


def section(title: str, content: str) -> str:
    name = title.lower()
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2>\n{content}\n</section>'


def scrolling_table(name: str, caption: str, heads: Sequence[tuple[str, str]], *parts: str) -> str:
    """Write a table of one or more groups of rows."""
    cells = "".join(f'<th scope="col" class="{kind}">{head}</th>' for head, kind in heads)
    bodies = "\n".join(f"<tbody>\n{rows}</tbody>" for rows in parts)
    # Too wide for a phone: it scrolls separately, also by keyboard.
    return (
        f'<div class="wide {name}" role="region" aria-label="{name.capitalize()}" tabindex="0"><table>'
        f"<caption><span>{caption}</span></caption>\n<thead><tr>{cells}</tr></thead>\n{bodies}</table></div>"
    )


def state(status: str) -> str:
    return (
        f'<span class="state {status}"><span aria-hidden="true">{_SIGNS[status]}</span> '
        f'<span class="word">{LABELS[status]}</span></span>'
    )


def quarantine_id(table: TableEntry) -> str:
    """Return the id of the page's list of a table's quarantine; usable as the fragment of a link."""
    return f"quarantine-{quote(table.table, safe='')}"


def how_often(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def moment(instant: str) -> datetime:
    return datetime.fromisoformat(instant)


def period(start: str, end: str) -> str:
    """Write two instants; with their days if these differ."""
    first, last = moment(start), moment(end)
    if first.date() == last.date():
        return f"{first:%H:%M:%S} to {last:%H:%M:%S} UTC"
    return f"{first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"


def breakable(name: str) -> str:
    """Escape a name, and allow line breaks after its underscores."""
    return text(name).replace("_", "_<wbr/>")


def text(value: object) -> str:
    """Escape for both HTML and XML; characters that neither allows become a sign."""
    return escape("".join(character if _is_allowed(character) else "\ufffd" for character in str(value)))


def _is_allowed(character: str) -> bool:
    return (
        character in "\n\t"
        or (" " <= character < "\ud800")
        or "\ue000" <= character <= "\ufffd"
        or character > "\uffff"
    )


def console_of(region: str) -> str:
    """Return the console's address for a region. The template has the same for the alarms' texts.

    Examples
    --------
    >>> console_of("eu-west-1")
    'https://eu-west-1.console.aws.amazon.com'
    >>> console_of("cn-north-1")
    'https://cn-north-1.console.amazonaws.cn'
    """
    host = next((host for prefix, host in _CONSOLES.items() if region.startswith(prefix)), "console.aws.amazon.com")
    return f"https://{region}.{host}"
