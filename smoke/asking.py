"""Asking AWS for a fact, and its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smoke.errors import NotAskedError, NotHeldError
from smoke.trial import Trial


@dataclass(frozen=True)
class Fact:
    """One sentence about AWS, and the question.

    Attributes
    ----------
    ask : callable
        Returns what was seen. Raises `NotHeldError` or `NotAskedError`.
    local : bool
        Whether the local AWS can be asked, too.
    """

    sentence: str
    ask: Callable[[Trial], str]
    local: bool = True


@dataclass(frozen=True)
class Answer:
    """What the account answered.

    Attributes
    ----------
    result : str
        ``held``, ``did not hold``, ``could not be asked`` or ``not on the local AWS``.
    """

    sentence: str
    result: str
    detail: str

    @property
    def line(self) -> str:
        """One line of the list."""
        return f"  {self.result:<20}  {self.sentence}{f' ({self.detail})' if self.detail else ''}"


def ask(fact: Fact, trial: Trial) -> Answer:
    """Ask for one fact; every outcome is an answer."""
    if trial.account.stand_in and not fact.local:
        return Answer(fact.sentence, "not on the local AWS", "")
    try:
        return Answer(fact.sentence, "held", fact.ask(trial))
    except NotHeldError as error:
        return Answer(fact.sentence, "did not hold", str(error))
    except NotAskedError as error:
        return Answer(fact.sentence, "could not be asked", str(error))
    except Exception as error:  # whatever it is, the other facts are worth asking
        return Answer(fact.sentence, "could not be asked", f"{type(error).__name__}: {error}")
