"""The gate: decides how a run continues, by its manifest.

It ends the run or fails it. After a redrive of a failed execution, it sends the failed tables round again. It fails the
run by raising: a redrive re-enters only the state that failed uncaught, so that state must decide what to do next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from rds_to_s3.commit.entries import ErrorEntry
from rds_to_s3.errors import PlanFailed, TablesFailed
from rds_to_s3.reported.manifest import Manifest

MAX_CAUSE_CHARS = 30_000
"""Step Functions keeps 32,768 characters of a cause, which also holds the stack trace and JSON's own escapes."""


class Decision(TypedDict):
    """CheckRun's answer to the Choice state after it."""

    decision: Literal["FINISHED", "RETRY_FAILED", "RETRY_PLAN"]
    tables: list[str]


def decide(execution: Mapping[str, Any], outcome: Mapping[str, Any], manifest: Manifest | None) -> Decision:
    """Decide how a run continues.

    Parameters
    ----------
    execution : Mapping
        The context object's ``$$.Execution``. ``RedriveCount`` counts as 0 where an engine leaves it out.
    outcome : Mapping
        WriteManifest's answer: ``{"status", "failed", "redrives", "manifest"}``; ``redrives`` is the count at the last
        plan.
    manifest : Manifest or None
        The manifest that ``outcome["manifest"]`` names; None where it is gone.

    Returns
    -------
    Decision
        ``FINISHED``; ``RETRY_FAILED`` with the tables; or ``RETRY_PLAN`` when the plan failed, so that no table ran.

    Raises
    ------
    PlanFailed
        The run could not be planned, and has not been redriven since.
    TablesFailed
        Some tables failed, and the run has not been redriven since.

    Examples
    --------
    >>> done = {"status": "SUCCEEDED", "failed": [], "redrives": 0, "manifest": "runs/a/manifest.json"}
    >>> decide({"Name": "a"}, done, None)
    {'decision': 'FINISHED', 'tables': []}
    """
    failed = list(outcome["failed"])
    if outcome["status"] == "SUCCEEDED":
        return {"decision": "FINISHED", "tables": []}
    if execution.get("RedriveCount", 0) > outcome["redrives"]:
        return {"decision": "RETRY_FAILED" if failed else "RETRY_PLAN", "tables": failed}
    if manifest is not None and manifest.error:
        raise PlanFailed(_why_the_plan_failed(outcome, manifest.error))
    raise TablesFailed(_why_tables_failed(execution, outcome, manifest))


def _why_the_plan_failed(outcome: Mapping[str, Any], error: ErrorEntry) -> str:
    reason = _shortened(str(error), MAX_CAUSE_CHARS // 2)
    head = (
        f"The run could not be planned, so no table was read. {reason}\n"
        f"Manifest: {outcome['manifest']}. Redrive this execution to plan it again."
    )
    if not outcome["failed"]:
        return head
    head += "\nStill failed from an earlier attempt:\n"
    return head + _names(outcome["failed"], MAX_CAUSE_CHARS - _length(head))


def _why_tables_failed(execution: Mapping[str, Any], outcome: Mapping[str, Any], manifest: Manifest | None) -> str:
    failed = list(outcome["failed"])
    tables = manifest.tables if manifest else []
    reasons = {table.table: str(table.error or "no reason is recorded") for table in tables}
    rerun = json.dumps({"rerun_failed_of": execution["Name"]})
    head = (
        f"{len(failed)} of {len(tables)} tables failed; the others are committed. "
        f"Manifest: {outcome['manifest']}. "
        f"To run only the failed ones again, redrive this execution or start one with {rerun}.\n"
    )
    budget = MAX_CAUSE_CHARS - _length(head)
    share = _fair_share([_length(f"{name}: {reasons.get(name, '')}\n") for name in failed], budget)
    if any(_length(name) + _length(": ...\n") > share for name in failed):
        return head + _names(failed, budget)
    return head + "\n".join(_shortened(f"{name}: {reasons.get(name, '')}", share - _length("\n")) for name in failed)


def _names(names: Sequence[str], budget: int) -> str:
    """As many names as fit, and how many more there are."""
    room = budget - len(f", and {len(names)} more")
    shown = 0
    for name in names:
        room -= _length(f"{name}, ")
        if room < 0:
            break
        shown += 1
    more = f", and {len(names) - shown} more" if shown < len(names) else ""
    return ", ".join(names[:shown]) + more


def _fair_share(lengths: Sequence[int], budget: int) -> int:
    """Find the limit per length with which all fit into the budget; short ones leave their rest to the long ones."""
    for done, length in enumerate(sorted(lengths)):
        share = budget // (len(lengths) - done)
        if length > share:
            return share
        budget -= length
    return max(lengths, default=0)


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit and _length(text) <= limit:
        return text
    # Character by character: the part that is cut off is never read, at any length.
    room = limit - len("...")
    for place, character in enumerate(text):
        room -= _length(character)
        if room < 0:
            return text[:place] + "..."
    return text


def _length(text: str) -> int:
    """Count the characters of the text in Lambda's error document, where a quote takes two and an umlaut six."""
    return len(json.dumps(text)) - len('""')
