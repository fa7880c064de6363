"""The gate: decides how a run continues, by its manifest.

It ends the run or fails it. After a redrive of a failed execution, it sends the failed tables round again. It fails the
run by raising: a redrive re-enters only the state that failed uncaught, so that state must decide what to do next. It
keeps its answer in S3, and so recognises a redrive by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from rds_to_s3.bucket_keys import gate_key
from rds_to_s3.commit.entries import ErrorEntry
from rds_to_s3.errors import PlanFailed, RdsToS3Error, TablesFailed
from rds_to_s3.plan.execution import redrives_of, started_at
from rds_to_s3.reported.gate_answer import GateAnswer, read_gate_answer
from rds_to_s3.reported.manifest import Manifest
from rds_to_s3.s3.objects import ObjectStore

MAX_CAUSE_CHARS = 30_000
"""Step Functions keeps 32,768 characters of a cause, which also holds the stack trace and JSON's own escapes."""


class Decision(TypedDict):
    """CheckRun's answer to the Choice state after it."""

    decision: Literal["FINISHED", "RETRY_FAILED", "RETRY_PLAN"]
    tables: list[str]


def ask_gate(
    execution: Mapping[str, Any],
    entry: Mapping[str, Any] | None,
    outcome: Mapping[str, Any],
    store: ObjectStore,
    on_problem: Callable[[Exception], None] = lambda _: None,
) -> Decision:
    """Decide how a run continues, and keep the answer, so that a redrive is recognised.

    Parameters
    ----------
    execution, outcome : Mapping
        See `decide`.
    entry : Mapping or None
        The context object's ``$$.State``: its ``RetryCount`` tells a retry of the gate from a redrive. None in an
        execution that an earlier release started: then only ``RedriveCount`` counts.
    on_problem : callable
        Called with the error if the answer cannot be kept. That must not hide why the tables failed.

    Raises
    ------
    PlanFailed, TablesFailed
        See `decide`.
    """
    stored = store.get(outcome["manifest"])
    manifest = Manifest.from_json(stored.body) if stored else None
    about = manifest.finished_at if manifest else ""
    last = read_gate_answer(store, execution) if outcome["status"] != "SUCCEEDED" else None
    attempt = int((entry or {}).get("RetryCount") or 0)
    asked_again = entry is not None and last is not None and last.means_redrive(about, attempt)

    def keep(*, sent_again: bool) -> None:
        known = max(redrives_of(execution), last.redrives if last else 0)
        noticed = last is not None and asked_again and not last.sent_again and known == last.redrives
        answer = GateAnswer(
            version=1,
            started_at=started_at(execution),
            outcome=about,
            sent_again=sent_again,
            attempt=attempt,
            redrives=known + noticed,
        )
        try:
            store.put(gate_key(str(execution["Name"])), answer.to_json(), content_type="application/json")
        except RdsToS3Error as error:
            on_problem(error)

    try:
        decision = decide(execution, outcome, manifest, asked_again=asked_again)
    except (PlanFailed, TablesFailed):
        keep(sent_again=False)
        raise
    if decision["decision"] != "FINISHED":
        keep(sent_again=True)
    return decision


def decide(
    execution: Mapping[str, Any], outcome: Mapping[str, Any], manifest: Manifest | None, *, asked_again: bool = False
) -> Decision:
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
    asked_again : bool
        Whether the gate has raised for this outcome before, and this is no retry: the run has been redriven.

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
    if asked_again or redrives_of(execution) > outcome["redrives"]:
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
