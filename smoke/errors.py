"""Why a trial ended early."""

from __future__ import annotations


class SmokeError(Exception):
    """The trial cannot continue; the message says why. Everything is deleted all the same."""


class BudgetSpentError(SmokeError):
    """What has been created for so long has cost the budget."""


class NotHeldError(Exception):
    """A fact does not hold; the message says what is the case instead."""


class NotAskedError(Exception):
    """A fact could not be asked for; the message says why."""
