"""The four functions and EventBridge as the state machine sees them, without database and S3: docs/architecture.md.

What each table's invocations do is scripted; the gate is the real one.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rds_to_s3.bucket_keys import manifest_key
from rds_to_s3.errors import InputError, TableListError
from rds_to_s3.gate import ask_gate
from rds_to_s3.manifest.model import by_table
from rds_to_s3.manifest.write_manifest import results_of
from rds_to_s3.reported.gate_answer import known_redrives
from tests.support.manifests import entry_json, manifest_json
from tests.support.memory_store import MemoryStore

Payload = Mapping[str, Any]
CONTINUE = "CONTINUE"
LARGEST_EVENT = 256 * 1024  # what EventBridge took in one entry for years; now it is 1 MB
Step = Exception | str | Callable[[], None]
"""One invocation's behaviour: raise this, answer with this status, or do this and succeed."""


class LambdaFaultError(Exception):
    """An error that Lambda itself reports, under the name that Step Functions then sees."""

    def __init__(self, name: str, message: str = "") -> None:
        super().__init__(message or f"RequestId: 0 Error: {name}")
        self.name = name


def error_name(error: Exception) -> str:
    return error.name if isinstance(error, LambdaFaultError) else type(error).__name__


@dataclass
class Functions:
    """Answers in place of the deployed functions.

    Attributes
    ----------
    listed : list of str
        What the table list holds.
    tables : dict
        Per table what its next invocations do, one after the other; after the last one it succeeds.
    divided : dict
        How many readers share a table. What each one's next invocations do is in `ranges`, by table and number.
    plan, manifest_faults, event_faults, gate_faults : list
        The same for PlanRun, and faults of the other two functions and of EventBridge.
    lost_answers : int
        So many of the gate's next answers do not reach Step Functions.
    counts_redrives : bool
        Whether a redriven Task sees the new ``RedriveCount``, which AWS documents nowhere.
    calls : list of (str, payload)
        Every invocation, in order.
    """

    listed: list[str]
    tables: dict[str, list[Step]] = field(default_factory=dict)
    divided: dict[str, int] = field(default_factory=dict)
    ranges: dict[tuple[str, int], list[Step]] = field(default_factory=dict)
    plan: list[Step] = field(default_factory=list)
    manifest_faults: list[Step] = field(default_factory=list)
    event_faults: list[Step] = field(default_factory=list)
    gate_faults: list[Step] = field(default_factory=list)
    lost_answers: int = 0
    counts_redrives: bool = True
    max_concurrency: int = 5
    document: str | None = None

    calls: list[tuple[str, Payload]] = field(default_factory=list)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0
    _bucket: MemoryStore = field(default_factory=MemoryStore)
    _records: dict[str, str] = field(default_factory=dict)
    _read: set[tuple[str, int]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def invoke(self, function: str, payload: Payload) -> Payload:
        """Run one invocation.

        Raises
        ------
        Exception
            What the script says; its class's name is the error's name.
        """
        if not self.counts_redrives and "execution" in payload:
            payload = {**payload, "execution": {**payload["execution"], "RedriveCount": 0}}
        with self._lock:
            self.calls.append((function, payload))
        handler: Callable[[Payload], Payload] = {
            "ReadTableList": self._read_table_list,
            "PlanRun": self._plan_run,
            "ExtractTable": self._extract_table,
            "WriteManifest": self._write_manifest,
            "AnnounceRun": self._put_events,
            "CheckRun": self._check_run,
        }[function]
        return handler(payload)

    def called(self, function: str) -> list[Payload]:
        return [payload for name, payload in self.calls if name == function]

    def extracted(self) -> list[str]:
        """The tables of all ExtractTable invocations that are not of one range, in order."""
        return [payload["table"] for payload in self.called("ExtractTable") if "range" not in payload]

    def ranges_read(self) -> list[tuple[str, int]]:
        """The tables and ranges of all invocations for a range, in order."""
        return [(payload["table"], payload["range"]) for payload in self.called("ExtractTable") if "range" in payload]

    def attempts(self) -> dict[str, int]:
        counts: dict[str, int] = defaultdict(int)
        for table in self.extracted():
            counts[table] += 1
        return dict(counts)

    def table_list(self) -> str:
        return self.document if self.document is not None else json.dumps({"tables": self.listed})

    def _step(self, script: list[Step], default: Step = "SUCCEEDED") -> str:
        with self._lock:
            step = script.pop(0) if script else default
        if isinstance(step, Exception):
            raise step
        if isinstance(step, str):
            return step
        step()
        return "SUCCEEDED"

    def _read_table_list(self, payload: Payload) -> Payload:
        return {"Parameter": {"Name": payload["Name"], "Value": self.table_list()}}

    def _plan_run(self, payload: Payload) -> Payload:
        execution, state = payload["execution"], payload["state"]
        self._step(self.plan)
        try:
            listed: Sequence[str] = json.loads(state["table_list"]["document"])["tables"]
        except (ValueError, KeyError, TypeError) as error:
            raise TableListError("the table list is not a JSON document with tables") from error
        if listed == ["*"]:
            listed = self.listed
        if state.get("decision") == "RETRY_FAILED":
            tables = state["tables"]
        elif isinstance(state["input"], dict):
            tables = state["input"].get("tables", listed)
        else:
            raise InputError("the input is not an object")
        if unlisted := sorted(set(tables) - set(listed)):
            raise InputError(f"not listed: {', '.join(unlisted)}")
        return {
            "run_id": execution["Name"],
            "until": "2025-04-02 12:00:00",
            "max_concurrency": self.max_concurrency,
            "redrives": execution.get("RedriveCount", 0),
            "tables": [{"table": table} for table in tables],
        }

    def _extract_table(self, payload: Payload) -> Payload:
        table, number = str(payload["table"]), payload.get("range")
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            status = self._step(self.tables.get(table, []) if number is None else self.ranges.get((table, number), []))
        except Exception as error:
            if not isinstance(error, LambdaFaultError):  # a function that was killed leaves no record
                self._records[table] = str(error)
            raise
        finally:
            with self._lock:
                self._at_once -= 1
        missing: list[int] = []
        if status == "SUCCEEDED":
            with self._lock:
                self._read |= {(table, number)} if number is not None else set()
                missing = [n + 1 for n in range(self.divided.get(table, 0)) if (table, n + 1) not in self._read]
            if missing:
                status = "DIVIDED" if number is None else "RANGE_READ"
        ranges = [{"table": table, "range": each} for each in missing] if number is None else []
        return {
            "table": table,
            "range": number,
            "status": status,
            "rows": 1,
            "files": 1,
            "ranges": ranges,
            "not": "passed on",
        }

    def _write_manifest(self, payload: Payload) -> Payload:
        self._step(self.manifest_faults)
        execution, state = payload["execution"], payload["state"]
        run_id: str = execution["Name"]
        before = {table["table"]: table for table in self.manifests.get(run_id, {"tables": []})["tables"]}
        results = by_table(results_of(state))
        now = {
            table: entry_json(
                table,
                result["status"],
                error={"type": result["error"], "message": self._records.get(table, "killed")}
                if result["status"] == "FAILED"
                else None,
            )
            for table, result in results.items()
        }
        plan_error = state.get("plan_error")
        tables = list((before | now).values())
        failed = [table["table"] for table in tables if table["status"] == "FAILED"]
        self.manifests[run_id] = manifest_json(
            *tables,
            run_id=run_id,
            status="FAILED" if failed or plan_error else "SUCCEEDED",
            error={"type": plan_error["Error"], "message": plan_error["Cause"]} if plan_error else None,
            finished_at=f"2025-04-02T12:00:{len(self.called('WriteManifest')):06.3f}Z",
        )
        self._bucket.put(manifest_key(run_id), json.dumps(self.manifests[run_id]).encode())
        planned = state["plan"]["redrives"] if "plan" in state else execution.get("RedriveCount", 0)
        return {
            "status": self.manifests[run_id]["status"],
            "failed": failed,
            "redrives": max(known_redrives(self._bucket, execution), planned),
            "manifest": manifest_key(run_id),
            "event": {"redrives": execution.get("RedriveCount", 0), "rows": len(tables) - len(failed)},
        }

    def _put_events(self, payload: Payload) -> Payload:
        """Take what EventBridge would take, within its limit."""
        status = self._step(self.event_faults, "0")
        (entry,) = payload["Entries"]
        # The engines make text of the detail as AWS's does; a function in its place gets the object.
        detail = json.loads(entry["Detail"]) if isinstance(entry["Detail"], str) else entry["Detail"]
        assert len(json.dumps(detail)) < LARGEST_EVENT
        if status == "0":
            with self._lock:
                self.events.append({**entry, "Detail": detail})
        return {"FailedEntryCount": int(status), "Entries": [{"EventId": "1"}]}

    def _check_run(self, payload: Payload) -> Payload:
        self._step(self.gate_faults)
        try:
            return ask_gate(payload["execution"], payload["entry"], payload["state"]["outcome"], self._bucket)
        finally:
            if self.lost_answers:
                self.lost_answers -= 1
                raise LambdaFaultError("Lambda.SdkClientException")
