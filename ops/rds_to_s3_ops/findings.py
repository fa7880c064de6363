"""What a check came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """In the words that the operator sees; only `FAIL` makes the command end with 1."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True)
class Finding:
    """One check's outcome.

    Attributes
    ----------
    check : str
        What was looked at; stable, for a script to look for.
    verdict : Verdict
    told : str
        What was found, or why it could not be looked at.
    remedy : str
        What to do, in one line; empty where nothing is to be done.
    """

    check: str
    verdict: Verdict
    told: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Return what ``doctor --json`` prints for it."""
        return {"check": self.check, "result": self.verdict.value, "told": self.told, "remedy": self.remedy}


def passed(check: str, told: str) -> Finding:
    """Say that all is well."""
    return Finding(check, Verdict.PASS, told)


def warned(check: str, told: str, remedy: str) -> Finding:
    """Say that it works, and should be better."""
    return Finding(check, Verdict.WARN, told, remedy)


def failed(check: str, told: str, remedy: str) -> Finding:
    """Say that runs, or some tables, will fail."""
    return Finding(check, Verdict.FAIL, told, remedy)


def skipped(check: str, told: str) -> Finding:
    """Say that it cannot be told from here."""
    return Finding(check, Verdict.SKIP, told)
