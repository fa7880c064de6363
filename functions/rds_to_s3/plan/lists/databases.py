"""Tables of other databases of the server: listed as ``schema.table``, read over the same connection."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rds_to_s3.mysql.catalogue.snapshot import open_snapshot
from rds_to_s3.mysql.catalogue.tables import table_names, tables_of_other_databases
from rds_to_s3.plan.lists.patterns import QualifiedName

if TYPE_CHECKING:
    from rds_to_s3.mysql.catalogue.schema import Table
    from rds_to_s3.mysql.connection import Connection
    from rds_to_s3.plan.table_list import TableList, TableSpec


def existing_tables(connection: Connection, database: str, listed: TableList) -> list[str]:
    """Return the tables that a list may bring in: those of the default database, and of others if it names any.

    Parameters
    ----------
    database : str
        The default one: that of the credentials.
    """
    names = table_names(connection, database)
    if not listed.names_databases():
        return names
    own = set(names)
    others = (QualifiedName(schema, table) for schema, table in tables_of_other_databases(connection, database))
    # A table of the default database whose name has a dot is that table.
    return [*names, *(name for name in others if name not in own)]


def select_database(connection: Connection, database: str) -> None:
    """Make a database the one that bare names are looked up in."""
    selected = connection.db
    if (selected.decode() if isinstance(selected, bytes) else selected) != database:
        connection.use(database)


def snapshot_of(connection: Connection, database: str, spec: TableSpec, *, seconds: float) -> Table:
    """Start the transaction for the read of a listed table, in its database.

    Parameters
    ----------
    database : str
        The default one.

    Raises
    ------
    RdsToS3Error
        See `rds_to_s3.mysql.catalogue.snapshot.open_snapshot`.
    """
    where = spec.database or database
    select_database(connection, where)
    table = open_snapshot(connection, where, spec.bare_name, seconds=seconds)
    return replace(table, listed_as=spec.name)
