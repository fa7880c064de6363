"""Goes through every schedule within bounds, those that deviate least from the plain course first.

A schedule is the list of its deviations: at which decision, which choice other than the first. Playing one yields the
decisions after its last deviation, and so the schedules that deviate once more. Two schedules that meet in the same
state, one having used no more of the bounds than the other, go on alike: only the first is played to its end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.explorer import invariants
from tests.explorer.actor import Player
from tests.explorer.bucket import Bucket
from tests.explorer.choices import GO, Bounds, Choice, Used, Violation
from tests.explorer.programs import PAGE_SECONDS, run, spec
from tests.explorer.world import EXPIRY_SECONDS, Rules, World

Deviations = tuple[tuple[int, Choice], ...]


class Waiting(NamedTuple):
    """A schedule that is still to be played: how far another one has come, and the choice that it made otherwise."""

    begun: World
    choice: Choice | None
    deviations: Deviations


@dataclass(frozen=True)
class Scenario:
    """Who takes part, on which table, and how far they may get in each other's way.

    Attributes
    ----------
    settings : dict
        Of the table.
    bound_held : bool
        Whether a transaction that stays open holds every plan's bound back to the first's: windows share their stamp.
    in_pages : bool
        Whether the first invocation of a read hands over after a page.
    quiet : bool
        Whether the application writes nothing between two connections: what is read again is the same.
    twice : bool
        Whether rows may come twice.
    quiet_runs : int
        How many follow at the end.
    first : bool
        Whether the first of the runs is the table's first.
    """

    name: str
    title: str
    players: tuple[Player, ...]
    bounds: Bounds
    settings: dict[str, Any] = field(default_factory=dict)
    bound_held: bool = False
    in_pages: bool = False
    quiet: bool = False
    twice: bool = False
    quiet_runs: int = 1
    first: bool = False


@dataclass
class Found:
    """What a search came to.

    Attributes
    ----------
    schedules : int
    merged : int
        How many of them were played only until they met another in its state.
    broken : dict
        By rule, the first schedule that breaks it, which has as few deviations as any.
    """

    schedules: int = 0
    merged: int = 0
    broken: dict[str, Broken] = field(default_factory=dict)


@dataclass(frozen=True)
class Broken:
    """A rule that does not hold, and the schedule that shows it."""

    rule: str
    what: str
    deviations: Deviations
    trace: list[str]


class Search:
    """The schedules of one scenario."""

    def __init__(self, scenario: Scenario, tolerated: frozenset[str] = frozenset()) -> None:
        self._scenario = scenario
        self._rules = Rules(
            spec=spec(**scenario.settings),
            bounds=scenario.bounds,
            watch=invariants.watch,
            held_until=0 if scenario.bound_held else None,
            quiet=scenario.quiet,
            tolerated=tolerated,
        )
        self._visited: dict[int, list[Used]] = {}
        self._ends: dict[tuple[int, str, float], list[Violation]] = {}
        self._loaded = World(self._rules, Bucket(), "", 1_750_000_000.0)
        if not scenario.first and (problems := self._quiet(self._loaded, "first")):
            raise AssertionError(problems)

    def run(self, *, most: int | None = None, until: str | None = None) -> Found:
        """Play them all, or at most so many, or until one breaks a certain rule."""
        found = Found()
        waiting: deque[Waiting] = deque([Waiting(self._begin(), None, ())])
        while waiting and (most is None or found.schedules < most) and until not in found.broken:
            begun, choice, deviations = waiting.popleft()
            world = begun.copy()
            if choice is not None:
                world.take(choice)
            violations, met = self._play(world, deviations, waiting)
            found.schedules += 1
            found.merged += met
            for violation in violations:
                if violation.rule not in found.broken:
                    trace = self.replay(deviations)
                    found.broken[violation.rule] = Broken(violation.rule, str(violation), deviations, trace)
        return found

    def replay(self, deviations: Deviations) -> list[str]:
        """Return the requests of a schedule, one a line."""
        trace: list[str] = []
        chosen = dict(deviations)
        world = self._begin(trace)
        while not world.over:
            world.take(chosen.get(world.decisions) or world.options()[0])
        world.close()
        if world.violation is None:
            trace.append("-- all leases expire; a last run, undisturbed:")
            self._finish(world)
        return trace

    def _begin(self, trace: list[str] | None = None) -> World:
        world = World(
            self._rules,
            self._loaded.bucket.copy(),
            self._loaded.script,
            self._loaded.now,
            PAGE_SECONDS if self._scenario.in_pages else 0.0,
        )
        world.trace = trace
        world.begin(self._scenario.players)
        world.close()
        return world

    def _play(self, world: World, deviations: Deviations, waiting: deque[Waiting]) -> tuple[list[Violation], bool]:
        """Play a schedule to its end, or until it meets another; note where others deviate from it."""
        try:
            while not world.over:
                used = self._visited.setdefault(world.state(), [])
                if any(other.covers(world.used) for other in used):
                    return [], True
                used.append(world.used)
                plain, *others = world.allowed()
                if others:
                    here = world.copy()
                    waiting.extend(Waiting(here, each, (*deviations, (world.decisions, each))) for each in others)
                world.take(plain)
        finally:
            world.close()
        if world.violation is not None:
            return [world.violation], False
        end = (world.bucket.digest, world.script, world.now)
        if end not in self._ends:
            self._ends[end] = self._finish(world)
        return self._ends[end], False

    def _finish(self, world: World) -> list[Violation]:
        """Let time pass and a last run end; return what is wrong then."""
        for number in range(1, self._scenario.quiet_runs + 1):
            world.now += EXPIRY_SECONDS
            problems = self._quiet(world, f"last{number}")
        return problems

    def _quiet(self, world: World, run_id: str) -> list[Violation]:
        """Let one more run do its work undisturbed."""
        world.page_seconds = 0.0
        world.begin((Player(run_id, run(run_id, tries=1)),))
        while not world.over:
            world.take(GO)
        world.close()
        if world.violation is not None:
            return [world.violation]
        status = next(each["status"] for each in reversed(world.actors[0].results) if isinstance(each, dict))
        found = invariants.violations_at_the_end(world, status, twice=self._scenario.twice)
        return [violation for violation in found if violation.rule not in self._rules.tolerated]
