"""What `load` needs of a warehouse, and what it remembers there."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rds_to_s3.commit.entries import ColumnEntry
from rds_to_s3_ops.errors import LoadError
from rds_to_s3_ops.warehouses.batches import Target
from rds_to_s3_ops.warehouses.sql import LOADS, RECORD, Dialect
from rds_to_s3_ops.warehouses.types import WarehouseColumn, warehouse_column

BEGUN = 0
"""The number of the record of a table that was created, and that has no commit yet."""


@dataclass(frozen=True)
class Record:
    """What is remembered of a commit that was applied."""

    bucket: str
    table: str
    sequence: int
    run_id: str
    columns: dict[str, str]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Record:
        """Read a row of the table of records."""
        columns = {str(name): str(kind) for name, kind in json.loads(row["columns"])}
        return cls(row["bucket"], row["table_name"], int(row["sequence"]), row["run_id"], columns)


@dataclass(frozen=True)
class Change:
    """What one transaction does to a table.

    Attributes
    ----------
    target : Target
        The batch, and its columns.
    creates : bool
        Whether the table does not exist yet.
    added, retyped : sequence of str
        Columns.
    reformed : sequence of str
        Columns whose values the source writes in another form now: a TIME with more digits, a longer BIT.
    forget_since : int or None
        Records from this commit on are removed first: those commits are applied again.
    loaded : collection of int
        The commits of the table that were recorded when this was planned.
    """

    target: Target
    creates: bool
    added: Sequence[str] = ()
    retyped: Sequence[str] = ()
    reformed: Sequence[str] = ()
    forget_since: int | None = None
    loaded: Collection[int] = ()

    def definitions(self, dialect: Dialect, *, keeps_values: bool = True) -> list[str]:
        """Return the statements that give the table its columns.

        Parameters
        ----------
        keeps_values : bool
            False where all rows are replaced: what they have need not fit into another type.
        """
        table, columns = self.target.batch.table, self.target.columns
        if self.creates:
            return [dialect.create_table(table, columns)]
        adding = [dialect.add_column(table, column) for column in columns if column.name in set(self.added)]
        retype = dialect.retype if keeps_values else dialect.retype_emptied
        return adding + [
            statement for column in columns if column.name in set(self.retyped) for statement in retype(table, column)
        ]


Step = Callable[[str], None]
"""Called between the steps of a load; a test ends the process there."""


class Warehouse(Protocol):
    """A warehouse that `load` changes."""

    @property
    def dialect(self) -> Dialect:
        """Its SQL."""

    def records(self) -> list[Record]:
        """Return what has been applied; nothing before the first load."""

    def columns_of(self, table: str) -> dict[str, str] | None:
        """Return a table's columns with their types, or None if there is no such table."""

    def apply(self, change: Change) -> list[str]:
        """Load a batch in one transaction, with its records; return warnings."""

    def define(self, change: Change) -> None:
        """Only give the table its columns."""

    def close(self) -> None:
        """End the connection."""


def change_for(
    target: Target,
    dialect: Dialect,
    actual: Mapping[str, str] | None,
    recorded: Mapping[str, str],
    *,
    forget_since: int | None,
    loaded: Collection[int] = (),
) -> Change:
    """Return what is to be done to a table as it is.

    Parameters
    ----------
    actual : mapping or None
        The table's columns with their types; None if it does not exist.
    recorded : mapping
        The MySQL types of its columns when they were last loaded.
    """
    if actual is None:
        return Change(target, creates=True, forget_since=0, loaded=loaded)
    there = {name.lower(): kind for name, kind in actual.items()}
    added, retyped, reformed = [], [], []
    for column in target.columns:
        kind = there.get(column.name.lower())
        if kind is None:
            added.append(column.name)
        elif column.name in recorded:
            # A type that somebody else gave the column stays.
            loaded_as = _type_of(dialect, column.name, recorded[column.name])
            if loaded_as != column.type and _same_type(kind, loaded_as):
                retyped.append(column.name)
            elif column.has_text_form and recorded[column.name] != column.mysql_type:
                reformed.append(column.name)
    return Change(
        target,
        creates=False,
        added=added,
        retyped=retyped,
        reformed=reformed,
        forget_since=forget_since,
        loaded=loaded,
    )


def refuse_other_columns(table: str, actual: Mapping[str, str], recorded: Mapping[str, str]) -> None:
    """Raise a LoadError if a table lacks a column that was loaded."""
    there = {name.lower() for name in actual}
    if missing := [name for name in recorded if name.lower() not in there]:
        raise LoadError(
            f"table {table!r} in the warehouse lacks {', '.join(missing)}, which it had when it was loaded: drop the "
            "table to have it loaded anew, or add the column back with its values"
        )


def refuse_retyped_key(target: Target, dialect: Dialect, recorded: Mapping[str, str]) -> None:
    """Raise a LoadError if a column of the key became one of another kind.

    The warehouse converts the loaded keys by rules of its own: of 00042, a number with ZEROFILL, it makes the text 42.

    Parameters
    ----------
    recorded : mapping
        The MySQL types of the table's columns when they were last loaded.
    """
    for column in target.columns:
        before = recorded.get(column.name)
        if before is None or column.name not in target.batch.key or target.batch.is_whole:
            continue
        if _is_of_another_kind(column, before, dialect):
            table = target.batch.table
            raise LoadError(
                f"table {table!r}: the column {column.name} of its key was {before}, and is {column.mysql_type}: the "
                "warehouse may write the loaded keys in another way than the source. Extract everything again, and "
                f"then load: rds-to-s3 rewind {table} --all"
            )


def warn_converted(change: Change, dialect: Dialect, recorded: Mapping[str, str]) -> list[str]:
    """Return a warning about loaded values that the warehouse converts to a type of another kind, by its own rules."""
    target = change.target
    converted = [
        f"{column.name} from {recorded[column.name]} to {column.mysql_type}"
        for column in target.columns
        if column.name in change.retyped
        and not target.batch.is_whole
        and _is_of_another_kind(column, recorded[column.name], dialect)
    ]
    if not converted:
        return []
    return [
        f"the warehouse has converted the loaded values of {', '.join(converted)}, and may write them in another way "
        f"than the source. To have them as they are there: rds-to-s3 rewind {target.batch.table} --all"
    ]


def refuse_unmatched(target: Target, rows: int) -> None:
    """Raise a LoadError if staged rows have a key that no row of the warehouse equals."""
    if rows:
        table = target.batch.table
        raise LoadError(
            f"table {table!r}: {rows} row{'s' if rows > 1 else ''} to merge with a date in the key "
            f"({', '.join(target.batch.key)}) that is not of the calendar, such as 0000-00-00, so that the warehouse "
            f'cannot find {"them" if rows > 1 else "it"} again. Correct the dates, or set "mode": "full" for the '
            f"table. Or extract everything again, and then load: rds-to-s3 rewind {table} --all"
        )


def is_record_table(columns: Mapping[str, str]) -> bool:
    """Return whether a table named like that of the records has its columns."""
    return set(RECORD) <= {name.lower() for name in columns}


def not_our_records(where: str) -> str:
    """Return the message about a table that is named like that of the records and is another."""
    return f"{where} has a table {LOADS} with other columns: this command did not create it. Rename or drop it"


def _is_of_another_kind(column: WarehouseColumn, before: str, dialect: Dialect) -> bool:
    """Return whether a column is of another kind than one of the MySQL type `before`."""
    return _kind_of(warehouse_column(dialect.warehouse, column.as_entry(before))) != _kind_of(column)


def _kind_of(column: WarehouseColumn) -> tuple[object, ...]:
    return column.kind, column.is_calendar, column.is_long_decimal, column.is_floating


def _type_of(dialect: Dialect, name: str, mysql_type: str) -> str:
    return warehouse_column(dialect.warehouse, ColumnEntry(name=name, type=mysql_type, nullable=True)).type


def _same_type(left: str, right: str) -> bool:
    return left.replace(" ", "").lower() == right.replace(" ", "").lower()
