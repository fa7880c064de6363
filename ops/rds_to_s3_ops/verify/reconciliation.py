"""Compares a table with the newest version of each row in its files, in bounded memory.

DuckDB holds, on disk, a digest for each row version that was delivered and for each row of the table; only these, and
the keys.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rds_to_s3.aws.mask_key import UNNAMED
from rds_to_s3.bucket_keys import watermark_key
from rds_to_s3.extract.scope.prepared_read import select_readable
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.mysql.select import quoted
from rds_to_s3.mysql.wire.result_set import query
from rds_to_s3.plan.lists.databases import existing_tables, snapshot_of
from rds_to_s3.plan.lists.patterns import DOT
from rds_to_s3.plan.table_list import TableList
from rds_to_s3.timestamps import Watermark
from rds_to_s3_ops.deployment.database import database_errors, database_name
from rds_to_s3_ops.errors import CommandError, InvalidInputError, VerificationError
from rds_to_s3_ops.verify.comparison import WINDOW_BITS, Reconciliation, compare
from rds_to_s3_ops.verify.pending import pending_rows
from rds_to_s3_ops.verify.reading.digests import Digests, Kind
from rds_to_s3_ops.verify.reading.duckdb_reading import open_duckdb, reading_errors
from rds_to_s3_ops.verify.reading.stored_files import TableFile, fetch, table_file, table_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rds_to_s3.mysql.catalogue.schema import Table
    from rds_to_s3.mysql.connection import Connection
    from rds_to_s3.plan.table_list import TableSpec
    from rds_to_s3_ops.deployment.bucket import Bucket

    Connect = Callable[[], AbstractContextManager[Connection]]

SAMPLES = 10
SNAPSHOT_SECONDS = 6 * 3600.0


class Reconciler:
    """Compares tables of one database with the files of one bucket.

    Parameters
    ----------
    connect : callable
        Opens a connection for a ``with`` block. No connection is open while files are read, which may take hours: the
        server would close it, and a token expires.
    bucket : Bucket
    memory : str
        DuckDB's limit, such as ``1GB``.
    samples : int or None
        How many keys of each kind the result lists; None lists all, which may take much memory.
    scratch : Path, optional
        A directory with space for the digests and one data file.
    mask_key : callable
        Fetches the key of hashed columns.
    """

    def __init__(
        self,
        connect: Connect,
        bucket: Bucket,
        *,
        memory: str = "1GB",
        samples: int | None = SAMPLES,
        scratch: Path | None = None,
        mask_key: Callable[[], bytes] = UNNAMED.get,
    ) -> None:
        self._connect = connect
        self._bucket = bucket
        self._memory = memory
        self._samples = samples
        self._scratch = scratch
        self._mask_key = mask_key

    def reconcile(self, spec: TableSpec) -> Reconciliation:
        """Compare one table. If that is impossible, the result's `error` has the reason.

        Raises
        ------
        InvalidInputError
            No table can be compared: DuckDB is not installed, or `memory` is not valid.
        """
        result = Reconciliation(spec.name, spec.format, [])
        try:
            with (
                reading_errors(f"table {spec.name!r}"),
                database_errors(),
                tempfile.TemporaryDirectory(dir=self._scratch, prefix="rds-to-s3-verify-") as folder,
            ):
                self._reconcile(spec, result, Path(folder))
        except InvalidInputError:
            raise
        except CommandError as error:
            result.error = str(error)
        return result

    def _reconcile(self, spec: TableSpec, result: Reconciliation, folder: Path) -> None:
        # In this order: a concurrent commit is newer than the watermark, and so only pending.
        watermark = self._watermark(spec)
        last = self._bucket.table_state(spec.name, spec.format).commit
        commit = last.model_dump() if last is not None else {}
        files = self._files(spec, commit)
        with self._connect() as connection:
            table = _snapshot(connection, spec)
            # A run that rejects the table reads none of it, and then nothing is pending.
            selection = select_readable(connection, table, spec, last).with_mask_key(self._mask_key)
        result.key, result.files = selection.key_of(table), len(files["delivered"])
        stamps = sorted({file.stamp for of_kind in files.values() for file in of_kind})
        windows = {stamp: number for number, stamp in enumerate(stamps)}
        with open_duckdb(folder, self._memory) as duck:
            digests = Digests(duck, selection.output, result.key, spec.format, result.notes)
            for kind, of_kind in files.items():
                for file in of_kind:
                    position = (windows[file.stamp] << WINDOW_BITS) + file.part
                    try:
                        self._add_file(digests, kind, position, file.key, folder / "data")
                    except VerificationError as error:
                        if kind == "delivered":
                            raise
                        result.notes.append(f"{error}: it was not considered")
            with self._connect() as connection:
                pending = pending_rows(connection, table, spec, watermark, last)
                now = _snapshot(connection, spec)
                if (now.columns, now.key) != (table.columns, table.key):
                    raise VerificationError(
                        f"table {spec.name!r} was altered while its files were read: verify it again"
                    )
                _read_source(connection, digests, table, selection, pending)
            compare(duck, digests.key, len(digests.layouts), result, whole=spec.mode == "full", samples=self._samples)

    def _add_file(self, digests: Digests, kind: Kind, position: int, key: str, path: Path) -> None:
        found = fetch(self._bucket, key, path, keep=True)
        if found is None:
            raise VerificationError(f"{key} was deleted while it was about to be read")
        if found.problem:
            raise VerificationError(f"{key} {found.problem}")
        with reading_errors(key):
            digests.add_file(kind, position, found, path)
        path.unlink()

    def _watermark(self, spec: TableSpec) -> Watermark | None:
        stored = self._bucket.read(watermark_key(spec.name, spec.format))
        try:
            return Watermark.parse(stored.body) if stored else None
        except ValueError as error:
            raise VerificationError(f"{watermark_key(spec.name, spec.format)} {error}") from None

    def _files(self, spec: TableSpec, commit: Mapping[str, Any]) -> dict[Kind, list[TableFile]]:
        kinds: dict[Kind, str] = {"deletes": "deletes", "quarantine": "quarantine", "delivered": spec.format}
        if spec.mode != "full":
            return {kind: table_files(self._bucket, spec.name, place) for kind, place in kinds.items()}
        # Each run of a table in `full` replaces the files of the run before.
        named = {"delivered": "files"}
        return {
            kind: [
                found
                for file in commit.get(named.get(kind, kind), [])
                if (found := table_file(spec.name, place, file["key"])) is not None
            ]
            for kind, place in kinds.items()
        }


def _snapshot(connection: Connection, spec: TableSpec) -> Table:
    database = database_name(connection)
    if DOT in spec.name and spec.database is None:
        # The name alone does not say whether it is one of the default database.
        names = existing_tables(connection, database, TableList(tables=[spec]))
        (spec,) = TableList(tables=[spec]).resolve(names)
    return snapshot_of(connection, database, spec, seconds=SNAPSHOT_SECONDS)


def _read_source(connection: Connection, digests: Digests, table: Table, selection: Selection, pending: str) -> None:
    columns = ", ".join(column.expression for column in selection.select)
    sql = f"SELECT {columns}, {pending} FROM {quoted(table.name)} WHERE {selection.accepting()}"  # noqa: S608 - quoted
    with query(connection, sql, table=table.name) as rows:
        for block in rows:
            digests.add_source(selection.as_written(block), len(selection.select))
    digests.flush()
    sent = int(connection.row("SELECT FOUND_ROWS() AS sent")["sent"])
    if sent != rows.rows_read:
        raise VerificationError(f"the server sent {sent} rows of {table.name!r}, and {rows.rows_read} were read")
