"""A table's entry in a manifest: the files that it names, and the entries that no manifest has yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from rds_to_s3.commit.state import Commit

FILE_KINDS = ("files", "quarantine", "deletes", "superseded")
"""The lists of files in a table's entry."""


def file_keys(entry: Mapping[str, Any]) -> list[str]:
    """Return the keys of all files that a table's entry names."""
    return [file["key"] for kind in FILE_KINDS for file in entry.get(kind) or []]


class Unreported(BaseModel):
    """What a commit has to report: in the manifest of its run or, where that run was stopped, of a later one.

    Attributes
    ----------
    run_id, planned_at
        Of the run that committed it.
    record : dict
        The table's entry for a manifest.
    """

    model_config = ConfigDict(extra="forbid")

    run_id: str
    planned_at: float
    record: dict[str, Any]

    @property
    def keys(self) -> list[str]:
        """The keys of its files, of every kind."""
        return file_keys(self.record)


def pending_of(commit: Commit | None) -> list[Unreported]:
    """Return what a chain may have to report, the oldest first."""
    if commit is None or not commit.applied:
        return []
    own = Unreported(run_id=commit.run_id, planned_at=commit.planned_at, record=commit.record)
    return [each for each in (*commit.unreported, own) if each.keys]
