"""Who works at the bucket."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.explorer.bucket import Bucket, digest

if TYPE_CHECKING:
    from tests.explorer.world import World


class Actor:
    """Somebody who works at the bucket.

    Attributes
    ----------
    invocation : str
        The one under way: a Lambda, or a step of the state machine.
    execution : str or None
        The run whose state machine it is: that run is over when the actor has ended.
    answered_at : float
        What its clock said when it last went on.
    told : int
        Stands for all that it has been answered, and so for where it is.
    """

    def __init__(
        self,
        number: int,
        name: str,
        program: Callable[[World, Actor], None],
        may_begin: Callable[[Bucket], bool] = lambda _: True,
        execution: str | None = None,
    ) -> None:
        self.number = number
        self.name = name
        self.program = program
        self.may_begin = may_begin
        self.execution = execution
        self.go = threading.Semaphore(0)
        self.thread: threading.Thread | None = None
        self.done = False
        self.dead = False
        self.told = digest(name)
        self.skew = 0.0
        self.answered_at = 0.0
        self.elapsed = 0.0
        self.page_seconds = 0.0
        self.made = 0
        self.faulty = True
        self.fresh = True
        self.invocation = name

    def begin(self, invocation: str, *known: object, faulty: bool = True) -> None:
        """Start an invocation that knows nothing but what the state machine carries."""
        self.invocation = invocation
        self.dead = False
        self.told = digest(self.name, invocation, known)
        self.elapsed = 0.0
        self.made = 0
        self.faulty = faulty

    def unique(self) -> str:
        """Return a name that nothing else in the schedule has."""
        self.made += 1
        return f"{self.invocation}.{self.made}"
