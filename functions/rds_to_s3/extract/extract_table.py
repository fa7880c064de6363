"""Extract one table. Write its record to S3 in every case, also after an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from rds_to_s3.bucket_keys import plan_key, record_key
from rds_to_s3.commit.entries import TableEntry
from rds_to_s3.errors import InputError
from rds_to_s3.extract.outcome import Outcome
from rds_to_s3.extract.range_extraction import RangeExtraction
from rds_to_s3.extract.table_extraction import TableExtraction
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.s3.objects import ObjectStore


def run_extraction(
    run_id: str,
    table: str,
    store: ObjectStore,
    connect: Callable[[int], Connection],
    *,
    time_left: Callable[[], float],
    reconnect: Callable[[int], Connection] | None = None,
    mask_key: Callable[[], bytes] | None = None,
    on_failure: Callable[[BaseException], None] = lambda _: None,
    number: int | None = None,
) -> Outcome:
    """Extract one table of a planned run, and write its record: the manifest's entry.

    Parameters
    ----------
    number : int, optional
        The only range to read, if several readers share the table.
    connect, reconnect : callable
        Open a connection with this read timeout in seconds; `reconnect` fetches the credentials anew.
    mask_key : callable, optional
        Fetches the key of hashed columns.

    Raises
    ------
    RdsToS3Error
        The error of the table, as in its record.
    """
    extraction: TableExtraction | None = None
    try:
        plan = _plan(store, run_id)
        kind = TableExtraction if number is None else partial(RangeExtraction, number=number)
        extraction = kind(
            plan, plan.table(table), store, connect, time_left=time_left, reconnect=reconnect, mask_key=mask_key
        )
        outcome = extraction.extract()
    except BaseException as error:
        on_failure(error)
        if extraction is not None and not extraction.superseded:
            try:
                _write_record(store, run_id, table, extraction.failed_record(error))
            except Exception as failure:  # the table failed for another reason; that error is raised
                on_failure(failure)
        raise
    if outcome.status == "SKIPPED" and (earlier := _own_success(store, plan, table)) is not None:
        # The record has this run's commit already; another run covered the table while the answer was in flight.
        return replace(outcome, status=earlier.status, record=earlier, reported_before=True)
    if outcome.record is not None:
        _write_record(store, run_id, table, outcome.record)
    return outcome


def _plan(store: ObjectStore, run_id: str) -> PlannedRun:
    stored = store.get(plan_key(run_id))
    if stored is None:
        raise InputError(f"run {run_id} has no plan in s3://{store.bucket}/{plan_key(run_id)}")
    return PlannedRun.from_json(stored.body)


def _own_success(store: ObjectStore, plan: PlannedRun, table: str) -> TableEntry | None:
    stored = store.get(record_key(plan.run_id, table))
    record = TableEntry.from_json(stored.body) if stored else None
    if record is None or record.status not in {"SUCCEEDED", "UNCHANGED"} or not plan.wrote(record.finished_at):
        return None
    return record


def _write_record(store: ObjectStore, run_id: str, table: str, record: TableEntry) -> None:
    store.put(record_key(run_id, table), record.to_json(), content_type="application/json")
