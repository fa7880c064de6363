"""The output for a running run: a live table, lines, or JSON. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from rds_to_s3.manifest.report.figures import count, duration, size
from rds_to_s3.wording import counted
from rds_to_s3_ops.runs.progress import RunProgress, TableProgress, TableState
from rds_to_s3_ops.runs.views import MOST_TABLES, new_grid, state_text


def progress_view(progress: RunProgress, *, height: int = MOST_TABLES) -> RenderableType:
    """Show a running run.

    Parameters
    ----------
    progress : RunProgress
    height : int
        The maximum number of tables to list; if there are more, running and failed ones come first.
    """
    grid = new_grid("table", "state", "rows", "bytes", "time", "", right=("rows", "bytes", "time"))
    shown = _most_telling(progress.tables, height)
    for table in shown:
        note = table.note or (f"attempt {table.attempts}" if table.attempts > 1 else "")
        grid.add_row(
            Text(table.table), state_text(table.state), count(table.rows), size(table.bytes), duration(table.seconds),
            Text(_first_line(note)),
        )  # fmt: skip
    parts: list[RenderableType] = [_headline(progress)]
    if shown:
        parts += [Text(), grid]
    if len(shown) < len(progress.tables):
        rest = Counter(table.state.value for table in progress.tables)
        for table in shown:
            rest[table.state.value] -= 1
        more = ", ".join(f"{number} {state}" for state, number in rest.items() if number)
        parts.append(Text(f"and {more}", style="dim"))
    return Group(*parts)


def _headline(progress: RunProgress) -> Text:
    text = Text.assemble(
        (progress.run.run_id, "bold"), "  ", state_text(progress.phase), f"  {duration(progress.elapsed)}"
    )
    if progress.tables:
        text.append(
            f"  {progress.finished_tables} of {len(progress.tables)} tables"
            f"  {count(progress.rows)} rows  {size(progress.bytes)}"
        )
    return text


def _most_telling(tables: Sequence[TableProgress], height: int) -> list[TableProgress]:
    if len(tables) <= height:
        return list(tables)
    rank = {TableState.FAILED: 0, TableState.RETRYING: 1, TableState.RUNNING: 2, TableState.WAITING: 4}
    chosen = sorted(tables, key=lambda table: rank.get(table.state, 3))[: max(height, 1)]
    return [table for table in tables if table in chosen]


def progress_lines(before: RunProgress | None, after: RunProgress) -> list[str]:
    """Return one line for each event between two polls, for an output that is not a terminal."""
    lines = []
    phase = [f"{after.run.run_id}: {after.phase}"] if before is None or before.phase != after.phase else []
    if after.run.is_running:
        lines += phase
    known = {table.table: table for table in before.tables} if before else {}
    for table in after.tables:
        was = known.get(table.table)
        if table.state is TableState.WAITING or (was is not None and was.state is table.state):
            continue
        figures = [counted(table.rows, "row")] if table.rows is not None and table.state != TableState.FAILED else []
        figures += [size(table.bytes)] if table.bytes else []
        figures += [duration(table.seconds)] if table.state.is_final else []
        told = f"{table.table}: {table.state.value}"
        told += f" ({', '.join(figures)})" if figures else ""
        lines.append(told + (f": {_first_line(table.note)}" if table.note else ""))
    return lines if after.run.is_running else lines + phase


def progress_json(progress: RunProgress) -> dict[str, Any]:
    """Return what ``watch --json`` prints at each change."""
    return {
        "run_id": progress.run.run_id,
        "status": progress.run.status,
        "phase": progress.phase,
        "until": progress.until,
        "tables": [
            {
                "table": table.table,
                "state": table.state.value,
                "rows": table.rows,
                "bytes": table.bytes,
                "seconds": None if table.seconds is None else round(table.seconds, 1),
                "note": table.note,
            }
            for table in progress.tables
        ],
    }


def _first_line(text: str, most: int = 100) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= most else f"{line[: most - 3]}..."
