"""The errors of the command, and the exit code of each.

A message is one line: the problem, then what to do.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_CODES = {
    0: "Success. For run, rerun, redrive and watch: every table was extracted.",
    1: "The run failed: tables failed, or it was aborted or timed out. For plan and doctor: a run would fail. "
    "For verify: something differs. For load: a table could not be loaded; the others were.",
    2: "The command, an option or an argument is not valid.",
    3: "Not found: the stack, the run, or the table.",
    4: "AWS is unreachable or denies the request: network, region, credentials, permissions. Or a stored object is "
    "damaged.",
    5: "Someone else changed the same object in the meantime; nothing was overwritten.",
    6: "The database is unreachable or denies the request: network, login, certificate, privileges.",
    7: "For verify: what was compared does not differ, but something could not be compared.",
    8: "The warehouse is unreachable, denies the request, or has not been loaded from this stack.",
    130: "Interrupted with Ctrl-C. The run itself continues.",
}
"""Documented in ``--help`` and docs/command.md, from here."""


class CommandError(Exception):
    """Base class: ends the command with one line and an exit code."""

    exit_code: ClassVar[int]


class InvalidInputError(CommandError):
    """An option or argument is not valid."""

    exit_code = 2


class NotFoundError(CommandError):
    """The stack, run or table does not exist."""

    exit_code = 3


class AwsError(CommandError):
    """AWS did not answer, or denied the request."""

    exit_code = 4


class UnreadableError(AwsError):
    """A stored object is damaged, or has a version that this command does not know."""


class ConflictError(CommandError):
    """Someone else changed the object between our read and our write."""

    exit_code = 5


class DatabaseError(CommandError):
    """The database did not answer, or denied the request."""

    exit_code = 6


class VerificationError(CommandError):
    """The files cannot be compared with the table."""

    exit_code = 7


class LoadError(CommandError):
    """A table cannot be loaded. Others can."""

    exit_code = 1


class WarehouseError(CommandError):
    """The warehouse did not answer, denied the request, or belongs to another stack."""

    exit_code = 8
