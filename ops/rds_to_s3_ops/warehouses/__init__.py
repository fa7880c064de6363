"""The SQL that loads a table's files into a warehouse and merges them by key: `ddl`. Text only, nothing connects.

A run's deletes come before its rows. No key is in both, unless the run also reports another run's commit: a row that
the other run deleted may exist again.

The warehouses differ in how they distinguish NULL (an empty field) from the empty string (``""``) in CSV, in how they
take a list of files, and in how they merge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rds_to_s3_ops.warehouses import athena, duckdb, redshift, snowflake
from rds_to_s3_ops.warehouses.sql import TableLoad
from rds_to_s3_ops.warehouses.types import Warehouse, WarehouseColumn

__all__ = ["TableLoad", "Warehouse", "ddl", "load_statements"]

_Write = Callable[[TableLoad, Sequence[WarehouseColumn]], list[str]]
_STATEMENTS: dict[Warehouse, _Write] = {
    "snowflake": snowflake.statements,
    "redshift": redshift.statements,
    "athena": athena.statements,
    "duckdb": duckdb.statements,
}
_NOTES: dict[Warehouse, _Write] = {"redshift": redshift.notes, "athena": athena.notes}


def load_statements(warehouse: Warehouse, load: TableLoad) -> list[str]:
    """Return the statements that load one table's files of one run."""
    return _STATEMENTS[warehouse](load, load.columns_for(warehouse))


def ddl(warehouse: Warehouse, load: TableLoad) -> str:
    """Return the same as a script, with notes for the operator in comments.

    Parameters
    ----------
    warehouse : {"snowflake", "redshift", "athena", "duckdb"}
    load : TableLoad
    """
    columns = load.columns_for(warehouse)
    notes = [f"{load.table} for {warehouse}: the {load.format} files of run {load.run_id} in s3://{load.bucket}"]
    # Each added column has its own statement or note, and columns are named, so their order does not matter.
    drift = [change.sentence() for change in load.drift if change.change not in {"added", "reordered"}]
    notes += [f"Drift: {sentence}; an existing table is not altered" for sentence in drift]
    notes += [f"{column.name}: {column.remark}" for column in columns if column.remark]
    if not load.key:
        notes.append("The table has no key, or its files lack it: every row version is appended.")
    if load.deletes and not load.deletes_key:
        notes.append("The deletes files are left out: the data files lack their key.")
    notes += _NOTES[warehouse](load, columns) if warehouse in _NOTES else []
    comments = "".join(f"-- {line}\n" for note in notes for line in note.splitlines())
    return comments + "\n" + "\n\n".join(f"{statement};" for statement in load_statements(warehouse, load)) + "\n"
