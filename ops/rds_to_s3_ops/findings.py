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
    message : str
        What was found, or why the check was skipped.
    remedy : str
        What to do, in one line; empty if nothing.
    """

    check: str
    verdict: Verdict
    message: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Return what ``doctor --json`` prints for it."""
        return {"check": self.check, "result": self.verdict.value, "message": self.message, "remedy": self.remedy}


def passed(check: str, message: str) -> Finding:
    """Return a finding: no problem."""
    return Finding(check, Verdict.PASS, message)


def warned(check: str, message: str, remedy: str) -> Finding:
    """Return a finding: it works, and should be improved."""
    return Finding(check, Verdict.WARN, message, remedy)


def failed(check: str, message: str, remedy: str) -> Finding:
    """Return a finding: runs, or some tables, will fail."""
    return Finding(check, Verdict.FAIL, message, remedy)


def skipped(check: str, message: str) -> Finding:
    """Return a finding: it cannot be checked from here."""
    return Finding(check, Verdict.SKIP, message)
