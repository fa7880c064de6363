"""Follows a run: poll and show it until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rds_to_s3_ops.runs.progress import History, RunProgress, TableProgress, measure, unfinished
from rds_to_s3_ops.runs.reads import Reads

if TYPE_CHECKING:
    from rds_to_s3_ops.deployment.bucket import Bucket, Plan, StoredRecord
    from rds_to_s3_ops.runs.runs import Runs


def follow(
    runs: Runs,
    bucket: Bucket,
    run_id: str,
    *,
    concurrency: int = 5,
    interval: float = 0.7,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[RunProgress]:
    """Poll a run and yield its progress; the last one is of the finished run.

    Parameters
    ----------
    runs : Runs
    bucket : Bucket
    run_id : str
    concurrency : int
        Connections that read at once.
    interval : float
        Seconds between two polls.
    sleep : callable
    """
    history = History()
    records: dict[str, StoredRecord] = {}
    plan: Plan | None = None
    reads = Reads(bucket, run_id)
    retries = runs.retries()
    latest = bucket.latest_manifest()
    before = {table.table: table.seconds for table in latest.tables} if latest else {}
    while True:
        # The run's state first: everything read after its end is complete.
        run = runs.describe(run_id)
        history.add(runs.events(run_id, history.last_event_id))
        plan = plan or bucket.plan(run_id)
        if plan is not None:
            records = bucket.table_records(run_id, records)
        wanted = unfinished(plan, history, records.values()) if plan is not None and run.is_running else []
        found = reads.look(wanted)
        progress = measure(run, plan, history, records.values(), datetime.now(UTC), reads=found, retries=retries)
        if run.is_running:
            progress = replace(progress, seconds_left=run_seconds_left(progress.tables, before, concurrency))
        yield progress
        if not run.is_running:
            return
        sleep(interval)


def run_seconds_left(tables: Sequence[TableProgress], before: Mapping[str, float], concurrency: int) -> float | None:
    """Return about how many seconds the tables of a run still take; None if nothing is known.

    Parameters
    ----------
    tables : sequence of TableProgress
    before : mapping of str to float
        How long each table took in an earlier run.
    concurrency : int
        Connections that read at once.
    """
    finished = [table.seconds or 0.0 for table in tables if table.state.is_final]
    waiting = [table for table in tables if not table.state.is_final]
    known = finished or list(before.values())
    if not waiting or not known:
        return None
    usual = sum(known) / len(known)
    left = [
        max(before.get(table.table, usual) - (table.seconds or 0.0), 0.0)
        if table.seconds_left is None
        else table.seconds_left
        for table in waiting
    ]
    return max(sum(left) / max(concurrency, 1), *left) or None


def look(runs: Runs, bucket: Bucket, run_id: str) -> RunProgress:
    """Return a run's progress now."""
    return next(follow(runs, bucket, run_id))


def wait(runs: Runs, run_id: str, *, interval: float = 2.0, sleep: Callable[[float], None] = time.sleep) -> None:
    """Return when a run has ended. Reads only its state."""
    while runs.describe(run_id).is_running:
        sleep(interval)
