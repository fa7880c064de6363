"""Loads into a DuckDB file. Files are downloaded, compared with the manifest, and read by DuckDB's own readers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rds_to_s3_ops.errors import ConflictError, InvalidInputError, LoadError, VerificationError, WarehouseError
from rds_to_s3_ops.load.warehouse import Change, Record, Step, is_record_table, not_our_records, refuse_unmatched
from rds_to_s3_ops.verify.reading.duckdb_reading import csv_header, reading_errors
from rds_to_s3_ops.verify.reading.stored_files import StoredFile, fetch
from rds_to_s3_ops.verify.reading.text_forms import present_form
from rds_to_s3_ops.warehouses.batches import Target
from rds_to_s3_ops.warehouses.duckdb import DuckDbDialect, read_csv, read_parquet
from rds_to_s3_ops.warehouses.sql import LOADS, RECORD, STAGE, quoted

if TYPE_CHECKING:
    import duckdb

    from rds_to_s3_ops.deployment.bucket import Bucket
    from rds_to_s3_ops.warehouses.batches import Source

_READERS = 8
_VIEW = "_rds_to_s3_file"


class DuckDbWarehouse:
    """A DuckDB file.

    Parameters
    ----------
    path : Path
        Created by the first load.
    bucket : Bucket
    read_only : bool
        For a dry run: nothing is created.
    on_step : callable
        See `rds_to_s3_ops.load.warehouse.Step`.

    Raises
    ------
    ConflictError
        Another process has the file open.
    WarehouseError
        It is no database, or may not be opened.
    """

    def __init__(self, path: Path, bucket: Bucket, *, read_only: bool = False, on_step: Step = lambda _: None) -> None:
        self.dialect = DuckDbDialect(bucket.name)
        self._path = path
        self._bucket = bucket
        self._on_step = on_step
        self._connection = _open(path, read_only=read_only)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def records(self) -> list[Record]:
        """Return what has been applied."""
        columns = self.columns_of(LOADS)
        if columns is None:
            return []
        if not is_record_table(columns):
            raise WarehouseError(not_our_records(str(self._path)))
        rows = self._execute(f"SELECT {', '.join(RECORD)} FROM {self.dialect.loads}").fetchall()
        return [Record.of(dict(zip(RECORD, row, strict=True))) for row in rows]

    def columns_of(self, table: str) -> dict[str, str] | None:
        """Return a table's columns, or None if there is no such table."""
        found = self._execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
            "AND schema_name = current_schema() AND lower(table_name) = lower(?) ORDER BY column_index",
            [table],
        ).fetchall()
        return dict(found) or None

    def apply(self, change: Change) -> list[str]:
        """Stage the files of a batch, and apply them in one transaction."""
        target = change.target
        with warehouse_errors(f"table {target.batch.table!r}"):
            for statement in self.dialect.create_stage(target):
                self._execute(statement)
            warnings = self._stage(target)
            if (unmatched := self.dialect.unmatched(target)) is not None:
                refuse_unmatched(target, _count(self._execute(unmatched)))
            for statement in self.dialect.keep_newest(target):
                self._execute(statement)
            self._on_step("staged")
            with self._transaction():
                if change.forget_since is not None:
                    self._execute(self.dialect.forget(target.batch.table, change.forget_since))
                empties = target.batch.is_whole and not change.creates
                if empties:
                    self._execute(f"DELETE FROM {self.dialect.table(target.batch.table)}")
                for statement in (*self._definitions(change, keeps_values=not empties), *self.dialect.apply(target)):
                    self._execute(statement)
                self._on_step("applied")
                self._execute(self.dialect.remember(target.batch))
                self._on_step("recorded")
            self._on_step("committed")
            self._execute(f"DROP TABLE {quoted(STAGE)}")
        return warnings

    def define(self, change: Change) -> None:
        """Give the table its columns."""
        with warehouse_errors(f"table {change.target.batch.table!r}"), self._transaction():
            for statement in self._definitions(change):
                self._execute(statement)

    def _definitions(self, change: Change, *, keeps_values: bool = True) -> list[str]:
        """Return the statements that give the table its columns, and their values the form that the source writes."""
        statements = change.definitions(self.dialect, keeps_values=keeps_values)
        for column in change.target.columns:
            if column.name in change.reformed:
                name = self.dialect.name(column.name)
                is_binary = column.kind == "binary"
                value = present_form(f"hex({name})" if is_binary else name, column.output_column, from_file=True)
                value = f"unhex({value})" if is_binary else value
                statements.append(f"UPDATE {self.dialect.table(change.target.batch.table)} SET {name} = {value}")
        return statements

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("BEGIN")
        try:
            self._execute(self.dialect.create_loads())
            yield
            self._execute("COMMIT")
        except BaseException:
            self._rollback()
            raise

    def _rollback(self) -> None:
        duckdb = _module()
        try:
            self._connection.rollback()
        except duckdb.Error:
            return  # there is no transaction any more: the COMMIT itself failed

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        return self._connection.execute(statement, list(values))

    # --- the stage ---

    def _stage(self, target: Target) -> list[str]:
        """Stage every file of a batch; return warnings."""
        lost: dict[str, int] = {}
        sources = target.batch.sources
        with tempfile.TemporaryDirectory(prefix="rds-to-s3-") as folder, ThreadPoolExecutor(_READERS) as readers:
            for begin in range(0, len(sources), _READERS):
                some = sources[begin : begin + _READERS]
                paths = [Path(folder) / f"{place}" for place in range(len(some))]
                for source, path, stored in zip(some, paths, readers.map(self._fetch, some, paths), strict=True):
                    self._stage_file(target, source, path, stored, lost)
        return [
            f"{column}: {count} value{'s' if count > 1 else ''} of CSV not a date of the calendar (such as "
            "0000-00-00), loaded as NULL"
            for column, count in lost.items()
        ]

    def _fetch(self, source: Source, path: Path) -> StoredFile:
        """Download a file, and compare it with its manifest.

        Raises
        ------
        LoadError
            It is missing or another one. Nothing is applied.
        """
        file = source.file
        stored = fetch(self._bucket, file.key, path, keep=True)
        where = f"s3://{self._bucket.name}/{file.key}"
        if stored is None:
            raise LoadError(
                f"{where} is missing, and its manifest lists it: restore it (the bucket keeps deleted versions for 30 "
                "days), or extract the table again with rds-to-s3 rewind TABLE --all"
            )
        differing = [name for name in ("bytes", "sha256") if getattr(stored, name) != getattr(file, name)]
        if differing or stored.problem or stored.rows != file.rows:
            said = f"its {' and '.join(differing)} differ" if differing else stored.problem or "its rows differ"
            raise LoadError(
                f"{where} is not the file that its manifest lists ({said}): restore the earlier version, or extract "
                "the table again with rds-to-s3 rewind TABLE --all"
            )
        return stored

    def _stage_file(self, target: Target, source: Source, path: Path, stored: StoredFile, lost: dict[str, int]) -> None:
        file = source.file
        try:
            with reading_errors(f"s3://{self._bucket.name}/{file.key}"):
                rows = self._rows(target, source, path, stored.longest_row)
                staged = self._stage_rows(target, source, rows, lost)
        except VerificationError as error:
            raise LoadError(str(error)) from error
        finally:
            path.unlink()
        if staged != file.rows:
            raise LoadError(
                f"s3://{self._bucket.name}/{file.key}: DuckDB read {staged} rows, and the manifest says {file.rows}"
            )

    def _stage_rows(self, target: Target, source: Source, rows: str, lost: dict[str, int]) -> int:
        duckdb = _module()
        try:
            return _count(self._execute(self.dialect.stage_file(target, source, rows)))
        except duckdb.ConversionException:
            dates = [column for column in target.columns if column.is_calendar and column.name in source.file.names]
            if not dates or source.file.format != "csv":
                raise
        staged = _count(self._execute(self.dialect.stage_file(target, source, rows, lossy=True)))
        counts = self._execute(self.dialect.lost_dates(dates, rows)).fetchone() or ()
        for column, count in zip(dates, counts, strict=True):
            if count:
                lost[column.name] = lost.get(column.name, 0) + count
        return staged

    def _rows(self, target: Target, source: Source, path: Path, longest_row: int) -> str:
        """Return the file as a table."""
        file = source.file
        if file.format == "csv":
            if (header := csv_header(path, file.key)) != list(file.names):
                raise LoadError(
                    f"s3://{self._bucket.name}/{file.key} has the columns {', '.join(header)}, and its manifest says "
                    f"{', '.join(file.names)}"
                )
            return read_csv(str(path), file.names, compression=file.compression, longest_row=longest_row)
        if any(column.is_long_decimal for column in target.columns):
            # DuckDB reads a DECIMAL of more than 38 digits as a DOUBLE.
            from rds_to_s3_ops.load.long_decimals import parquet_with_text  # noqa: PLC0415 - pyarrow takes its time

            self._connection.register(_VIEW, parquet_with_text(path))
            return quoted(_VIEW)
        return read_parquet(str(path))


@contextmanager
def warehouse_errors(what: str) -> Iterator[None]:
    """Turn an error of DuckDB's into one line."""
    duckdb = _module()
    try:
        yield
    except duckdb.Error as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise LoadError(f"{what} cannot be loaded: {first}") from error


def _open(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    module = _module()
    config = {"autoinstall_known_extensions": "false"}
    opened: duckdb.DuckDBPyConnection
    try:
        if read_only and not path.exists():
            opened = module.connect(config=config)
        else:
            opened = module.connect(path, read_only=read_only, config=config)
    except module.Error as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        if "lock" in first:
            raise ConflictError(
                f"another process has {path} open, perhaps another load: wait for it, and repeat. {first}"
            ) from None
        raise WarehouseError(f"{path} cannot be opened: {first}") from None
    return opened


def _count(result: duckdb.DuckDBPyConnection) -> int:
    row = result.fetchone()
    return int(row[0]) if row else 0


def _module() -> Any:
    try:
        import duckdb  # noqa: PLC0415 - an extra
    except ImportError:
        raise InvalidInputError("--for duckdb needs DuckDB: pip install 'rds-to-s3[duckdb]'") from None
    return duckdb
