"""What a commit remembers of its read: how the table was read, and where that ended."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Settled(_Part):
    """The newest rows that are stamped up to where the next read begins.

    Attributes
    ----------
    newest : str
        Their stamp; empty where there is no such row.
    exact : bool
        Whether no later one exists; otherwise it was not looked for any further.
    edge : list of str or None
        Hexadecimal digests of the rows stamped about then; None where they are too many to keep.
    """

    newest: str
    exact: bool = True
    edge: list[str] | None = None


class ReadAs(_Part):
    """How a window was read: what the next one has to agree with, or to say otherwise.

    Attributes
    ----------
    created, modified : str or None
        Cursor columns.
    zone : str
        Of the stamps.
    read_from_utc : float
        The instant of the commit's `read_from`.
    versions : str
        What a row version's digest depends on: the columns that are read, their types, the zone.
    columns : list of str
        What the files hold.
    """

    mode: str
    lookback_seconds: int
    created: str | None
    modified: str | None
    zone: str
    read_from_utc: float
    versions: str
    columns: list[str]

    def reads_as(self, other: ReadAs | None) -> bool:
        """Return whether another window was read by the same columns, in the same zone."""
        return other is not None and (self.created, self.modified, self.zone) == (
            other.created,
            other.modified,
            other.zone,
        )


def short_hash(parts: object) -> str:
    """Return a text that differs where the parts do."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
