"""Runs without their tables: one run's state, and the list of runs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from rds_to_s3.manifest.report.figures import count, duration, size
from rds_to_s3.timestamps import short
from rds_to_s3_ops.screen.grid import Column, Grid
from rds_to_s3_ops.screen.lines import bare_instant, instant, next_steps, paragraph, state_text

if TYPE_CHECKING:
    from rds_to_s3.reported.manifest import Manifest
    from rds_to_s3_ops.runs.runs import Run

_COLUMNS = [
    Column("status"),
    Column("failed", right=True, need=1),
    Column("started (UTC)", need=2),
    Column("rows", right=True, need=3),
    Column("time", right=True, need=4),
    Column("tables", right=True, need=5),
    Column("redrives", right=True, need=6),
    Column("bytes", right=True, need=7),
    Column("window up to (database)", need=8),
]


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
    """Format a time for JSON, as the manifest does: UTC, whole seconds.

    Examples
    --------
    >>> timestamp(datetime(2025, 4, 2, 12, 0, tzinfo=UTC))
    '2025-04-02T12:00:00Z'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def run_view(run: Run) -> RenderableType:
    """Show a run without a final manifest: a running run, or a stopped one."""
    title = Text.assemble((run.run_id, "bold"), "  ", state_text(run.status), no_wrap=True, overflow="ignore")
    ended = f", ended {instant(run.stopped_at)}" if run.stopped_at else ""
    redriven = f", redriven {run.redrives}x" if run.redrives else ""
    parts: list[RenderableType] = [title, paragraph(f"started {instant(run.started_at)}{ended}{redriven}")]
    parts += [paragraph(run.error, "bold red")] if run.error else []
    parts += [paragraph(run.cause)] if run.cause else []
    if run.is_running:
        parts += next_steps((f"rds-to-s3 watch {run.run_id}", "follows it"))
    elif run.status != "SUCCEEDED":
        parts += next_steps((f"rds-to-s3 redrive {run.run_id}", "resumes it, in its own window"))
    return Group(*parts)


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
    grid = Grid("run", _COLUMNS)
    for entry in entries:
        document = entry.as_json()
        grid.add(
            entry.run.run_id,
            state_text(entry.run.status),
            count(document["failed"]),
            bare_instant(entry.run.started_at),
            count(document["rows"]),
            duration(entry.seconds),
            count(document["tables"]),
            count(document["redrives"] or None),
            size(document["bytes"]),
            short(document["window_end"] or ""),
        )
    return grid
