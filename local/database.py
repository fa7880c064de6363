"""The database of the local system: the user's own server, or a local server with sample data."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pymysql
from pymysql.constants import CLIENT

from local.database_url import DatabaseUrl
from local.errors import LocalSystemError
from local.mysql_server import MySqlServer

NAME = "food_delivery"
SAMPLE_DATA = Path(__file__).resolve().parent / "sample_data"


@dataclass(frozen=True)
class LocalDatabase:
    """The data for the stack and for ``.local/env``.

    Attributes
    ----------
    owner : DatabaseUrl
        Goes to ``.local/env`` as ``MYSQL_URL``.
    reader : DatabaseUrl
        The account that the stack gets.
    authority : str or None
        PEM of the certificate authority to trust.
    server : MySqlServer or None
        None for the user's own server, which is not changed.
    """

    owner: DatabaseUrl
    reader: DatabaseUrl
    authority: str | None
    server: MySqlServer | None
    description: str

    def run_script(self, path: Path) -> None:
        """Run an SQL script as the owner of the local server."""
        if self.server is None:
            raise LocalSystemError("scripts are for the local server, not for your own")
        run_script(self.server, path)

    def reset(self) -> None:
        """Reset the local server's database to the sample data."""
        if self.server is None:
            raise LocalSystemError("your own server is not reset")
        self.server.execute(f"DROP DATABASE IF EXISTS {NAME}")
        _seed(self.server, lambda _line: None)


def own_database(url: str) -> LocalDatabase:
    """Use the server of the user's ``MYSQL_URL`` unchanged. Only check that it answers, to report errors early.

    If TLS is verified, do not log in: only the stack has the trusted authorities.
    """
    database = DatabaseUrl.parse(url)
    where = f"{database.host}:{database.port}"
    try:
        if database.tls == "verify":
            socket.create_connection((database.host, database.port), timeout=10).close()
            return LocalDatabase(database, database, None, None, "your own")
        tls = {"check_hostname": False, "verify_mode": False} if database.tls == "unverified" else None
        with (
            pymysql.connect(
                host=database.host,
                port=database.port,
                user=database.user,
                password=database.password.encode(),  # PyMySQL takes only Latin-1; a client's session is UTF-8
                database=database.database,
                connect_timeout=10,
                ssl=tls,
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT VERSION()")
            (version,) = cursor.fetchone() or ("unknown",)
    except (pymysql.MySQLError, OSError) as error:
        raise LocalSystemError(f"MYSQL_URL: cannot use {where}: {error}") from error
    return LocalDatabase(database, database, None, None, f"your own, version {version}")


def local_database(directory: Path, say: Callable[[str], None]) -> LocalDatabase:
    """Start or reuse the local server with the sample database and its two accounts."""
    server = MySqlServer.running(directory)
    if server is None:
        server = MySqlServer.start(directory, say=say)
    _seed(server, say)
    owner = DatabaseUrl(server.host, server.port, server.user, server.password, NAME, "verify")
    reader = _reader(server, directory / "reader.json")
    description = f"{server.version.partition('  Ver ')[2] or server.version}"
    return LocalDatabase(owner, reader, server.authority.read_text(), server, description)


def run_script(server: MySqlServer, path: Path) -> None:
    """Run a script of many statements in the sample database, and stop at the first error."""
    options = {"client_flag": CLIENT.MULTI_STATEMENTS}
    try:
        with server.connect(NAME, **options) as connection, connection.cursor() as cursor:
            cursor.execute(path.read_text())
            while cursor.nextset():
                pass
    except pymysql.MySQLError as error:
        raise LocalSystemError(f"{path.name}: {error}") from error


def _seed(server: MySqlServer, say: Callable[[str], None]) -> None:
    # A marker beside the data identifies a database whose load was interrupted with Ctrl-C.
    marker = server.directory / "seeding"
    if marker.exists():
        server.execute(f"DROP DATABASE IF EXISTS {NAME}")
    server.execute(f"CREATE DATABASE IF NOT EXISTS {NAME} CHARACTER SET utf8mb4")
    with server.connect(NAME) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        if cursor.fetchone():
            return
    say(f"loading the sample data into {NAME} ...")
    marker.touch()
    run_script(server, SAMPLE_DATA / "schema.sql")
    marker.unlink()


def _reader(server: MySqlServer, path: Path) -> DatabaseUrl:
    """Create the account from the README: it reads the tables and sees open transactions."""
    try:
        password = str(json.loads(path.read_text())["password"])
    except (OSError, ValueError, KeyError):
        password = secrets.token_urlsafe(18)
        path.touch(mode=0o600)
        path.write_text(json.dumps({"user": "extractor", "password": password}) + "\n")
    server.execute(
        "CREATE USER IF NOT EXISTS 'extractor'@'%'",
        f"ALTER USER 'extractor'@'%' IDENTIFIED BY '{password}'",
        f"GRANT SELECT ON {NAME}.* TO 'extractor'@'%'",
        "GRANT PROCESS, REPLICATION CLIENT ON *.* TO 'extractor'@'%'",
    )
    return DatabaseUrl(server.host, server.port, "extractor", password, NAME, "verify")
