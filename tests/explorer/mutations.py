"""Guards of the commit that can be taken out, one at a time, to see that the explorer misses each of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any
from unittest import mock

from rds_to_s3.commit.read_as import Division, Position
from rds_to_s3.commit.staged_upload import TOKEN
from rds_to_s3.commit.state import Commit, TableState
from rds_to_s3.commit.state_store import StateStore
from rds_to_s3.commit.table_commit import TableCommit
from rds_to_s3.extract import range_extraction
from rds_to_s3.extract.ranges import division
from rds_to_s3.extract.stages.delivered_ahead import DeliveredAhead
from rds_to_s3.s3.objects import ObjectHead
from tests.explorer.actor import Player
from tests.explorer.bucket import Bucket
from tests.explorer.choices import Bounds
from tests.explorer.invariants import REGISTER, WATERMARK, _parsed
from tests.explorer.programs import run
from tests.explorer.scenarios import FROZEN, LATE_RETRY, LATE_RULE, ONE_FILE, PROVED, RANGES, RETRY, A, B
from tests.explorer.search import Broken, Scenario, Search


@dataclass(frozen=True)
class Mutation:
    """A guard that is taken out.

    Attributes
    ----------
    guard : str
        What it does while it is there.
    patch : callable
        Takes it out, as a context.
    rule : str
        Which does not hold then.
    scenario : Scenario
        Where that shows.
    """

    name: str
    guard: str
    patch: Callable[[], AbstractContextManager[Any]]
    rule: str
    scenario: Scenario


class _AnyToken(str):
    """A token that is like every other."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    __hash__ = str.__hash__


_put, _head, _undo, _next_part = Bucket._put, Bucket._head, TableCommit._undo, TableCommit.next_part


def _unconditional(matters: Callable[[str, bytes], bool]) -> Callable[[], AbstractContextManager[Any]]:
    """Drop the conditions of some writes."""

    def put(self: Bucket, maker: str, key: str, body: bytes, **given: Any) -> str:
        if matters(key, body):
            given.pop("if_match", None)
            given.pop("if_absent", None)
        return _put(self, maker, key, body, **given)

    return lambda: mock.patch.object(Bucket, "_put", put)


def _is_decision(key: str, body: bytes) -> bool:
    commit = _parsed(bytes(body))["commit"] if key == REGISTER else None
    return commit is not None and not commit["applied"]


def _takes_lease(key: str, body: bytes) -> bool:
    if key != REGISTER:
        return False
    state = _parsed(bytes(body))
    return state["lease"] is not None and (state["commit"] or {}).get("applied", True) and state["staged"] is None


def _any_token() -> AbstractContextManager[Any]:
    """Take a file for one's own whatever its token, and use the keys of undone commits again: each covers the other."""

    def head(self: Bucket, key: str) -> ObjectHead | None:
        found = _head(self, key)
        return found and ObjectHead(found.etag, {TOKEN: _AnyToken()})

    def next_part(self: TableCommit, stem: str) -> int:
        self.state.spent.clear()
        return _next_part(self, stem)

    both = ExitStack()
    both.enter_context(mock.patch.object(Bucket, "_head", head))
    both.enter_context(mock.patch.object(TableCommit, "next_part", next_part))
    return both


def _no_fence() -> AbstractContextManager[Any]:
    def undo(self: TableCommit, *arguments: Any) -> None:
        states, saves = self.states, iter([False])

        def save(state: TableState) -> None:
            if next(saves, True):
                StateStore.save(states, state)

        with mock.patch.object(states, "save", save):
            _undo(self, *arguments)

    return mock.patch.object(TableCommit, "_undo", undo)


def _without(owner: type, name: str, answer: Any = None) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: mock.patch.object(owner, name, lambda *_, **__: answer)


def _lease_never_ends() -> AbstractContextManager[Any]:
    def held(self: TableState, run_id: str, now: float) -> Any:
        return self.lease if self.lease and self.lease.run_id != run_id else None

    return mock.patch.object(TableState, "held_by_another", held)


def _from_the_beginning() -> AbstractContextManager[Any]:
    def read_from_the_beginning(segments: Any, given: Division, number: int) -> Any:
        return division.in_range(segments, given, number)[0], Position()

    return mock.patch.object(range_extraction, "in_range", read_from_the_beginning)


def _scenario(*players: Player, bounds: Bounds, settings: dict[str, Any] | None = None, **given: Any) -> Scenario:
    return Scenario("mutated", "", players, bounds, settings or {}, **given)


ONE_SWITCH = Bounds(1, 0, 1, 1)
ONE_FAULT = Bounds(0, 1, 1, 1)

MUTATIONS = (
    Mutation(
        "confirm",
        "A removal of strays is confirmed in the register first",
        _without(StateStore, "confirm"),
        "living successor",
        _scenario(FROZEN, RETRY, bounds=ONE_SWITCH, settings=ONE_FILE),
    ),
    Mutation(
        "if-match-decision",
        "The decision is written with `If-Match`",
        _unconditional(_is_decision),
        "one holder",
        _scenario(FROZEN, RETRY, bounds=ONE_SWITCH, settings=ONE_FILE),
    ),
    Mutation(
        "if-match-lease",
        "The lease is written with `If-Match`",
        _unconditional(_takes_lease),
        "twice",
        _scenario(A, B, bounds=ONE_SWITCH, settings=ONE_FILE),
    ),
    Mutation(
        "etag-watermark",
        "The watermark is written only over the one that the read began with",
        _unconditional(lambda key, _: key == WATERMARK),
        "watermark",
        _scenario(A, B, bounds=ONE_SWITCH, settings=ONE_FILE),
    ),
    Mutation(
        "held",
        "A lease of another run that has not expired keeps out",
        _without(TableState, "held_by_another"),
        "one holder",
        _scenario(A, B, bounds=ONE_SWITCH, settings=ONE_FILE),
    ),
    Mutation(
        "expires",
        "A lease expires",
        _lease_never_ends,
        "blocked",
        _scenario(Player("a", run("a", tries=1), execution="a"), bounds=ONE_FAULT, settings=ONE_FILE),
    ),
    Mutation(
        "guard",
        "The decision is not written once the lease has expired",
        _without(TableCommit, "guard"),
        "lease expires",
        _scenario(A, B, bounds=ONE_SWITCH, settings=ONE_FILE),
    ),
    Mutation(
        "recover",
        "A decision that is not carried out is carried out by whoever comes next",
        _without(TableCommit, "recover"),
        "twice",
        _scenario(A, bounds=ONE_FAULT, settings=ONE_FILE),
    ),
    Mutation(
        "token",
        "A file is a commit's own only with its upload's token, and the keys of an undone commit are not used again",
        _any_token,
        "living successor",
        _scenario(FROZEN, LATE_RETRY, LATE_RULE, bounds=Bounds(2, 0, 0, 2)),
    ),
    Mutation(
        "fence",
        "Before an undone decision's files are removed, the register is written",
        _no_fence,
        "living successor",
        _scenario(FROZEN, LATE_RETRY, LATE_RULE, bounds=Bounds(2, 0, 0, 2)),
    ),
    Mutation(
        "strays",
        "What dead invocations left is removed",
        _without(TableCommit, "remove_strays"),
        "left over",
        _scenario(A, bounds=ONE_FAULT, settings=ONE_FILE),
    ),
    Mutation(
        "digests",
        "Rows delivered ahead of the bound are remembered",
        _without(DeliveredAhead, "checkpoint"),
        "twice",
        _scenario(A, bounds=Bounds(0, 0, 0, 0), settings=ONE_FILE),
    ),
    Mutation(
        "part numbers",
        "A window never takes a key that another has had",
        _without(TableCommit, "next_part", 1),
        "overwritten",
        _scenario(A, bounds=Bounds(0, 0, 0, 0), settings=ONE_FILE, bound_held=True),
    ),
    Mutation(
        "covered",
        "A run leaves alone what a run planned later has committed",
        _without(TableState, "covered_by_newer"),
        "twice",
        _scenario(A, B, bounds=ONE_SWITCH, settings=ONE_FILE),
    ),
    Mutation(
        "range's parts",
        "Each range has part numbers of its own",
        _without(Division, "numbers_of", range(1, 101)),
        "overwritten",
        _scenario(A, bounds=Bounds(0, 0, 0, 0), settings=RANGES | ONE_FILE, first=True),
    ),
    Mutation(
        "range's begin",
        "A range begins behind the last row of the one before",
        _from_the_beginning,
        "twice",
        _scenario(A, bounds=Bounds(0, 0, 0, 0), settings=RANGES | ONE_FILE, first=True),
    ),
    Mutation(
        "another token",
        "The reader that commits the table names its objects as another invocation would",
        _without(range_extraction.RangeExtraction, "_renew_token"),
        "made once",
        _scenario(A, bounds=Bounds(0, 0, 0, 0), settings=RANGES | PROVED | ONE_FILE),
    ),
    Mutation(
        "own commit",
        "A retry finds what its run has committed, and reads no second window",
        _without(Commit, "is_of", False),
        "own files",
        _scenario(A, bounds=ONE_FAULT, settings=ONE_FILE),
    ),
)


def missed(mutation: Mutation) -> Broken | None:
    """Take a guard out, and return the shortest schedule that shows it."""
    with mutation.patch():
        return Search(mutation.scenario).run(until=mutation.rule).broken.get(mutation.rule)
