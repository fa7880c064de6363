"""Puts a run's manifest together."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rds_to_s3.commit.entries import ErrorEntry, TableEntry
from rds_to_s3.manifest.cost import ExtractSize, cost_of
from rds_to_s3.plan.execution import parse_utc, redrives_of, started_at, utc_text
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.reported.manifest import BoundEntry, Manifest, TableListEntry, Totals
from rds_to_s3.reported.record import blank_record, joined_record, without_files
from rds_to_s3.reported.register import Taken
from rds_to_s3.timestamps import format_timestamp

_LOOK = "Its message is in the execution's history (rds-to-s3 history RUN); what came before is in the function's log."
_OUT_OF_TIME = "It ran out of time: raise ExtractTimeout, or see in the function's log what it waited for."
_OUT_OF_MEMORY = "It was killed, usually for lack of memory: raise ExtractMemorySize. See the function's log."
_REMEDIES = {
    "Sandbox.Timedout": _OUT_OF_TIME,
    "States.Timeout": _OUT_OF_TIME,
    "Runtime.ExitError": _OUT_OF_MEMORY,
    "Runtime.OutOfMemory": _OUT_OF_MEMORY,
}  # by the error's name in Lambda or Step Functions
_PLAN_KILLED = (
    "PlanRun was killed while it waited for something that does not answer, or for a very slow server. rds-to-s3 "
    "doctor asks it what it reaches: the database, Secrets Manager, Parameter Store, S3 (docs/deploy.md, The network)."
)
_PLAN_REMEDIES = {"Sandbox.Timedout": _PLAN_KILLED, "States.Timeout": _PLAN_KILLED}
LONGEST_MESSAGE = 2_000


@dataclass(frozen=True)
class KnownState:
    """A table's state, for a table whose extractor wrote no record.

    Attributes
    ----------
    attempts : int
        How often this run has tried it.
    committed : TableEntry or None
        The entry in this run's commit, if it was applied.
    extracted_until : str or None
        The watermark after the last commit, of whichever run.
    """

    attempts: int = 0
    committed: TableEntry | None = None
    extracted_until: str | None = None


def build_manifest(
    execution: Mapping[str, Any],
    plan: PlannedRun | None,
    records: Mapping[str, TableEntry],
    results: Sequence[Mapping[str, Any]],
    *,
    state_of: Callable[[PlannedRun, TableSpec], KnownState],
    plan_error: Mapping[str, Any] | None,
    map_error: Mapping[str, Any] | None = None,
    taken: Sequence[Taken] = (),
    earlier: Manifest | None = None,
    warnings: Sequence[str] = (),
    size: ExtractSize | None = None,
    finished_at: datetime,
) -> Manifest:
    """Put a run's manifest together.

    Parameters
    ----------
    execution : mapping
        Step Functions' ``$$.Execution``.
    plan : PlannedRun or None
        None where the run could not be planned.
    records : mapping
        The record of each table's extractor in S3, by table.
    results : sequence of mapping
        The results of the Maps' iterations, those of tables and those of ranges; after a redrive, of the tables that
        ran again.
    state_of : callable
        Returns a table's state, for a table whose record and Map result disagree.
    plan_error, map_error : mapping or None
        The state machine's ``{"Error", "Cause"}``, where the plan or the Map itself failed.
    taken : sequence of Taken
        The files of this run that other runs report. The manifest names none of them.
    earlier : Manifest, optional
        The manifest that this run decided on before. The new one also names all its files.
    warnings : sequence of str
        What concerns the whole run, beside the plan's warnings.
    size : ExtractSize, optional
        Of ExtractTable, for the cost; without it the manifest has none.
    """
    ended = by_table(results)
    tables = []
    if plan is not None:
        for spec in plan.tables:
            record = records.get(spec.name)
            result = ended.get(spec.name) or _of_map(map_error)
            if record is None or not _agrees(record, result):
                record = _from_state(spec, plan, record, result, state_of(plan, spec))
            entry = _without_taken(record, [each for each in taken if each.table == spec.name])
            if not entry.has("mode"):
                entry = entry.but(mode=spec.mode)
            before = earlier.table(spec.name) if earlier else None
            tables.append(_with_redrive(entry, before, redrives_of(execution)))
    totals = Totals.of(tables)
    error = _plan_error(plan_error) if plan_error or plan is None else None
    return Manifest(
        version=1,
        run_id=execution["Name"],
        execution_arn=execution["Id"],
        status="FAILED" if totals.failed or error else "SUCCEEDED",
        started_at=started_at(execution),
        finished_at=utc_text(finished_at),
        redrives=redrives_of(execution),
        window_end=format_timestamp(plan.until) if plan else None,
        totals=totals,
        warnings=[*(plan.warnings if plan else []), *warnings],
        bound=BoundEntry.model_validate(plan.bound) if plan else None,
        error=error,
        **({"cost": cost_of(size, tables, redrives_of(execution))} if size is not None else {}),
        tables=tables,
        **_place_of(plan),
    )


def _place_of(plan: PlannedRun | None) -> dict[str, Any]:
    place = plan.table_list if plan is not None else None
    return {} if place is None else {"table_list": TableListEntry.model_validate(place.as_dict())}


def outcome_of(manifest: Manifest, key: str) -> dict[str, Any]:
    """Return the data that the state machine passes to the gate, and the event's own figures."""
    return {
        "status": manifest.status,
        "failed": [table.table for table in manifest.failed],
        "redrives": manifest.redrives,
        "manifest": key,
        "event": {"redrives": manifest.redrives, "rows": manifest.totals.rows},
    }


def is_newer(started_at: str, latest: str | None) -> bool:
    """Whether a run did not start earlier than the latest one, if any."""
    return latest is None or parse_utc(started_at) >= parse_utc(latest)


def by_table(results: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the result of each table. One whose range failed has failed; else one of its readers has committed it.

    If several ranges of a table failed, ``others`` has the errors of all but the first.
    """
    ended: dict[str, Mapping[str, Any]] = {}
    for result in results:
        if not isinstance(result, Mapping) or "table" not in result:
            continue
        before = ended.get(result["table"], result)
        if before is not result and before.get("status") == result.get("status") == "FAILED":
            ended[result["table"]] = {**before, "others": [*before.get("others", []), result.get("error")]}
            continue
        is_known = before.get("status") == "FAILED" or result.get("status") == "RANGE_READ"
        ended[result["table"]] = before if is_known else result
    return ended


def _agrees(record: TableEntry, result: Mapping[str, Any] | None) -> bool:
    """Whether a record is this pass's result for its table.

    A commit is the result, even if the function died afterwards. A failure is the result, unless a later attempt died.
    """
    if record.error is None or result is None:
        return True
    errors = {result.get("error"), *result.get("others", [])}
    return result.get("status") == "FAILED" and not errors.isdisjoint({record.error.type, "Runtime.HandlerError"})


def _without_taken(record: TableEntry, taken: Sequence[Taken]) -> TableEntry:
    """Leave out the files that other runs report, since this run was stopped before it reported them."""
    if not taken:
        return record
    entry = without_files(record, {key for each in taken for key in each.keys})
    if entry.keys:
        return entry
    reason = f"run {taken[-1].by}, or a later one, reports what this run extracted, since it was unreported"
    return entry.but(status="SKIPPED", error=None, warnings=[*entry.warnings, reason])


def _with_redrive(entry: TableEntry, before: TableEntry | None, redrives: int) -> TableEntry:
    """Set the redrive of the entry. An entry that is unchanged from the manifest before keeps its earlier redrive."""
    if before is None:
        return entry.but(redrive=redrives)
    if not set(before.keys) <= set(entry.keys):
        # A manifest never drops what it has reported.
        entry = joined_record(entry, [before]) if entry.keys else before
    return before if before.but(redrive=redrives) == entry.but(redrive=redrives) else entry.but(redrive=redrives)


def _from_state(
    spec: TableSpec, plan: PlannedRun, record: TableEntry | None, result: Mapping[str, Any] | None, state: KnownState
) -> TableEntry:
    if state.committed is not None:  # the function died between its commit and its record
        return state.committed
    name = str((result or {}).get("error") or "NoAnswer")
    message = (result or {}).get("message") or (
        f"the function ended without an answer ({name}); nothing of this window is visible unless a later run reports "
        f"it, and the next run covers its rows too. {_REMEDIES.get(name, _LOOK)}"
    )
    if record is not None and record.error:
        message += f" An earlier attempt failed with {record.error}"
    return blank_record(
        spec,
        "FAILED",
        after=(record.window.after if record is not None else None) or state.extracted_until,
        until=format_timestamp(plan.until),
        attempts=state.attempts,
        seconds=0.0,
        error=ErrorEntry(type=name, message=message[:LONGEST_MESSAGE]),
    )


def _of_map(error: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Return the result of a table for which the Map has none, since the Map failed as a whole."""
    if error is None:
        return None
    kind, cause = str(error.get("Error", "Unknown")), str(error.get("Cause", ""))
    return {"status": "FAILED", "error": kind, "message": f"the state machine stopped the tables ({kind}). {cause}"}


def _plan_error(error: Mapping[str, Any] | None) -> ErrorEntry:
    """Read the error out of the ``Cause``, which is a JSON text when a Lambda raised it."""
    if error is None:
        return ErrorEntry(type="PlanFailed", message="the run left no plan")
    name = str(error.get("Error", "Unknown"))
    kind, cause = name, str(error.get("Cause", ""))
    try:
        detail = json.loads(cause)
    except ValueError:
        detail = None
    if isinstance(detail, dict) and "errorMessage" in detail:
        kind = str(detail.get("errorType") or kind)
        cause = str(detail["errorMessage"])
    remedy = _PLAN_REMEDIES.get(name) or _PLAN_REMEDIES.get(kind)
    return ErrorEntry(type=kind, message=f"{cause[:LONGEST_MESSAGE]}{f' {remedy}' if remedy else ''}".strip())
