"""Follows a run: poll and show it until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rds_to_s3_ops.runs.progress import History, RunProgress, measure, unfinished
from rds_to_s3_ops.runs.reads import Reads

if TYPE_CHECKING:
    from rds_to_s3_ops.deployment.bucket import Bucket, Plan, StoredRecord
    from rds_to_s3_ops.runs.runs import Runs


def follow(
    runs: Runs, bucket: Bucket, run_id: str, *, interval: float = 0.7, sleep: Callable[[float], None] = time.sleep
) -> Iterator[RunProgress]:
    """Poll a run and yield its progress; the last one is of the finished run.

    Parameters
    ----------
    runs : Runs
    bucket : Bucket
    run_id : str
    interval : float
        Seconds between two polls.
    sleep : callable
    """
    history = History()
    records: dict[str, StoredRecord] = {}
    plan: Plan | None = None
    reads = Reads(bucket, run_id)
    while True:
        # The run's state first: everything read after its end is complete.
        run = runs.describe(run_id)
        history.add(runs.events(run_id, history.last_event_id))
        plan = plan or bucket.plan(run_id)
        if plan is not None:
            records = bucket.table_records(run_id, records)
        wanted = unfinished(plan, history, records.values()) if plan is not None and run.is_running else []
        yield measure(run, plan, history, records.values(), datetime.now(UTC), reads=reads.look(wanted))
        if not run.is_running:
            return
        sleep(interval)


def look(runs: Runs, bucket: Bucket, run_id: str) -> RunProgress:
    """Return a run's progress now."""
    return next(follow(runs, bucket, run_id))


def wait(runs: Runs, run_id: str, *, interval: float = 2.0, sleep: Callable[[float], None] = time.sleep) -> None:
    """Return when a run has ended. Reads only its state."""
    while runs.describe(run_id).is_running:
        sleep(interval)
