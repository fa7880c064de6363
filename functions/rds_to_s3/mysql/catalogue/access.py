"""Distinguishes a missing column from one that the user may not read: the catalogue shows neither."""

from __future__ import annotations

from collections.abc import Iterable

from rds_to_s3.errors import DatabaseAccessError, RdsToS3Error
from rds_to_s3.mysql.catalogue.schema import DeniedColumns, Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import quoted


def denied_columns(connection: Connection, table: Table, names: Iterable[str]) -> DeniedColumns:
    """Return the columns in `names` that the table has and the user may not read."""
    denied = [name for name in names if table.column(name) is None and _is_denied(connection, table.name, name)]
    if not denied:
        return DeniedColumns()
    return DeniedColumns(tuple(denied), str(connection.row("SELECT CURRENT_USER() AS user")["user"]))


def _is_denied(connection: Connection, table: str, column: str) -> bool:
    try:
        connection.run(f"SELECT {quoted(column)} FROM {quoted(table)} LIMIT 0")  # noqa: S608 - quoted identifiers
    except DatabaseAccessError:
        return True
    except RdsToS3Error:  # an unknown column
        return False
    return False
