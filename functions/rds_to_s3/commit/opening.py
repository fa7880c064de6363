"""The results of opening a table."""

from __future__ import annotations

from dataclasses import dataclass

from rds_to_s3.commit.entries import TableEntry
from rds_to_s3.commit.state import Commit, Staged
from rds_to_s3.timestamps import Watermark


class CommitUnfinished(Exception):  # noqa: N818 - no error: the next invocation continues
    """There was no time to make every file of a commit visible; the table is kept for the run's next invocation."""


@dataclass(frozen=True)
class Refused:
    """The reason why this run does not read the table."""

    reason: str


@dataclass(frozen=True)
class Decided:
    """An earlier attempt of this run has committed the table: its entry for the manifest."""

    record: TableEntry


@dataclass(frozen=True)
class Opened:
    """A table that this invocation holds, and has to read.

    Attributes
    ----------
    etag : str or None
        Of the watermark's object.
    staged : Staged or None
        The run's progress, where it is still valid.
    """

    last: Commit | None
    watermark: Watermark | None
    etag: str | None
    staged: Staged | None
