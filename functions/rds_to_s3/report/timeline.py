"""When each table was at work."""

from __future__ import annotations

from collections.abc import Sequence

from rds_to_s3.figures import duration
from rds_to_s3.report.pieces import Json, moment, scrolling_table, section, state, text

TABLES_IN_TIMELINE = 60


def timeline_section(manifest: Json, tables: Sequence[Json]) -> str:
    worked = [table for table in tables if table["seconds"] > 0]
    if not worked:
        return ""
    few = len(worked) <= TABLES_IN_TIMELINE
    worked = sorted(worked, key=lambda table: (table["status"] != "FAILED", -table["seconds"]))[:TABLES_IN_TIMELINE]
    placed = all("finished_at" in table for table in worked)
    begin = moment(manifest["started_at"])
    spans = []
    for table in worked:
        end = (moment(table["finished_at"]) - begin).total_seconds() if placed else table["seconds"]
        spans.append((table, max(end - table["seconds"], 0.0), end))
    if placed:
        spans.sort(key=lambda span: span[1])
    whole = max(end for _, _, end in spans)
    rows = "".join(
        f'<tr><th scope="row">{text(table["table"])}</th>'
        f'<td class="bar">{_bar(table, start / whole, end / whole)}</td>'
        f'<td class="n">{duration(table["seconds"])}</td><td>{state(table["status"])}</td></tr>\n'
        for table, start, end in spans
    )
    scale = f'<span class="axis"><span>0 s</span><span>{duration(whole)}</span></span>'
    caption = "When each table was at work since the run began" if placed else "How long each table was at work"
    caption += "" if few else f": what failed, and the longest, {TABLES_IN_TIMELINE} in all"
    heads = [("Table", ""), (scale, "bar"), ("Time", "n"), ('<span class="word">Outcome</span>', "")]
    return section("Timeline", scrolling_table("timeline", caption, heads, rows))


def _bar(table: Json, start: float, end: float) -> str:
    fill = "url(#hatch)" if table["status"] == "FAILED" else "currentColor"
    # The figures stand in the cells beside it.
    return (
        f'<svg height="20" class="{table["status"]}" aria-hidden="true">'
        f'<rect x="{start:.2%}" y="3" width="{max(end - start, 0.004):.2%}" height="14" rx="2" '
        f'style="fill:{fill};stroke:currentColor"/></svg>'
    )
