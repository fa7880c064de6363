"""The outcome of one check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The verdicts as the operator sees them. Only `FAIL` makes the command exit with 1."""

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
        What was checked. The text is stable, so a script can match it.
    verdict : Verdict
    told : str
        What was found, or why the check was skipped.
    remedy : str
        What to do, in one line; empty if nothing.
    """

    check: str
    verdict: Verdict
    told: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Return what ``doctor --json`` prints for it."""
        return {"check": self.check, "result": self.verdict.value, "told": self.told, "remedy": self.remedy}


def passed(check: str, told: str) -> Finding:
    """Return a finding: no problem."""
    return Finding(check, Verdict.PASS, told)


def warned(check: str, told: str, remedy: str) -> Finding:
    """Return a finding: it works, and should be improved."""
    return Finding(check, Verdict.WARN, told, remedy)


def failed(check: str, told: str, remedy: str) -> Finding:
    """Return a finding: runs, or some tables, will fail."""
    return Finding(check, Verdict.FAIL, told, remedy)


def skipped(check: str, told: str) -> Finding:
    """Return a finding: it cannot be checked from here."""
    return Finding(check, Verdict.SKIP, told)
