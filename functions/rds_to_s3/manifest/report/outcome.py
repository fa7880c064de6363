"""How the run ended: its figures, failures and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from rds_to_s3.commit.entries import TableEntry
from rds_to_s3.manifest.report.figures import count, duration, size
from rds_to_s3.manifest.report.pieces import console_of, how_often, moment, period, quarantine_id, section, state, text
from rds_to_s3.reported.manifest import CostEntry, Manifest
from rds_to_s3.timestamps import short
from rds_to_s3.wording import counted

_HELD_BACK_BY = {
    "transaction": "the oldest transaction that was open",
    "statement": "the oldest statement that was running",
    "replica": "what the replica had applied",
    "clock change": "a change of the server's clock",
}


def header(manifest: Manifest) -> str:
    totals = manifest.totals
    seconds = (moment(manifest.finished_at) - moment(manifest.started_at)).total_seconds()
    redriven = f", redriven {how_often(manifest.redrives)}" if manifest.redrives else ""
    waited = ", with the wait for the redrive" if redriven else ""
    failed = f"{totals.failed} failed" if totals.failed else "none failed"
    aside = [
        f"{count(rows)} {what}"
        for rows, what in (
            (sum(table.quarantined_rows for table in manifest.tables), "in quarantine"),
            (sum(table.deleted_rows for table in manifest.tables), "deleted"),
            (sum(table.proof.healed for table in manifest.tables if table.proof), "healed"),
        )
        if rows
    ]
    if not totals.tables:
        failed = "the run could not be planned" if manifest.error else "the table list is empty"
    figures = [
        ("Tables", count(totals.tables) if totals.tables else "none", failed),
        ("Rows", count(totals.rows), ", ".join(aside)),
        ("Files", count(totals.files), size(totals.bytes)),
        ("Took", duration(seconds), f"{period(manifest.started_at, manifest.finished_at)}{waited}"),
        ("Complete up to", *_window_end(manifest)),
        *([("Cost at least", *_cost(manifest.cost))] if manifest.cost else []),
    ]
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{text(value)}{f'<small>{text(note)}</small>' if note else ''}</dd></div>"
        for name, value, note in figures
    )
    day = f"{moment(manifest.started_at):%Y-%m-%d}"
    return (
        f"<header><h1>Run {text(manifest.run_id)}</h1>\n"
        f'<p>{state(manifest.status)} <span class="soft">on {day}{redriven}</span></p>\n<dl>{cells}</dl></header>'
    )


def _cost(cost: CostEntry) -> tuple[str, str]:
    sign = "$" if cost.currency == "USD" else f"{cost.currency} "
    amount = f"{cost.amount:.2f}" if cost.amount >= 1 else f"{cost.amount:.4f}"
    return f"{sign}{amount}", f"Lambda and Step Functions, at the prices of {cost.prices_of} on {cost.prices_as_of}"


def _window_end(manifest: Manifest) -> tuple[str, str]:
    end, bound = manifest.window_end, manifest.bound
    if end is None:
        return "not planned", ""
    note = "the database's clock"
    if bound and bound.server_now:
        behind = datetime.fromisoformat(bound.server_now) - datetime.fromisoformat(end)
        note = f"{duration(behind.total_seconds())} behind the database's clock"
        # The end is still that of the first plan.
        note += " when first planned" if manifest.redrives else ""
    held = _HELD_BACK_BY.get(bound.decided_by) if bound else None
    return short(end), f"{note}, held back by {held}" if held else note


def failures_section(manifest: Manifest, tables: Sequence[TableEntry]) -> str:
    # A planned run has tables: then it is the redrive that could not be planned.
    unplanned = f"The {'redrive' if tables else 'run'} could not be planned"
    failed = [(table.table, table.error) for table in tables if table.error]
    errors = [*([(unplanned, manifest.error)] if manifest.error else []), *failed]
    if not errors:
        return ""
    articles = "".join(
        f"<article><h3>{text(name)}</h3><p><strong>{text(error.type)}</strong>: {text(error.message)}</p></article>\n"
        for name, error in errors
    )
    again = (
        f"<p>Run only these again: redrive the execution, or <code>rds-to-s3 rerun {text(manifest.run_id)}</code>. "
        "Their watermarks have not moved, so the next scheduled run covers their rows too.</p>\n"
        if failed
        else ""
    )
    return section("Failures", f"{again}{articles}")


def warnings_section(manifest: Manifest, tables: Sequence[TableEntry]) -> str:
    warnings = [("", text(warning)) for warning in manifest.warnings]
    warnings += [(table.table, text(warning)) for table in tables for warning in table.warnings]
    warnings += [(table.table, _in_quarantine(table)) for table in tables if table.quarantined_rows]
    if not warnings:
        return ""
    items = "".join(
        f"<li>{f'<strong>{text(name)}</strong>: ' if name else ''}{warning}</li>\n" for name, warning in warnings
    )
    return section("Warnings", f"<ul>\n{items}</ul>")


def _in_quarantine(table: TableEntry) -> str:
    return (
        f"{counted(table.quarantined_rows, 'row')} broke a check and went into "
        f'<a href="#{text(quarantine_id(table))}">quarantine</a>'
    )


def footer(manifest: Manifest, bucket: str, region: str, log_group: str) -> str:
    key = f"runs/{manifest.run_id}/manifest.json"
    name = f"s3://{bucket}/{key}" if bucket else key
    made = f'Made from <a href="manifest.json"><code>{text(name)}</code></a>'
    return f'<footer><p class="soft">{made}{_consoles(manifest, region, log_group)}</p></footer>'


def _consoles(manifest: Manifest, region: str, log_group: str) -> str:
    """Link the execution, and what the functions have logged about the run."""
    if not region:
        return ""
    console = console_of(region)
    execution = (
        f"{console}/states/home?region={region}#/v2/executions/details/{quote(manifest.execution_arn, safe=':')}"
    )
    links = f', <a href="{text(execution)}">its execution</a>'
    if log_group:
        # The console wants each % of what is encoded twice as $25, and the first as $.
        group = quote(quote(log_group, safe=""), safe="").replace("%", "$")
        pattern = quote(f'?filterPattern="{manifest.run_id}"', safe="").replace("%", "$")
        log = f"{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}/log-events{pattern}"
        links += f', <a href="{text(log)}">the functions\' log of it</a>'
    return f'<span class="screen">{links}</span>'
