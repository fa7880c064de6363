"""The gate's decisions, and that its cause fits into Step Functions whatever failed."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from rds_to_s3 import gate as gate_module
from rds_to_s3.bucket_keys import gate_key
from rds_to_s3.errors import PlanFailed, StorageRefusedError, TablesFailed
from rds_to_s3.gate import Decision, ask_gate, decide
from rds_to_s3.reported.gate_answer import known_redrives
from tests.support.manifests import entry_json, manifest
from tests.support.memory_store import MemoryStore

KEY = "runs/run-1/manifest.json"


def gate(
    errors: Mapping[str, str | None], *, redriven: int = 0, planned_at: int = 0, plan_error: str | None = None
) -> Decision:
    """Ask the gate about tables and the message each failed with, or None."""
    failed = [name for name, message in errors.items() if message is not None]
    status = "FAILED" if failed or plan_error else "SUCCEEDED"
    reasons = {name: {"type": "StorageRefusedError", "message": message} for name, message in errors.items()}
    told = manifest(
        *(entry_json(name, "FAILED" if name in failed else "SUCCEEDED", error=reasons[name] if name in failed else None)
          for name in errors),
        status=status,
        error={"type": "TableListError", "message": plan_error} if plan_error else None,
    )  # fmt: skip
    outcome = {"status": status, "failed": failed, "redrives": planned_at, "manifest": KEY}
    return decide({"Name": "run-1", "RedriveCount": redriven}, outcome, told)


class Gate:
    """The gate of one run over a bucket in memory, on an engine that never shows a redrive's number."""

    def __init__(self, store: MemoryStore | None = None, started: str = "2025-04-02T12:00:00Z") -> None:
        self.store = store or MemoryStore()
        self.execution = {"Name": "run-1", "StartTime": started}
        self.problems: list[Exception] = []
        self.rounds = 0

    def write_manifest(self) -> None:
        self.rounds += 1
        failed = manifest(
            entry_json("orders", "FAILED", error={"type": "E", "message": "denied"}),
            status="FAILED",
            finished_at=f"2025-04-02T12:00:0{self.rounds}.000Z",
        )
        self.store.put(KEY, failed.to_json())

    def ask(self, attempt: int | None) -> str:
        outcome = {"status": "FAILED", "failed": ["orders"], "redrives": 0, "manifest": KEY}
        entry = None if attempt is None else {"Name": "CheckRun", "RetryCount": attempt}
        try:
            return ask_gate(self.execution, entry, outcome, self.store, self.problems.append)["decision"]
        except TablesFailed:
            return "TablesFailed"

    @property
    def redrives(self) -> int:
        return known_redrives(self.store, self.execution)


FAILS, AGAIN = "TablesFailed", "RETRY_FAILED"


@pytest.mark.parametrize(
    ("attempts", "answers"),
    [
        ([0], [FAILS]),
        ([0, 0], [FAILS, AGAIN]),
        ([0, 1, 2], [FAILS, FAILS, FAILS]),  # the answers were lost on their way
        ([2, 0], [FAILS, AGAIN]),
        ([0, 1, 0], [FAILS, FAILS, AGAIN]),
        ([0, 0, 1], [FAILS, AGAIN, AGAIN]),  # the redrive's answer was lost
        ([0, 0, 0], [FAILS, AGAIN, AGAIN]),  # all its answers were, and the execution failed at the gate
        ([None, None], [FAILS, FAILS]),  # an execution of an earlier release's definition
    ],
)
def test_the_gate_tells_a_redrive_from_a_retry_by_the_attempts_number(
    attempts: list[int | None], answers: list[str]
) -> None:
    run = Gate()
    run.write_manifest()
    assert [run.ask(attempt) for attempt in attempts] == answers
    assert run.redrives == min(answers.count(AGAIN), 1)


def test_a_new_manifest_has_not_been_asked_about() -> None:
    run = Gate()
    for count in range(3):
        run.write_manifest()
        assert [run.ask(0), run.ask(0), run.redrives] == [FAILS, AGAIN, count + 1]


def test_an_earlier_execution_of_the_same_name_was_not_this_one() -> None:
    run = Gate()
    run.write_manifest()
    run.ask(0)
    later = Gate(run.store, "2025-09-02T12:00:00Z")
    assert (later.ask(0), later.redrives) == (FAILS, 0)


def test_an_answer_that_cannot_be_kept_does_not_hide_why_the_tables_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Gate()
    run.write_manifest()

    def refuse(*_: object, **__: object) -> str:
        raise StorageRefusedError("denied")

    monkeypatch.setattr(run.store, "put", refuse)
    assert run.ask(0) == FAILS
    assert [type(problem) for problem in run.problems] == [StorageRefusedError]


def test_an_unreadable_answer_counts_as_none() -> None:
    run = Gate()
    run.write_manifest()
    run.store.put(gate_key("run-1"), b"{}")
    assert [run.ask(0), run.ask(0)] == [FAILS, AGAIN]


def cause(error: pytest.ExceptionInfo[Exception]) -> str:
    """Return the message as Lambda's error document carries it."""
    return json.dumps(str(error.value))


def test_a_run_without_failures_is_finished() -> None:
    assert gate({"orders": None, "menu": None}) == {"decision": "FINISHED", "tables": []}


def test_a_run_over_no_table_is_finished() -> None:
    assert gate({}) == {"decision": "FINISHED", "tables": []}


def test_a_finished_run_stays_finished_when_it_is_redriven() -> None:
    assert gate({"orders": None}, redriven=1)["decision"] == "FINISHED"


def test_an_engine_that_leaves_the_redrive_count_out_counts_as_never_redriven() -> None:
    outcome = {"status": "FAILED", "failed": ["orders"], "redrives": 0, "manifest": KEY}
    with pytest.raises(TablesFailed):
        decide({"Name": "run-1"}, outcome, manifest(entry_json("orders")))


def test_the_cause_names_each_failed_table_why_and_the_manifest() -> None:
    with pytest.raises(TablesFailed) as error:
        gate({"orders": "the role may not write to it", "menu": None, "location": "access denied"})
    assert str(error.value) == (
        "2 of 3 tables failed; the others are committed. Manifest: runs/run-1/manifest.json. To run only the failed "
        'ones again, redrive this execution or start one with {"rerun_failed_of": "run-1"}.\n'
        "orders: StorageRefusedError: the role may not write to it\n"
        "location: StorageRefusedError: access denied"
    )


def test_a_redrive_sends_the_failed_tables_round_again() -> None:
    assert gate({"orders": "denied", "menu": None}, redriven=1) == {"decision": "RETRY_FAILED", "tables": ["orders"]}


def test_tables_that_failed_again_in_this_redrive_fail_the_run_again() -> None:
    with pytest.raises(TablesFailed):
        gate({"orders": "denied"}, redriven=3, planned_at=3)


def test_a_plan_that_failed_fails_the_run_with_its_reason() -> None:
    with pytest.raises(PlanFailed, match="TableListError: tables: unknown key") as error:
        gate({}, plan_error="tables: unknown key")
    assert KEY in str(error.value)


def test_a_redrive_after_a_failed_plan_plans_the_whole_input_again() -> None:
    assert gate({}, plan_error="no database", redriven=1) == {"decision": "RETRY_PLAN", "tables": []}


def test_a_plan_that_failed_in_a_redrive_keeps_the_failed_tables_for_the_next_one() -> None:
    with pytest.raises(PlanFailed, match="Still failed from an earlier attempt:\norders"):
        gate({"orders": "denied", "menu": None}, plan_error="no database", redriven=1, planned_at=1)
    assert gate({"orders": "denied", "menu": None}, plan_error="no database", redriven=2, planned_at=1) == {
        "decision": "RETRY_FAILED",
        "tables": ["orders"],
    }


@pytest.mark.parametrize("message", ["x" * 5000, 'a "quoted" line\n' * 300, "Tabelle für Übergrößen " * 200])
def test_the_cause_of_five_hundred_failures_names_all_and_stays_below_the_limit(message: str) -> None:
    tables = {f"table_{number:03}": message for number in range(500)}
    with pytest.raises(TablesFailed) as error:
        gate(tables)
    assert len(cause(error)) <= 30_002
    assert all(f"\n{name}: StorageRefused" in str(error.value) for name in tables)


def test_short_reasons_leave_their_room_to_a_long_one() -> None:
    tables = {f"table_{number}": "denied" for number in range(100)} | {"orders": "x" * 20_000}
    with pytest.raises(TablesFailed) as error:
        gate(tables)
    assert "x" * 20_000 in str(error.value)


def test_names_that_leave_no_room_for_reasons_are_still_listed() -> None:
    tables = {f"{number:03}_{'n' * 50}": "denied" for number in range(500)}
    with pytest.raises(TablesFailed) as error:
        gate(tables)
    assert all(name in str(error.value) for name in tables)
    assert len(cause(error)) <= 30_002


def test_names_beyond_the_limit_are_counted() -> None:
    tables = {f"{number:03}_{'ü' * 60}": "denied" for number in range(500)}
    with pytest.raises(TablesFailed, match=r", and \d+ more$") as error:
        gate(tables)
    assert len(cause(error)) <= 30_002


def test_a_long_message_is_shortened_by_one_pass_over_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []
    whole_length = gate_module._length

    def length(text: str) -> int:
        measured.append(len(text))
        return whole_length(text)

    monkeypatch.setattr(gate_module, "_length", length)
    with pytest.raises(PlanFailed) as error:
        gate({}, plan_error='"ß' * 500_000)
    assert len(cause(error)) <= 30_002
    assert str(error.value).count('"ß') > 1_500  # as many as fit
    assert sum(measured) < 50_000


@pytest.mark.parametrize("character", ["x", '"', "ß", "\U0001f355", "\ud83d"])
@pytest.mark.parametrize("limit", [3, 20, 21, 22, 23, 1000])
def test_a_shortened_text_is_as_long_as_the_limit_lets_it_be(character: str, limit: int) -> None:
    size = gate_module._length(character)
    shortened = gate_module._shortened(character * 2_000, limit)
    assert shortened == character * ((limit - 3) // size) + "..."
    assert gate_module._shortened(character * (limit // size), limit) == character * (limit // size)


def test_a_planning_error_of_any_length_fits() -> None:
    tables = {f"{number:03}_{'ü' * 60}": "denied" for number in range(500)}
    with pytest.raises(PlanFailed) as error:
        gate(tables, plan_error='"ß' * 40_000)
    assert len(cause(error)) <= 30_002
