"""The SQL that all warehouses share: a table, a merge, and quoting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rds_to_s3.commit.entries import ColumnEntry, DriftEntry
from rds_to_s3.rows.columns import OutputColumn
from rds_to_s3_ops.warehouses.types import Warehouse, WarehouseColumn, warehouse_column

HAND_NOTE = "Add a column by hand first if the table did not have it from the start; a run's drift lists it."


@dataclass(frozen=True)
class TableLoad:
    """The input of a load: one table's files of one run.

    Attributes
    ----------
    columns : sequence of ColumnEntry
    key : sequence of str
        Empty if the table has no key: its rows are appended.
    files : sequence of str
        Keys in the bucket, oldest first.
    deletes : sequence of str
        The keys of the deletes files, which are CSV.
    deletes_key : sequence of str
        The columns of these files; empty if the data files lack one of them.
    drift : sequence of DriftEntry
        The changes of the columns since the run before.
    """

    table: str
    bucket: str
    run_id: str
    format: str
    columns: Sequence[ColumnEntry]
    key: Sequence[str]
    files: Sequence[str]
    deletes: Sequence[str] = ()
    deletes_key: Sequence[str] = ()
    drift: Sequence[DriftEntry] = ()

    @property
    def compression(self) -> Literal["none", "gzip", "zstd"]:
        """Of the CSV files."""
        if any(file.endswith(".zst") for file in self.files):
            return "zstd"
        return "gzip" if any(file.endswith(".gz") for file in self.files) else "none"

    def columns_for(self, warehouse: Warehouse) -> list[WarehouseColumn]:
        """Return the warehouse's columns."""
        return [warehouse_column(warehouse, column, self.format) for column in self.columns]

    def deleted_by(self, columns: Sequence[WarehouseColumn]) -> list[WarehouseColumn]:
        """Return the columns of the deletes files; none if there is nothing to delete, or it is unknown."""
        known = {column.name: column for column in columns}
        return [known[part] for part in self.deletes_key] if self.deletes else []

    def added(self, columns: Sequence[WarehouseColumn]) -> list[WarehouseColumn]:
        """Return the columns that the drift lists as added."""
        names = {change.column for change in self.drift if change.change == "added"}
        return [column for column in columns if column.name in names]


def create_table(load: TableLoad, columns: Sequence[WarehouseColumn]) -> str:
    """Return the CREATE TABLE of the target."""
    lines = [definition(column) for column in columns]
    if load.key:
        lines.append(f"PRIMARY KEY ({names(load.key)})")
    return f"CREATE TABLE IF NOT EXISTS {name(load.table)} (\n  " + ",\n  ".join(lines) + "\n)"


def add_columns(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return the statements that add columns which an older table lacks. They cover all columns but the key.

    Existing rows get NULL, so no added column is NOT NULL.
    """
    return [
        f"ALTER TABLE {name(load.table)} ADD COLUMN IF NOT EXISTS {name(column.name)} {column.type}"
        for column in columns
        if column.name not in load.key
    ]


def definition(column: WarehouseColumn) -> str:
    """Return a column's definition."""
    return f"{name(column.name)} {column.type}{'' if column.nullable else ' NOT NULL'}"


def select(values: Iterable[str], source: str, then: str = "") -> str:
    """Return a SELECT of SQL expressions."""
    return f"SELECT {', '.join(values)}\n  FROM {source}{then}"  # noqa: S608 - printed, with every name quoted


def merge(
    load: TableLoad, columns: Sequence[WarehouseColumn], rows: str, *, alias: str = "t", table: str | None = None
) -> str:
    """Return the statement that merges rows by key, or appends them if there is no key.

    Parameters
    ----------
    rows : str
        A SELECT that yields each key once.
    alias : str
        The target's alias; empty for a warehouse without one.
    table : str, optional
        A table with the same rows, for a warehouse that only merges from tables.
    """
    every = names(column.name for column in columns)
    if not load.key:
        return f"INSERT INTO {name(load.table)} ({every})\n{rows}"
    target = alias or name(load.table)
    others = [column.name for column in columns if column.name not in load.key] or list(load.key)
    assignments = ", ".join(f"{name(other)} = s.{name(other)}" for other in others)
    values = ", ".join(f"s.{name(column.name)}" for column in columns)
    return "\n".join(
        [
            f"MERGE INTO {name(load.table)}{f' AS {alias}' if alias else ''}",
            f"USING {name(table) if table else f'({rows})'} AS s",
            f"ON {_same(target, 's', load.key)}",
            f"WHEN MATCHED THEN UPDATE SET {assignments}",
            f"WHEN NOT MATCHED THEN INSERT ({every}) VALUES ({values})",  # noqa: S608 - as above
        ]
    )


def delete(table: str, key: Iterable[str], source: str, called: str) -> str:
    """Return the statement that deletes the rows whose key is in the source `called`."""
    return f"DELETE FROM {name(table)}\nUSING {source}\nWHERE {_same(name(table), called, key)}"  # noqa: S608 - as above


def merge_deletes(load: TableLoad, keys: str) -> str:
    """Return the same for a warehouse that only deletes with MERGE; `keys` is a SELECT of each key once.

    https://docs.aws.amazon.com/athena/latest/ug/merge-into-statement.html
    """
    matched = _same("t", "s", load.deletes_key)
    return f"MERGE INTO {name(load.table)} AS t\nUSING ({keys}) AS s\nON {matched}\nWHEN MATCHED THEN DELETE"


def unused_name(wanted: str, columns: Iterable[WarehouseColumn | OutputColumn]) -> str:
    """Return a name that no column has, ignoring case: not every warehouse distinguishes case."""
    taken = {column.name.lower() for column in columns}
    while wanted.lower() in taken:
        wanted += "_"
    return wanted


def _same(left: str, right: str, key: Iterable[str]) -> str:
    return " AND ".join(f"{left}.{name(part)} = {right}.{name(part)}" for part in key)


def name(identifier: str) -> str:
    """Quote an identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def names(identifiers: Iterable[str]) -> str:
    """Quote several identifiers, separated by commas."""
    return ", ".join(name(identifier) for identifier in identifiers)


def text(value: str) -> str:
    """Quote a string."""
    return "'" + value.replace("'", "''") + "'"
