"""What `load` does, as a script: complete, and to be run at any time, as often as wanted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rds_to_s3_ops.warehouses.athena import AthenaDialect
from rds_to_s3_ops.warehouses.batches import Batch, Target
from rds_to_s3_ops.warehouses.deliveries import Delivery
from rds_to_s3_ops.warehouses.duckdb import DuckDbDialect
from rds_to_s3_ops.warehouses.redshift import RedshiftDialect
from rds_to_s3_ops.warehouses.snowflake import SnowflakeDialect
from rds_to_s3_ops.warehouses.sql import Dialect
from rds_to_s3_ops.warehouses.types import Names, Warehouse

DIALECTS: dict[Warehouse, type[Dialect]] = {
    "snowflake": SnowflakeDialect,
    "redshift": RedshiftDialect,
    "athena": AthenaDialect,
    "duckdb": DuckDbDialect,
}


@dataclass(frozen=True)
class TableScript:
    """The statements for one table.

    Attributes
    ----------
    table : str or None
        None for the statements before those of all tables.
    notes : list of str
        For the operator.
    """

    table: str | None
    notes: list[str]
    statements: list[str]

    def text(self) -> str:
        """Return the script."""
        comments = "".join(f"-- {line}\n" for note in self.notes for line in note.splitlines())
        return comments + "\n" + "\n\n".join(f"{statement};" for statement in self.statements) + "\n"


def scripts(
    warehouse: Warehouse,
    bucket: str,
    commits: Mapping[str, list[Delivery]],
    names: Names | None = None,
    retyped: Mapping[str, Collection[str]] | None = None,
) -> list[TableScript]:
    """Return the scripts of tables.

    Parameters
    ----------
    commits : mapping
        What to load of each table, in order.
    retyped : mapping, optional
        By table, the columns that had another type before.
    """
    dialect = DIALECTS[warehouse](bucket, names)
    made = [TableScript(None, _head(warehouse, bucket), dialect.setup())]
    for table, deliveries in commits.items():
        if not deliveries:
            continue
        batch = Batch(tuple(deliveries))
        target = Target(batch, batch.columns_for(warehouse), retyped=(retyped or {}).get(table, ()))
        runs = sorted({each.run_id for each in deliveries}, key=[each.run_id for each in deliveries].index)
        which = f"run {runs[0]}" if len(runs) == 1 else f"{len(runs)} runs, {runs[0]} to {runs[-1]}"
        notes = [f"{table} for {warehouse}: {len(deliveries)} commits of {which}"]
        notes += [f"{column.name}: {column.remark}" for column in target.columns if column.remark]
        notes += [
            f"{column.name} is in the key: a row with such a date is there once more each time it is delivered again; "
            "`load` refuses it"
            for column in target.columns
            if column.is_calendar and column.name in batch.key
        ]
        if not batch.key:
            notes.append("The table has no key, or its files lack it: every row version is appended, once.")
        made.append(TableScript(table, [*notes, *dialect.notes(target)], dialect.script(target)))
    return made


def _head(warehouse: Warehouse, bucket: str) -> list[str]:
    return [
        f"Brings {warehouse} up to date with s3://{bucket}. Run it as often as you like, but not twice at once: it",
        "applies only what is missing (see _rds_to_s3_loads), in order, and changes nothing if it is older than that.",
        "Run it so that it ends at the first error.",
    ]
