"""The run report: a manifest as one self-contained HTML page, for a person to look at.

It is well-formed XML too, so that any parser can check it, and needs neither a script nor the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import quote

from rds_to_s3.figures import count, duration, size

Json = Mapping[str, Any]

RUNS_IN_TREND = 30
TABLES_IN_TIMELINE = 60
_FILES_SHOWN_OPEN = 12
_LABELS = {"SUCCEEDED": "succeeded", "FAILED": "failed", "UNCHANGED": "unchanged", "SKIPPED": "skipped"}
# A sign beside each word and colour: neither is ever alone in carrying a meaning.
_SIGNS = {"SUCCEEDED": "✓", "FAILED": "✗", "UNCHANGED": "=", "SKIPPED": "→"}
_HELD_BACK_BY = {
    "transaction": "the oldest transaction that was open",
    "statement": "the oldest statement that was running",
    "replica": "what the replica had applied",
    "clock change": "a change of the server's clock",
}

_STYLE = """
:root{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--soft:#545d68;--line:#d0d7de;--band:#f3f5f7;
--good:#136b31;--bad:#b3261e;--quiet:#57606a;--link:#0a56a3}
@media (prefers-color-scheme:dark){:root{--page:#14171a;--ink:#e7e9ec;--soft:#aab2bb;--line:#3a4149;--band:#1e2328;
--good:#5fd38a;--bad:#ff938a;--quiet:#9aa3ad;--link:#84bbff}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:64rem;background:var(--page);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.4rem;line-height:1.25;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:2.25rem 0 .5rem}h3{font-size:1rem;margin:0}
p{margin:.25rem 0}.soft,caption,figcaption,dt{color:var(--soft)}
a{color:var(--link)}a:focus-visible,summary:focus-visible,.wide:focus-visible{outline:3px solid var(--link);
outline-offset:2px}
.SUCCEEDED{color:var(--good)}.FAILED{color:var(--bad)}.UNCHANGED,.SKIPPED{color:var(--quiet)}
.state{font-weight:600;white-space:nowrap}
dl{display:flex;flex-wrap:wrap;gap:.75rem 1.25rem;margin:1.25rem 0 0}dl div:last-child{flex:1.6 1 13rem}
dl div{flex:1 1 7rem;border-top:2px solid var(--line);padding-top:.35rem}dt{font-size:.85rem}
dd{margin:0;font-size:1.15rem;font-variant-numeric:tabular-nums}
dd small{display:block;font-size:.8rem;color:var(--soft)}
article{border-left:4px solid var(--bad);background:var(--band);padding:.6rem .9rem;margin:.6rem 0}
article p{white-space:pre-wrap;overflow-wrap:anywhere}
code{font:.875em/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
caption,figcaption{text-align:left;font-size:.9rem;padding:0 0 .4rem}
caption span{display:inline-block;max-width:calc(100vw - 2rem);position:sticky;left:0}
th,td{text-align:left;padding:.35rem .9rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top;
white-space:nowrap}
tbody th{font-weight:400}thead th{font-size:.85rem}.n{text-align:right}.bar{width:60%;min-width:7rem}
.wide th:first-child{position:sticky;left:0;background:var(--page)}
svg{display:block;width:100%;overflow:visible}.axis{display:flex;justify-content:space-between}
figure{margin:1rem 0}ul{padding-left:1.1rem;margin:.4rem 0}li{margin:.2rem 0;overflow-wrap:anywhere}
details{border-bottom:1px solid var(--line);padding:.35rem 0}summary{cursor:pointer;padding:.2rem 0}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:0 2rem}
@media (max-width:34rem){th,td{padding-right:.6rem}.bar{width:auto}
.timeline .word{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}}
@media print{:root{--page:#fff;--ink:#000;--soft:#444;--line:#bbb;--band:#f5f5f5;--good:#136b31;--bad:#b3261e;
--quiet:#444;--link:#000}body{max-width:none;padding:0;font-size:10pt}article,tr,figure{break-inside:avoid}
h2{break-after:avoid}.wide{overflow:visible}th,td{white-space:normal}.n{white-space:nowrap}
.wide th:first-child{position:static}
details::details-content{content-visibility:visible;block-size:auto}.screen{display:none}}
"""


def render_report(manifest: Json, previous: Iterable[Json] = (), *, bucket: str = "", region: str = "") -> str:
    """Write a run's report.

    Parameters
    ----------
    manifest : mapping
        As ``schemas/manifest-v1.schema.json`` describes it. Where a table also has ``finished_at``, its bar in the
        timeline stands where it belongs; without it all bars begin at the left.
    previous : iterable of mapping
        Manifests of earlier runs, or what `summary_of` keeps of them, in any order.
    bucket : str
        The data bucket; empty leaves out what needs its name.
    region : str
        The bucket's; empty leaves out links to the AWS console.

    Returns
    -------
    str
        A page that stands beside the manifest: links to files and to other reports are relative to it.

    Examples
    --------
    >>> run = {"run_id": "run-1", "status": "SUCCEEDED", "tables": [], "window_end": None, "redrives": 0,
    ...        "started_at": "2025-04-02T12:00:00Z", "finished_at": "2025-04-02T12:00:09Z",
    ...        "totals": {"tables": 0, "succeeded": 0, "failed": 0, "rows": 0, "files": 0, "bytes": 0}}
    >>> "<h1>Run run-1</h1>" in render_report(run)
    True
    """
    title = f"Run {manifest['run_id']}: {_LABELS[manifest['status']]}"
    tables = sorted(manifest["tables"], key=lambda table: table["status"] != "FAILED")
    body = "\n".join(
        part
        for part in (
            _head(manifest),
            _failures(manifest, tables),
            _warnings(manifest, tables),
            _timeline(manifest, tables),
            _tables(tables),
            _trend(manifest, previous),
            _files(tables, bucket, region),
            _foot(manifest, bucket),
        )
        if part
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{_text(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>\
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">\
<rect width="3" height="6" style="fill:var(--bad)"/></pattern></defs></svg>
<main>
{body}
</main>
</body>
</html>
"""


def summary_of(manifest: Json) -> dict[str, Any]:
    """Return what the trend needs of a run."""
    return {key: manifest[key] for key in ("run_id", "status", "started_at", "finished_at", "totals")}


# --- sections -----------------------------------------------------------------------------------------------------


def _head(manifest: Json) -> str:
    totals = manifest["totals"]
    seconds = (_moment(manifest["finished_at"]) - _moment(manifest["started_at"])).total_seconds()
    redriven = f", redriven {_times(manifest['redrives'])}" if manifest.get("redrives") else ""
    failed = f"{totals['failed']} failed" if totals["failed"] else "none failed"
    figures = [
        ("Tables", count(totals["tables"]), failed),
        ("Rows", count(totals["rows"]), ""),
        ("Files", count(totals["files"]), size(totals["bytes"])),
        ("Took", duration(seconds), f"{_clock(manifest['started_at'])} to {_clock(manifest['finished_at'])} UTC"),
        ("Complete up to", *_window_end(manifest)),
    ]
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{_text(value)}{f'<small>{_text(note)}</small>' if note else ''}</dd></div>"
        for name, value, note in figures
    )
    day = f"{_moment(manifest['started_at']):%Y-%m-%d}"
    return (
        f"<header><h1>Run {_text(manifest['run_id'])}</h1>\n"
        f'<p>{_state(manifest["status"])} <span class="soft">on {day}{redriven}</span></p>\n<dl>{cells}</dl></header>'
    )


def _window_end(manifest: Json) -> tuple[str, str]:
    end = manifest.get("window_end")
    if end is None:
        return "not planned", ""
    note = "the database's clock"
    bound = manifest.get("bound") or {}
    if bound.get("server_now"):
        behind = datetime.fromisoformat(bound["server_now"]) - datetime.fromisoformat(end)
        note = f"{duration(behind.total_seconds())} behind the database's clock"
    held = _HELD_BACK_BY.get(str(bound.get("decided_by")))
    return _short(end), f"{note}, held back by {held}" if held else note


def _failures(manifest: Json, tables: Sequence[Json]) -> str:
    run_error = manifest.get("error")
    failed = [(table["table"], table["error"]) for table in tables if table["status"] == "FAILED"]
    if not failed and not run_error:
        return ""
    articles = "".join(
        f"<article><h3>{_text(name)}</h3>"
        f"<p><strong>{_text(error['type'])}</strong>: {_text(error['message'])}</p></article>\n"
        for name, error in ([("The run could not be planned", run_error)] if run_error else []) + failed
    )
    again = (
        f"<p>Run only these again: redrive the execution, or <code>rds-to-s3 rerun {_text(manifest['run_id'])}</code>. "
        "Their watermarks have not moved, so the next scheduled run covers their rows too.</p>\n"
        if failed
        else ""
    )
    return _section("Failures", f"{again}{articles}")


def _warnings(manifest: Json, tables: Sequence[Json]) -> str:
    told = [("", warning) for warning in manifest.get("warnings") or []]
    told += [(table["table"], warning) for table in tables for warning in table["warnings"]]
    told += [
        (table["table"], f"{count(table['quarantined_rows'])} rows broke a check and are in quarantine")
        for table in tables
        if table.get("quarantined_rows")
    ]
    if not told:
        return ""
    items = "".join(
        f"<li>{f'<strong>{_text(name)}</strong>: ' if name else ''}{_text(warning)}</li>\n" for name, warning in told
    )
    return _section("Warnings", f"<ul>\n{items}</ul>")


def _timeline(manifest: Json, tables: Sequence[Json]) -> str:
    worked = [table for table in tables if table["seconds"] > 0]
    if not worked:
        return ""
    few = len(worked) <= TABLES_IN_TIMELINE
    worked = sorted(worked, key=lambda table: (table["status"] != "FAILED", -table["seconds"]))[:TABLES_IN_TIMELINE]
    placed = all("finished_at" in table for table in worked)
    begin = _moment(manifest["started_at"])
    spans = []
    for table in worked:
        end = (_moment(table["finished_at"]) - begin).total_seconds() if placed else table["seconds"]
        spans.append((table, max(end - table["seconds"], 0.0), end))
    if placed:
        spans.sort(key=lambda span: span[1])
    whole = max(end for _, _, end in spans)
    rows = "".join(
        f'<tr><th scope="row">{_text(table["table"])}</th>'
        f'<td class="bar">{_bar(table, start / whole, end / whole)}</td>'
        f'<td class="n">{duration(table["seconds"])}</td><td>{_state(table["status"])}</td></tr>\n'
        for table, start, end in spans
    )
    scale = f'<span class="axis"><span>0 s</span><span>{duration(whole)}</span></span>'
    caption = "When each table was at work since the run began" if placed else "How long each table was at work"
    caption += "" if few else f": what failed, and the longest, {TABLES_IN_TIMELINE} in all"
    heads = [("Table", ""), (scale, "bar"), ("Time", "n"), ('<span class="word">Outcome</span>', "")]
    return _section("Timeline", _table("timeline", caption, heads, rows))


def _bar(table: Json, start: float, end: float) -> str:
    fill = "url(#hatch)" if table["status"] == "FAILED" else "currentColor"
    # The figures stand in the cells beside it.
    return (
        f'<svg height="20" class="{table["status"]}" aria-hidden="true">'
        f'<rect x="{start:.2%}" y="3" width="{max(end - start, 0.004):.2%}" height="14" rx="2" '
        f'style="fill:{fill};stroke:currentColor"/></svg>'
    )


def _tables(tables: Sequence[Json]) -> str:
    if not tables:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{_text(table["table"])}</th><td>{_state(table["status"])}</td>'
        f'<td class="n">{count(table["rows"])}</td><td class="n">{_bytes(table)}</td>'
        f'<td class="n">{duration(table["seconds"])}</td><td class="n">{table["attempts"]}</td>'
        f"<td>{_text(_after(table))}</td><td>{_text(_complete_up_to(table))}</td></tr>\n"
        for table in tables
    )
    heads = [
        ("Table", ""), ("Outcome", ""), ("Rows", "n"), ("Bytes", "n"), ("Time", "n"), ("Attempts", "n"),
        ("Rows stamped after", ""), ("Complete up to", ""),
    ]  # fmt: skip
    caption = "Rows written by this run, and up to when each table is complete in the bucket, on the database's clock"
    return _section("Tables", _table("tables", caption, heads, rows))


def _after(table: Json) -> str:
    if table["status"] in {"FAILED", "SKIPPED"}:
        return ""
    return _short(table["window"]["after"] or "the beginning")


def _complete_up_to(table: Json) -> str:
    if table["status"] in {"FAILED", "SKIPPED"}:
        after = table["window"]["after"]
        return _short(after) if after else "as before this run"
    return _short(table["window"]["until"] or "")


def _trend(manifest: Json, previous: Iterable[Json]) -> str:
    others = {run["run_id"]: run for run in previous if run["started_at"] <= manifest["started_at"]}
    runs = sorted({**others, manifest["run_id"]: manifest}.values(), key=lambda run: str(run["started_at"]))
    runs = runs[-RUNS_IN_TREND:]
    if len(runs) < 2:
        return ""
    rows = [run["totals"]["rows"] for run in runs]
    times = [(_moment(run["finished_at"]) - _moment(run["started_at"])).total_seconds() for run in runs]
    lines = "".join(
        f'<tr><th scope="row">{_run_link(run, manifest)}</th><td>{_state(run["status"])}</td>'
        f'<td class="n">{count(run["totals"]["failed"])}</td><td class="n">{count(run["totals"]["rows"])}</td>'
        f'<td class="n">{size(run["totals"]["bytes"])}</td><td class="n">{duration(seconds)}</td></tr>\n'
        for run, seconds in reversed(list(zip(runs, times, strict=True)))
    )
    heads = [("Run", ""), ("Outcome", ""), ("Failed", "n"), ("Rows", "n"), ("Bytes", "n"), ("Time", "n")]
    return _section(
        "Trend",
        '<p class="soft">Oldest run first; failed runs are hatched.</p>\n'
        f'<div class="plots">{_plot("Rows", rows, runs, count(max(rows)))}'
        f"{_plot('Time', times, runs, duration(max(times)))}</div>\n"
        f"<details><summary>The last {len(runs)} runs in figures</summary>"
        f"{_table('trend', 'Newest first', heads, lines)}</details>",
    )


def _plot(name: str, values: Sequence[float], runs: Sequence[Json], highest: str) -> str:
    most = max(values) or 1
    step = 1 / len(values)
    bars = []
    for index, (value, run) in enumerate(zip(values, runs, strict=True)):
        tall = 100 * value / most
        fill = "url(#hatch)" if run["status"] == "FAILED" else "currentColor"
        bars.append(
            f'<rect class="{run["status"]}" x="{index * step + step * 0.15:.2%}" y="{100 - tall:.1f}" '
            f'width="{step * 0.7:.2%}" height="{max(tall, 1):.1f}" style="fill:{fill};stroke:currentColor">'
            f"<title>{_text(run['run_id'])}</title></rect>"
        )
    label = f"{name} of the last {len(values)} runs, oldest first; the highest is {highest}"
    return (
        f"<figure><figcaption>{name}; the highest is {highest}</figcaption>"
        f'<svg height="102" role="img" aria-label="{_text(label)}">{"".join(bars)}'
        '<line x1="0" x2="100%" y1="101" y2="101" style="stroke:var(--soft)"/></svg></figure>'
    )


def _run_link(run: Json, manifest: Json) -> str:
    name = _text(run["run_id"])
    if run["run_id"] == manifest["run_id"]:
        return f"{name} (this one)"
    return f'<a href="../{quote(run["run_id"])}/report.html">{name}</a>'


def _files(tables: Sequence[Json], bucket: str, region: str) -> str:
    written = [table for table in tables if table["files"]]
    if not written:
        return ""
    is_open = ' open="open"' if sum(len(table["files"]) for table in written) <= _FILES_SHOWN_OPEN else ""
    parts = []
    for table in written:
        items = "".join(f"<li>{_file(file, bucket, region)}</li>\n" for file in table["files"])
        number = len(table["files"])
        told = f"{_text(table['table'])}: {number} {'file' if number == 1 else 'files'}, {_bytes(table)}"
        parts.append(f"<details{is_open}><summary>{told}</summary><ul>\n{items}</ul></details>\n")
    return _section("Files", "".join(parts))


def _file(file: Json, bucket: str, region: str) -> str:
    name = f"s3://{bucket}/{file['key']}" if bucket else file["key"]
    link = f'<a href="../../{quote(file["key"])}"><code>{_text(name)}</code></a>'
    console = ""
    if bucket and region:
        place = f"{bucket}?region={region}&prefix={quote(file['key'], safe='')}"
        url = f"https://{region}.console.aws.amazon.com/s3/object/{place}"
        console = f', <a class="screen" href="{_text(url)}" aria-label="console: {_text(name)}">console</a>'
    return f"{link}<br/>{count(file['rows'])} rows, {size(file['bytes'])}{console}"


def _foot(manifest: Json, bucket: str) -> str:
    key = f"runs/{manifest['run_id']}/manifest.json"
    name = f"s3://{bucket}/{key}" if bucket else key
    return f'<footer><p class="soft">Made from <a href="manifest.json"><code>{_text(name)}</code></a></p></footer>'


# --- pieces -------------------------------------------------------------------------------------------------------


def _section(title: str, content: str) -> str:
    name = title.lower()
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2>\n{content}\n</section>'


def _table(name: str, caption: str, heads: Sequence[tuple[str, str]], rows: str) -> str:
    cells = "".join(f'<th scope="col" class="{kind}">{head}</th>' for head, kind in heads)
    # Too wide for a phone: it scrolls by itself, also by keyboard.
    return (
        f'<div class="wide {name}" role="region" aria-label="{name.capitalize()}" tabindex="0"><table>'
        f"<caption><span>{caption}</span></caption>\n<thead><tr>{cells}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>"
    )


def _state(status: str) -> str:
    return (
        f'<span class="state {status}"><span aria-hidden="true">{_SIGNS[status]}</span> '
        f'<span class="word">{_LABELS[status]}</span></span>'
    )


def _bytes(table: Json) -> str:
    return size(sum(file["bytes"] for file in table["files"]))


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _short(timestamp: str) -> str:
    return timestamp.removesuffix(".000000")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _clock(text: str) -> str:
    return f"{_moment(text):%H:%M:%S}"


def _text(value: object) -> str:
    """Escape for both HTML and XML; what neither can hold becomes a sign."""
    return escape("".join(character if _is_allowed(character) else "\ufffd" for character in str(value)))


def _is_allowed(character: str) -> bool:
    return (
        character in "\n\t"
        or (" " <= character < "\ud800")
        or "\ue000" <= character <= "\ufffd"
        or character > "\uffff"
    )
