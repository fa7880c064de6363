"""The result of a run: what failed comes first, and the next command after it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from rds_to_s3.manifest.report.figures import count, duration, size
from rds_to_s3.timestamps import short
from rds_to_s3.wording import counted, first_names
from rds_to_s3_ops.runs.progress_views import ProgressView, progress_json
from rds_to_s3_ops.runs.views import run_json, run_view
from rds_to_s3_ops.screen.grid import Column, Grid
from rds_to_s3_ops.screen.lines import (
    MOST_TABLES,
    about,
    folded,
    instant,
    next_steps,
    on_database,
    paragraph,
    rest_view,
    state_text,
    whole,
)

if TYPE_CHECKING:
    from rds_to_s3.commit.entries import TableEntry
    from rds_to_s3.reported.manifest import Manifest
    from rds_to_s3_ops.runs.progress import RunProgress
    from rds_to_s3_ops.runs.runs import Run

WAYS = ("redrive", "rerun")
_MOST_NAMES = 20
_READ = {"SUCCEEDED", "UNCHANGED"}
_COLUMNS = [
    Column("status"),
    Column("rows", right=True),
    Column("files", right=True, need=3),
    Column("bytes", right=True, need=1),
    Column("time", right=True, need=2),
    Column("after (database)", need=4),
]


def manifest_view(
    manifest: Manifest, bucket: str, *, everything: bool = False, ways: Sequence[str] = WAYS
) -> RenderableType:
    """Show a manifest.

    Parameters
    ----------
    manifest : Manifest
    bucket : str
    everything : bool
        Whether to list every table and file.
    ways : sequence of str
        How its failed tables can be run again.
    """
    tables = sorted(manifest.tables, key=_by_need)
    shown = folded(tables, _needs_attention, _is_telling, everything=everything)
    unshown = _but(tables, shown)
    failures = [*_failures(manifest), *_next(manifest, ways)]
    parts: list[RenderableType] = [_head(manifest)]
    parts += [Text(), *failures] if failures else []
    parts += [Text(), *noted] if (noted := _notes(manifest, shown, everything=everything)) else []
    if shown:
        parts += [Text(), _grid(shown)]
    parts += rest_view(table.status.lower() for table in unshown)
    if everything and any(table.keys for table in shown):
        parts += [Text(), _files(shown, bucket)]
    parts += [Text(), whole(f"s3://{bucket}/runs/{manifest.run_id}/manifest.json", "dim")]
    return Group(*parts)


def outcome_view(
    run: Run | None,
    manifest: Manifest | None,
    bucket: str,
    *,
    everything: bool = False,
    progress: RunProgress | None = None,
) -> RenderableType:
    """Show the result of a run, or its current state.

    Parameters
    ----------
    run : Run or None
        None if Step Functions no longer has it; then there is a manifest.
    manifest : Manifest or None
        The run's manifest. If it is not the final one, it is shown below the state, as an earlier one.
    bucket : str
    everything : bool
        Whether to list every table and file.
    progress : RunProgress, optional
        Of a run that is running.
    """
    final = manifest is not None and (run is None or run.is_described_by(manifest))
    shown: RenderableType = Text()
    if manifest is not None:
        ways = WAYS if run is not None else ("rerun",)
        shown = manifest_view(manifest, bucket, everything=everything, ways=ways if final else ())
    if run is None or final:
        return shown
    now = [run_view(run)]
    if progress is not None:
        # With a note, a table has two lines.
        now += [Text(), ProgressView(progress, 2 * (len(progress.tables) if everything else MOST_TABLES))]
    if manifest is None:
        return Group(*now)
    before = Text(f"Its last manifest is from before that, of {instant(manifest.finished_at)}:", style="yellow")
    return Group(*now, Text(), before, Text(), shown)


def outcome_json(run: Run | None, manifest: Manifest | None, progress: RunProgress | None = None) -> Mapping[str, Any]:
    """Return the same for ``--json``: the final manifest, else the run's current state, with its tables' progress."""
    if manifest and (run is None or run.is_described_by(manifest)):
        return manifest.model_dump()
    if run is None:
        return {}
    return run_json(run, manifest) | ({"tables": progress_json(progress)["tables"]} if progress else {})


# --- the head -----------------------------------------------------------------------------------------------------


def _head(manifest: Manifest) -> RenderableType:
    title = Text.assemble((manifest.run_id, "bold"), "  ", state_text(manifest.status), no_wrap=True, overflow="ignore")
    lines = [_figures(manifest)]
    if manifest.window_end:
        lines.append(f"window up to {on_database(manifest.window_end)}")
    if proved := [table for table in manifest.tables if table.proof]:
        proved_whole = sum(not _not_proved(table) for table in proved)
        lines.append(f"proved equal up to the window's end: {proved_whole:,} of {counted(len(proved), 'table')}")
    redriven = f", redriven {manifest.redrives}x" if manifest.redrives else ""
    lines.append(f"from {instant(manifest.started_at)} to {instant(manifest.finished_at)}{redriven}")
    return Group(title, *map(paragraph, lines))


def _figures(manifest: Manifest) -> str:
    totals = manifest.totals
    if not totals.tables:
        return "no table: the run could not be planned" if manifest.error else "no table: the table list is empty"
    failed = f", {totals.failed} failed" if totals.failed else ""
    return (
        f"{counted(totals.tables, 'table')} ({totals.succeeded} succeeded{failed})"
        f"  {counted(totals.rows, 'row')}  {counted(totals.files, 'file')}  {size(totals.bytes)}"
    )


# --- what needs attention -----------------------------------------------------------------------------------------


def _failures(manifest: Manifest) -> Iterable[RenderableType]:
    if failure := manifest.error:
        yield about(failure.type, "bold red", failure.message)
    # Many tables may fail of one cause, such as a server that is down.
    same: dict[tuple[str, str], list[str]] = {}
    for table in manifest.tables:
        if error := table.error:
            same.setdefault((error.type, error.message), []).append(table.table)
    for (kind, message), names in same.items():
        for name in names[:-1]:
            yield whole(name, "bold red")
        yield about(names[-1], "bold red", f"{kind}: {message}")


def _next(manifest: Manifest, ways: Sequence[str]) -> list[RenderableType]:
    if not manifest.totals.failed and manifest.error is None:
        return []
    steps = []
    if "redrive" in ways:
        again = "runs the failed tables again" if manifest.totals.failed else "plans it again"
        steps.append((f"rds-to-s3 redrive {manifest.run_id}", f"continues this run: {again}, in its own window"))
    if manifest.totals.failed and "rerun" in ways:
        steps.append((f"rds-to-s3 rerun {manifest.run_id}", "a new run of the failed tables, up to now"))
    if not manifest.totals.failed and ways:
        steps.append(("rds-to-s3 run", "a new run"))
    return next_steps(*steps)


def _notes(manifest: Manifest, shown: Sequence[TableEntry], *, everything: bool) -> list[RenderableType]:
    """Return what a table has to report beside its figures; the same warning of several tables only once."""
    notes: list[RenderableType] = [paragraph(warning, "yellow") for warning in manifest.warnings]
    entries = [
        ("yellow", table.table, (*_deleted(table), *_in_quarantine(table), *_found_by_proof(table), *table.warnings))
        for table in shown
    ]
    entries += [("bold", table.table, tuple(_not_proved(table))) for table in shown]
    same: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for style, name, lines in entries:
        if lines:
            same.setdefault((style, lines), []).append(name)
    most = len(shown) if everything else _MOST_NAMES
    return notes + [about(first_names(names, most), style, *lines) for (style, lines), names in same.items()]


def _deleted(table: TableEntry) -> list[str]:
    if not table.deleted_rows:
        return []
    return [f"{counted(table.deleted_rows, 'deleted row')}, in {', '.join(file.key for file in table.deletes)}"]


def _in_quarantine(table: TableEntry) -> list[str]:
    if not table.quarantined_rows:
        return []
    keys = ", ".join(file.key for file in table.quarantine)
    return [f"{counted(table.quarantined_rows, 'row')} broke a check, in {keys}"]


def _found_by_proof(table: TableEntry) -> list[str]:
    if table.proof is None:
        return []
    healed, gone = table.proof.healed, table.proof.gone
    parts = [f"healed {counted(healed, 'row')} that differed"] if healed else []
    return parts + ([f"{counted(gone, 'delivered row')} {'is' if gone == 1 else 'are'} gone"] if gone else [])


def _not_proved(table: TableEntry) -> list[str]:
    """Say how far a table is proved; nothing where it is up to its window's end, or where nothing is proved."""
    if table.proof is None or table.proof.whole_until == table.window.until:
        return []
    return [f"proved up to {short(until)}" if (until := table.proof.whole_until) else "not yet proved as a whole"]


# --- the tables ---------------------------------------------------------------------------------------------------


def _by_need(table: TableEntry) -> int:
    if table.status == "FAILED":
        return 0
    if _needs_attention(table):
        return 1
    return {"SUCCEEDED": 2, "SKIPPED": 3}.get(table.status, 4)


def _needs_attention(table: TableEntry) -> bool:
    return bool(table.status == "FAILED" or table.warnings or table.quarantined_rows or _found_by_proof(table))


def _is_telling(table: TableEntry) -> bool:
    return bool(table.rows or table.deleted_rows)


def _but(tables: Sequence[TableEntry], shown: Sequence[TableEntry]) -> list[TableEntry]:
    listed = {table.table for table in shown}
    return [table for table in tables if table.table not in listed]


def _grid(tables: Sequence[TableEntry]) -> Grid:
    grid = Grid("table", _COLUMNS)
    for table in tables:
        grid.add(
            table.table,
            state_text(table.status),
            *(("", "", "") if table.error else (count(table.rows), count(len(table.files)), size(table.bytes))),
            duration(table.seconds),
            short(table.window.after or "the beginning") if table.status in _READ else "",
        )
    return grid


def _files(tables: Sequence[TableEntry], bucket: str) -> Grid:
    grid = Grid("file", [Column("rows", right=True), Column("bytes", right=True)])
    for table in tables:
        for file in table.every_file:
            grid.add(f"s3://{bucket}/{file.key}", count(file.rows), size(file.bytes))
    return grid
