"""Loads into Snowflake through its own connector: COPY INTO from an external stage, and MERGE in one transaction.

Snowflake reads the bucket itself. A DDL statement ends a transaction there, so tables are defined and files are staged
before it begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rds_to_s3_ops.deployment.aws import aws_errors
from rds_to_s3_ops.errors import ConflictError, InvalidInputError, LoadError, WarehouseError
from rds_to_s3_ops.load.warehouse import (
    BEGUN,
    Change,
    Record,
    Step,
    is_record_table,
    not_our_records,
    refuse_unmatched,
)
from rds_to_s3_ops.warehouses.snowflake import SnowflakeDialect
from rds_to_s3_ops.warehouses.sql import LOADS, RECORD, STAGE, quoted, select

if TYPE_CHECKING:
    from rds_to_s3_ops.deployment.bucket import Bucket
    from rds_to_s3_ops.warehouses.batches import Target
    from rds_to_s3_ops.warehouses.types import Names

_NO_SUCH_OBJECT = 2003  # or not authorized
# https://docs.snowflake.com/en/sql-reference/data-types-text
_ASSUMED = {"VARCHAR(16777216)": "VARCHAR", "BINARY(8388608)": "BINARY", "VARCHAR(134217728)": "VARCHAR"}
_LOCK = -1
"""The number of the row that a load changes first, so that another waits."""


def connect(name: str, names: Names) -> Any:
    """Open a connection of ``connections.toml``.

    Raises
    ------
    InvalidInputError
        The connector is not installed.
    WarehouseError
        There is no such connection, or Snowflake refuses it.
    """
    try:
        import snowflake.connector as snowflake  # noqa: PLC0415 - an extra
    except ImportError:
        raise InvalidInputError(
            "--for snowflake needs Snowflake's connector: pip install 'rds-to-s3[snowflake]'"
        ) from None
    given = {name: value for name, value in (("database", names.database), ("schema", names.schema)) if value}
    try:
        return snowflake.connect(connection_name=name, **given)
    except snowflake.errors.Error as error:
        raise WarehouseError(f"Snowflake refuses the connection {name!r}: {_first_line(error)}") from None


class SnowflakeWarehouse:
    """A schema in Snowflake.

    Parameters
    ----------
    connection
        As `connect` returns it.
    bucket : Bucket
    names : Names
    on_step : callable
        See `rds_to_s3_ops.load.warehouse.Step`.
    """

    def __init__(self, connection: Any, bucket: Bucket, names: Names, *, on_step: Step = lambda _: None) -> None:
        self.dialect = SnowflakeDialect(bucket.name, names)
        self._connection = connection
        self._bucket = bucket
        self._on_step = on_step
        self._is_set_up = False

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def records(self) -> list[Record]:
        """Return what has been applied."""
        columns = self._columns(LOADS)
        if columns is None:
            return []
        if not is_record_table(columns):
            raise WarehouseError(not_our_records("the schema"))
        rows = self._rows(select(RECORD, self.dialect.loads, f"\nWHERE sequence <> {_LOCK}"))
        return [Record.of(dict(zip(RECORD, row, strict=True))) for row in rows]

    def columns_of(self, table: str) -> dict[str, str] | None:
        """Return a table's columns, or None if there is no such table."""
        return self._columns(self.dialect.in_case(table))

    def apply(self, change: Change) -> list[str]:
        """Stage the files of a batch, and apply them in one transaction."""
        target = change.target
        table = target.batch.table
        self._check_files(target)
        self._set_up()
        with _statement_errors(f"table {table!r}"):
            if change.creates:
                self._begin_table(table)
            for statement in (*change.definitions(self.dialect), *self._staging(target)):
                self._execute(statement)
            self._check_counts(target)
            if (unmatched := self.dialect.unmatched(target)) is not None:
                refuse_unmatched(target, int(self._rows(unmatched)[0][0]))
            for statement in self.dialect.keep_newest(target):
                self._execute(statement)
        self._on_step("staged")
        with _statement_errors(f"table {table!r}"), self._transaction():
            self._lock(change)
            if change.forget_since is not None:
                self._execute(self.dialect.forget(table, change.forget_since))
            for statement in self.dialect.apply(target):
                self._execute(statement)
            self._on_step("applied")
            self._execute(self.dialect.remember(target.batch))
            self._on_step("recorded")
        self._on_step("committed")
        return []

    def define(self, change: Change) -> None:
        """Give the table its columns."""
        with _statement_errors(f"table {change.target.batch.table!r}"):
            for statement in change.definitions(self.dialect):
                self._execute(statement)

    # --- steps ---

    def _set_up(self) -> None:
        if self._is_set_up:
            return
        given = self.dialect.given
        if not given.stage and not given.integration:
            raise InvalidInputError(
                "Snowflake reads the bucket through a stage: name the storage integration for a new one with "
                "--integration, or a stage over the bucket with --stage"
            )
        with _statement_errors("the schema"):
            for statement in self.dialect.setup():
                self._execute(statement)
            lock = ", ".join(["''", "''", str(_LOCK), *["NULL"] * (len(RECORD) - 3)])
            there = f"SELECT 1 FROM {self.dialect.loads} WHERE sequence = {_LOCK}"
            self._execute(
                f"INSERT INTO {self.dialect.loads} ({', '.join(RECORD)})\nSELECT {lock}\nWHERE NOT EXISTS ({there})"
            )
        self._is_set_up = True

    def _begin_table(self, table: str) -> None:
        """Record that a table is ours before it is created, for a load that ends before its transaction."""
        fields = {"bucket": self._bucket.name, "table_name": table, "columns": "[]"}
        self._execute(self.dialect.forget(table, BEGUN))
        self._execute(
            f"INSERT INTO {self.dialect.loads} (sequence, {', '.join(fields)})\n"
            f"VALUES ({BEGUN}, {', '.join(map(self.dialect.text, fields.values()))})"
        )

    def _staging(self, target: Target) -> list[str]:
        if not target.batch.sources:
            return []
        return [*self.dialect.create_stage(target), *self.dialect.stage_files(target)]

    def _check_files(self, target: Target) -> None:
        """Compare the files' sizes with the manifest; Snowflake reads them itself."""
        for source in target.batch.sources:
            with aws_errors():
                found = self._bucket.store.head(source.file.key)
            if found is None or found.bytes != source.file.bytes:
                said = "is missing" if found is None else f"has {found.bytes} bytes"
                raise LoadError(
                    f"s3://{self._bucket.name}/{source.file.key} {said}, and its manifest says {source.file.bytes}: "
                    "restore the earlier version, or extract the table again with rds-to-s3 rewind TABLE --all"
                )

    def _check_counts(self, target: Target) -> None:
        if not target.batch.sources:
            return
        place = self.dialect.name(target.own.place)
        counted = self._rows(f"SELECT {place}, COUNT(*) FROM {quoted(STAGE)} GROUP BY {place}")
        rows = {None if number is None else int(number): int(count) for number, count in counted}
        for source in target.batch.sources:
            if (staged := rows.pop(source.place, 0)) != source.file.rows:
                raise LoadError(
                    f"s3://{self._bucket.name}/{source.file.key}: Snowflake read {staged} rows, and the manifest says "
                    f"{source.file.rows}"
                )
        if rows:
            raise LoadError(f"Snowflake read rows of table {target.batch.table!r} from a file that is not in the batch")

    def _lock(self, change: Change) -> None:
        """Let other loads wait, and make sure that none has changed the table since it was looked at."""
        self._execute(f"UPDATE {self.dialect.loads}\nSET run_id = '{uuid4().hex}'\nWHERE sequence = {_LOCK}")
        of_table = f"\nWHERE table_name = {self.dialect.text(change.target.batch.table)} AND sequence > {BEGUN}"
        now = {int(row[0]) for row in self._rows(select(["sequence"], self.dialect.loads, of_table))}
        if now != set(change.loaded):
            raise ConflictError(
                f"another load has changed table {change.target.batch.table!r} in the meantime; nothing was applied: "
                "repeat it"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("BEGIN")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            self._execute("ROLLBACK")
            raise

    # --- statements ---

    def _columns(self, table: str) -> dict[str, str] | None:
        # https://docs.snowflake.com/en/sql-reference/sql/desc-table
        try:
            found = self._execute(f"DESCRIBE TABLE {self.dialect.schema}{quoted(table)}").fetchall()
        except Exception as error:
            if getattr(error, "errno", None) == _NO_SUCH_OBJECT:
                return None
            if not hasattr(error, "sqlstate"):
                raise
            raise WarehouseError(f"Snowflake does not answer: {_first_line(error)}") from error
        return {str(row[0]): _type(str(row[1])) for row in found}

    def _rows(self, statement: str) -> Sequence[Sequence[Any]]:
        with _statement_errors("the warehouse"):
            found: Sequence[Sequence[Any]] = self._execute(statement).fetchall()
        return found

    def _execute(self, statement: str) -> Any:
        return self._connection.cursor().execute(statement)


@contextmanager
def _statement_errors(what: str) -> Iterator[None]:
    """Turn an error of the connector into one line."""
    try:
        yield
    except Exception as error:
        # The connector's classes are not imported: a connection that a test brings has others.
        if not hasattr(error, "sqlstate"):
            raise
        raise LoadError(f"{what} cannot be loaded: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _type(described: str) -> str:
    """Return a type as `rds_to_s3_ops.warehouses.types` writes it: Snowflake adds the lengths that it assumes."""
    return _ASSUMED.get(described.upper(), described)
