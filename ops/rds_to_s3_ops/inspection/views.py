"""The output of `plan`, `doctor` and `history RUN`: pure functions from findings to rich's renderables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from rds_to_s3.manifest.report.figures import count
from rds_to_s3.timestamps import format_timestamp, short
from rds_to_s3.wording import counted
from rds_to_s3_ops.screen.grid import Column, Grid
from rds_to_s3_ops.screen.lines import (
    Hanging,
    about,
    folded,
    next_steps,
    on_database,
    paragraph,
    plain,
    rest_view,
    state_text,
    whole,
)

if TYPE_CHECKING:
    from rds_to_s3_ops.findings import Finding
    from rds_to_s3_ops.inspection.preview import RunPreview, TablePreview
    from rds_to_s3_ops.runs.story import StoryLine

_BOUND_BY = {
    "clock": "the server's clock",
    "transaction": "the oldest open transaction",
    "statement": "the oldest running statement",
    "replica": "what the replica has applied",
    "clock change": "the repeated hour of a clock change",
}
_PREVIEW_COLUMNS = [
    Column("rows, about", right=True),
    Column("mode", need=2),
    Column("found by", need=3),
    Column("after (database)", need=1),
    Column("format", need=4),
]


def preview_view(preview: RunPreview, *, everything: bool = False) -> RenderableType:
    """Show what a run would read.

    Parameters
    ----------
    preview : RunPreview
    everything : bool
        Whether to list every table, and its columns.
    """
    tables = sorted(preview.tables, key=_by_need)
    shown = folded(tables, _needs_attention, lambda table: bool(table.rows), everything=everything)
    parts: list[RenderableType] = [_preview_head(preview)]
    if preview.failed:
        parts.append(Text())
        for table in preview.failed:
            error = table.error or {}
            parts.append(about(table.table, "bold red", f"would fail: {error['type']}: {error['message']}"))
        parts += next_steps(("rds-to-s3 doctor", "checks all that a run depends on, and prints how to fix it"))
    noted = [about(table.table, "yellow", *table.warnings) for table in shown if table.warnings]
    noted += [paragraph(warning, "yellow") for warning in preview.bound.warnings]
    parts += [Text(), *noted] if noted else []
    sharing = [about(table.table, "cyan", table.sharing) for table in shown if table.sharing]
    parts += [Text(), *sharing] if sharing else []
    if shown:
        parts += [Text(), _preview_tables(shown)]
    listed = {table.table for table in shown}
    parts += rest_view(_expected(table) for table in tables if table.table not in listed)
    if everything:
        parts.append(Text())
        parts += [about(table.table, "bold", ", ".join(table.columns)) for table in shown]
    return Group(*parts)


def _preview_head(preview: RunPreview) -> RenderableType:
    bound = preview.bound
    rows = sum(table.rows or 0 for table in preview.tables)
    failing = f", {len(preview.failed)} would fail" if preview.failed else ""
    tables = counted(len(preview.tables), "table") if preview.tables else "no table is listed"
    return paragraph(
        f"database {preview.database}: {tables}{failing}, about {counted(rows, 'row')} to read\n"
        f"window up to {on_database(format_timestamp(bound.until))} (zone {bound.zone}), decided by "
        f"{_BOUND_BY[bound.decided_by]}, {bound.settle_seconds:g} s to settle"
    )


def _preview_tables(tables: Sequence[TablePreview]) -> RenderableType:
    grid = Grid("table", _PREVIEW_COLUMNS)
    for table in tables:
        after = "" if table.error else short(table.after or "the beginning")
        found_by = ", ".join(dict.fromkeys(estimate.way for estimate in table.estimates))
        outlook = state_text("failed") if table.error else count(table.rows)
        grid.add(table.table, outlook, table.mode, found_by, after, table.format)
    return grid


def _by_need(table: TablePreview) -> int:
    return 0 if table.error else 1 if table.warnings else 2 if table.rows else 3


def _needs_attention(table: TablePreview) -> bool:
    return bool(table.error or table.warnings)


def _expected(table: TablePreview) -> str:
    return "with rows to read" if table.rows else "nothing to read"


def story_view(lines: Sequence[StoryLine]) -> RenderableType:
    """Show the events of a run, each with the seconds since its start."""
    return Group(
        *(
            Hanging(Text(f"{line.seconds:9.1f} s  ", "dim"), Text(plain(line.text), "red" if line.is_bad else ""))
            for line in lines
        )
    )


MOST_ALIKE = 10
_VERDICTS = {"pass": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


def finding_view(finding: Finding) -> RenderableType:
    """Show one finding and its remedy."""
    verdict = Text.assemble((finding.verdict.value, _VERDICTS[finding.verdict]), "  ")
    parts: list[RenderableType] = [Hanging(verdict, paragraph(f"{finding.check}: {finding.message}"))]
    if finding.remedy:
        # A command is one line, to be copied.
        is_command = finding.remedy.startswith("rds-to-s3 ") or finding.remedy.split()[0].isupper()
        arrow = "      -> "
        remedy = whole(arrow + finding.remedy) if is_command else Hanging(Text(arrow), paragraph(finding.remedy))
        parts.append(remedy)
    return Group(*parts)


class Condenser:
    """Shows the first findings of each check and counts the rest: five hundred tables may have the same problem."""

    def __init__(self, most: int = MOST_ALIKE) -> None:
        self._most = most
        self._seen: Counter[tuple[str, str]] = Counter()

    def shows(self, finding: Finding) -> bool:
        """Whether to show a finding."""
        kind = (
            finding.check.partition(" ")[0] if finding.check.startswith("table ") else finding.check,
            finding.verdict,
        )
        self._seen[kind] += 1
        return self._seen[kind] <= self._most

    def rest_view(self) -> RenderableType | None:
        """Return the line that counts the hidden findings; None if there are none."""
        hidden = [
            f"{number - self._most} more of {check!r}"
            for (check, _), number in self._seen.items()
            if number > self._most
        ]
        return Text(f"and {', '.join(hidden)}: --json lists them all", style="dim") if hidden else None


def verdicts_view(findings: Sequence[Finding]) -> RenderableType:
    """Count the findings by verdict."""
    counted_verdicts = Counter(finding.verdict.value for finding in findings)
    return Text(
        ", ".join(f"{counted_verdicts[verdict]} {verdict}" for verdict in _VERDICTS if counted_verdicts[verdict])
    )
