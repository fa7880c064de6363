"""A consistent, read-only view of one table, whose definition cannot change while it is open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rds_to_s3.errors import NotATableError, RdsToS3Error, TableNotFoundError
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.catalogue.tables import read_table, table_names
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import quoted
from rds_to_s3.mysql.session import check_session
from rds_to_s3.wording import nearest


def open_snapshot(connection: Connection, database: str, name: str, *, seconds: float) -> Table:
    """Start the transaction for the read of a table, and describe the table as of that transaction.

    Parameters
    ----------
    seconds : float
        No statement runs longer than this, so that an abandoned read ends.

    Raises
    ------
    TableNotFoundError, NotATableError, DatabaseAccessError
    ReadInterruptedError
    SessionVariableError
        The session is not the one that was prepared.
    """
    limit_statements(connection, seconds)
    # The lock before the snapshot. In the other order another table may be filled, and take this one's name, while the
    # lock is waited for (LOCK TABLES, RENAME): the snapshot is older than its rows, and the table looks empty.
    connection.run("START TRANSACTION READ ONLY")
    # Takes the metadata lock: an ALTER waits from here on, so the columns below are those of every page.
    try:
        connection.run(f"SELECT 1 FROM {quoted(name)} LIMIT 0", table=name)  # noqa: S608 - a quoted identifier
    except TableNotFoundError as error:
        raise TableNotFoundError(f"{error}{_like(connection, database, name)}") from None
    table = read_table(connection, database, name)
    if table is None:
        raise TableNotFoundError(
            f"there is no table {name!r} in database {database!r} that the user may see: check the name (case "
            "counts), or remove it from the table list"
        )
    if table.is_view:
        raise NotATableError(
            f"{name!r} is a view: list the tables that it reads from instead, or remove it from the table list"
        )
    # The first read of the transaction takes the snapshot, under REPEATABLE READ alone, which `session` has set.
    connection.run(f"SELECT 1 FROM {quoted(name)} LIMIT 1", table=name)  # noqa: S608 - a quoted identifier
    check_session(connection, database)
    return table


def limit_statements(connection: Connection, seconds: float) -> None:
    """Let no statement run longer than `seconds`, and at least a second."""
    if connection.is_mariadb:
        connection.run(f"SET SESSION max_statement_time = {max(seconds, 1.0):.3f}")
    else:
        connection.run(f"SET SESSION max_execution_time = {max(int(seconds * 1000), 1000)}")


@contextmanager
def limited_statements(connection: Connection, seconds: float) -> Iterator[None]:
    """Let no statement inside run longer than `seconds`; afterwards the limit is as before."""
    if connection.is_mariadb:
        before = float(connection.row("SELECT @@SESSION.max_statement_time AS seconds")["seconds"])
    else:
        before = float(connection.row("SELECT @@SESSION.max_execution_time AS ms")["ms"]) / 1000
    limit_statements(connection, seconds)
    try:
        yield
    finally:
        if connection.open:
            limit_statements(connection, before)


def _like(connection: Connection, database: str, name: str) -> str:
    """Return a sentence about the table whose name is like it, if there is one."""
    try:
        known = {table.lower(): table for table in table_names(connection, database)}
    except RdsToS3Error:
        return ""  # the table is missing in any case
    close = nearest(name.lower(), known)
    return f" Did you mean {known[close]!r}?" if close else ""
