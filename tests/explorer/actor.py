"""Who works at the bucket, as plain data: a schedule that has come so far can be copied, and continued twice."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.explorer.bucket import Bucket, digest
from tests.explorer.worker import Answer, Invocation, Request

if TYPE_CHECKING:
    from tests.explorer.world import World


@dataclass(frozen=True)
class Effect:
    """What an actor does in one moment, without a request that the scheduler decides on."""

    name: str
    do: Callable[[World, Actor], None]


# Yields what comes next, and is sent what that came to. Always the same for the same results.
Program = Callable[["World", str], Generator[Invocation | Effect, Any, None]]


@dataclass(frozen=True)
class Player:
    """An actor of a scenario.

    Attributes
    ----------
    may_begin : callable
        Whether it may, with such a bucket.
    execution : str, optional
        The run whose state machine it is: that run is over when the actor has ended.
    """

    name: str
    program: Program
    may_begin: Callable[[Bucket], bool] = lambda _: True
    execution: str | None = None


class Actor:
    """A player in a schedule.

    Attributes
    ----------
    results : tuple
        What its invocations have come to.
    invocation : Invocation or None
        The one under way: a Lambda, or a step of the state machine.
    heard : list of Answer
        All that the invocation has been answered.
    told : int
        Stands for `heard`, and so for where the invocation is.
    request : Request or None
        What it waits for.
    began_at, answered_at : float
        What its clock said when the invocation began, and at the last answer.
    changes : int
        How many requests of the invocation could change something.
    interrupted : bool
        Whether another one has taken over at `request`.
    """

    def __init__(self, number: int, player: Player) -> None:
        self.number = number
        self.player = player
        self.name = player.name
        self.results: tuple[Any, ...] = ()
        self.invocation: Invocation | None = None
        self.invoked = player.name
        self.heard: list[Answer] = []
        self.told = digest(player.name)
        self.request: Request | None = None
        self.began_at = self.answered_at = 0.0
        self.skew = 0.0
        self.changes = 0
        self.begun = False
        self.done = False
        self.interrupted = False
        self.fresh = True

    def copy(self) -> Actor:
        """Return an actor in the same place."""
        twin = object.__new__(Actor)
        twin.__dict__.update(self.__dict__)
        twin.heard = self.heard.copy()
        return twin

    def next(self, world: World) -> Invocation | Effect | None:
        """Return what its program does after the results so far, None at the end."""
        program = self.player.program(world, self.name)
        step = next(program, None)
        for result in self.results:
            try:
                step = program.send(result)
            except StopIteration:
                return None
        return step

    def begin(self, invocation: Invocation, clock: float) -> None:
        """Start an invocation that knows nothing but what the state machine carries."""
        self.invocation = invocation
        self.invoked = invocation.name
        self.began_at = clock
        self.heard = []
        self.told = digest(self.name, invocation.name, invocation.known, clock)
        self.changes = 0

    def hear(self, operation: str, answer: Answer) -> None:
        """Take an answer."""
        self.heard.append(answer)
        self.answered_at = answer.clock
        self.told = digest(self.told, operation, answer.said(), answer.clock)

    def end(self, result: Any) -> None:
        """End the invocation."""
        self.invocation = self.request = None
        self.results = (*self.results, result)
