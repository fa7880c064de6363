"""What may happen at a request, how much of it a schedule may have, and what ends a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

READS = {"get", "head", "keys", "uploads"}
FAULTS = {
    "die": "dies before",
    "die after": "dies after",
    "down": "cannot reach S3 for",
    "lost": "gets no answer to",
    "again": "repeats",
    "conflict": "is answered 409 to",
}


class Violation(Exception):  # noqa: N818 - what the explorer looks for, not a failure of it
    """An invariant does not hold.

    Attributes
    ----------
    rule : str
        Which.
    """

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(what)
        self.rule = rule


class Used(NamedTuple):
    """What a schedule has used up of its bounds."""

    switches: int = 0
    faults: int = 0
    expiries: int = 0

    def plus(self, other: Used) -> Used:
        return Used(self.switches + other.switches, self.faults + other.faults, self.expiries + other.expiries)

    def within(self, bounds: Bounds) -> bool:
        return (
            self.switches <= bounds.switches
            and self.faults <= bounds.faults
            and self.expiries <= bounds.expiries
            and self.switches + self.faults <= bounds.together
        )

    def covers(self, other: Used) -> bool:
        """Whether whoever has used this much can still do all that `other` can."""
        return self.switches <= other.switches and self.faults <= other.faults and self.expiries <= other.expiries


NOTHING = Used()


@dataclass(frozen=True)
class Bounds:
    """How much a schedule may have of what is not the plain course of things.

    Attributes
    ----------
    switches : int
        How often an actor is interrupted between two requests. Going on with another where one ends is free.
    faults : int
    expiries : int
        How often so much time passes that every lease has expired.
    together : int
        Switches and faults.
    stale_clocks : bool
        Whether an interrupted actor may also wake up with its clock of before.
    """

    switches: int
    faults: int
    expiries: int
    together: int
    stale_clocks: bool = False


class Choice(NamedTuple):
    """One way to go on.

    Attributes
    ----------
    kind : str
        ``go``, one of `FAULTS`, or ``switch``.
    actor : int
        The one that takes over.
    expire : str
        ``no``, ``yes``, or ``stale``: the interrupted actor's clock stays as it is.
    """

    kind: str = "go"
    actor: int = -1
    expire: str = "no"

    @property
    def cost(self) -> Used:
        return Used(self.kind == "switch", self.kind in FAULTS, self.expire != "no")


GO = Choice()
