"""What happened in a run, as `runs/{run_id}/manifest.json` tells it. The schema stands in ``schemas/``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rds_to_s3.commit.entries import file_keys
from rds_to_s3.plan.execution import parse_utc, redrives_of, started_at, utc_text
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.reported.record import joined_record, without_files
from rds_to_s3.timestamps import format_timestamp

Json = dict[str, Any]
_LOOK = "The execution's history has its message (rds-to-s3 history RUN), the function's log what came before."
_OUT_OF_TIME = "It ran out of time: raise ExtractTimeout, or see in the function's log what it waited for."
_OUT_OF_MEMORY = "It was killed, as a rule for lack of memory: raise ExtractMemorySize. The function's log tells."
_REMEDIES = {
    "Sandbox.Timedout": _OUT_OF_TIME,
    "States.Timeout": _OUT_OF_TIME,
    "Runtime.ExitError": _OUT_OF_MEMORY,
    "Runtime.OutOfMemory": _OUT_OF_MEMORY,
}  # by the name that Lambda or Step Functions gives to the error
LONGEST_MESSAGE = 2_000


@dataclass(frozen=True)
class KnownState:
    """What a table's state says, where its extractor left no word.

    Attributes
    ----------
    attempts : int
        How often this run has tried it.
    committed : dict or None
        The entry that this run's commit carries, if it was carried out.
    extracted_until : str or None
        The watermark after the last commit, whosever it was.
    """

    attempts: int = 0
    committed: Json | None = None
    extracted_until: str | None = None


def build_manifest(
    execution: Mapping[str, Any],
    plan: PlannedRun | None,
    records: Mapping[str, Json],
    results: Sequence[Mapping[str, Any]],
    *,
    state_of: Callable[[PlannedRun, TableSpec], KnownState],
    plan_error: Mapping[str, Any] | None,
    map_error: Mapping[str, Any] | None = None,
    taken: Sequence[Json] = (),
    earlier: Json | None = None,
    finished_at: datetime,
) -> Json:
    """Put a run's manifest together.

    Parameters
    ----------
    execution : mapping
        Step Functions' ``$$.Execution``.
    plan : PlannedRun or None
        None where the run could not be planned.
    records : mapping
        What each table's extractor left in S3, by table.
    results : sequence of mapping
        What the Map's iterations ended with; after a redrive, those of the tables that ran again.
    state_of : callable
        Asks a table's state, where the record and the Map disagree.
    plan_error, map_error : mapping or None
        The state machine's ``{"Error", "Cause"}``, where the plan or the Map itself failed.
    taken : sequence of mapping
        The files of this run that other runs report: ``{"table", "by", "keys"}``. The manifest names none of them.
    earlier : dict, optional
        The manifest that this run decided on before. Every file in it is in this one, too.
    finished_at : datetime
    """
    ended = {result["table"]: result for result in results if isinstance(result, Mapping) and "table" in result}
    tables = []
    if plan is not None:
        for spec in plan.tables:
            record = records.get(spec.name)
            result = ended.get(spec.name) or _of_map(map_error)
            if record is None or not _agrees(record, result):
                record = _from_state(spec, plan, record, result, state_of(plan, spec))
            entry = _without_taken(record, [each for each in taken if each["table"] == spec.name])
            before = next((each for each in (earlier or {}).get("tables", []) if each["table"] == spec.name), None)
            tables.append(_with_redrive({"mode": spec.mode} | entry, before, redrives_of(execution)))
    failed = [table for table in tables if table["status"] == "FAILED"]
    error = _plan_error(plan_error) if plan_error or plan is None else None
    return {
        "version": 1,
        "run_id": execution["Name"],
        "execution_arn": execution["Id"],
        "status": "FAILED" if failed or error else "SUCCEEDED",
        "started_at": started_at(execution),
        "finished_at": utc_text(finished_at),
        "redrives": redrives_of(execution),
        "window_end": format_timestamp(plan.until) if plan else None,
        "totals": {
            "tables": len(tables),
            "succeeded": len(tables) - len(failed),
            "failed": len(failed),
            "rows": sum(table["rows"] for table in tables),
            "files": sum(len(table["files"]) for table in tables),
            "bytes": sum(file["bytes"] for table in tables for file in table["files"]),
        },
        "warnings": plan.warnings if plan else [],
        "bound": plan.bound if plan else None,
        "error": error,
        "tables": tables,
    }


def outcome_of(manifest: Json, key: str) -> Json:
    """Return what the state machine carries on to the gate."""
    return {
        "status": manifest["status"],
        "failed": [table["table"] for table in manifest["tables"] if table["status"] == "FAILED"],
        "redrives": manifest["redrives"],
        "manifest": key,
    }


def is_newer(manifest: Json, latest: Json | None) -> bool:
    """Whether `manifest` is of a run that started no earlier than that of `latest`."""
    return latest is None or parse_utc(manifest["started_at"]) >= parse_utc(latest["started_at"])


def _agrees(record: Json, result: Mapping[str, Any] | None) -> bool:
    """Whether a record is this pass's last word on its table.

    A commit is the truth, whatever became of the function afterwards. A failure is, unless a later attempt died.
    """
    if record["status"] != "FAILED" or result is None or result.get("status") != "FAILED":
        return record["status"] != "FAILED" or result is None or result.get("status") == "FAILED"
    return result.get("error") in {record["error"]["type"], "Runtime.HandlerError"}


def _without_taken(record: Json, taken: Sequence[Json]) -> Json:
    """Leave out what other runs report, since this one had been stopped before it could."""
    if not taken:
        return record
    entry = without_files(record, {key for each in taken for key in each["keys"]})
    if file_keys(entry):
        return entry
    reason = f"run {taken[-1]['by']}, or one after it, reports what this run extracted: it had not reported it by then"
    return entry | {"status": "SKIPPED", "error": None, "warnings": [*entry["warnings"], reason]}


def _with_redrive(entry: Json, before: Json | None, redrives: int) -> Json:
    """Say in which redrive the entry was made: where it is what it was in the manifest before, in an earlier one."""
    if before is None:
        return entry | {"redrive": redrives}
    if not set(file_keys(before)) <= set(file_keys(entry)):
        # What a manifest has reported, it reports for good.
        entry = joined_record(entry, [before]) if file_keys(entry) else before
    if {**before, "redrive": None} == {**entry, "redrive": None}:
        return before
    return entry | {"redrive": redrives}


def _from_state(
    spec: TableSpec,
    plan: PlannedRun,
    record: Json | None,
    result: Mapping[str, Any] | None,
    state: KnownState,
) -> Json:
    # The function died between its commit and its word of it.
    return state.committed if state.committed is not None else _without_answer(spec, plan, record, result, state)


def _without_answer(
    spec: TableSpec,
    plan: PlannedRun,
    record: Json | None,
    result: Mapping[str, Any] | None,
    state: KnownState,
) -> Json:
    name = str((result or {}).get("error") or "NoAnswer")
    message = (result or {}).get("message") or (
        f"the function ended without an answer ({name}); nothing of this window is visible unless a later run says so, "
        f"and the next run covers its rows too. {_REMEDIES.get(name, _LOOK)}"
    )
    if record is not None and record.get("error"):
        message += f" An earlier attempt said: {record['error']['type']}: {record['error']['message']}"
    after = record["window"]["after"] if record is not None else None
    return {
        "table": spec.name,
        "mode": spec.mode,
        "status": "FAILED",
        "rows": 0,
        "source_rows": 0,
        "window": {"after": after or state.extracted_until, "until": format_timestamp(plan.until)},
        "format": spec.format,
        "attempts": state.attempts,
        "seconds": 0.0,
        "files": [],
        "columns": [],
        "warnings": [],
        "error": {"type": name, "message": message[:LONGEST_MESSAGE]},
    }


def _of_map(error: Mapping[str, Any] | None) -> Json | None:
    """Return how a table ended that the Map had no result of, since it failed as a whole."""
    if error is None:
        return None
    kind, cause = str(error.get("Error", "Unknown")), str(error.get("Cause", ""))
    return {"status": "FAILED", "error": kind, "message": f"the state machine gave the tables up ({kind}). {cause}"}


def _plan_error(error: Mapping[str, Any] | None) -> Json:
    """Read the error out of the ``Cause``, which is a JSON text when a Lambda raised it."""
    if error is None:
        return {"type": "PlanFailed", "message": "the run left no plan"}
    kind, cause = str(error.get("Error", "Unknown")), str(error.get("Cause", ""))
    try:
        detail = json.loads(cause)
    except ValueError:
        detail = None
    if isinstance(detail, dict) and "errorMessage" in detail:
        kind = str(detail.get("errorType") or kind)
        cause = str(detail["errorMessage"])
    return {"type": kind, "message": cause[:LONGEST_MESSAGE]}
