"""``runs/index.html``: one page for people. Self-contained, without a script, and well-formed XML as a report is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from rds_to_s3.manifest.overview.standing import DAYS, FAILURES_KEPT, Standings, TableStanding
from rds_to_s3.manifest.report.figures import count, duration, size
from rds_to_s3.manifest.report.pieces import breakable, how_often, moment, scrolling_table, section, state, text
from rds_to_s3.manifest.report.style import whole_page
from rds_to_s3.reported.manifest import RunSummary
from rds_to_s3.timestamps import short
from rds_to_s3.wording import counted

FAILURES_SHOWN = 60
GENERATION = "rds-to-s3-generation"
_URGENT = ("FAILING", "BEHIND")
_ORDER = (*_URGENT, "NEW", "UNLISTED", "CURRENT")


@dataclass(frozen=True)
class Facts:
    """What the page is about.

    Attributes
    ----------
    standings : Standings
    until : mapping of str to str
        The upper bound of each table's last extract, on the database's clock.
    lags : mapping of str to float
        Seconds that each table is behind the database. A table that was never extracted has none.
    runs : sequence of RunSummary
        The last runs, oldest first.
    limit_hours : float
        The lag above which the alarm goes off.
    bucket : str
    now : datetime
        Aware.
    """

    standings: Standings
    until: Mapping[str, str]
    lags: Mapping[str, float]
    runs: Sequence[RunSummary]
    limit_hours: float
    bucket: str
    now: datetime

    def names(self) -> list[str]:
        """Return the tables, those that need attention first."""
        known = {**dict.fromkeys(self.standings.tables), **dict.fromkeys(self.lags)}
        return sorted(known, key=lambda name: (_ORDER.index(self.state(name)), name))

    def table(self, name: str) -> TableStanding:
        """Return what is known of a table."""
        return self.standings.tables.get(name) or TableStanding()

    def state(self, name: str) -> str:
        """Return a table's state, one of the page's words."""
        if self.table(name).failed_runs:
            return "FAILING"
        if self.lags.get(name, 0.0) > self.limit_hours * 3600:
            return "BEHIND"
        if name not in self.standings.tables:
            return "UNLISTED"
        return "CURRENT" if name in self.lags else "NEW"


def generation_of(page: bytes) -> int:
    """Return the generation of a written page; 0 if it has none."""
    mark = f'name="{GENERATION}" content="'.encode()
    digits = page.partition(mark)[2].partition(b'"')[0]
    return int(digits) if digits.isdigit() else 0


def render_overview(facts: Facts) -> str:
    """Write the page. Its links are relative to ``runs/``."""
    names = facts.names()
    body = "\n".join(
        part
        for part in (
            _header(facts, names),
            _attention(facts, names),
            _tables(facts, names),
            _failures(facts, names),
            _runs(facts),
            _footer(facts),
        )
        if part
    )
    head = f'<meta name="{GENERATION}" content="{facts.standings.generation}"/>\n'
    return whole_page(f"{facts.bucket}: tables and runs", body, head)


def _header(facts: Facts, names: Sequence[str]) -> str:
    states = [facts.state(name) for name in names]
    behind = [lag for lag in facts.lags.values() if lag > facts.limit_hours * 3600]
    proves = [name for name in names if facts.table(name).proves]
    proved = sum(facts.table(name).whole_until is not None for name in proves)
    rates = [rate for name in names if (rate := _rate(facts, name)) is not None]
    latest = max(facts.runs, key=lambda run: run.started_at, default=None)
    worst = max(facts.lags.values(), default=None)
    figures = [
        ("Tables", count(len(names)), text(f"{states.count('FAILING')} failing, {len(behind)} behind the limit")),
        ("Furthest behind", duration(worst) or "unknown", text(f"the limit is {duration(facts.limit_hours * 3600)}")),
        ("Proved equal", f"{count(proved)} of {count(len(proves))}", "tables whose runs compare them"),
        ("Rows a day", count(round(sum(rates))) if rates else "not known yet", f"on average of {DAYS} days"),
        ("Last run", state(latest.status) if latest else "none", text(_instant(latest.started_at)) if latest else ""),
    ]
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>" for name, value, note in figures)
    return (
        f"<header><h1>{text(facts.bucket)}</h1>\n"
        f'<p class="soft">How every listed table is, as of {facts.now:%Y-%m-%d %H:%M:%S} UTC. Each run writes this '
        f"page again: if that is long ago, no run has ended since.</p>\n<dl>{cells}</dl></header>"
    )


def _attention(facts: Facts, names: Sequence[str]) -> str:
    urgent = [name for name in names if facts.state(name) in _URGENT]
    if not urgent:
        return ""
    return section("Attention", "".join(_article(facts, name) for name in urgent))


def _article(facts: Facts, name: str) -> str:
    table = facts.table(name)
    parts = []
    lag = facts.lags.get(name)
    if lag is None:
        parts.append("It was never extracted.")
    elif lag > facts.limit_hours * 3600:
        parts.append(
            f"It is {duration(lag)} behind the database, and the limit is {duration(facts.limit_hours * 3600)}."
        )
    if name not in facts.standings.tables:
        parts.append("The table list no longer brings it in.")
    content = f"<p>{text(' '.join(parts))}</p>" if parts else ""
    if table.failed_runs and table.failures:
        failure = table.failures[0]
        since = f"since {_instant(table.failing_since or failure.at)}"
        content += (
            f"<p>Failing {since}, in {counted(table.failed_runs, 'run')}; the last is {_run_link(failure.run_id)}.</p>"
            f"<p><strong>{text(failure.type)}</strong>: {text(failure.message)}</p>"
            f"<p>Next: <code>rds-to-s3 redrive {text(failure.run_id)}</code></p>"
        )
    return f"<article><h3>{breakable(name)}: {state(facts.state(name))}</h3>{content}</article>\n"


def _tables(facts: Facts, names: Sequence[str]) -> str:
    if not names:
        return section("Tables", "<p>No table has been in a run yet.</p>")
    heads = [
        ("Table", ""), ("State", ""), ("Extracted up to", ""), ("Behind", "n"), ("Proved equal up to", ""),
        ("Rows a day", "n"),
    ]  # fmt: skip
    caption = (
        "Times of the tables are on the database's clock. Behind: at the time of this page; the limit is "
        f"{duration(facts.limit_hours * 3600)}"
    )
    return section("Tables", scrolling_table("tables", caption, heads, "".join(_row(facts, name) for name in names)))


def _row(facts: Facts, name: str) -> str:
    table, word = facts.table(name), facts.state(name)
    lag, until, rate = facts.lags.get(name), facts.until.get(name), _rate(facts, name)
    proved = short(table.whole_until) if table.whole_until else "not yet" if table.proves else "not compared"
    needs = ' class="needs"' if word in _URGENT else ""
    return (
        f'<tr{needs}><th scope="row">{breakable(name)}</th><td>{state(word)}</td>'
        f"<td>{text(short(until)) if until else 'never'}</td>"
        f'<td class="n">{"" if lag is None else duration(lag)}</td><td>{text(proved)}</td>'
        f'<td class="n">{"" if rate is None else count(round(rate))}</td></tr>\n'
    )


def _failures(facts: Facts, names: Sequence[str]) -> str:
    failures = [(failure, name) for name in names for failure in facts.table(name).failures]
    if not failures:
        return ""
    failures.sort(key=lambda each: each[0].at, reverse=True)
    rows = "".join(
        f'<tr><th scope="row">{breakable(name)}</th><td>{_instant(failure.at)}</td>'
        f"<td>{text(failure.type)}</td><td>{_run_link(failure.run_id)}</td></tr>\n"
        for failure, name in failures[:FAILURES_SHOWN]
    )
    more = f", the newest {FAILURES_SHOWN} of {len(failures)}" if len(failures) > FAILURES_SHOWN else ""
    heads = [("Table", ""), ("Run started", ""), ("Error", ""), ("Run", "")]
    caption = f"Newest first, at most {FAILURES_KEPT} of a table{more}. A table that is up to date has recovered"
    return section("Failures", scrolling_table("failed", caption, heads, rows))


def _runs(facts: Facts) -> str:
    if not facts.runs:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{_run_link(run.run_id)}</th><td>{state(run.status)}</td>'
        f'<td>{moment(run.started_at):%Y-%m-%d %H:%M}</td><td class="n">{_time(run)}</td>'
        f'<td class="n">{run.totals.failed} of {count(run.totals.tables)}</td>'
        f'<td class="n">{count(run.totals.rows)}</td><td class="n">{size(run.totals.bytes)}</td></tr>\n'
        for run in sorted(facts.runs, key=lambda run: run.started_at, reverse=True)
    )
    heads = [
        ("Run", ""), ("Outcome", ""), ("Started (UTC)", ""), ("Took", "n"), ("Failed", "n"), ("Rows", "n"),
        ("Bytes", "n"),
    ]  # fmt: skip
    return section("Runs", scrolling_table("runs", f"The last {len(facts.runs)}, newest first", heads, rows))


def _footer(facts: Facts) -> str:
    link = f'<a href="latest.json"><code>{text(f"s3://{facts.bucket}/runs/latest.json")}</code></a>'
    return f'<footer><p class="soft">The newest manifest: {link}</p></footer>'


def _rate(facts: Facts, name: str) -> float | None:
    if facts.state(name) == "NEW":
        return None
    return facts.table(name).rows_a_day(facts.standings.counted_since, facts.now)


def _seconds(run: RunSummary) -> float:
    return (moment(run.finished_at) - moment(run.started_at)).total_seconds()


def _time(run: RunSummary) -> str:
    return f"{duration(_seconds(run))}{f', redriven {how_often(run.redrives)}' if run.redrives else ''}"


def _instant(instant: str) -> str:
    return f"{moment(instant):%Y-%m-%d %H:%M} UTC"


def _run_link(run_id: str) -> str:
    return f'<a href="{quote(run_id)}/report.html">{text(run_id)}</a>'
