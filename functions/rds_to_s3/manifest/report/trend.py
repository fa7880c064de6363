"""How the run compares with those before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from urllib.parse import quote

from rds_to_s3.manifest.report.figures import count, duration, size
from rds_to_s3.manifest.report.pieces import LABELS, how_often, moment, scrolling_table, section, state, text
from rds_to_s3.reported.manifest import RunSummary

RUNS_IN_TREND = 30
_UNKNOWN = 12.0  # of a hundred: the place of a run that has no time of its own
_TIMES_USUAL = 4


def trend_section(manifest: RunSummary, previous: Iterable[RunSummary]) -> str:
    others = {run.run_id: run for run in previous if run.started_at <= manifest.started_at}
    runs = sorted({**others, manifest.run_id: manifest}.values(), key=lambda run: run.started_at)
    runs = runs[-RUNS_IN_TREND:]
    if len(runs) < 2:
        return ""
    rows = [run.totals.rows for run in runs]
    times = [None if run.redrives else _seconds(run) for run in runs]
    longest = max((seconds for seconds in times if seconds is not None), default=None)
    note = "Oldest run first; failed runs are hatched. A bar that is cut stands for more than the plot shows."
    if None in times:
        note += " A redriven run has a dashed place instead of a bar of its time, since it waited for the redrive."
    lines = "".join(
        f'<tr><th scope="row">{_run_link(run, manifest)}</th><td>{state(run.status)}</td>'
        f'<td class="n">{count(run.totals.failed)}</td><td class="n">{count(run.totals.rows)}</td>'
        f'<td class="n">{size(run.totals.bytes)}</td><td class="n">{_time(run)}</td></tr>\n'
        for run in reversed(runs)
    )
    heads = [("Run", ""), ("Outcome", ""), ("Failed", "n"), ("Rows", "n"), ("Bytes", "n"), ("Time", "n")]
    return section(
        "Trend",
        f'<p class="soft">{note}</p>\n'
        f'<div class="plots">{_plot("Rows", rows, runs, count(max(rows)))}'
        f"{_plot('Time', times, runs, duration(longest) or 'unknown')}</div>\n"
        f"<details><summary>The last {len(runs)} runs in figures</summary>"
        f"{scrolling_table('trend', 'Newest first', heads, lines)}</details>",
    )


def _seconds(run: RunSummary) -> float:
    return (moment(run.finished_at) - moment(run.started_at)).total_seconds()


def _time(run: RunSummary) -> str:
    redriven = f", redriven {how_often(run.redrives)}" if run.redrives else ""
    return f"{duration(_seconds(run))}{redriven}"


def _plot(name: str, values: Sequence[float | None], runs: Sequence[RunSummary], highest: str) -> str:
    most = _top([value for value in values if value is not None])
    step = 1 / len(values)
    bars = []
    for index, (value, run) in enumerate(zip(values, runs, strict=True)):
        tall = _UNKNOWN if value is None else min(100 * value / most, 100.0)
        fill = "url(#hatch)" if run.status == "FAILED" else "currentColor"
        look = "fill:none;stroke-dasharray:3" if value is None else f"fill:{fill}"
        bars.append(
            f'<rect class="{run.status}" x="{index * step + step * 0.15:.2%}" y="{100 - tall:.1f}" '
            f'width="{step * 0.7:.2%}" height="{max(tall, 1):.1f}" style="{look};stroke:currentColor">'
            f"<title>{text(run.run_id)}, {LABELS[run.status]}: {count(run.totals.rows)} rows, {_time(run)}"
            "</title></rect>"
        )
        if value is not None and value > most:
            place = f'x1="{index * step + step * 0.1:.2%}" x2="{index * step + step * 0.9:.2%}" y1="12" y2="12"'
            bars.append(f'<line class="cut" {place} style="stroke:var(--page);stroke-width:4"/>')
    label = f"{name} of the last {len(values)} runs, oldest first; the highest is {highest}"
    return (
        f"<figure><figcaption>{name}; the highest is {highest}</figcaption>"
        f'<svg height="102" role="img" aria-label="{text(label)}">{"".join(bars)}'
        '<line x1="0" x2="100%" y1="101" y2="101" style="stroke:var(--soft)"/></svg></figure>'
    )


def _top(values: Sequence[float]) -> float:
    """Return what the plot's height stands for. One run that is far above the others does not make them invisible."""
    highest = max(values, default=0) or 1
    usual = median([value for value in values if value] or [highest])
    return min(highest, _TIMES_USUAL * usual)


def _run_link(run: RunSummary, manifest: RunSummary) -> str:
    name = text(run.run_id)
    if run.run_id == manifest.run_id:
        return f"{name} (this one)"
    return f'<a href="../{quote(run.run_id)}/report.html">{name}</a>'
