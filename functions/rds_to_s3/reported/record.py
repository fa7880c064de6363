"""A commit's record of its table: the table's entry in the manifest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rds_to_s3.commit.entries import FILE_KINDS, ColumnEntry, FileEntry, ProofEntry, Status, TableEntry, WindowEntry
from rds_to_s3.commit.state import Staged, StagedFile
from rds_to_s3.plan.table_list import TableSpec

REASON_COLUMN = "_violations"
_LOADED = [kind for kind in FILE_KINDS if kind != "superseded"]


def blank_record(
    spec: TableSpec, status: Status, *, after: str | None, until: str, attempts: int, seconds: float, **members: Any
) -> TableEntry:
    """Return the common members of an entry, for a table that has delivered nothing.

    Parameters
    ----------
    after, until : str
        The window, as the manifest shows it.
    seconds : float
        Seconds spent on the table.
    **members
        Others that the entry has.
    """
    blank = TableEntry(
        table=spec.name,
        mode=spec.mode,
        status=status,
        rows=0,
        source_rows=0,
        window=WindowEntry(after=after, until=until),
        format=spec.format,
        attempts=attempts,
        seconds=round(seconds, 3),
        readers=1,
        proof=None,
        files=[],
        columns=[],
        warnings=[],
        error=None,
    )
    return blank.but(**members)


def committed_record(
    blank: TableEntry,
    spec: TableSpec,
    window: WindowEntry,
    staged: Staged,
    *,
    deleted: Sequence[StagedFile] | None,
    columns: list[ColumnEntry],
    key: list[str],
    proof: ProofEntry | None,
    warnings: Sequence[str],
    sequence: int,
) -> TableEntry:
    """Return the entry of a table whose window has been read.

    Parameters
    ----------
    blank : TableEntry
        What every entry has.
    deleted : sequence of StagedFile, optional
        The files of deleted keys; None where deletes are not tracked.
    key : list of str
        The columns of the table's key.
    proof : ProofEntry, optional
        None where nothing is proved.
    """
    kinds: dict[str, Sequence[StagedFile]] = {"files": staged.written.files}
    if spec.on_violation == "quarantine" and spec.checks:
        kinds["quarantine"] = staged.checked.quarantine
    if deleted is not None:
        kinds["deletes"] = deleted
    record = blank.with_files(
        {kind: [file.as_manifest() for file in files] for kind, files in kinds.items()},
        status="SUCCEEDED" if staged.every_file or deleted else "UNCHANGED",
        window=window,
        seconds=round(staged.seconds, 3),
        columns=columns,
        key=key,
        readers=staged.readers,
        proof=proof,
        sequence=sequence,
        warnings=list(dict.fromkeys(warnings)),
    )
    return record.but(invocations=staged.invocations) if staged.invocations > 1 else record


def joined_record(own: TableEntry, earlier: Sequence[TableEntry]) -> TableEntry:
    """Return a table's entry with what earlier commits have to report, the oldest first.

    Of a commit without files, these are its warnings and the drift of its columns.

    A reader applies an entry's deletes and then its rows, and first empties the table where the entry `is_whole`. So
    files before the last whole extraction are `superseded`: they are listed, and not to be loaded.
    """
    # What an execution that was stopped had to say, its manifest would have said.
    said = [text for entry in earlier for text in entry.warnings]
    drift = [change for entry in (*earlier, own) for change in entry.drift]
    earlier = [entry for entry in earlier if entry.keys]
    if earlier and not own.columns:
        # An entry that has extracted nothing, such as a skipped table's: its readers still need the columns' types.
        own = own.but(columns=earlier[-1].columns, key=earlier[-1].key)
    entries = [*earlier, own]
    extracted = [place for place, entry in enumerate(entries) if entry.status in {"SUCCEEDED", "UNCHANGED"}]
    start = max((place for place in extracted if entries[place].is_whole), default=0)
    files: dict[str, list[FileEntry]] = {kind: [] for kind in _LOADED if any(entry.has(kind) for entry in entries)}
    superseded: list[FileEntry] = []
    for place, entry in enumerate(entries):
        superseded += entry.superseded
        for kind in _LOADED:
            named = [described_for(file, kind, entry, own) for file in getattr(entry, kind)]
            if place < start and kind != "quarantine":
                superseded += named
            elif named:
                files[kind] += named
    changes: dict[str, Any] = {}
    if superseded:
        files["superseded"] = superseded
    if any(entry.mode == "full" for entry in earlier):
        changes["mode"] = "full"
    if said:
        changes["warnings"] = list(dict.fromkeys([*said, *own.warnings]))
    if drift:
        changes["drift"] = drift
    if any(entry.keys for entry in entries):
        changes["status"] = "SUCCEEDED"
    after = entries[start].window.after
    if own.format == entries[start].format or (after is None and start in extracted):
        changes["window"] = WindowEntry(after=after, until=own.window.until)
    return own.with_files(files, **changes)


def described_for(file: FileEntry, kind: str, entry: TableEntry, joined: TableEntry) -> FileEntry:
    """Return a file of `entry` as `joined` lists it: with its columns and its commit, where they are others."""
    names = file.columns if file.has("columns") else _columns(kind, entry)
    sequence = file.sequence or entry.sequence
    own: dict[str, Any] = {} if names == _columns(kind, joined) else {"columns": names}
    if sequence and sequence != joined.sequence:
        own["sequence"] = sequence
    return FileEntry(**file.model_dump(exclude={"columns", "sequence"}), **own)


def without_files(record: TableEntry, taken: Collection[str]) -> TableEntry:
    """Return a table's entry without some of its files."""
    kinds = [kind for kind in FILE_KINDS if record.has(kind)]
    return record.with_files({kind: [f for f in getattr(record, kind) if f.key not in taken] for kind in kinds})


def reason_column(names: Iterable[str]) -> str:
    """Return the name of the quarantine's added column, which none of `names` has."""
    taken = {name.lower() for name in names}
    name = REASON_COLUMN
    while name in taken:
        name += "_"
    return name


def _columns(kind: str, entry: TableEntry) -> list[str]:
    if kind == "deletes":
        return entry.key
    return [*entry.names, reason_column(entry.names)] if kind == "quarantine" else entry.names
