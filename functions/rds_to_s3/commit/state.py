"""The state of one table between invocations: lease, staged progress, last commit.

It is one JSON object, so one conditional write changes all of it. A write makes every ETag that others hold stale: that
is the fence. Nothing here does I/O.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rds_to_s3.commit.entries import FileEntry, TableEntry, Unreported
from rds_to_s3.commit.read_as import Division, Ledger, LedgerBlock, LedgerRun, Position, Proof, ReadAs, Settled
from rds_to_s3.timestamps import format_timestamp


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StagedFile(_Part):
    """A file whose parts are all uploaded, and which is still invisible.

    Attributes
    ----------
    token : str
        Also in the object's metadata: it distinguishes this file from any other with the same key.
    parts : list of dict
        ``number``, ``etag`` and ``crc32`` of each.
    sha256 : str
        Of the file's bytes.
    """

    key: str
    upload_id: str
    token: str
    parts: list[dict[str, Any]]
    rows: int
    bytes: int
    sha256: str

    def as_manifest(self) -> FileEntry:
        """Return its entry in the manifest."""
        return FileEntry(key=self.key, rows=self.rows, bytes=self.bytes, sha256=self.sha256)


class Lease(_Part):
    """The right to extract a table.

    Attributes
    ----------
    run_id : str
        The run may take its own lease over at any time (a retry); another run only once it has expired.
    token : str
        Of one invocation.
    expires_at : float
        Seconds since 1970: the function that holds it has certainly ended by then.
    """

    run_id: str
    token: str
    expires_at: float


class Violation(_Part):
    """Rows that broke one check.

    Attributes
    ----------
    keys : list of str
        Of the first few of them.
    """

    rows: int = 0
    keys: list[str] = Field(default_factory=list)


class KeyRun(_Part):
    """An object with sorted keys of delivered rows, or of deleted ones.

    Attributes
    ----------
    gone : bool
        Whether its keys were deleted.
    base : bool
        Whether it is one of the large runs that a merge made.
    first, last : int
        The first half of its first and its last key.
    """

    key: str
    rows: int
    gone: bool = False
    base: bool = False
    first: int
    last: int


class Written(_Part):
    """The files of rows so far.

    Attributes
    ----------
    position : Position
        The position after the last of them.
    """

    files: list[StagedFile] = Field(default_factory=list)
    position: Position = Field(default_factory=Position)

    @property
    def rows(self) -> int:
        """The rows in them."""
        return sum(file.rows for file in self.files)


class Ahead(_Part):
    """The rows so far that are beyond the bound.

    Attributes
    ----------
    keys : list of str
        Objects with their digests.
    latest : list of str
        The greatest value of each cursor column among them.
    """

    keys: list[str] = Field(default_factory=list)
    latest: list[str] = Field(default_factory=list)
    count: int = 0


class Checked(_Part):
    """What the checks of rows have found so far.

    Attributes
    ----------
    violations : dict
        By the check's label.
    quarantine : list of StagedFile
        Files of rows that broke a check.
    seen : dict
        Objects with the values of columns that have to be unique, by column.
    """

    violations: dict[str, Violation] = Field(default_factory=dict)
    quarantine: list[StagedFile] = Field(default_factory=list)
    seen: dict[str, list[str]] = Field(default_factory=dict)

    @property
    def seen_keys(self) -> list[str]:
        """All objects with such values."""
        return [key for keys in self.seen.values() for key in keys]


class Delivered(_Part):
    """The keys delivered so far, where deletes are tracked."""

    runs: list[KeyRun] = Field(default_factory=list)


class Recorded(_Part):
    """What the ledger has of the rows so far: of a whole table blocks, of a window runs."""

    blocks: list[LedgerBlock] = Field(default_factory=list)
    runs: list[LedgerRun] = Field(default_factory=list)

    @property
    def objects(self) -> list[str]:
        """The keys of its objects."""
        return [key for key in (*(block.key for block in self.blocks), *(run.key for run in self.runs)) if key]


class Staged(_Part):
    """A run's progress on a table, which its next invocation continues.

    Each stage that rows pass records its progress in a part of its own, from `written` to `recorded`.

    Attributes
    ----------
    watermark : str or None
        The watermark's text when the read began. If it is edited, the progress is void.
    fingerprint : str
        Of the columns and the segments; changed meanwhile, the progress is void.
    expected_rows : int
        About how many rows the read will have; 0 where nobody knows.
    proving, proof
        How far a comparison of the whole table has come, over several invocations, and what it has found.
    division : Division or None
        How several readers share the read, as long as their ranges are not joined. A range has its own progress.
    done, readers
        Of a range: whether it is read to its end. Of a table: how many have shared the read.
    inexact : dict
        How many values the files cannot store exactly, by what happened to them.
    source, seen_until
        As in `Commit`, of what was read so far.
    """

    # Another release may have written it: then its fingerprint differs too, and the read starts again.
    model_config = ConfigDict(extra="ignore")

    run_id: str
    watermark: str | None
    fingerprint: str
    expected_rows: int = 0
    written: Written = Field(default_factory=Written)
    ahead: Ahead = Field(default_factory=Ahead)
    checked: Checked = Field(default_factory=Checked)
    delivered: Delivered = Field(default_factory=Delivered)
    recorded: Recorded = Field(default_factory=Recorded)
    proving: Ledger | None = None
    proof: Proof | None = None
    division: Division | None = None
    done: bool = False
    readers: int = 1
    seconds: float = 0.0
    invocations: int = 0
    stalled: int = 0
    handed_back: bool = False
    page_rows: int | None = None
    warnings: list[str] = Field(default_factory=list)
    inexact: dict[str, int] = Field(default_factory=dict)
    source: dict[str, Any] | None = None
    seen_until: float | None = None
    settled: Settled | None = None

    @property
    def every_file(self) -> list[StagedFile]:
        """All files, of every kind."""
        return [*self.written.files, *self.checked.quarantine]

    @property
    def objects(self) -> list[str]:
        """The keys of all other objects of the stages."""
        runs = [run.key for run in self.delivered.runs]
        proving = self.proving.objects if self.proving is not None else []
        return [*self.ahead.keys, *self.checked.seen_keys, *runs, *self.recorded.objects, *proving]


class Tail(_Part):
    """The row versions that were delivered although their stamps are beyond the bound.

    Attributes
    ----------
    keys : list of str
        Objects holding 16-byte digests.
    latest : str
        The greatest stamp among them, as earlier releases understood it.
    latest_each : list of str, optional
        The greatest value of each cursor column among them: a row with a later one is not in here.
    """

    keys: list[str]
    count: int
    latest: str = ""
    latest_each: list[str] | None = None


class Commit(_Part):
    """A decision: these files, this watermark. Once written it is carried out, if necessary by the next invocation.

    Attributes
    ----------
    planned_at : float
        When the run was planned, seconds since 1970; an older plan adds nothing to a newer commit.
    server_utc : float
        The server's clock then. If it is lower in a later run, it was turned back.
    clock_lead : float or None
        Seconds by which that clock was ahead of the planner's. If the lead shrinks, it was turned back.
    watermark : str
        The text of ``last_extract.txt`` after it.
    watermark_before : str or None
        The ETag of ``last_extract.txt`` that it replaces; None where there was none.
    read_from : str or None
        Where the next read begins: no unseen row version has an earlier stamp, and every delivered one with a later
        stamp is in `tail`.
    applied : bool
        Whether the files are visible and the watermark is moved.
    columns : list of dict
        What the files hold.
    table_columns : list of dict
        The table's columns; the next commit compares with them to find drift.
    record : TableEntry
        The table's entry in the manifest.
    previous : dict or None
        The commit before, for the case that the uploads of this one are lost before they are completed.
    key_runs : list of KeyRun
        The keys delivered and not deleted, the oldest run first.
    key_columns : list of str or None
        Names and types of the key's columns; None where deletes are not tracked.
    ledger : Ledger or None
        None where nothing is proved.
    read_as : ReadAs or None
        None in the state of an earlier release.
    settled : Settled or None
        The end of what the next read does not read again; None where that is not known.
    source : dict or None
        The server and database that were read, as `rds_to_s3.mysql.server.identity.Source` writes it.
    seen_until : float or None
        An upper bound of the commit times of the rows that were read, on their origin's clock.
    unreported : list of Unreported
        What earlier runs have committed and not yet reported, the oldest first.
    visible : list of int
        Indexes in `every_file` of the visible files, while the others are being completed.
    undone : bool
        Whether its uploads were lost. Then its files are being removed, and `previous` becomes the last commit again.
    stalled : int
        Invocations in a row that completed none of its files.
    handed_back : bool
        Whether an invocation left the rest of the files to the next one of its run.
    """

    run_id: str
    token: str
    planned_at: float
    server_utc: float
    watermark: str
    watermark_before: str | None
    read_from: str | None
    files: list[StagedFile]
    record: TableEntry
    clock_lead: float | None = None
    applied: bool = False
    tail: Tail | None = None
    columns: list[dict[str, Any]] = Field(default_factory=list)
    table_columns: list[dict[str, Any]] = Field(default_factory=list)
    previous: dict[str, Any] | None = None
    quarantine: list[StagedFile] = Field(default_factory=list)
    deletes: list[StagedFile] = Field(default_factory=list)
    key_runs: list[KeyRun] = Field(default_factory=list)
    key_columns: list[str] | None = None
    ledger: Ledger | None = None
    read_as: ReadAs | None = None
    settled: Settled | None = None
    source: dict[str, Any] | None = None
    seen_until: float | None = None
    unreported: list[Unreported] = Field(default_factory=list)
    visible: list[int] = Field(default_factory=list)
    undone: bool = False
    stalled: int = 0
    handed_back: bool = False

    @property
    def every_file(self) -> list[StagedFile]:
        """All files of the window."""
        return [*self.files, *self.quarantine, *self.deletes]

    @property
    def extracted_until(self) -> str:
        """The watermark after it, as the manifest writes a timestamp."""
        return format_timestamp(datetime.fromisoformat(self.watermark))

    def is_of(self, run_id: str, planned_at: float) -> bool:
        """Whether this run made it; an earlier run may have had the same id."""
        return self.run_id == run_id and self.planned_at == planned_at


class TableState(_Part):
    """The whole object.

    Attributes
    ----------
    attempts : dict
        Attempts of the latest run, ``{run_id: count}``.
    spent : dict
        The last part number that undone commits have used, by the prefix of their keys.
    has_ranges : bool
        Whether a read of the table was ever divided: then its ranges may have left something.
    """

    version: int = 1
    table: str
    format: str
    attempts: dict[str, int] = Field(default_factory=dict)
    lease: Lease | None = None
    staged: Staged | None = None
    commit: Commit | None = None
    spent: dict[str, int] = Field(default_factory=dict)
    has_ranges: bool = False

    def held_by_another(self, run_id: str, now: float) -> Lease | None:
        """Return another run's valid lease, or None."""
        lease = self.lease
        return lease if lease and lease.run_id != run_id and lease.expires_at > now else None

    def covered_by_newer(self, run_id: str, planned_at: float) -> Commit | None:
        """Return the commit of a run that was planned later, or None. It has read all that this run would read."""
        commit = self.commit
        return commit if commit and commit.run_id != run_id and commit.planned_at > planned_at else None


def pending_of(commit: Commit | None) -> list[Unreported]:
    """Return the commits that a chain may have to report, the oldest first: their files, or what they warn of."""
    if commit is None or not commit.applied:
        return []
    own = Unreported(run_id=commit.run_id, planned_at=commit.planned_at, record=commit.record)
    return [each for each in (*commit.unreported, own) if each.keys or each.record.warnings]
