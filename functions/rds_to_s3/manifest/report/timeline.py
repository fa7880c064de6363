"""When each table ran."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from rds_to_s3.commit.entries import TableEntry
from rds_to_s3.manifest.report.figures import duration
from rds_to_s3.manifest.report.pieces import breakable, moment, scrolling_table, section, state
from rds_to_s3.reported.manifest import Manifest

TABLES_IN_TIMELINE = 60
_NARROWEST = 0.004  # of the plot, so that no bar is invisible
_TELLING_PAUSE = 0.25  # of the width: with a longer pause, the bars beside it are too small to compare
Span = tuple[TableEntry, float, float]


def timeline_section(manifest: Manifest, tables: Sequence[TableEntry]) -> str:
    worked = [table for table in tables if table.seconds > 0]
    if not worked:
        return ""
    few = len(worked) <= TABLES_IN_TIMELINE
    worked = sorted(worked, key=lambda table: (table.status != "FAILED", -table.seconds))[:TABLES_IN_TIMELINE]
    placed = all(table.finished_at for table in worked)
    spans = _spans(manifest, worked) if placed else [(table, 0.0, table.seconds) for table in worked]
    passes = _passes(spans, manifest.redrives if placed else 0)
    whole = max(end - began for began, part in passes for _, _, end in part)
    parted = passes != [(0.0, spans)]
    bodies = []
    for began, part in passes:
        rows = [_row(table, (start - began) / whole, (end - began) / whole) for table, start, end in part]
        if parted:
            rows.insert(0, _pass_head(manifest, began))
        bodies.append("".join(rows))
    scale = f'<span class="axis"><span>0 s</span><span>{duration(whole)}</span></span>'
    heads = [("Table", ""), (scale, "bar"), ("Time", "n"), ('<span class="word">Outcome</span>', "")]
    return section("Timeline", scrolling_table("timeline", _caption(placed, few, parted), heads, *bodies))


def _spans(manifest: Manifest, worked: Sequence[TableEntry]) -> list[Span]:
    begin = moment(manifest.started_at)
    # A table's end and the run's start are read from different clocks.
    ends = [(table, max((moment(table.finished_at) - begin).total_seconds(), table.seconds)) for table in worked]
    return sorted(((table, max(end - table.seconds, 0.0), end) for table, end in ends), key=lambda span: span[1])


def _passes(spans: Sequence[Span], redrives: int) -> list[tuple[float, list[Span]]]:
    """Split the spans where the run waited for a redrive, for hours or days.

    The manifest does not record these times. There are at most as many such pauses as redrives, and only long ones
    matter.

    Returns
    -------
    list of tuple
        The start of each pass, in seconds since the start of the run, and its spans.
    """
    pauses = []
    busy_until = 0.0
    for index, (_, start, end) in enumerate(spans):
        pauses.append((start - busy_until, index))
        busy_until = max(busy_until, end)
    drawn = busy_until
    cuts = []
    for pause, index in sorted(pauses, reverse=True)[:redrives]:
        if pause <= _TELLING_PAUSE * drawn:
            break
        cuts.append(index)
        drawn -= pause
    begins = [(0.0, 0), *((spans[cut][1], cut) for cut in sorted(cuts))]
    ends = [*sorted(cuts), len(spans)]
    parts = [(began, list(spans[first:end])) for (began, first), end in zip(begins, ends, strict=True)]
    return [part for part in parts if part[1]]


def _caption(placed: bool, few: bool, parted: bool) -> str:
    caption = "How long each table ran"
    if placed:
        caption = "When each table ran, from the start of the run"
    if parted:
        caption = "When each table last ran, from the start of the run or of its redrive"
    return caption if few else f"{caption}: what failed, and the longest, {TABLES_IN_TIMELINE} in all"


def _pass_head(manifest: Manifest, began: float) -> str:
    what = "After a redrive" if began else "At first"
    since = moment(manifest.started_at) + timedelta(seconds=began)
    return f'<tr><th colspan="4" scope="rowgroup">{what}, from {since:%Y-%m-%d %H:%M:%S} UTC</th></tr>\n'


def _row(table: TableEntry, start: float, end: float) -> str:
    return (
        f'<tr><th scope="row">{breakable(table.table)}</th><td class="bar">{_bar(table, start, end)}</td>'
        f'<td class="n">{duration(table.seconds)}</td><td>{state(table.status)}</td></tr>\n'
    )


def _bar(table: TableEntry, start: float, end: float) -> str:
    fill = "url(#hatch)" if table.status == "FAILED" else "currentColor"
    width = max(end - start, _NARROWEST)
    # The figures are in the cells beside it.
    return (
        f'<svg height="20" class="{table.status}" aria-hidden="true">'
        f'<rect x="{min(start, 1 - width):.2%}" y="3" width="{width:.2%}" height="14" rx="2" '
        f'style="fill:{fill};stroke:currentColor"/></svg>'
    )
