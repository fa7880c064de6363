"""``rds-to-s3 verify``: compares the files with the manifests, and with the tables in the database."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rds_to_s3.aws.mask_key import UNNAMED
from rds_to_s3_ops.errors import NotFoundError
from rds_to_s3_ops.verify.comparison import Reconciliation
from rds_to_s3_ops.verify.reading.duckdb_reading import reading_errors
from rds_to_s3_ops.verify.reading.stored_files import FileCheck, check_file, named_files
from rds_to_s3_ops.verify.reconciliation import SAMPLES, Reconciler
from rds_to_s3_ops.verify.unreported import UnreportedFile
from rds_to_s3_ops.verify.wanted import Wanted

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
        Files that differ from their manifest.
    tables : list of Reconciliation
        The tables compared with the database.
    unreported : list of UnreportedFile
        Files of the tables that are in no manifest.
    extra_is_fine : bool
        Whether to ignore rows that only the files have, because the table's deletes are not tracked.
    again : list of str
        How to get the rows of broken files once more.
    left_out : str
        What was not looked at.
    """

    files: int = 0
    rows: int = 0
    bytes: int = 0
    broken: list[FileCheck] = field(default_factory=list)
    tables: list[Reconciliation] = field(default_factory=list)
    unreported: list[UnreportedFile] = field(default_factory=list)
    extra_is_fine: bool = False
    again: list[str] = field(default_factory=list)
    left_out: str = ""

    @property
    def differs(self) -> bool:
        """Whether something differs."""
        if self.broken or self.unreported:
            return True
        return any(table.differs(extra_is_fine=self.extra_is_fine) for table in self.tables)

    @property
    def not_compared(self) -> list[str]:
        """Tables that could not be compared with the database."""
        return [table.table for table in self.tables if table.error is not None]

    @property
    def is_fine(self) -> bool:
        """Whether everything was compared and nothing differs."""
        return not self.differs and not self.not_compared

    @property
    def exit_code(self) -> int:
        """The exit code. A known difference takes precedence over what could not be compared."""
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
                "left_out": self.left_out or None,
            },
            "unreported": [file.as_json() for file in self.unreported],
            "tables": [
                {**table.as_json(), "ok": table.is_fine(extra_is_fine=self.extra_is_fine)} for table in self.tables
            ],
        }


def manifests_for(bucket: Bucket, run_id: str | None, wanted: Wanted | None) -> Iterable[Manifest]:
    """Yield the manifests to check: a run's, the newest, or all if some tables are wanted.

    Raises
    ------
    NotFoundError
        No manifest lists a wanted table; raised after the last manifest.
    """
    if wanted is not None:
        return _manifests_of(bucket, wanted)
    manifest = bucket.manifest(run_id) if run_id else bucket.newest_manifest()
    if manifest is None:
        raise NotFoundError(f"run {run_id!r} has no manifest" if run_id else "no run has finished yet: `rds-to-s3 run`")
    return [manifest]


def _manifests_of(bucket: Bucket, wanted: Wanted) -> Iterator[Manifest]:
    for manifest in bucket.every_manifest():
        if [table for table in manifest.tables if table.table in wanted]:
            yield manifest
    wanted.refuse_unknown()


def verify_files(
    bucket: Bucket,
    manifests: Iterable[Manifest],
    wanted: Container[str] | None,
    say: Callable[[str], None] = lambda _: None,
) -> Verification:
    """Compare every file in the manifests, of all tables or of those that are wanted, with its entry."""
    result = Verification()
    with tempfile.TemporaryDirectory(prefix="rds-to-s3-verify-") as folder:
        for named in named_files(manifests, wanted):
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
    mask_key: Callable[[], bytes] = UNNAMED.get,
) -> list[Reconciliation]:
    """Compare tables with the database. Each has its own connections, so an error of one does not affect the others.

    Parameters
    ----------
    connect : callable
        Opens a connection for a ``with`` block.
    memory, samples, mask_key
        See `rds_to_s3_ops.verify.reconciliation.Reconciler`.

    Raises
    ------
    CommandError
        The database is unreachable, or the options allow no comparison.
    """
    if not specs:
        return []
    with connect():
        pass
    reconciler = Reconciler(connect, bucket, memory=memory, samples=samples, mask_key=mask_key)
    return [reconciler.reconcile(spec) for spec in specs]


def listed_tables(document: TableListDocument, names: Sequence[str]) -> list[TableSpec]:
    """Return the tables' settings from the current list.

    Raises
    ------
    NotFoundError
        A table is no longer listed, so the columns of its files are unknown.
    """
    specs = {spec.name: spec for spec in document.checked.resolve(names)}
    for name in names:
        if name not in specs:
            raise NotFoundError(f"table {name!r} is not listed: see `rds-to-s3 tables list`")
    return [specs[name] for name in names]
