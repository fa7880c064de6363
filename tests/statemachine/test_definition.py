"""What can be said of the definition without running it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from statelint.linter import Linter  # type: ignore[import-untyped]

from rds_to_s3 import errors
from tests.statemachine import definition as definitions

DEFINITION = definitions.as_deployed()
STATES = dict(definitions.states(DEFINITION))
LAMBDA_TASKS = [name for name, state in STATES.items() if state.get("Resource", "").endswith("lambda:invoke")]
LAMBDAS_OWN = {
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
}


def test_what_a_database_needs_time_for_is_transient() -> None:
    assert all(issubclass(getattr(errors, name), errors.TransientError) for name in OF_THE_DATABASE)


def function_of(task: str) -> str:
    return str(STATES[task]["Parameters"]["FunctionName"]).rpartition(":")[2]


def retriers(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = STATES[name]["Retry"]
    return found


def test_statelint_finds_nothing() -> None:
    assert Linter.validate(DEFINITION) == []


def test_every_substitution_is_known_and_used() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", definitions.PATH.read_text())) == set(definitions.SUBSTITUTIONS)


TASKS_WITH_A_DATABASE = ["PlanRun", "ExtractTable", "ReadRange"]
OF_THE_DATABASE = {
    "DatabaseUnreachableError",
    "DatabaseBusyError",
    "ReadInterruptedError",
    "ReplicaStoppedError",
    "ReplicaBehindError",
}


@pytest.mark.parametrize("task", LAMBDA_TASKS)
def test_a_task_retries_permanent_errors_never_lambdas_patiently_and_all_others(task: str) -> None:
    never, service, *database, others = retriers(task)
    assert [set(retrier["ErrorEquals"]) for retrier in database] == (
        [OF_THE_DATABASE] if task in TASKS_WITH_A_DATABASE else []
    )
    assert set(never["ErrorEquals"]) == {error.__name__ for error in errors.RAISED_BY[function_of(task)]}
    assert never["MaxAttempts"] == 0
    assert set(service["ErrorEquals"]) == LAMBDAS_OWN
    assert others["ErrorEquals"] == ["States.ALL"]


def test_a_range_is_retried_and_timed_as_a_table_is() -> None:
    table, part = STATES["ExtractTable"], STATES["ReadRange"]
    assert [part[name] for name in ("Resource", "TimeoutSeconds", "Retry")] == [
        table[name] for name in ("Resource", "TimeoutSeconds", "Retry")
    ]
    assert function_of("ReadRange") == function_of("ExtractTable") == "ExtractTable"
    assert part["Parameters"]["Payload"] == {**table["Parameters"]["Payload"], "range.$": "$.range"}


def test_both_maps_heed_the_same_number_of_connections() -> None:
    maps = [DEFINITION["States"][name] for name in definitions.MAPS]
    assert maps == [state for state in STATES.values() if state["Type"] == "Map"]
    assert {state["MaxConcurrencyPath"] for state in maps} == {"$.plan.max_concurrency"}
    assert {state["ItemProcessor"]["ProcessorConfig"]["Mode"] for state in maps} == {"INLINE"}


def test_the_event_delays_no_run_by_more_than_a_minute() -> None:
    event = STATES["AnnounceRun"]
    tries = 1 + sum(retrier["MaxAttempts"] for retrier in event["Retry"])
    assert tries * event["TimeoutSeconds"] + sum(sum(waits(retrier)) for retrier in event["Retry"]) < 60


def test_the_gate_has_no_catch() -> None:
    assert "Catch" not in STATES["CheckRun"]


def waits(retrier: dict[str, Any]) -> list[float]:
    """The longest that each wait may be; with full jitter it is anything up to that."""
    first, rate, limit = retrier["IntervalSeconds"], retrier["BackoffRate"], retrier["MaxDelaySeconds"]
    return [min(first * rate**attempt, limit) for attempt in range(retrier["MaxAttempts"])]


@pytest.mark.parametrize("task", LAMBDA_TASKS)
def test_retries_wait_longer_each_time_and_not_all_at_once(task: str) -> None:
    waiting = [retrier for retrier in retriers(task) if retrier["MaxAttempts"]]
    service, others = waiting[0], waiting[-1]
    assert service["JitterStrategy"] == others["JitterStrategy"] == "FULL"
    assert waits(service) == [2, 4, 8, 16, 32, 60]
    assert waits(others) == [5, 10, 20]


@pytest.mark.parametrize("task", TASKS_WITH_A_DATABASE)
def test_a_failover_of_five_minutes_is_outlasted_with_certainty(task: str) -> None:
    retrier = retriers(task)[2]
    assert retrier["JitterStrategy"] == "NONE"  # full jitter may make every wait nothing
    assert waits(retrier) == sorted(waits(retrier))
    assert 6 * 60 <= sum(waits(retrier)) <= 10 * 60
    # What is tried at the failover's end must find the server soon: no pause is longer than this.
    assert max(waits(retrier)) <= 90


def successors(state: dict[str, Any]) -> Iterator[str]:
    for step in [state, *state.get("Choices", []), *state.get("Catch", [])]:
        if "Next" in step:
            yield step["Next"]
    if "Default" in state:
        yield state["Default"]


def reachable(start: str, states: dict[str, Any]) -> set[str]:
    seen, todo = set[str](), [start]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += successors(states[name])
    return seen


def test_every_state_can_be_reached() -> None:
    for machine in (DEFINITION, *(DEFINITION["States"][name]["ItemProcessor"] for name in definitions.MAPS)):
        assert reachable(machine["StartAt"], machine["States"]) == set(machine["States"])


def test_no_state_can_fail_the_run_but_through_the_gate() -> None:
    assert not [name for name, state in STATES.items() if state["Type"] == "Fail"]
    uncaught = [n for n, state in STATES.items() if state["Type"] in {"Task", "Map"} and "Catch" not in state]
    assert uncaught == ["WriteManifest", "CheckRun"]


def test_tasks_have_a_time_out_and_a_comment() -> None:
    tasks = [state for state in STATES.values() if state["Type"] == "Task"]
    assert all(state["TimeoutSeconds"] <= 920 and state["Comment"] for state in tasks)


def test_the_translation_leaves_nothing_that_stepfunctions_local_does_not_know() -> None:
    text = str(definitions.for_stepfunctions_local(DEFINITION))
    assert not [word for word in ("ItemProcessor", "ItemSelector", "MaxConcurrencyPath", "aws-sdk") if word in text]


def test_the_translation_does_not_touch_the_definition() -> None:
    definitions.for_stepfunctions_local(DEFINITION)
    assert definitions.as_deployed() == DEFINITION
