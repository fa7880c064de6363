"""The SQL that all warehouses share: how the staged rows of a batch are applied, and what is remembered of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from rds_to_s3_ops.warehouses.batches import Batch, Target
from rds_to_s3_ops.warehouses.deliveries import Delivery
from rds_to_s3_ops.warehouses.types import Names, Warehouse, WarehouseColumn

LOADS = "_rds_to_s3_loads"
STAGE = "_rds_to_s3_stage"
FILE = "_rds_to_s3_file"
COMMITS = "_rds_to_s3_commits"
PENDING = "_rds_to_s3_pending"
NEWEST = "_rds_to_s3_newest"
# One row for each commit that was applied. `columns` and `files` are JSON: they are for this command and for people.
RECORD = {
    "bucket": "VARCHAR",
    "table_name": "VARCHAR",
    "sequence": "BIGINT",
    "run_id": "VARCHAR",
    "window_until": "VARCHAR",
    "row_count": "BIGINT",
    "deleted_count": "BIGINT",
    "key_columns": "VARCHAR",
    "columns": "VARCHAR",
    "files": "VARCHAR",
    "loaded_at": "TIMESTAMP",
}


class Dialect:
    """The SQL of one warehouse; its differences from the others override what is here.

    Parameters
    ----------
    bucket : str
    names : Names
        What the operator's warehouse calls things.
    """

    warehouse: Warehouse
    types: dict[str, str] = {}  # noqa: RUF012 - never changed
    temporary = "TEMP"

    def __init__(self, bucket: str, names: Names | None = None) -> None:
        self.bucket = bucket
        self.given = names or Names()
        self._case = {"lower": str.lower, "upper": str.upper}.get(self.given.case, str)

    # --- names ---

    def in_case(self, identifier: str) -> str:
        """Return a name in the case that is wanted."""
        return self._case(identifier)

    def name(self, identifier: str) -> str:
        """Quote an identifier of the table's, in the case that is wanted."""
        return quoted(self._case(identifier))

    def names(self, identifiers: Iterable[str], of: str = "") -> str:
        """Quote several identifiers, separated by commas."""
        return ", ".join(f"{of}{self.name(identifier)}" for identifier in identifiers)

    def table(self, identifier: str) -> str:
        """Return a table's qualified name."""
        return f"{self.schema}{self.name(identifier)}"

    @property
    def loads(self) -> str:
        """The table with what was applied."""
        return f"{self.schema}{quoted(LOADS)}"

    @property
    def schema(self) -> str:
        """What qualifies a table's name, with the dot."""
        return "".join(f"{quoted(part)}." for part in (self.given.database, self.given.schema) if part)

    def text(self, value: str) -> str:
        """Quote a string."""
        return text(value)

    # --- tables ---

    def type_of(self, kind: str) -> str:
        """Return the warehouse's name of one of the types in `RECORD`."""
        return self.types.get(kind, kind)

    def create_loads(self) -> str:
        """Return the statement that creates the table with what was applied."""
        fields = ",\n  ".join(f"{name} {self.type_of(kind)}" for name, kind in RECORD.items())
        return f"CREATE TABLE IF NOT EXISTS {self.loads} (\n  {fields}\n)"

    def create_table(self, table: str, columns: Sequence[WarehouseColumn]) -> str:
        """Return the CREATE TABLE of a table. Nothing is NOT NULL: a column that is dropped at the source stays."""
        fields = ",\n  ".join(f"{self.name(column.name)} {column.type}" for column in columns)
        return f"CREATE TABLE IF NOT EXISTS {self.table(table)} (\n  {fields}\n)"

    def add_column(self, table: str, column: WarehouseColumn) -> str:
        """Return the statement that adds a column where it is missing."""
        return f"ALTER TABLE {self.table(table)} ADD COLUMN IF NOT EXISTS {self.name(column.name)} {column.type}"

    def retype(self, table: str, column: WarehouseColumn) -> list[str]:
        """Return the statements that give a column another type, and keep its values."""
        return [f"ALTER TABLE {self.table(table)} ALTER COLUMN {self.name(column.name)} TYPE {column.type}"]

    def retype_emptied(self, table: str, column: WarehouseColumn) -> list[str]:
        """Return the statements that give a column of a table that was emptied another type."""
        return self.retype(table, column)

    # --- stage ---

    def create_stage(self, target: Target) -> list[str]:
        """Return the statements that create the stage, empty."""
        own = target.own
        fields = [
            *(f"{self.name(column.name)} {column.type}" for column in target.columns),
            f"{self.name(own.sequence)} {self.type_of('BIGINT')}",
            f"{self.name(own.place)} INTEGER",
            f"{self.name(own.gone)} BOOLEAN",
        ]
        return [
            f"DROP TABLE IF EXISTS {quoted(STAGE)}",
            f"CREATE {self.temporary} TABLE {quoted(STAGE)} (\n  {', '.join(fields)}\n)",
        ]

    def keep_newest(self, target: Target) -> list[str]:
        """Return the statements that leave one version of each key in the stage: that of the last file."""
        key, place = target.batch.key, self.name(target.own.place)
        if not key or len(target.batch.sources) < 2:
            return []
        stage, newest = quoted(STAGE), quoted(NEWEST)
        return [
            f"DROP TABLE IF EXISTS {newest}",
            f"CREATE {self.temporary} TABLE {newest} AS\n"
            f"SELECT {self.names(key)}, MAX({place}) AS {place}\nFROM {stage}\nGROUP BY {self.names(key)}\n"
            "HAVING COUNT(*) > 1",
            f"DELETE FROM {stage}\nUSING {newest}\nWHERE {self.same(stage, newest, key)} "
            f"AND {stage}.{place} < {newest}.{place}",
        ]

    def unmatched(self, target: Target) -> str | None:
        """Return the query that counts the staged rows that no row equals, since a column of their key is NULL.

        At the source no key is NULL: that is a date that the warehouse does not have. None where no row is matched:
        there is no key, or the batch is one commit that replaces all rows.
        """
        batch = target.batch
        if not batch.key or not batch.sources or (batch.is_whole and len(batch.deliveries) == 1):
            return None
        condition = " OR ".join(f"{self.name(part)} IS NULL" for part in batch.key)
        return select(["COUNT(*)"], quoted(STAGE), f"\nWHERE {condition}")

    # --- application ---

    def apply(self, target: Target, *, only_if_pending: bool = False) -> list[str]:
        """Return the statements that change the table by what is staged.

        Parameters
        ----------
        only_if_pending : bool
            Whether the table is emptied only if the first commit is in `PENDING`.
        """
        batch, statements = target.batch, []
        if batch.is_whole:
            condition = ""
            if only_if_pending:
                first = batch.sequences[0]
                condition = f"\nWHERE EXISTS (SELECT 1 FROM {quoted(PENDING)} WHERE sequence = {first})"
            statements.append(f"DELETE FROM {self.table(batch.table)}{condition}")
        if not batch.sources:
            return statements
        if batch.is_whole and not only_if_pending:
            return [*statements, self.insert(target)]
        return [*statements, *(self.merge(target) if batch.key else [self.insert(target)])]

    def insert(self, target: Target) -> str:
        """Return the statement that appends the staged rows."""
        rows = select(map(self.name, target.names), quoted(STAGE), f"\nWHERE NOT {self.name(target.own.gone)}")
        return f"INSERT INTO {self.table(target.batch.table)} ({self.names(target.names)})\n{rows}"

    def merge(self, target: Target) -> list[str]:
        """Return the statements that delete, update and insert by key."""
        gone = f"s.{self.name(target.own.gone)}"
        return [
            "\n".join(
                [
                    f"MERGE INTO {self.table(target.batch.table)} AS t",
                    f"USING {quoted(STAGE)} AS s",
                    f"ON {self.same('t', 's', target.batch.key)}",
                    f"WHEN MATCHED AND {gone} THEN DELETE",
                    f"WHEN MATCHED THEN UPDATE SET {self.assignments(target)}",
                    f"WHEN NOT MATCHED AND NOT {gone} THEN INSERT ({self.names(target.names)}) "
                    f"VALUES ({self.names(target.names, 's.')})",
                ]
            )
        ]

    def assignments(self, target: Target) -> str:
        """Return the assignments of a MERGE. The key keeps its value."""
        key = set(target.batch.key)
        values = [f"{self.name(each)} = s.{self.name(each)}" for each in target.names if each not in key]
        values += [f"{self.name(each)} = NULL" for each in target.others]
        return ", ".join(values) or f"{self.name(target.batch.key[0])} = s.{self.name(target.batch.key[0])}"

    def same(self, left: str, right: str, key: Iterable[str]) -> str:
        """Return the condition that two rows have the same key."""
        return " AND ".join(f"{left}.{self.name(part)} = {right}.{self.name(part)}" for part in key)

    # --- a script, which may be run at any time ---

    def create_pending(self, batch: Batch) -> list[str]:
        """Return the statements that list the batch's commits, and those of them to apply."""
        listed = "\nUNION ALL ".join(self.listed(each) for each in batch.deliveries)
        condition = self.is_pending(batch, quoted(COMMITS))
        if batch.sources:
            # Where a file could not be staged, and the script went on, nothing is applied and nothing recorded.
            rows = sum(source.file.rows for source in batch.sources)
            condition += f"\n  AND (SELECT COUNT(*) FROM {quoted(STAGE)}) = {rows}"
        return [
            f"DROP TABLE IF EXISTS {quoted(COMMITS)}",
            f"CREATE {self.temporary} TABLE {quoted(COMMITS)} AS\n{listed}",
            f"DROP TABLE IF EXISTS {quoted(PENDING)}",
            f"CREATE {self.temporary} TABLE {quoted(PENDING)} AS\nSELECT * FROM {quoted(COMMITS)}\nWHERE {condition}",
        ]

    def listed(self, delivery: Delivery) -> str:
        """Return a SELECT of a commit's record."""
        fields = list(RECORD)[:-1]
        return "SELECT " + ", ".join(
            f"{f'CAST({value} AS VARCHAR)' if value == 'NULL' else value} AS {field}"
            for value, field in zip(self.record(delivery), fields, strict=True)
        )

    def is_pending(self, batch: Batch, commits: str) -> str:
        """Return the condition that a commit of `commits` is to be applied.

        Where a commit is missing, those after it are applied again, so that the newest version wins; without a key only
        the missing ones. A script that is older than the last load applies nothing.
        """
        of_table = f"table_name = {self.text(batch.table)}"
        loaded = f"SELECT sequence FROM {self.loads} WHERE {of_table}"
        first, last = batch.sequences[0], batch.sequences[-1]
        if batch.key:
            condition = f"sequence >= (SELECT MIN(sequence) FROM {commits} WHERE sequence NOT IN ({loaded}))"
        else:
            condition = f"sequence NOT IN ({loaded})"
            if batch.is_whole:
                condition = f"({condition} OR {first} NOT IN ({loaded}))"
        condition += f"\n  AND NOT EXISTS ({loaded} AND sequence > {last})"
        if not batch.is_whole:
            condition += f"\n  AND EXISTS ({loaded} AND sequence < {first})"
        return condition

    def keep_pending(self, target: Target) -> list[str]:
        """Return the statement that leaves only rows of pending commits in the stage."""
        if not target.batch.sources:
            return []
        sequence = self.name(target.own.sequence)
        pending = f"SELECT sequence FROM {quoted(PENDING)}"
        return [f"DELETE FROM {quoted(STAGE)}\nWHERE {sequence} NOT IN ({pending})"]

    def remember_pending(self, batch: Batch) -> list[str]:
        """Return the statements that record the commits that were pending."""
        pending = f"SELECT sequence FROM {quoted(PENDING)}"
        fields = ", ".join(RECORD)
        return [
            f"DELETE FROM {self.loads}\nWHERE table_name = {self.text(batch.table)} AND sequence IN ({pending})",
            f"INSERT INTO {self.loads} ({fields})\nSELECT {', '.join(list(RECORD)[:-1])}, {self.now()}\n"
            f"FROM {quoted(PENDING)}",
        ]

    def stage_files(self, target: Target) -> list[str]:
        """Return the statements that stage all files of a batch from the bucket."""
        raise NotImplementedError

    def setup(self) -> list[str]:
        """Return the statements before those of all tables."""
        return [self.create_loads()]

    def definitions(self, target: Target) -> list[str]:
        """Return the statements that create a table, and give an older one its columns and types of today."""
        table = target.batch.table
        retyped = [column for column in target.columns if column.name in target.retyped]
        return [
            self.create_table(table, target.columns),
            *(self.add_column(table, column) for column in target.columns if column.name not in target.batch.key),
            *(statement for column in retyped for statement in self.retype(table, column)),
        ]

    def script(self, target: Target) -> list[str]:
        """Return the statements that bring one table up to date, whatever of the batch it has."""
        staging: list[str] = []
        if target.batch.sources:
            staging = [*self.create_stage(target), *self.stage_files(target)]
        return [
            *self.definitions(target),
            *staging,
            *self.create_pending(target.batch),
            *self.keep_pending(target),
            *(self.keep_newest(target) if staging else []),
            "BEGIN",
            *self.apply(target, only_if_pending=True),
            *self.remember_pending(target.batch),
            "COMMIT",
        ]

    def notes(self, target: Target) -> list[str]:  # noqa: ARG002 - of a warehouse that has some
        """Return notes for the operator."""
        return []

    def url(self, key: str) -> str:
        """Return a file's URL."""
        return f"s3://{self.bucket}/{key}"

    # --- what was applied ---

    def forget(self, table: str, since: int) -> str:
        """Return the statement that forgets a table's commits from one on."""
        return f"DELETE FROM {self.loads}\nWHERE table_name = {self.text(table)} AND sequence >= {since}"

    def remember(self, batch: Batch) -> str:
        """Return the statement that records a batch's commits."""
        rows = ",\n  ".join(f"({', '.join(self.record(each))}, {self.now()})" for each in batch.deliveries)
        return f"INSERT INTO {self.loads} ({', '.join(RECORD)})\nVALUES\n  {rows}"

    def record(self, delivery: Delivery) -> list[str]:
        """Return the literals of a commit's record, without the time."""
        columns = [[column.name, column.type] for column in delivery.columns]
        files = [file.key for file in (*delivery.deletes, *delivery.files)]
        return [
            self.text(self.bucket),
            self.text(delivery.table),
            str(delivery.sequence),
            self.text(delivery.run_id),
            self.text(delivery.until) if delivery.until else "NULL",
            str(delivery.rows),
            str(delivery.deleted_rows),
            self.text(json.dumps(delivery.key, ensure_ascii=False)),
            self.text(json.dumps(columns, ensure_ascii=False)),
            self.text(json.dumps(files, ensure_ascii=False)),
        ]

    def now(self) -> str:
        """Return the time of the statement."""
        return "CURRENT_TIMESTAMP"


def select(values: Iterable[str], source: str, then: str = "") -> str:
    """Return a SELECT of SQL expressions."""
    return f"SELECT {', '.join(values)}\nFROM {source}{then}"


def quoted(identifier: str) -> str:
    """Quote an identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """Quote a string."""
    return "'" + value.replace("'", "''") + "'"
