"""docs/session-variables.md, taken apart."""

from __future__ import annotations

import re
from pathlib import Path

_PAGE = (Path(__file__).parents[2] / "docs" / "session-variables.md").read_text(encoding="utf-8")


def _names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def _rows(title: str) -> list[list[str]]:
    section = _PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


SET = {name: row[1].strip("`") for row in _rows("Set at connect") for name in _names(row[0])}
"""Variable -> value."""
LEFT = [name for row in _rows("Left as they are") for name in _names(row[1])]
