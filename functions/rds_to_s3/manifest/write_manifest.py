"""Write a run's manifest from the records of the extractors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pydantic import BaseModel

from rds_to_s3.bucket_keys import (
    HISTORY_KEY,
    LATEST_MANIFEST_KEY,
    manifest_key,
    plan_key,
    record_key,
    report_key,
    state_key,
)
from rds_to_s3.commit.entries import TableEntry
from rds_to_s3.commit.state import pending_of
from rds_to_s3.commit.state_store import read_state
from rds_to_s3.errors import StateMalformedError, StorageUnavailableError
from rds_to_s3.manifest.cost import ExtractSize
from rds_to_s3.manifest.freshness import Freshness, dropped_warnings
from rds_to_s3.manifest.model import KnownState, build_manifest, is_newer, outcome_of
from rds_to_s3.manifest.overview.notice import Notice, notice_of
from rds_to_s3.manifest.overview.page import Facts
from rds_to_s3.manifest.overview.standing import Standings
from rds_to_s3.manifest.overview.write_overview import write_overview
from rds_to_s3.manifest.report import RUNS_IN_TREND, render_report
from rds_to_s3.plan.execution import is_of_all, parse_utc, redrives_of
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.reported.gate_answer import known_redrives
from rds_to_s3.reported.manifest import Manifest, RunSummary
from rds_to_s3.reported.register import RunRegister, Taken, pause_seconds
from rds_to_s3.s3.objects import ConditionFailedError, ObjectStore, StoredObject

READERS = 16
TRIES = 40  # of a conditional write, which another run's manifest function may disturb


class History(BaseModel):
    """Stored from run to run: figures for the trend, so that no report reads every manifest, and the tables' ages."""

    version: int = 1
    runs: list[RunSummary] = []
    freshness: Freshness = Freshness()
    standings: Standings = Standings()


def write_manifest(
    execution: Mapping[str, Any],
    state: Mapping[str, Any],
    store: ObjectStore,
    *,
    region: str = "",
    log_group: str = "",
    limit_hours: float = 8,
    size: ExtractSize | None = None,
    on_problem: Callable[[BaseException], None] = lambda _: None,
    on_lags: Callable[[dict[str, float]], None] = lambda _: None,
    on_notice: Callable[[Notice], None] = lambda _: None,
    on_written: Callable[[Manifest, Sequence[TableSpec]], None] = lambda *_: None,
) -> dict[str, Any]:
    """Write ``runs/{run_id}/manifest.json``, and ``runs/latest.json`` unless it is a later run's.

    ``runs/index.html`` and the report, ``report.html`` beside the manifest, are written last: even if that fails, the
    run has its manifest.

    Parameters
    ----------
    execution : mapping
        ``$$.Execution``.
    state : mapping
        The state machine's data: the Maps' results at ``extracted.results`` and ``range_results``, ``plan_error`` where
        the run could not be planned.
    region : str
        For links from the report to the console.
    log_group : str
        The functions' log group, for the same.
    limit_hours : float
        The lag above which the alarm goes off.
    size : ExtractSize, optional
        Of ExtractTable, for the run's cost.
    on_problem : callable
        Called with the error if there is no report.
    on_notice : callable
        Called with the notice of the run, if something is new and needs somebody.
    on_lags : callable
        Called with the seconds that each listed table is behind the database.
    on_written : callable
        Called with the manifest and the run's tables once it is written; it must not raise.

    Returns
    -------
    dict
        `rds_to_s3.manifest.model.outcome_of`.
    """
    run_id = str(execution["Name"])
    stored = store.get(plan_key(run_id))
    plan = PlannedRun.from_json(stored.body) if stored else None
    if plan is not None and not plan.is_of(execution, time.time()):
        plan = None  # that plan is of another execution of the same name; this one was not planned
    records = _records(store, plan)
    dropped = _history(store.get(HISTORY_KEY)).freshness.dropped_by(plan, of_all=is_of_all(execution))
    noticed = known_redrives(store, execution)
    counted = {**execution, "RedriveCount": max(redrives_of(execution), noticed)}
    register = RunRegister(store, run_id, plan.planned_at if plan else None)

    def build(taken: Sequence[Taken], earlier: Manifest | None) -> Manifest:
        return build_manifest(
            counted,
            plan,
            records,
            results_of(state),
            state_of=partial(_state, store),
            plan_error=state.get("plan_error"),
            map_error=state.get("map_error"),
            taken=taken,
            earlier=earlier,
            warnings=dropped_warnings(dropped, limit_hours),
            size=size,
            finished_at=datetime.now(UTC),
        )

    manifest = register.decide(build)
    register.publish()
    key = manifest_key(run_id)
    _write_latest(store, manifest)
    on_written(manifest, plan.tables if plan else [])
    pages: list[Callable[[], None]] = []
    try:
        history, before = _remember(store, manifest, plan, of_all=is_of_all(execution), limit_hours=limit_hours)
        on_lags(history.freshness.lags(time.time()))
        pages = [
            partial(_write_overview, store, history, limit_hours),
            partial(_write_report, store, manifest, history.runs, region, log_group),
            partial(
                _send_notice,
                on_notice,
                manifest,
                before,
                history,
                limit_hours=limit_hours,
                bucket=store.bucket,
                region=region,
            ),
        ]
    except Exception as error:  # any error: see the docstring
        on_problem(error)
    for write_page in pages:
        try:
            write_page()
        except Exception as error:  # the same
            on_problem(error)
    # The gate compares with the redrive of the last plan: a table that failed before its Map was aborted has not run
    # again in the redrive that resumed the Map. What the gate itself has noticed is never more than that.
    planned = (state.get("plan") or {}).get("redrives")
    return outcome_of(manifest, key) | {
        "redrives": max(noticed, redrives_of(execution) if planned is None else planned)
    }


def results_of(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the results of all iterations of both Maps, those of tables first."""
    # An execution that began with the definition of an earlier release has its results at the top.
    of_tables = (state.get("extracted") or state).get("results")
    return [*(of_tables or []), *(state.get("range_results") or [])]


def _records(store: ObjectStore, plan: PlannedRun | None) -> dict[str, TableEntry]:
    if plan is None:
        return {}
    names = [spec.name for spec in plan.tables]
    with ThreadPoolExecutor(READERS) as readers:
        found = readers.map(lambda name: store.get(record_key(plan.run_id, name)), names)
        records = {name: TableEntry.from_json(stored.body) for name, stored in zip(names, found, strict=True) if stored}
    return {name: record for name, record in records.items() if plan.wrote(record.finished_at)}


def _state(store: ObjectStore, plan: PlannedRun, spec: TableSpec) -> KnownState:
    key = state_key(spec.name, spec.format)
    stored = store.get(key)
    if stored is None:
        return KnownState()
    try:
        state = read_state(stored.body, key)
    except StateMalformedError:
        return KnownState()
    commit = state.commit
    # A later run may have committed while this run was still running: then its commit also has this run's record.
    ours = [each for each in pending_of(commit) if (each.run_id, each.planned_at) == (plan.run_id, plan.planned_at)]
    committed = ours[-1].record if ours else None
    if commit is not None and commit.applied and commit.is_of(plan.run_id, plan.planned_at):
        committed = commit.record
    return KnownState(
        attempts=state.attempts.get(plan.run_id, 0),
        committed=committed,
        extracted_until=commit.extracted_until if commit is not None else None,
    )


def _write_report(store: ObjectStore, manifest: Manifest, runs: list[RunSummary], region: str, log_group: str) -> None:
    earlier = [run for run in runs if run.run_id != manifest.run_id]
    page = render_report(manifest, earlier, bucket=store.bucket, region=region, log_group=log_group)
    body = page.encode(errors="backslashreplace")
    store.put(report_key(manifest.run_id), body, content_type="text/html; charset=utf-8")


def _write_overview(store: ObjectStore, history: History, limit_hours: float) -> None:
    facts = Facts(
        standings=history.standings,
        until=history.freshness.until,
        lags=history.freshness.lags(time.time()),
        runs=history.runs,
        limit_hours=limit_hours,
        bucket=store.bucket,
        now=datetime.now(UTC),
    )
    write_overview(store, facts)


def _send_notice(
    on_notice: Callable[[Notice], None],
    manifest: Manifest,
    before: History,
    history: History,
    *,
    limit_hours: float,
    bucket: str,
    region: str,
) -> None:
    counted = _counted(manifest, before.runs)
    notice = notice_of(
        manifest,
        before.standings,
        history.standings,
        history.freshness.lags(time.time()),
        is_new=counted is None or counted < manifest.redrives,
        limit_hours=limit_hours,
        bucket=bucket,
        region=region,
    )
    if notice is not None:
        on_notice(notice)


def _remember(
    store: ObjectStore, manifest: Manifest, plan: PlannedRun | None, *, of_all: bool, limit_hours: float
) -> tuple[History, History]:
    """Add a run to the history. Return it as it was written, with every run that was added before, and as it was."""
    for attempt in range(TRIES):
        stored = store.get(HISTORY_KEY)
        known = _history(stored)
        runs = [run for run in known.runs if run.run_id != manifest.run_id] + [manifest.summary]
        history = History(
            runs=sorted(runs, key=lambda run: run.started_at)[-RUNS_IN_TREND:],
            freshness=known.freshness.after(manifest, plan, of_all=of_all, limit_hours=limit_hours),
            standings=known.standings.after(
                manifest,
                plan.planned_at if plan else None,
                of_all=of_all,
                counted=_counted(manifest, known.runs),
                now=datetime.now(UTC),
            ),
        )
        lags = history.freshness.lags(time.time())
        history.standings.behind = [name for name, lag in lags.items() if lag > limit_hours * 3600]
        try:
            store.replace(HISTORY_KEY, history.model_dump_json().encode(), stored)
        except ConditionFailedError:
            time.sleep(pause_seconds(attempt))
            continue
        return history, known
    raise StorageUnavailableError(f"other functions kept writing {HISTORY_KEY}")


def _counted(manifest: Manifest, runs: Sequence[RunSummary]) -> int | None:
    """Return up to which redrive a run's rows are in the history; None if it is new."""
    before = [run.redrives for run in runs if run.run_id == manifest.run_id]
    if before:
        return max(before)
    # The history has only the newest runs, so a redriven one may be gone from it.
    return manifest.redrives - 1 if manifest.redrives else None


def _history(stored: StoredObject | None) -> History:
    """Read the history. If it is unreadable, start a new one: it must neither fail a run nor silence an alarm."""
    try:
        history = History.model_validate_json(stored.body) if stored else History()
        return history if all(parse_utc(run.started_at) for run in history.runs) else History()
    except ValueError:
        return History()


def _write_latest(store: ObjectStore, manifest: Manifest) -> None:
    for _ in range(TRIES):
        latest = store.get(LATEST_MANIFEST_KEY)
        if not is_newer(manifest.started_at, json.loads(latest.body)["started_at"] if latest else None):
            return
        try:
            store.replace(LATEST_MANIFEST_KEY, manifest.to_json(indent=1), latest, content_type="application/json")
        except ConditionFailedError:
            continue
        return
