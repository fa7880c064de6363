"""Goes through every schedule within bounds, those that deviate least from the plain course first.

A schedule is the list of its deviations: at which decision, which choice other than the first. Playing one yields the
decisions after its last deviation, and so the schedules that deviate once more. Two schedules that meet in the same
state, one having used no more of the bounds than the other, go on alike: only the first is played to its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.explorer import invariants
from tests.explorer.actor import Actor
from tests.explorer.bucket import Bucket
from tests.explorer.choices import GO, Bounds, Choice, StoppedError, Used, Violation
from tests.explorer.programs import PAGE_SECONDS, Program, run, spec
from tests.explorer.replaced import enter
from tests.explorer.world import EXPIRY_SECONDS, Decide, World

Deviations = tuple[tuple[int, Choice], ...]


@dataclass(frozen=True)
class Player:
    """An actor of a scenario.

    Attributes
    ----------
    may_begin : callable
        Whether it may, with such a bucket.
    execution : str, optional
        The run whose state machine it is.
    """

    name: str
    program: Program
    may_begin: Callable[[Bucket], bool] = lambda _: True
    execution: str | None = None


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
        self._tolerated = tolerated
        self._spec = spec(**scenario.settings)
        self._visited: dict[int, list[Used]] = {}
        self._ends: dict[tuple[int, str, float], list[Violation]] = {}
        self._bucket, self._script, self._now = self._first_run()

    def run(self, *, most: int | None = None, until: str | None = None) -> Found:
        """Play them all, or at most so many, or until one breaks a certain rule."""
        found = Found()
        waiting: deque[Deviations] = deque([()])
        while waiting and (most is None or found.schedules < most) and until not in found.broken:
            deviations = waiting.popleft()
            violations, met = self._play(deviations, waiting)
            found.schedules += 1
            found.merged += met
            for violation in violations:
                if violation.rule not in found.broken:
                    trace = self.replay(deviations)
                    found.broken[violation.rule] = Broken(violation.rule, str(violation), deviations, trace)
        return found

    def replay(self, deviations: Deviations) -> list[str]:
        """Return the requests of a schedule, one a line."""
        world = self._world(_following(deviations))
        world.trace = []
        world.play()
        trace = world.trace
        if world.violation is None:
            trace.append("-- all leases expire; a last run, undisturbed:")
            self._finish(world)
        return trace

    def _play(self, deviations: Deviations, waiting: deque[Deviations]) -> tuple[list[Violation], bool]:
        following = dict(deviations)
        last = deviations[-1][0] if deviations else 0
        met = False

        def decide(world: World, phase: str, options: Callable[[], list[Choice]]) -> Choice:
            nonlocal met
            number = world.decisions
            if number <= last:
                return _follow(following, number, phase, options)
            state = hash((world.state(), len(phase)))
            used = self._visited.setdefault(state, [])
            if any(other.covers(world.used) for other in used):
                met = True
                raise StoppedError
            used.append(world.used)
            allowed = world.allowed(options())
            waiting.extend((*deviations, (number, choice)) for choice in allowed[1:])
            return allowed[0]

        world = self._world(decide)
        world.play()
        if world.violation is not None:
            return [world.violation], False
        if met:
            return [], True
        end = (world.bucket.digest, world.script, world.now)
        if end not in self._ends:
            self._ends[end] = self._finish(world)
        return self._ends[end], False

    def _world(self, decide: Decide) -> World:
        scenario = self._scenario
        world = World(
            bucket=self._bucket.copy(),
            script=self._script,
            now=self._now,
            decide=decide,
            watch=invariants.watch,
            bounds=scenario.bounds,
            held_until=0 if scenario.bound_held else None,
            page_seconds=PAGE_SECONDS if scenario.in_pages else 0.0,
            quiet=scenario.quiet,
            tolerated=self._tolerated,
        )
        world.notes = {"spec": self._spec}
        for number, player in enumerate(scenario.players):
            world.actors.append(Actor(number, player.name, player.program, player.may_begin, player.execution))
        enter(world)
        return world

    def _first_run(self) -> tuple[Bucket, str, float]:
        """Let a first run load the table."""
        self._bucket, self._script, self._now = Bucket(), "", 1_750_000_000.0
        world = self._world(_following(()))
        problems = self._quiet(world, "first")
        if problems:
            raise AssertionError(problems)
        return world.bucket, world.script, world.now

    def _finish(self, world: World) -> list[Violation]:
        """Let time pass and a last run end; return what is wrong then."""
        for actor in world.actors:
            actor.done = True  # also who never had an occasion to begin
        for number in range(1, self._scenario.quiet_runs + 1):
            world.now += EXPIRY_SECONDS
            problems = self._quiet(world, f"last{number}")
        return problems

    def _quiet(self, world: World, run_id: str) -> list[Violation]:
        world.decide = _following(())
        world.page_seconds = 0.0
        world.requests = 0
        statuses: list[str] = []
        actor = Actor(-1, run_id, run(run_id, tries=1, said=statuses))
        try:
            world.play_alone(actor)
        except StoppedError:
            assert world.violation is not None
            return [world.violation]
        found = invariants.violations_at_the_end(world, statuses[0], twice=self._scenario.twice)
        return [violation for violation in found if violation.rule not in world.tolerated]


def _follow(deviations: dict[int, Choice], number: int, phase: str, options: Callable[[], list[Choice]]) -> Choice:
    """Choose as a schedule says, and the first option where it says nothing."""
    choice = deviations.get(number)
    if choice is None:
        return options()[0] if phase == "ended" else GO
    return choice


def _following(deviations: Deviations) -> Decide:
    chosen = dict(deviations)
    return lambda world, phase, options: _follow(chosen, world.decisions, phase, options)
