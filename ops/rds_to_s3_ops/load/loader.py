"""Loads the tables of a bucket into a warehouse: what is missing, in order, one transaction after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from rds_to_s3_ops.errors import LoadError, WarehouseError
from rds_to_s3_ops.load.warehouse import (
    BEGUN,
    Change,
    Record,
    Warehouse,
    change_for,
    refuse_other_columns,
    refuse_retyped_key,
    warn_converted,
)
from rds_to_s3_ops.warehouses.batches import Batch, Target, batches
from rds_to_s3_ops.warehouses.deliveries import Delivery, TableHistory
from rds_to_s3_ops.warehouses.sql import LOADS

if TYPE_CHECKING:
    from rds_to_s3_ops.warehouses.sql import Dialect

Status = Literal["LOADED", "CURRENT", "PENDING", "FAILED"]
_VERSIONS = (
    "its files have no key to merge by: of a row that changed each version is there, and a deleted row stays. "
    'Give the table a primary key, leave the key among its columns, or set "mode": "full"'
)


@dataclass
class TableResult:
    """What a load did with one table.

    Attributes
    ----------
    status : {"LOADED", "CURRENT", "PENDING", "FAILED"}
        CURRENT: nothing was missing. PENDING: what a dry run would load.
    commits, rows, deleted_rows, bytes : int
        What was applied: rows of files, and keys of deletes files.
    until : str or None
        The window's end of the last commit in the warehouse.
    """

    table: str
    status: Status = "CURRENT"
    commits: int = 0
    rows: int = 0
    deleted_rows: int = 0
    bytes: int = 0
    until: str | None = None
    warnings: list[str] = field(default_factory=list)
    error: str | None = None

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Count commits."""
        for each in deliveries:
            self.commits += 1
            self.rows += each.rows
            self.deleted_rows += each.deleted_rows
            self.bytes += each.bytes
            self.until = each.until


Progress = Callable[[str, int, int], None]
"""Takes the table, the number of commits applied, and the number of commits to apply."""


class Loader:
    """Loads tables.

    Parameters
    ----------
    bucket : str
        Its name.
    warehouse : Warehouse
    on_progress : callable
        Called after each transaction.
    """

    def __init__(self, bucket: str, warehouse: Warehouse, on_progress: Progress = lambda *_: None) -> None:
        self._bucket = bucket
        self._warehouse = warehouse
        self._on_progress = on_progress

    def load(self, histories: Mapping[str, TableHistory], *, dry_run: bool = False) -> list[TableResult]:
        """Load tables; one that cannot be loaded does not stop the others.

        Raises
        ------
        WarehouseError
            The warehouse is unreachable, or was loaded from another bucket.
        """
        records = self._records()
        names = Counter(_folded(table) for table in histories)
        loaded = {_folded(table): table for table in records}
        results = []
        for table, history in sorted(histories.items()):
            result = TableResult(table)
            results.append(result)
            try:
                other = loaded.get(_folded(table), table) != table and self._warehouse.columns_of(table) is not None
                if other or names[_folded(table)] > 1 or _folded(table) == LOADS:
                    raise LoadError(
                        f"table {table!r}: the warehouse ignores case, and another table has this name. Load each with "
                        "--table into a file or schema of its own"
                    )
                self._load(history, records.get(table, []), result, dry_run=dry_run)
            except LoadError as error:
                result.status, result.error = "FAILED", str(error)
            result.warnings = list(dict.fromkeys(result.warnings))
            if history.failed:
                result.warnings.append(f"the newest run of it failed, so newer rows are not in the bucket yet: "
                                       f"{history.failed}")  # fmt: skip
        return results

    def pending(self, histories: Mapping[str, TableHistory]) -> dict[str, list[Delivery]]:
        """Return the commits that are to be applied, by table."""
        records = self._records()
        found = {}
        for table, history in histories.items():
            there = records.get(table, []) if self._warehouse.columns_of(table) is not None else []
            found[table] = history.pending({record.sequence for record in there} - {BEGUN})
        return found

    def _records(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for record in self._warehouse.records():
            if record.bucket != self._bucket:
                raise WarehouseError(
                    f"the warehouse was loaded from bucket {record.bucket}, and this stack's is {self._bucket}: load "
                    f"each stack into a database or schema of its own"
                )
            found.setdefault(record.table, []).append(record)
        return found

    def _load(self, history: TableHistory, records: Sequence[Record], result: TableResult, *, dry_run: bool) -> None:
        actual = self._warehouse.columns_of(history.table)
        recorded_commits = {record.sequence for record in records} - {BEGUN}
        if actual is None:
            records = []
        elif not records:
            raise LoadError(
                f"the warehouse has a table {history.table!r} that this command did not create: rename or drop it, and "
                "it is loaded from its first commit on"
            )
        recorded: dict[str, str] = {}
        for record in sorted(records, key=lambda each: each.sequence):
            recorded |= record.columns
        if actual is not None:
            refuse_other_columns(history.table, actual, recorded)
        loaded = {record.sequence for record in records} - {BEGUN}
        pending = history.pending(loaded)
        result.warnings += history.gaps(loaded)
        result.until = next((each.until for each in reversed(history.commits) if each.sequence in loaded), None)
        if dry_run:
            result.add(pending)
            result.status = "PENDING" if pending else "CURRENT"
            return
        for number, batch in enumerate(batches(pending)):
            again = batch.sequences[0] if number == 0 and (batch.key or batch.is_whole) else None
            target = _target(batch, self._warehouse.dialect, recorded)
            refuse_retyped_key(target, self._warehouse.dialect, recorded)
            change = change_for(
                target, self._warehouse.dialect, actual, recorded, forget_since=again, loaded=recorded_commits
            )
            result.warnings += _new_columns(change)
            result.warnings += warn_converted(change, self._warehouse.dialect, recorded)
            result.warnings += self._warehouse.apply(change)
            result.status = "LOADED"
            since = 0 if change.creates else again
            recorded_commits = {each for each in recorded_commits if since is None or each < since}
            recorded_commits |= set(batch.sequences)
            result.add(batch.deliveries)
            if not batch.key:
                # Rows that are delivered again cannot be recognised without a key, and the manifest warns about them.
                result.warnings += [text for each in batch.deliveries for text in each.warnings]
                if not all(each.is_whole for each in batch.deliveries):
                    result.warnings.append(_VERSIONS)
            recorded |= {column.name: column.mysql_type for column in target.columns}
            actual = self._warehouse.columns_of(history.table)
            self._on_progress(history.table, result.commits, len(pending))
        if history.commits and actual is not None:
            result.warnings += self._define(history.commits[-1], actual, recorded)
            result.until = history.commits[-1].until

    def _define(self, newest: Delivery, actual: Mapping[str, str], recorded: Mapping[str, str]) -> list[str]:
        """Give a table the columns of its newest commit, which may have no rows; return warnings."""
        dialect = self._warehouse.dialect
        target = _target(Batch((replace(newest, files=(), deletes=()),)), dialect, recorded)
        change = change_for(target, dialect, actual, recorded, forget_since=None)
        if change.added or change.retyped or change.reformed:
            self._warehouse.define(change)
        return [*_new_columns(change), *warn_converted(change, dialect, recorded)]


def _new_columns(change: Change) -> list[str]:
    """Return a warning about the columns that rows loaded before have no value of."""
    batch = change.target.batch
    first = {column.name for column in batch.deliveries[0].columns}
    before = set() if batch.is_whole or change.creates else set(change.added)
    new = [column.name for column in batch.columns if column.name in before or column.name not in first]
    if not new or not batch.key:
        return []
    return [
        f"{', '.join(new)}: new, so NULL in rows that were delivered before. The proof delivers the rows of an added "
        f"column again, and not those of a renamed one: rds-to-s3 rewind {batch.table} --all"
    ]


def _target(batch: Batch, dialect: Dialect, recorded: Mapping[str, str]) -> Target:
    columns = batch.columns_for(dialect.warehouse)
    names = {column.name.lower() for column in columns}
    return Target(batch, columns, [name for name in recorded if name.lower() not in names])


def _folded(table: str) -> str:
    return table.lower()
