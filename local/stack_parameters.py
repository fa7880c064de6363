"""The template parameters that ``STACK_PARAMETERS`` asks for."""

from __future__ import annotations

import re
import shlex
from difflib import get_close_matches
from pathlib import Path

from local.errors import LocalSystemError

TEMPLATE = Path(__file__).parents[1] / "template.yaml"


def parse_parameters(text: str) -> dict[str, str]:
    """Read parameters as a shell writes them.

    Raises
    ------
    LocalSystemError
        Not of this form, or a parameter that the template does not have.

    Examples
    --------
    >>> parse_parameters("MaxConcurrency=8 'ScheduleExpression=rate(1 hour)'")
    {'MaxConcurrency': '8', 'ScheduleExpression': 'rate(1 hour)'}
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise LocalSystemError(f"STACK_PARAMETERS: {error}") from None
    known = _names()
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            raise LocalSystemError(
                f"STACK_PARAMETERS: {word!r} has no '='. Write Name=Value, several with spaces between, and quote "
                "a value with spaces: STACK_PARAMETERS=\"MaxConcurrency=8 'ScheduleExpression=rate(1 hour)'\""
            )
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f". Did you mean {near[0]}?" if near else f": {', '.join(sorted(known))}"
            raise LocalSystemError(f"STACK_PARAMETERS: the template has no parameter {name!r}{hint}")
        found[name] = value
    return found


def _names() -> set[str]:
    section = re.search(r"^Parameters:\n(.*?)^\S", TEMPLATE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^  (\w+):", section[1], re.MULTILINE)) if section else set()
