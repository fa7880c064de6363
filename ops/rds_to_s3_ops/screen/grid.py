"""A table that fits the terminal. The first column has the names that an operator copies, and is never cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from rds_to_s3_ops.screen.lines import plain

GAP = 2
MOST_FOR_NAMES = 32
"""Columns give way for names up to this width. A longer name is on a line of its own if it has no room."""


@dataclass(frozen=True)
class Column:
    """A column beside the names.

    Attributes
    ----------
    head : str
    right : bool
        Whether its cells are figures.
    need : int
        0 if it is always shown. Otherwise, columns with the highest number give way first in a narrow terminal.
    """

    head: str
    right: bool = False
    need: int = 0


@dataclass(frozen=True)
class _Row:
    name: str
    cells: Sequence[Text]
    below: Sequence[RenderableType]


class Grid:
    """A table with a name in each row.

    Parameters
    ----------
    names : str
        The head of the names.
    columns : iterable of Column
    folds : bool
        Whether a name that is wider than the terminal is folded. Otherwise the terminal itself breaks it, and it can
        still be copied. A live display has to fold.
    """

    def __init__(self, names: str, columns: Iterable[Column], *, folds: bool = False) -> None:
        self._names = names
        self._columns = list(columns)
        self._folds = folds
        self._rows: list[_Row] = []

    def add(self, name: str, *cells: str | Text, below: Sequence[RenderableType] = ()) -> None:
        """Add a row.

        Parameters
        ----------
        name : str
        cells : str or Text
            As many as there are columns.
        below : sequence of renderables
            Shown under the row, indented.
        """
        shown = [cell if isinstance(cell, Text) else Text(plain(cell)) for cell in cells]
        self._rows.append(_Row(plain(name), shown, below))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        chosen, widths, name_width = self._fit(options.max_width)
        head = Text(self._names.ljust(name_width))
        for place, width in zip(chosen, widths, strict=True):
            column = self._columns[place]
            head.append(" " * GAP + (column.head.rjust(width) if column.right else column.head.ljust(width)))
        head.rstrip()
        head.stylize("bold")
        yield self._line(head)
        for row in self._rows:
            yield from self._drawn(row, chosen, widths, name_width)

    def _drawn(
        self, row: _Row, chosen: Sequence[int], widths: Sequence[int], name_width: int
    ) -> Iterable[RenderableType]:
        wide = cell_len(row.name)
        line = Text()
        if wide > name_width:
            yield self._line(Text(row.name))
            wide = 0
        else:
            line.append(row.name)
        line.append(" " * (name_width - wide))
        for place, width in zip(chosen, widths, strict=True):
            blank = " " * (width - row.cells[place].cell_len)
            parts = (blank, row.cells[place]) if self._columns[place].right else (row.cells[place], blank)
            line.append(" " * GAP)
            for part in parts:
                line.append(part) if isinstance(part, str) else line.append_text(part)
        line.rstrip()
        if line.plain or not row.name:
            yield self._line(line)
        yield from (Padding(each, (0, 0, 0, GAP)) for each in row.below)

    def _line(self, text: Text) -> Text:
        text.no_wrap, text.overflow = (False, "fold") if self._folds else (True, "ignore")
        return text

    def _fit(self, width: int) -> tuple[list[int], list[int], int]:
        """Choose the columns; return their places and widths, and the width of the names."""
        names = [cell_len(name) for name in (self._names, *(row.name for row in self._rows))]
        needed = [
            max([cell_len(column.head), *(row.cells[place].cell_len for row in self._rows)])
            for place, column in enumerate(self._columns)
        ]
        chosen = [
            place
            for place, column in enumerate(self._columns)
            if not column.need or any(row.cells[place].plain for row in self._rows)
        ]

        def taken() -> int:
            return sum(needed[place] + GAP for place in chosen)

        reserved = max(name for name in names if name <= MOST_FOR_NAMES)
        while reserved + taken() > width and (least := max((self._columns[place].need for place in chosen), default=0)):
            chosen = [place for place in chosen if self._columns[place].need < least]
        room = max(width - taken(), cell_len(self._names))
        return chosen, [needed[place] for place in chosen], max(name for name in names if name <= room)
