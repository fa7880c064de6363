"""Plan a run: write a plan to S3 from the table list, the execution's input and the database's clock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from rds_to_s3.bucket_keys import manifest_key, plan_key
from rds_to_s3.checks.binding import bind_checks, checked_names
from rds_to_s3.errors import PermanentError
from rds_to_s3.mysql.catalogue.access import denied_columns
from rds_to_s3.mysql.catalogue.tables import read_table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.server.identity import read_source
from rds_to_s3.mysql.server.replica import shown_at_most
from rds_to_s3.plan.execution import redrives_of, started_at
from rds_to_s3.plan.lists.databases import existing_tables, select_database
from rds_to_s3.plan.lists.limits import refuse_too_many
from rds_to_s3.plan.lists.stored_list import read_table_list
from rds_to_s3.plan.planned_run import PlannedRun, Refusal, RunInput, choose_tables
from rds_to_s3.plan.read_bound import read_bound
from rds_to_s3.plan.table_list import TableList, TableSpec
from rds_to_s3.s3.objects import ConditionFailedError, ObjectStore
from rds_to_s3.settings import PlanSettings

CONNECT_READ_SECONDS = 60


def plan_run(
    execution: Mapping[str, Any],
    state: Mapping[str, Any],
    settings: PlanSettings,
    store: ObjectStore,
    connect: Callable[[int], Connection],
) -> dict[str, Any]:
    """Plan a run, or plan its failed tables again after a redrive.

    Parameters
    ----------
    execution : mapping
        ``$$.Execution``; its name is the run's id.
    state : mapping
        The state machine's data: ``table_list.document``, and after a redrive the gate's ``decision`` and ``tables``.

    Returns
    -------
    dict
        `PlannedRun.answer`.

    Raises
    ------
    TableListError, InputError, UnknownRunError
        Raised before any table is read.
    """
    run_id = str(execution["Name"])
    listed, place = read_table_list(str(state["table_list"]["document"]), store, settings.table_list_parameter)
    stored = store.get(plan_key(run_id))
    answer = partial(PlannedRun.answer, max_concurrency=settings.max_concurrency, redrives=redrives_of(execution))
    plan = PlannedRun.from_json(stored.body) if stored is not None else None
    running = _running(state, run_id)
    if plan is not None and state.get("decision") == "RETRY_FAILED":
        plan = replace(_with_fresh_settings(plan, listed, state["tables"], connect), running=running, table_list=place)
        store.put(plan_key(run_id), plan.to_json(), content_type="application/json")
        return answer(plan, only=state["tables"])
    if plan is not None and plan.is_of(execution, time.time()):
        # This function was retried after it had planned: a run has one window.
        return answer(plan)

    wanted = RunInput.parse(execution.get("Input"))
    if wanted.tables is not None and not listed.needs_catalogue():
        choose_tables(listed, wanted, list, lambda _: None)  # an unlisted name is refused without the database
    connection = connect(CONNECT_READ_SECONDS)
    try:
        source = read_source(connection)
        database = source.database
        tables, warnings = choose_tables(
            listed,
            wanted,
            lambda: existing_tables(connection, database, listed),
            lambda other: read_manifest(store, other),
        )
        refuse_too_many([spec.name for spec in tables])
        refused = _refused(connection, database, tables)
        bound = read_bound(
            connection,
            settle_seconds=settings.settle_seconds,
            unobserved_settle_seconds=settings.unobserved_settle_seconds,
        )
        seen_until = shown_at_most(connection)
    finally:
        connection.close()
    plan = PlannedRun.make(
        run_id,
        time.time(),
        database,
        bound,
        source=source,
        seen_until=seen_until,
        margins=(settings.settle_seconds, settings.unobserved_settle_seconds),
        tables=tables,
        started_at=started_at(execution),
        warnings=[*warnings, *_running_warnings(state)],
        refused=refused,
        running=running,
        table_list=place,
        exclude=listed.exclude,
    )
    try:
        # Replaces the plan of an earlier execution with this name, if any.
        store.replace(plan_key(run_id), plan.to_json(), stored, content_type="application/json")
    except ConditionFailedError:
        stored = store.get(plan_key(run_id))
        plan = PlannedRun.from_json(stored.body) if stored else plan
    return answer(plan)


def read_manifest(store: ObjectStore, run_id: str) -> dict[str, Any] | None:
    """Return a run's manifest, None where it has none."""
    stored = store.get(manifest_key(run_id))
    return json.loads(stored.body) if stored else None


def _running(state: Mapping[str, Any], run_id: str) -> list[str] | None:
    """Return the other running runs, None where the state machine could not list them."""
    names = (state.get("running") or {}).get("names")
    return None if names is None else [name for name in names if name != run_id]


def _running_warnings(state: Mapping[str, Any]) -> list[str]:
    if "running_error" not in state:
        return []
    return ["the running executions could not be listed: a later run reports the files of stopped runs"]


def _with_fresh_settings(
    plan: PlannedRun, listed: TableList, names: Collection[str], connect: Callable[[int], Connection]
) -> PlannedRun:
    """Use the current list, for tables whose settings were corrected before the redrive."""
    if not listed.needs_catalogue() and not any(spec.checks for spec in listed.tables):
        return plan.with_settings(listed.resolve([]), names)
    connection = connect(CONNECT_READ_SECONDS)
    try:
        fresh = listed.resolve(existing_tables(connection, plan.database, listed) if listed.needs_catalogue() else [])
        again = plan.with_settings(fresh, names)
        listed_still = (again.table(name) for name in names if name not in again.unlisted)
        return replace(again, refused=_refused(connection, plan.database, listed_still))
    finally:
        connection.close()


def _refused(connection: Connection, database: str, tables: Iterable[TableSpec]) -> dict[str, Refusal]:
    """Find the tables whose checks do not suit their columns. The extractor reports missing tables."""
    refused = {}
    for spec in tables:
        if not spec.checks:
            continue
        try:
            select_database(connection, spec.database or database)
            table = read_table(connection, spec.database or database, spec.bare_name)
            if table is not None:
                denied = denied_columns(connection, table, checked_names(*spec.parsed_checks))
                bind_checks(table, *spec.parsed_checks, denied=denied)
        except PermanentError as error:
            refused[spec.name] = Refusal.of(error)
    return refused
