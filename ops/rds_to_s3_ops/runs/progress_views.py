"""The output for a running run: a live table, lines, or JSON. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from rds_to_s3.manifest.report.figures import count, duration, size
from rds_to_s3.wording import counted
from rds_to_s3_ops.runs.progress import RunProgress, TableProgress, TableState
from rds_to_s3_ops.screen.grid import Column, Grid
from rds_to_s3_ops.screen.lines import paragraph, plain, state_text

_RANKS = {
    TableState.RETRYING: 0,
    TableState.RUNNING: 1,
    TableState.FAILED: 2,
    TableState.SUCCEEDED: 3,
    TableState.SKIPPED: 4,
    TableState.UNCHANGED: 5,
    TableState.WAITING: 6,
}
_COLUMNS = [
    Column("state"),
    Column("rows", right=True),
    Column("bytes", right=True, need=2),
    Column("time", right=True, need=1),
    Column("", need=3),
]


class ProgressView:
    """A running run, as large as the terminal. The tables that are read now come first, then those that failed.

    Parameters
    ----------
    progress : RunProgress
    height : int, optional
        The maximum number of lines; by default the terminal's.
    """

    def __init__(self, progress: RunProgress, height: int | None = None) -> None:
        self._progress = progress
        self._tables = sorted(progress.tables, key=lambda table: _RANKS[table.state])
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it with as many tables as have room; the rest are counted."""
        # The cursor has a line of its own.
        height = (self._height or console.height) - 1
        fits, too_many = 0, min(len(self._tables), height) + 1
        while too_many - fits > 1:
            number = (fits + too_many) // 2
            if len(console.render_lines(self._drawn(number), options, pad=False)) <= height:
                fits = number
            else:
                too_many = number
        yield self._drawn(fits)

    def _drawn(self, number: int) -> RenderableType:
        grid = Grid("table", _COLUMNS, folds=True)
        for table in self._tables[:number]:
            grid.add(
                table.table, _state(table), count(table.rows), size(table.bytes), duration(table.seconds),
                ", ".join([*_so_far(table), *_attempt(table)]),
                below=[paragraph(table.note)] if table.note else [],
            )  # fmt: skip
        parts: list[RenderableType] = [_headline(self._progress)]
        if number:
            parts += [Text(), grid]
        if rest := Counter(table.state.value for table in self._tables[number:]):
            parts.append(Text(f"and {', '.join(f'{each} {state}' for state, each in rest.items())}", style="dim"))
        return Group(*parts)


def _state(table: TableProgress) -> Text:
    state = state_text(table.state)
    return state.append(f" {table.retry}") if table.retry else state


def _headline(progress: RunProgress) -> RenderableType:
    text = Text.assemble(
        (progress.run.run_id, "bold"), "  ", state_text(progress.phase), f"  {duration(progress.elapsed)}",
        overflow="fold",
    )  # fmt: skip
    if not progress.tables:
        return text
    figures = (
        f"{progress.finished_tables} of {counted(len(progress.tables), 'table')}"
        f"  {counted(progress.rows, 'row')}  {size(progress.bytes)}"
    )
    left = f"  about {duration(progress.seconds_left)} left" if progress.seconds_left else ""
    summary = paragraph(figures + left)
    if failed := sum(table.state is TableState.FAILED for table in progress.tables):
        summary.append(f"  {failed} failed", "bold red")
    return Group(text, summary)


def progress_lines(before: RunProgress | None, after: RunProgress) -> list[str]:
    """Return one line for each event between two polls, for an output that is not a terminal."""
    lines = []
    phase = [f"{after.run.run_id}: {after.phase}"] if before is None or before.phase != after.phase else []
    if after.run.is_running:
        lines += phase
    known = {table.table: table for table in before.tables} if before else {}
    for table in after.tables:
        was = known.get(table.table)
        same = was is not None and (was.state, was.ranges_done) == (table.state, table.ranges_done)
        if table.state is TableState.WAITING or same:
            continue
        figures = [counted(table.rows, "row")] if table.rows is not None and table.state != TableState.FAILED else []
        figures += [size(table.bytes)] if table.bytes else []
        figures += [duration(table.seconds)] if table.state.is_final else _so_far(table)
        line = f"{table.table}: {table.state.value}{f' {table.retry}' if table.retry else ''}"
        line += f" ({', '.join(figures)})" if figures else ""
        lines.append(line + (f": {_one_line(table.note)}" if table.note else ""))
    return lines if after.run.is_running else lines + phase


def progress_json(progress: RunProgress) -> dict[str, Any]:
    """Return what ``watch --json`` prints at each change."""
    return {
        "run_id": progress.run.run_id,
        "status": progress.run.status,
        "phase": progress.phase,
        "until": progress.until,
        "seconds_left": None if progress.seconds_left is None else round(progress.seconds_left, 1),
        "tables": [
            {
                "table": table.table,
                "state": table.state.value,
                "rows": table.rows,
                "bytes": table.bytes,
                "seconds": None if table.seconds is None else round(table.seconds, 1),
                "ranges": table.ranges,
                "ranges_done": table.ranges_done,
                "seconds_left": None if table.seconds_left is None else round(table.seconds_left),
                "note": table.note,
                "retry": table.retry or None,
            }
            for table in progress.tables
        ],
    }


def _attempt(table: TableProgress) -> list[str]:
    return [f"attempt {table.attempts}"] if table.attempts > 1 and not table.retry else []


def _so_far(table: TableProgress) -> list[str]:
    """Say how many ranges of a table are read, and when it will end."""
    if table.ranges <= 1 or (table.state.is_final and table.state is not TableState.FAILED):
        return []
    left = [] if table.seconds_left is None else [f"about {duration(table.seconds_left)} left"]
    return [f"{table.ranges_done} of {table.ranges} ranges read", *left]


def _one_line(text: str) -> str:
    return " ".join(map(plain, text.split()))
