"""What a state records about a read: how and where the table is read, who shares it, and what has been delivered."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict, Field

from rds_to_s3.commit.entries import ProofEntry

FEW_HEALED = 10
"""So many rows of a table may be healed in a run without a warning."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Position(_Part):
    """The last row read: which segment, and the values of its order, hexadecimal."""

    segment: int = 0
    values: list[str] | None = None


class Division(_Part):
    """How several readers share a read: each reads a range of the rows in the read's order.

    Attributes
    ----------
    token : str
        Names the registers of its ranges. A read that is begun anew has another.
    cuts : list of Position
        The last row of each range but the last one, which reads to the end.
    first_part, parts : int
        The part number of the first range's first file, and how many numbers each range has.
    rows, bytes : int
        About how many all ranges together have.
    """

    token: str
    cuts: list[Position]
    first_part: int
    parts: int
    rows: int = 0
    bytes: int = 0

    @property
    def ranges(self) -> int:
        """How many there are."""
        return len(self.cuts) + 1

    def numbers_of(self, number: int) -> range:
        """Return the part numbers of a range; ranges are counted from 1."""
        first = self.first_part + (number - 1) * self.parts
        return range(first, first + self.parts)


class Settled(_Part):
    """The newest rows with a stamp up to the beginning of the next read.

    Attributes
    ----------
    newest : str
        Their stamp; empty where there is no such row.
    exact : bool
        Whether no later one exists; otherwise the search ended early.
    edge : list of str or None
        Hexadecimal digests of the rows stamped about then; None where they are too many to keep.
    """

    newest: str
    exact: bool = True
    edge: list[str] | None = None


class ReadAs(_Part):
    """How a window was read. The next window must be read the same way, or warn.

    Attributes
    ----------
    created, modified : str or None
        Cursor columns.
    zone : str
        Of the stamps.
    read_from_utc : float
        The instant of the commit's `read_from`.
    versions : str
        The inputs of a row version's digest: the columns that are read, their types, the zone.
    columns : list of str
        What the files hold.
    layout : str
        Of the files' keys.
    where : str or None
        Which rows are extracted; None for all.
    masks : dict
        How columns are masked.
    mask_key : str or None
        The id of the key of their hashes.
    """

    mode: str
    lookback_seconds: int
    created: str | None
    modified: str | None
    zone: str
    read_from_utc: float
    versions: str
    columns: list[str]
    layout: str = "flat"
    where: str | None = None
    masks: dict[str, str] = Field(default_factory=dict)
    mask_key: str | None = None

    def reads_as(self, other: ReadAs | None) -> bool:
        """Return whether another window was read by the same columns, in the same zone."""
        return other is not None and (self.created, self.modified, self.zone) == (
            other.created,
            other.modified,
            other.zone,
        )


class Proof(_Part):
    """What a run has compared.

    Attributes
    ----------
    samples : list of str
        Keys of a few rows that differed.
    """

    rows: int = 0
    healed: int = 0
    gone: int = 0
    whole_until: str | None = None
    samples: list[str] = Field(default_factory=list)

    def as_entry(self) -> ProofEntry:
        """Return what the manifest shows."""
        return ProofEntry(rows=self.rows, healed=self.healed, gone=self.gone, whole_until=self.whole_until)


class LedgerBlock(_Part):
    """Keys and digests of the rows in a range of the key's order. The range begins after the block before it.

    Attributes
    ----------
    key : str
        Of the object; empty where there are none.
    last : list of str or None
        The key that the range ends with, hexadecimal as in a position; None for the end of the table.
    """

    key: str
    rows: int
    last: list[str] | None


class LedgerRun(_Part):
    """Keys and digests of the rows that a window has delivered.

    Attributes
    ----------
    round : int
        The round at that time.
    """

    key: str
    rows: int
    round: int = 0


class Ledger(_Part):
    """What has been delivered of a table: a key and a digest for each row.

    Attributes
    ----------
    columns : list of str
        The columns in the digests.
    key : str
        A hash of the key's columns and their order.
    blocks : list of LedgerBlock
        In the key's order. If the last one has an end, the rest of the table is not known yet.
    runs : list of LedgerRun
        What was delivered since, the oldest first.
    round : int
        How often the whole table has been compared; 0 until all of it is known.
    next : int
        The block that is compared next.
    began : str or None
        The end of the window in which this round began.
    whole_until : str or None
        The same of the last round that was completed: up to then the whole table has been proved equal.
    is_learnt : bool
        Whether it began with rows that were taken as delivered: then it never proves the whole table.
    """

    columns: list[str]
    key: str
    blocks: list[LedgerBlock] = Field(default_factory=list)
    runs: list[LedgerRun] = Field(default_factory=list)
    round: int = 0
    next: int = 0
    began: str | None = None
    whole_until: str | None = None
    is_learnt: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether the whole table is known."""
        return bool(self.blocks) and self.blocks[-1].last is None

    @property
    def objects(self) -> list[str]:
        """The keys of its objects."""
        return [key for key in (*(block.key for block in self.blocks), *(run.key for run in self.runs)) if key]


def short_hash(parts: object) -> str:
    """Return a short hash of the parts, as text."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
