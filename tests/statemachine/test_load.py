"""That a run of 500 tables, or of hundreds of ranges, stays inside Step Functions' limits, whatever happens to them."""

from __future__ import annotations

import json

import pytest

from rds_to_s3.errors import DatabaseUnreachableError, SettingsError
from tests.statemachine import definition as definitions
from tests.statemachine.engine import Engine, Execution
from tests.statemachine.functions import Functions, Step

TABLES = [f"{number:03}_{'t' * 60}" for number in range(500)]  # MySQL's longest names
ATTEMPTS = 8
LONGEST_CAUSE = 2_000
MAX_EVENTS = 25_000
MAX_PAYLOAD = 256 * 1024
EVENTS_OF_A_RANGE = 11  # docs/tune.md
BYTES_OF_A_RANGE = 80


def run(engine: Engine, functions: Functions, caplog: pytest.LogCaptureFixture) -> Execution:
    caplog.set_level("CRITICAL", "moto")
    functions.max_concurrency = 5
    functions.document = '{"tables": ["*"]}'  # the parameter holds 8 KiB, so a list of 500 is a pattern
    return engine.machine(definitions.as_deployed(), functions).run()


def longest_texts(execution: Execution) -> dict[str, int]:
    """The length of the longest input, output, parameters, cause and so on of the execution's events, in bytes."""
    longest: dict[str, int] = {}
    for event in execution.history:
        details: dict[str, object] = next((value for key, value in event.items() if key.endswith("Details")), {})
        for field, text in details.items():
            if isinstance(text, str):
                longest[field] = max(longest.get(field, 0), len(text.encode()))
    return longest


def size_of_all(engine: Engine, caplog: pytest.LogCaptureFixture, status: str, *results: Step) -> tuple[float, float]:
    """Return the events and the longest text of a run of all tables, each with the same results.

    Both grow by the table, so two runs of some tables show how. Only the cause is cut, at the same length in both.
    """
    sizes = []
    for tables in (TABLES[:20], TABLES[:40]):
        functions = Functions(tables)
        functions.tables = {name: list(results) for name in tables}
        execution = run(engine, functions, caplog)
        assert execution.status == status
        sizes.append((len(execution.history), longest_texts(execution)))
    (events, texts), (more_events, more_texts) = sizes
    assert all(more_texts[field] - texts[field] > 20 * len(TABLES[0]) for field in ("input", "output", "parameters"))
    assert texts.get("cause") == more_texts.get("cause")
    others = (len(TABLES) - 20) / 20
    longest = max(length + (more_texts[field] - length) * others for field, length in texts.items())
    return events + (more_events - events) * others, longest


def test_five_hundred_tables_stay_inside_history_and_payload(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    events, text = size_of_all(engine, caplog, "SUCCEEDED")
    assert 500 < events < MAX_EVENTS / 3
    assert text < MAX_PAYLOAD / 2


def test_so_do_five_hundred_tables_that_all_fail_after_every_retry(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    events, text = size_of_all(engine, caplog, "FAILED", *[DatabaseUnreachableError("x" * LONGEST_CAUSE)] * ATTEMPTS)
    assert 500 * ATTEMPTS < events < MAX_EVENTS
    assert text < MAX_PAYLOAD / 2


def test_five_hundred_tables_that_all_fail_stay_inside_the_payload(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    functions = Functions(TABLES)
    functions.tables = {name: [SettingsError("x" * LONGEST_CAUSE)] for name in TABLES}
    execution = run(engine, functions, caplog)
    assert execution.error == "TablesFailed"
    assert all(name in execution.cause for name in TABLES[:400])
    assert [event["Detail"]["failed"] for event in functions.events] == [TABLES]
    assert max(longest_texts(execution).values()) < MAX_PAYLOAD / 2


def test_each_range_takes_eleven_events_and_some_hundred_bytes_of_state(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    sizes = []
    for ranges in (20, 80):
        functions = Functions(TABLES[:10], divided=dict.fromkeys(TABLES[:10], ranges // 10))
        execution = run(engine, functions, caplog)
        assert execution.status == "SUCCEEDED"
        state = functions.called("WriteManifest")[0]["state"]
        carried = len(json.dumps([state["extracted"], state["range_results"]], separators=(",", ":")))
        sizes.append((len(execution.history), carried))
    (events, carried), (more_events, more_carried) = sizes
    assert (more_events - events) / 60 == EVENTS_OF_A_RANGE
    assert (more_carried - carried) / 60 <= BYTES_OF_A_RANGE + 2 * len(TABLES[0])
