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
from rds_to_s3_ops.runs.views import new_grid, rest_view, summarised

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


def preview_view(preview: RunPreview, *, everything: bool = False) -> RenderableType:
    """Show what a run would read.

    Parameters
    ----------
    preview : RunPreview
    everything : bool
        Whether to list every table, and its columns.
    """
    tables = preview.tables
    shown = summarised(tables, _is_telling, everything=everything)
    parts: list[RenderableType] = [_preview_head(preview), Text()]
    if shown:
        parts.append(_preview_tables(shown))
    parts += rest_view(len(tables) - len(shown))
    for table in shown:
        if table.error:
            parts += [
                Text(),
                Text.assemble(
                    (table.table, "bold red"), f" would fail: {table.error['type']}\n  {table.error['message']}"
                ),
            ]
        parts += [Text.assemble((table.table, "yellow"), f": {told}") for told in table.warnings]
    if everything:
        parts.append(Text())
        parts += [Text.assemble((table.table, "bold"), f": {', '.join(table.columns)}") for table in shown]
    parts += [Text(told, style="yellow") for told in preview.bound.warnings]
    return Group(*parts)


def _preview_head(preview: RunPreview) -> Text:
    bound = preview.bound
    rows = sum(table.rows or 0 for table in preview.tables)
    failing = f", {len(preview.failed)} would fail" if preview.failed else ""
    return Text(
        f"database {preview.database}: {counted(len(preview.tables), 'table')}{failing}, about "
        f"{counted(rows, 'row')} to read\n"
        f"window up to {short(format_timestamp(bound.until))} (zone {bound.zone}), decided by "
        f"{_BOUND_BY[bound.decided_by]}, {bound.settle_seconds:g} s to settle"
    )


def _preview_tables(tables: Sequence[TablePreview]) -> RenderableType:
    grid = new_grid("table", "mode", "format", "after", "rows, about", "found by", right=("rows, about",))
    for table in tables:
        after = "" if table.error else short(table.after or "the beginning")
        found_by = ", ".join(dict.fromkeys(estimate.way for estimate in table.estimates))
        grid.add_row(Text(table.table), table.mode, table.format, Text(after), count(table.rows), Text(found_by))
    return grid


def _is_telling(table: TablePreview) -> bool:
    return bool(table.error or table.warnings or table.rows)


def story_view(lines: Sequence[StoryLine]) -> RenderableType:
    """Show the events of a run, each with the seconds since its start."""
    return Group(
        *(
            Text.assemble((f"{line.seconds:9.1f} s  ", "dim"), (line.text, "red" if line.is_bad else ""))
            for line in lines
        )
    )


MOST_ALIKE = 10
_VERDICTS = {"pass": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


def finding_view(finding: Finding) -> RenderableType:
    """Show one finding and its remedy."""
    text = Text.assemble((finding.verdict.value, _VERDICTS[finding.verdict]), f"  {finding.check}: {finding.told}")
    if finding.remedy:
        text.append(f"\n      -> {finding.remedy}")
    return text


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
