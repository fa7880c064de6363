"""``rds-to-s3 verify``: the files against the manifests, and with a database against the tables."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rds_to_s3_ops.errors import NotFoundError
from rds_to_s3_ops.verify.comparison import Reconciliation
from rds_to_s3_ops.verify.reading.duckdb_reading import reading_errors
from rds_to_s3_ops.verify.reading.stored_files import FileCheck, check_file, named_files
from rds_to_s3_ops.verify.reconciliation import SAMPLES, Reconciler
from rds_to_s3_ops.verify.unreported import UnreportedFile

if TYPE_CHECKING:
    from rds_to_s3.mysql.connection import Connection
    from rds_to_s3.plan.table_list import TableSpec
    from rds_to_s3.reported.manifest import Manifest
    from rds_to_s3_ops.deployment.bucket import Bucket
    from rds_to_s3_ops.deployment.table_list_parameter import TableListDocument

DIFFERS, NOT_COMPARED = 1, 7


@dataclass
class Verification:
    """What was found.

    Attributes
    ----------
    files, rows, bytes : int
        Checked.
    broken : list of FileCheck
        Files that are not what their manifest says.
    tables : list of Reconciliation
        Tables that were compared with the database.
    unreported : list of UnreportedFile
        Files of the tables that no manifest names.
    extra_is_fine : bool
        Whether rows that only the files have are no fault: the table's deletes are not tracked.
    """

    files: int = 0
    rows: int = 0
    bytes: int = 0
    broken: list[FileCheck] = field(default_factory=list)
    tables: list[Reconciliation] = field(default_factory=list)
    unreported: list[UnreportedFile] = field(default_factory=list)
    extra_is_fine: bool = False

    @property
    def differs(self) -> bool:
        """Whether something was found to differ."""
        if self.broken or self.unreported:
            return True
        return any(table.differs(extra_is_fine=self.extra_is_fine) for table in self.tables)

    @property
    def not_compared(self) -> list[str]:
        """Tables that could not be compared with the database."""
        return [table.table for table in self.tables if table.error is not None]

    @property
    def is_fine(self) -> bool:
        """Whether everything was compared, and nothing differs."""
        return not self.differs and not self.not_compared

    @property
    def exit_code(self) -> int:
        """What a script sees: that something differs is known for certain, so it counts more than what is not known."""
        return DIFFERS if self.differs else NOT_COMPARED if self.not_compared else 0

    def as_json(self) -> dict[str, Any]:
        """Return what ``verify --json`` prints."""
        return {
            "ok": self.is_fine,
            "files": {
                "checked": self.files,
                "rows": self.rows,
                "bytes": self.bytes,
                "broken": [check.as_json() for check in self.broken],
            },
            "unreported": [file.as_json() for file in self.unreported],
            "tables": [
                {**table.as_json(), "ok": table.is_fine(extra_is_fine=self.extra_is_fine)} for table in self.tables
            ],
        }


def manifests_for(bucket: Bucket, run_id: str | None, table: str | None) -> Iterable[Manifest]:
    """Return the manifests to check: a run's, the newest, or all that name a table, one after the other.

    Raises
    ------
    NotFoundError
        Of a table that no manifest names, once they have all been asked for.
    """
    if table is not None:
        return _manifests_of(bucket, table)
    manifest = bucket.manifest(run_id) if run_id else bucket.latest_manifest()
    if manifest is None:
        raise NotFoundError(
            f"run {run_id!r} has left no manifest" if run_id else "no run has finished yet: `rds-to-s3 run`"
        )
    return [manifest]


def _manifests_of(bucket: Bucket, table: str) -> Iterator[Manifest]:
    is_known = False
    for manifest in bucket.every_manifest():
        if manifest.table(table) is not None:
            is_known = True
            yield manifest
    if not is_known:
        raise NotFoundError(f"no run has extracted a table {table!r}: see `rds-to-s3 tables list`")


def verify_files(
    bucket: Bucket,
    manifests: Iterable[Manifest],
    table: str | None,
    say: Callable[[str], None] = lambda _: None,
) -> Verification:
    """Read every file that the manifests name, of all tables or of one, and compare it with what they say."""
    result = Verification()
    with tempfile.TemporaryDirectory(prefix="rds-to-s3-verify-") as folder:
        for named in named_files(manifests, table):
            file = named[2]
            say(file.key)
            with reading_errors(file.key):
                check = check_file(bucket, named, Path(folder))
            result.files += 1
            result.rows += file.rows
            result.bytes += file.bytes
            if check.problems:
                result.broken.append(check)
    return result


def compare_tables(
    connect: Callable[[], AbstractContextManager[Connection]],
    bucket: Bucket,
    specs: Sequence[TableSpec],
    *,
    memory: str = "1GB",
    samples: int | None = SAMPLES,
) -> list[Reconciliation]:
    """Compare tables with the database, each over connections of its own: what breaks one leaves the others alone.

    Parameters
    ----------
    connect : callable
        Opens a connection for the length of a ``with`` block.
    memory, samples
        See `rds_to_s3_ops.verify.reconciliation.Reconciler`.

    Raises
    ------
    CommandError
        The database cannot be reached to begin with, or nothing could be compared with what was given.
    """
    if not specs:
        return []
    with connect():
        pass
    reconciler = Reconciler(connect, bucket, memory=memory, samples=samples)
    return [reconciler.reconcile(spec) for spec in specs]


def listed_tables(document: TableListDocument, names: Sequence[str]) -> list[TableSpec]:
    """Return the settings of tables, as the list has them now.

    Raises
    ------
    NotFoundError
        One is not listed any more: which of its columns the files hold is not known.
    """
    specs = {spec.name: spec for spec in document.checked.resolve(names)}
    for name in names:
        if name not in specs:
            raise NotFoundError(f"table {name!r} is not listed: see `rds-to-s3 tables list`")
    return [specs[name] for name in names]
