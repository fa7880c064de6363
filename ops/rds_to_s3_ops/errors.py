"""What can stop the command, each with the exit code that a script sees.

A message is one line that says what is wrong and what to do next.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_CODES = {
    0: "Fine. For run, rerun, redrive and watch: every table was extracted.",
    1: "The run ended, and not well: tables failed, it was aborted or timed out. For plan and doctor: it would fail. "
    "For verify: something differs.",
    2: "The command cannot be understood, or what it was given is not valid.",
    3: "Not found: the stack, the run, or the table.",
    4: "AWS cannot be reached, or refuses: network, region, credentials, permissions. Or what is stored is damaged.",
    5: "Somebody else changed the same thing meanwhile; nothing was overwritten.",
    6: "The database cannot be reached, or refuses: network, login, certificate, privileges.",
    7: "For verify: nothing differs in what was compared, but something could not be compared.",
    130: "Interrupted with Ctrl-C. A run that was being watched goes on.",
}
"""Documented in ``--help`` and docs/command.md, from here."""


class CommandError(Exception):
    """Base of what ends the command with one line and an exit code."""

    exit_code: ClassVar[int]


class InvalidInputError(CommandError):
    """What the operator gave is not valid."""

    exit_code = 2


class NotFoundError(CommandError):
    """The stack, run or table is not there."""

    exit_code = 3


class AwsError(CommandError):
    """AWS did not answer, or refused."""

    exit_code = 4


class UnreadableError(AwsError):
    """What is stored is damaged, or of a version that this command does not know."""


class ConflictError(CommandError):
    """Somebody else changed the same object between our reading and our writing it."""

    exit_code = 5


class DatabaseError(CommandError):
    """The database did not answer, or refused."""

    exit_code = 6


class VerificationError(CommandError):
    """The files cannot be compared with the table."""

    exit_code = 7
