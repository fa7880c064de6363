"""What is played: who takes part, on which table, within which bounds."""

from __future__ import annotations

from tests.explorer.programs import lifecycle, one_invocation, rewind, run
from tests.explorer.search import Player, Scenario
from tests.explorer.world import Bounds

A, B = Player("a", run("a")), Player("b", run("b"))
FROZEN = Player("a0", one_invocation("a", planned=True))
RETRY = Player("a", run("a", planned=False), after_plan_of="a")
STOPPED = Player("a", run("a", tries=1, reports=False))
PERSON = Player("person", rewind("2020-01-01 00:00:00"))
RULE = Player("lifecycle", lifecycle)
ONE_FILE = {"target_file_bytes": 100_000}
EVERYTHING = {"deletes": "track", "checks": {"note": {"unique": True}}}

FULL = Bounds(switches=2, faults=1, expiries=1, together=2)

SCENARIOS = (
    Scenario("alone", "One run, two faults", (A,), Bounds(0, 2, 1, 2)),
    Scenario("two runs", "Two runs", (A, B), FULL),
    Scenario("retried", "A frozen invocation and its retry", (FROZEN, RETRY), FULL),
    Scenario(
        "stale clock",
        "A frozen invocation whose clock stands still, and another run",
        (FROZEN, B),
        Bounds(2, 1, 1, 2, stale_clocks=True),
        ONE_FILE,
    ),
    Scenario("three", "A frozen invocation, its retry and another run", (FROZEN, RETRY, B), Bounds(2, 0, 1, 2), ONE_FILE),
    Scenario("stopped", "A run that is stopped, and another", (STOPPED, B), Bounds(1, 1, 1, 2)),
    Scenario("hand-over", "A read of several invocations, and another run", (A, B), Bounds(1, 1, 1, 1), in_pages=True),
    Scenario(
        "hand-over retried",
        "A read of several invocations, one of them frozen",
        (FROZEN, RETRY),
        Bounds(2, 1, 1, 2),
        in_pages=True,
    ),
    Scenario(
        "same stamp", "Two runs whose windows end at the same moment", (A, B), Bounds(2, 0, 1, 2), bound_held=True
    ),
    Scenario(
        "uploads lost",
        "A lifecycle rule that aborts uploads, a frozen invocation and its retry",
        (FROZEN, RETRY, RULE),
        Bounds(3, 0, 0, 3),
    ),
    Scenario(
        "rewound", "A person who rewinds the watermark", (A, PERSON, B), Bounds(2, 0, 1, 2), ONE_FILE, twice=True
    ),
    Scenario(
        "everything",
        "Deletes and unique values: a read of several invocations, one of them frozen",
        (FROZEN, RETRY),
        Bounds(1, 1, 0, 1),
        EVERYTHING | ONE_FILE,
        quiet_runs=2,
        in_pages=True,
    ),
    Scenario("deletes", "Deletes: two runs", (A, B), Bounds(1, 1, 1, 1), EVERYTHING | ONE_FILE, quiet_runs=2),
)
