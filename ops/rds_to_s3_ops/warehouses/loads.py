"""Finds the files to load, from the manifests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from rds_to_s3_ops.errors import InvalidInputError, NotFoundError
from rds_to_s3_ops.warehouses.sql import TableLoad

if TYPE_CHECKING:
    from rds_to_s3.commit.entries import TableEntry
    from rds_to_s3.reported.manifest import Manifest
    from rds_to_s3_ops.deployment.bucket import Bucket

_LOOKED_AT = 200  # manifests, for the newest that has files of a table


def table_loads(bucket: Bucket, table: str | None, run_id: str | None, key: Sequence[str]) -> list[TableLoad]:
    """Return the tables and files to load.

    Parameters
    ----------
    table : str or None
        None for every table of the run; without a run, every table of the newest one.
    run_id : str or None
        None for the newest run that has files of the table, including deletes files.
    key : sequence of str
        The columns to merge by, instead of the table's key.

    Raises
    ------
    NotFoundError
        No such run, or none that has files of the table.
    InvalidInputError
        A column of the key is not in the files.
    """
    if key and table is None:
        raise InvalidInputError("--key needs a TABLE")
    newest = bucket.manifest(run_id) if run_id else bucket.latest_manifest()
    if newest is None:
        raise NotFoundError(f"run {run_id!r} has no manifest" if run_id else "no run has finished yet")
    wanted = [table] if table else [entry.table for entry in newest.tables]
    manifests: Iterable[Manifest] = [newest] if run_id else islice(bucket.newest_manifests(), _LOOKED_AT)
    found = _newest_entries(manifests, wanted)
    if table and table not in found:
        raise NotFoundError(f"{f'run {run_id!r}' if run_id else 'no run'} has written files of table {table!r}")
    if not found:
        raise NotFoundError("no run has written a file yet")
    return [_load(bucket.name, *found[name], key) for name in wanted if name in found]


def _newest_entries(manifests: Iterable[Manifest], wanted: Sequence[str]) -> dict[str, tuple[str, TableEntry]]:
    found: dict[str, tuple[str, TableEntry]] = {}
    for manifest in manifests:
        for entry in manifest.tables:
            if entry.table in wanted and entry.table not in found and _has_files(entry):
                found[entry.table] = (manifest.run_id, entry)
        if len(found) == len(wanted):
            break
    return found


def _has_files(entry: TableEntry) -> bool:
    # Deletes are not loaded if the data files lack their key.
    return bool(entry.files or (entry.deletes and entry.key))


def _refuse_other_columns(run_id: str, entry: TableEntry) -> None:
    # Loaded by position under the entry's columns, values would land in the wrong ones.
    for place, file in enumerate([*entry.files, *entry.deletes]):
        is_of_rows = place < len(entry.files)
        is_other_format = is_of_rows and (".parquet" in file.key) != (entry.format == "parquet")
        if file.has("columns") or is_other_format:
            names = ", ".join(file.columns or entry.names)
            raise InvalidInputError(
                f"run {run_id} reports {file.key}, which an earlier run extracted with other columns or in another "
                f"format: it cannot be loaded together with the run's other files of table {entry.table!r}. Load "
                f"that file by hand first, with its own columns: {names}. Then load the run's other files by hand, too"
            )


def _load(bucket: str, run_id: str, entry: TableEntry, key: Sequence[str]) -> TableLoad:
    _refuse_other_columns(run_id, entry)
    if unknown := [name for name in key if name not in entry.names]:
        raise InvalidInputError(
            f"--key {unknown[0]}: the files have no such column; they have {', '.join(entry.names)}"
        )
    return TableLoad(
        table=entry.table,
        bucket=bucket,
        run_id=run_id,
        format=entry.format,
        columns=entry.columns,
        key=list(key) or entry.key,
        files=[file.key for file in entry.files],
        deletes=[file.key for file in entry.deletes],
        deletes_key=entry.key,
        drift=entry.drift,
    )
