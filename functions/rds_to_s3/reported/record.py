"""What a commit says about its table: the table's entry in the manifest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rds_to_s3.commit.entries import FILE_KINDS, file_keys
from rds_to_s3.commit.state import Staged, StagedFile
from rds_to_s3.plan.execution import utc_text
from rds_to_s3.plan.table_list import TableSpec

REASON_COLUMN = "_violations"


def blank_record(
    spec: TableSpec, status: str, *, after: str | None, until: str, attempts: int, seconds: float
) -> dict[str, Any]:
    """Return what every entry has, of a table that has delivered nothing.

    Parameters
    ----------
    after, until : str
        The window, as the manifest shows it.
    seconds : float
        How long the table has taken.
    """
    return {
        "table": spec.name,
        "mode": spec.mode,
        "status": status,
        "rows": 0,
        "source_rows": 0,
        "window": {"after": after, "until": until},
        "format": spec.format,
        "attempts": attempts,
        "seconds": round(seconds, 3),
        "files": [],
        "columns": [],
        "warnings": [],
        "error": None,
        "finished_at": utc_text(datetime.now(UTC)),
    }


def committed_record(
    blank: Mapping[str, Any],
    spec: TableSpec,
    window: Mapping[str, str | None],
    staged: Staged,
    *,
    deleted: Sequence[StagedFile] | None,
    columns: list[dict[str, Any]],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the entry of a table whose window has been read.

    Parameters
    ----------
    blank : mapping
        What every entry has.
    window : mapping
        As the manifest shows it.
    deleted : sequence of StagedFile, optional
        The files of deleted keys; None where deletes are not tracked.
    """
    rows = staged.written.rows
    quarantined = sum(file.rows for file in staged.checked.quarantine)
    record = dict(blank) | {
        "status": "SUCCEEDED" if staged.every_file or deleted else "UNCHANGED",
        "rows": rows,
        "source_rows": rows + quarantined,
        "window": dict(window),
        "seconds": round(staged.seconds, 3),
        "files": [file.as_manifest() for file in staged.written.files],
        "columns": columns,
        "warnings": list(dict.fromkeys(warnings)),
    }
    if spec.on_violation == "quarantine" and spec.checks:
        record["quarantined_rows"] = quarantined
        record["quarantine"] = [file.as_manifest() for file in staged.checked.quarantine]
    if deleted is not None:
        record["deleted_rows"] = sum(file.rows for file in deleted)
        record["deletes"] = [file.as_manifest() for file in deleted]
    if staged.invocations > 1:
        record["invocations"] = staged.invocations
    return record


def joined_record(own: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a table's entry with what earlier commits have to report, the oldest first.

    A reader applies an entry's deletes and then its rows, and replaces the table where the entry's mode is ``full``. So
    what lies before the last full extraction is `superseded`: it is named, and not to be loaded.
    """
    entries = [*earlier, own]
    last_full = max((place for place, entry in enumerate(entries) if entry.get("mode") == "full"), default=0)
    joined = dict(own)
    if any(entry.get("mode") == "full" for entry in earlier):
        joined["mode"] = "full"
    for kind in FILE_KINDS:
        if kind != "superseded" and any(kind in entry for entry in entries):
            joined[kind] = []
    superseded: list[dict[str, Any]] = []
    for place, entry in enumerate(entries):
        superseded += entry.get("superseded", [])
        for kind in ("files", "quarantine", "deletes"):
            files = [with_columns(file, kind, entry, own) for file in entry.get(kind) or []]
            if place < last_full and kind != "quarantine":
                superseded += files
            elif kind in joined:
                joined[kind] += files
    if superseded:
        joined["superseded"] = superseded
    _count(joined)
    drift = [change for entry in entries for change in entry.get("drift", [])]
    if drift:
        joined["drift"] = drift
    if any(file_keys(entry) for entry in entries):
        joined["status"] = "SUCCEEDED"
    if own["format"] == entries[0]["format"] and own.get("window"):
        joined["window"] = {"after": entries[0]["window"]["after"], "until": own["window"]["until"]}
    return joined


def with_columns(
    file: Mapping[str, Any], kind: str, entry: Mapping[str, Any], joined: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a file of `entry` as `joined` names it: with its columns, where they are not those of `joined`."""
    here, there = _columns(kind, entry), _columns(kind, joined)
    bare = {name: value for name, value in file.items() if name != "columns"}
    names = file.get("columns", here)
    return bare if names == there else {**bare, "columns": names}


def without_files(record: Mapping[str, Any], taken: Collection[str]) -> dict[str, Any]:
    """Return a table's entry without some of its files."""
    left = dict(record)
    for kind in FILE_KINDS:
        if kind in left:
            left[kind] = [file for file in left[kind] if file["key"] not in taken]
    _count(left)
    return left


def reason_column(names: Iterable[str]) -> str:
    """Return the name of the quarantine's added column, which none of `names` has."""
    taken = {name.lower() for name in names}
    name = REASON_COLUMN
    while name in taken:
        name += "_"
    return name


def _count(entry: dict[str, Any]) -> None:
    entry["rows"] = _rows(entry["files"])
    for count, kind in (("quarantined_rows", "quarantine"), ("deleted_rows", "deletes")):
        if kind in entry:
            entry[count] = _rows(entry[kind])
    entry["source_rows"] = entry["rows"] + entry.get("quarantined_rows", 0)


def _columns(kind: str, entry: Mapping[str, Any]) -> list[str]:
    names = [column["name"] for column in entry["columns"]]
    if kind == "deletes":
        return list(entry.get("key", []))
    return [*names, reason_column(names)] if kind == "quarantine" else names


def _rows(files: Iterable[Mapping[str, Any]]) -> int:
    return sum(file["rows"] for file in files)
