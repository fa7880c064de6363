"""What is played: who takes part, on which table, within which bounds."""

from __future__ import annotations

from rds_to_s3.bucket_keys import plan_key
from tests.explorer.actor import Player
from tests.explorer.bucket import Bucket
from tests.explorer.choices import Bounds
from tests.explorer.invariants import register_of
from tests.explorer.programs import lifecycle, one_invocation, one_range, rewind, run
from tests.explorer.search import Scenario


def is_planned(bucket: Bucket) -> bool:
    """Whether run a has its plan."""
    return plan_key("a") in bucket.objects


def is_decided(bucket: Bucket) -> bool:
    """Whether there is a decision that has not been carried out."""
    commit = register_of(bucket)["commit"]
    return commit is not None and not commit["applied"]


def is_divided(bucket: Bucket) -> bool:
    """Whether the table is divided into ranges."""
    staged = register_of(bucket)["staged"]
    return staged is not None and staged.get("division") is not None


A = Player("a", run("a"), execution="a")
B = Player("b", run("b"), execution="b")
FROZEN = Player("a0", one_invocation("a", planned=True))
RETRY = Player("a", run("a", planned=False), is_planned, execution="a")
LATE_RETRY = Player("a", run("a", planned=False), is_decided, execution="a")
STOPPED = Player("a", run("a", tries=1, reports=False), execution="a")
OPERATOR = Player("operator", rewind("2020-01-01 00:00:00"))
RULE = Player("lifecycle", lifecycle)
LATE_RULE = Player("lifecycle", lifecycle, is_decided)
BESIDE = Player("r", one_range("a", 2), is_divided)
RANGES = {"readers": 2}
ONE_FILE = {"target_file_bytes": 100_000}
PROVED = {"prove_bytes": 1_000_000}
EVERYTHING = {"deletes": "track", "checks": {"note": {"unique": True}}}

FULL = Bounds(switches=2, faults=1, expiries=1, together=2)

SCENARIOS = (
    Scenario("alone", "One run, two faults", (A,), Bounds(0, 2, 1, 2)),
    Scenario("two runs", "Two runs", (A, B), Bounds(2, 1, 1, 3), ONE_FILE),
    Scenario("retried", "A frozen invocation and its retry", (FROZEN, RETRY), FULL),
    Scenario(
        "stale clock",
        "A frozen invocation whose clock stands still, and another run",
        (FROZEN, B),
        Bounds(2, 1, 1, 2, stale_clocks=True),
        ONE_FILE,
    ),
    Scenario(
        "three", "A frozen invocation, its retry and another run", (FROZEN, RETRY, B), Bounds(2, 0, 1, 2), ONE_FILE
    ),
    Scenario("stopped", "A run that is stopped, and another", (STOPPED, B), FULL),
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
        Bounds(2, 0, 0, 2),
        quiet=True,
    ),
    Scenario(
        "rewound", "An operator who rewinds the watermark", (A, OPERATOR, B), Bounds(2, 0, 1, 2), ONE_FILE, twice=True
    ),
    Scenario(
        "everything",
        "Deletes and unique values: a read of several invocations, one of them frozen",
        (FROZEN, RETRY),
        Bounds(2, 1, 0, 2),
        EVERYTHING | ONE_FILE,
        quiet_runs=2,
        in_pages=True,
    ),
    Scenario("deletes", "Deletes: two runs", (A, B), Bounds(1, 1, 1, 1), EVERYTHING | ONE_FILE, quiet_runs=2),
    Scenario("proved", "A proof in every run: two runs", (A, B), Bounds(2, 1, 1, 2), PROVED | ONE_FILE),
    Scenario(
        "ranges",
        "Two ranges, one of them also read by a frozen reader",
        (A, BESIDE),
        Bounds(2, 1, 1, 2),
        RANGES | ONE_FILE,
    ),
    Scenario(
        "ranges of all",
        "A first load of two ranges, one of them also read by a frozen reader",
        (A, BESIDE),
        Bounds(2, 1, 1, 2),
        RANGES | PROVED | ONE_FILE,
        first=True,
    ),
    Scenario("ranges and a run", "Two ranges, and another run", (A, B), Bounds(2, 1, 1, 2), RANGES | ONE_FILE),
    Scenario(
        "ranges stopped",
        "A run that is stopped between its ranges, and another",
        (STOPPED, BESIDE, B),
        Bounds(2, 0, 1, 2),
        RANGES | ONE_FILE,
    ),
    Scenario(
        "ranges in pages",
        "Two ranges, each read by several invocations",
        (A, BESIDE),
        Bounds(1, 1, 1, 2),
        RANGES,
        in_pages=True,
    ),
    Scenario(
        "ranges of everything",
        "Two ranges with deletes and a proof",
        (A, BESIDE),
        Bounds(2, 1, 1, 2),
        RANGES | PROVED | ONE_FILE | {"deletes": "track"},
        quiet_runs=2,
    ),
    Scenario(
        "proved retried", "A proof: a frozen invocation and its retry", (FROZEN, RETRY), Bounds(2, 1, 1, 2), PROVED
    ),
)
