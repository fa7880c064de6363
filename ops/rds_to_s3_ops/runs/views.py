"""The command's output: pure functions from data to rich's renderables, or to plain lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rds_to_s3.manifest.report.figures import count, duration, size
from rds_to_s3.timestamps import short
from rds_to_s3.wording import counted

if TYPE_CHECKING:
    from rds_to_s3.commit.entries import TableEntry
    from rds_to_s3.plan.table_list import TableList, TableSpec
    from rds_to_s3.reported.manifest import Manifest
    from rds_to_s3_ops.runs.runs import Run

T = TypeVar("T")
MOST_TABLES = 40
"""Longer lists are summarised: failed tables and those with warnings are shown, the rest is counted."""

_READ = {"SUCCEEDED", "UNCHANGED"}
_COLOURS = {
    "waiting": "dim",
    "running": "cyan",
    "retrying": "yellow",
    "succeeded": "green",
    "unchanged": "dim",
    "skipped": "dim",
    "failed": "bold red",
    "timed out": "bold red",
    "aborted": "bold red",
    "pending redrive": "cyan",
}


@dataclass(frozen=True)
class HistoryEntry:
    """One run in the history: the execution, and its manifest if it has one."""

    run: Run
    manifest: Manifest | None

    def as_json(self) -> dict[str, Any]:
        """Return what ``history --json`` prints for it."""
        manifest = self.manifest
        totals = manifest.totals if manifest else None
        return {
            "run_id": self.run.run_id,
            "status": self.run.status,
            "started_at": timestamp(self.run.started_at),
            "finished_at": timestamp(self.run.stopped_at) if self.run.stopped_at else None,
            "seconds": self.seconds,
            "window_end": manifest.window_end if manifest else None,
            **{name: getattr(totals, name, None) for name in ("tables", "failed", "rows", "bytes")},
            "redrives": max(self.run.redrives, manifest.redrives if manifest else 0),
        }

    @property
    def seconds(self) -> float | None:
        """The run's duration; None while it is running."""
        if self.run.stopped_at is None:
            return None
        return (self.run.stopped_at - self.run.started_at).total_seconds()


def timestamp(moment: datetime) -> str:
    """Format a time as the manifest does: UTC, whole seconds.

    Examples
    --------
    >>> timestamp(datetime(2025, 4, 2, 12, 0, tzinfo=UTC))
    '2025-04-02T12:00:00Z'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def state_text(word: str) -> Text:
    word = word.lower().replace("_", " ")
    return Text(word, style=_COLOURS.get(word, ""))


def new_grid(*columns: str, right: Iterable[str] = (), wrap: Iterable[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    right, wrap = set(right), set(wrap)
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=column not in wrap,
            overflow="fold" if column in wrap else "ellipsis",
        )
    return table


def summarised(tables: Sequence[T], is_telling: Callable[[T], bool], *, everything: bool) -> Sequence[T]:
    """Return the tables to list: all, or if there are many, the first with something to report."""
    if everything or len(tables) <= MOST_TABLES:
        return tables
    return [table for table in tables if is_telling(table)][:MOST_TABLES]


def rest_view(hidden: int) -> list[RenderableType]:
    """Return the line that counts the unlisted tables; nothing if all are listed."""
    return [Text(f"and {hidden} more tables: add --all to list them", style="dim")] if hidden else []


# --- a finished run -----------------------------------------------------------------------------------------------


def manifest_view(manifest: Manifest, bucket: str, *, everything: bool = False) -> RenderableType:
    """Show a manifest.

    Parameters
    ----------
    manifest : Manifest
    bucket : str
    everything : bool
        Whether to list every table and file.
    """
    parts: list[RenderableType] = [_manifest_head(manifest), Text()]
    tables = manifest.tables
    shown = summarised(tables, _is_telling, everything=everything)
    if shown:
        parts.append(_manifest_tables(shown))
    parts += rest_view(len(tables) - len(shown))
    for table in shown:
        if error := table.error:
            parts += [Text(), Text.assemble((table.table, "bold red"), f": {error.type}\n  {error.message}")]
        if deleted := table.deleted_rows:
            keys = ", ".join(file.key for file in table.deletes)
            parts.append(Text.assemble((table.table, "bold"), f": {counted(deleted, 'deleted row')}, in {keys}"))
        if proved := [*_found_by_proof(table), *_not_proved(table)]:
            parts.append(Text.assemble((table.table, "bold"), f": {'; '.join(proved)}"))
        parts += [Text.assemble((table.table, "yellow"), f": {told}") for told in table.warnings]
    parts += [Text(told, style="yellow") for told in manifest.warnings]
    if failure := manifest.error:
        parts += [Text(), Text.assemble((failure.type, "bold red"), f": {failure.message}")]
    if everything and (files := _files(shown, bucket)).row_count:
        parts += [Text(), files]
    parts += [Text(), Text(f"s3://{bucket}/runs/{manifest.run_id}/manifest.json", style="dim")]
    return Group(*parts)


def _manifest_head(manifest: Manifest) -> Text:
    totals = manifest.totals
    head = Text.assemble((manifest.run_id, "bold"), "  ", state_text(manifest.status))
    failed = f", {totals.failed} failed" if totals.failed else ""
    head.append(
        f"\n{counted(totals.tables, 'table')} ({totals.succeeded} succeeded{failed})"
        f"  {counted(totals.rows, 'row')}  {counted(totals.files, 'file')}  {size(totals.bytes)}"
    )
    if manifest.window_end:
        head.append(f"\nwindow up to {short(manifest.window_end)} on the database's clock")
    if proved := [table for table in manifest.tables if table.proof]:
        whole = sum(not _not_proved(table) for table in proved)
        head.append(f"\nproved equal up to the window's end: {whole:,} of {counted(len(proved), 'table')}")
    head.append(f"\nfrom {manifest.started_at} to {manifest.finished_at}")
    if manifest.redrives:
        head.append(f", redriven {manifest.redrives}x")
    return head


def _manifest_tables(tables: Sequence[TableEntry]) -> Table:
    grid = new_grid(
        "table", "status", "rows", "files", "bytes", "time", "after", right=("rows", "files", "bytes", "time")
    )
    for table in tables:
        grid.add_row(
            Text(table.table),
            state_text(table.status),
            count(table.rows),
            count(len(table.files)),
            size(table.bytes),
            duration(table.seconds),
            Text(short(table.window.after or "the beginning") if table.status in _READ else ""),
        )
    return grid


def _found_by_proof(table: TableEntry) -> list[str]:
    if table.proof is None:
        return []
    healed, gone = table.proof.healed, table.proof.gone
    told = [f"healed {counted(healed, 'row')} that differed"] if healed else []
    return told + ([f"{counted(gone, 'delivered row')} {'is' if gone == 1 else 'are'} gone"] if gone else [])


def _not_proved(table: TableEntry) -> list[str]:
    """Say how far a table is proved; nothing where it is up to its window's end, or where nothing is proved."""
    if table.proof is None or table.proof.whole_until == table.window.until:
        return []
    return [f"proved up to {short(until)}" if (until := table.proof.whole_until) else "not yet proved as a whole"]


def _is_telling(table: TableEntry) -> bool:
    return bool(
        table.status == "FAILED" or table.warnings or table.rows or table.deleted_rows or _found_by_proof(table)
    )


def _files(tables: Sequence[TableEntry], bucket: str) -> Table:
    grid = new_grid("file", "rows", "bytes", right=("rows", "bytes"), wrap=("file",))
    for table in tables:
        for file in [*table.files, *table.quarantine, *table.deletes]:
            grid.add_row(Text(f"s3://{bucket}/{file.key}"), count(file.rows), size(file.bytes))
    return grid


def outcome_view(
    run: Run | None, manifest: Manifest | None, bucket: str, *, everything: bool = False
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
    """
    shown = manifest_view(manifest, bucket, everything=everything) if manifest else Text()
    if run is None or (manifest and run.is_told_by(manifest)):
        return shown
    if manifest is None:
        return run_view(run)
    before = Text(f"Its last manifest is from before that, of {manifest.finished_at}:", style="yellow")
    return Group(run_view(run), Text(), before, Text(), shown)


def outcome_json(run: Run | None, manifest: Manifest | None) -> Mapping[str, Any]:
    """Return the same for ``--json``: the final manifest, else the run's current state."""
    if manifest and (run is None or run.is_told_by(manifest)):
        return manifest.model_dump()
    return run_json(run, manifest) if run else {}


def run_view(run: Run) -> RenderableType:
    """Show a run without a final manifest: a running run, or a stopped one."""
    text = Text.assemble((run.run_id, "bold"), "  ", state_text(run.status), f"\nstarted {timestamp(run.started_at)}")
    if run.stopped_at:
        text.append(f", ended {timestamp(run.stopped_at)}")
    if run.redrives:
        text.append(f", redriven {run.redrives}x")
    if run.error:
        text.append(f"\n{run.error}", style="bold red")
    if run.cause:
        text.append(f"\n{run.cause}")
    if run.is_running:
        text.append(f"\nfollow it with: rds-to-s3 watch {run.run_id}")
    elif run.status in {"ABORTED", "TIMED_OUT"}:
        text.append(f"\nresume it with: rds-to-s3 redrive {run.run_id}")
    return text


def run_json(run: Run, manifest: Manifest | None = None) -> dict[str, Any]:
    """Return what ``--json`` prints for a run without a final manifest; `manifest` is the earlier one."""
    return {
        "run_id": run.run_id,
        "status": run.status,
        "started_at": timestamp(run.started_at),
        "finished_at": timestamp(run.stopped_at) if run.stopped_at else None,
        "redrives": run.redrives,
        "error": run.error,
        "cause": run.cause,
        "manifest": manifest.model_dump() if manifest else None,
    }


def history_view(entries: Sequence[HistoryEntry]) -> RenderableType:
    """List runs, newest first."""
    if not entries:
        return Text("no run yet: start one with `rds-to-s3 run`")
    grid = new_grid(
        "run", "status", "started (UTC)", "window up to", "tables", "failed", "rows", "bytes", "time", "redrives",
        right=("tables", "failed", "rows", "bytes", "time", "redrives"),
    )  # fmt: skip
    for entry in entries:
        told = entry.as_json()
        grid.add_row(
            Text(entry.run.run_id), state_text(entry.run.status), _minute(entry.run.started_at),
            Text(short(told["window_end"] or "")),
            count(told["tables"]), count(told["failed"]), count(told["rows"]), size(told["bytes"]),
            duration(entry.seconds), count(told["redrives"] or None),
        )  # fmt: skip
    return grid


# --- the table list -----------------------------------------------------------------------------------------------


def table_list_view(
    table_list: TableList, place: str, resolved: Sequence[TableSpec] | None = None, *, everything: bool = False
) -> RenderableType:
    """Show the table list with every default filled in.

    Parameters
    ----------
    table_list : TableList
    place : str
        Where the list is.
    resolved : sequence of TableSpec, optional
        Every table with what it ends up with; None where the list has no pattern, so that its entries are the tables.
    everything : bool
        Whether to list every entry and table; otherwise those with their own settings come first.
    """
    parts = [_settings_view(table_list.tables, "entry" if resolved is not None else "table", everything=everything)]
    if resolved is not None:
        chosen = [spec for spec in resolved if spec.pattern is not None]
        parts += [Text(), _settings_view(chosen, "table", everything=everything)]
    if table_list.exclude:
        parts.append(Text(f"patterns leave out: {', '.join(table_list.exclude)}"))
    parts.append(Text(place, style="dim"))
    return Group(*parts)


def _settings_view(specs: Sequence[TableSpec], noun: str, *, everything: bool) -> RenderableType:
    by = ("by the pattern",) if noun == "table" and any(spec.pattern for spec in specs) else ()
    grid = new_grid(noun, *by, "mode", "format", "created", "modified", "own settings", wrap=("own settings",))
    shown = specs if everything else _with_own_settings_first(specs)
    for spec in shown:
        incremental = spec.mode == "incremental"
        grid.add_row(
            Text(spec.name),
            *(Text(spec.pattern or "") for _ in by),
            spec.mode,
            spec.format if spec.compression == "none" else f"{spec.format}, {spec.compression}",
            Text(spec.created_column or "-" if incremental else ""),
            Text(spec.modified_column or "-" if incremental else ""),
            Text(", ".join(_own_settings(spec))),
        )
    return Group(grid, *rest_view(len(specs) - len(shown)))


def _with_own_settings_first(listed: Sequence[TableSpec]) -> list[TableSpec]:
    first = sorted(range(len(listed)), key=lambda number: not _own_settings(listed[number]))[:MOST_TABLES]
    return [listed[number] for number in sorted(first)]


def _own_settings(spec: TableSpec) -> list[str]:
    return [key for key in spec.own_keys if key != "name"]
