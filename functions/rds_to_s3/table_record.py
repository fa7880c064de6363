"""What a commit says about its table: the table's entry in the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rds_to_s3.table_list import TableSpec
from rds_to_s3.table_state import Commit, Staged, StagedFile
from rds_to_s3.table_window import Window

_COUNTS = ("rows", "source_rows", "quarantined_rows", "deleted_rows")  # of a manifest's entry
_LISTS = ("files", "quarantine", "deletes", "drift")


def committed_record(
    blank: Mapping[str, Any],
    spec: TableSpec,
    window: Window,
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
    deleted : sequence of StagedFile, optional
        The files of deleted keys; None where deletes are not tracked.
    """
    rows = sum(file.rows for file in staged.files)
    quarantined = sum(file.rows for file in staged.quarantine)
    record = dict(blank) | {
        "status": "SUCCEEDED" if staged.every_file or deleted else "UNCHANGED",
        "rows": rows,
        "source_rows": rows + quarantined,
        "window": window.as_dict(),
        "seconds": round(staged.seconds, 3),
        "files": [file.as_manifest() for file in staged.files],
        "columns": columns,
        "warnings": list(dict.fromkeys(warnings)),
    }
    if spec.on_violation == "quarantine" and spec.checks:
        record["quarantined_rows"] = quarantined
        record["quarantine"] = [file.as_manifest() for file in staged.quarantine]
    if deleted is not None:
        record["deleted_rows"] = sum(file.rows for file in deleted)
        record["deletes"] = [file.as_manifest() for file in deleted]
    if staged.invocations > 1:
        record["invocations"] = staged.invocations
    return record


def with_untold(record: dict[str, Any], commit: Commit) -> dict[str, Any]:
    """Add the files of a commit that an earlier run had decided and never told of."""
    theirs = commit.record
    sums = {key: theirs.get(key, 0) + record.get(key, 0) for key in _COUNTS if key in theirs or key in record}
    lists = {key: [*theirs.get(key, []), *record.get(key, [])] for key in _LISTS if key in theirs or key in record}
    return (
        record
        | sums
        | lists
        | {
            "status": "SUCCEEDED",
            "window": {"after": theirs["window"]["after"], "until": record["window"]["until"]},
            "warnings": [
                *record["warnings"],
                f"run {commit.run_id} ended before it could tell of its commit: its files are counted here",
            ],
        }
    )
