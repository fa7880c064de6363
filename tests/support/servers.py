"""MySQL and MariaDB servers for the tests: started cheaply, thrown away, handed from one test to the next."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pymysql

from local.mysql_programs import Flavour
from local.mysql_server import MySqlServer

StartServer = Callable[..., MySqlServer]
SERVER_ID = "--server-id="
# Nobody has to find anything again after a power cut.
_CHEAP: dict[Flavour, tuple[str, ...]] = {
    "mysql": ("--innodb-flush-method=nosync", "--innodb-doublewrite=OFF", "--innodb-redo-log-capacity=64M"),
    "mariadb": ("--innodb-flush-method=nosync", "--innodb-doublewrite=OFF", "--innodb-log-file-size=16M"),
}
_SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")


def start(directory: Path, flavour: Flavour, *options: str) -> MySqlServer:
    return MySqlServer.start(directory, flavour, (*_CHEAP[flavour], *options))


def discard(server: MySqlServer) -> None:
    server.stop(seconds=0)
    # 100 MB each are not worth keeping for a look afterwards; the log is.
    shutil.rmtree(server.directory / "data")


@contextmanager
def starting_servers(new_folder: Callable[[str], Path]) -> Iterator[StartServer]:
    """Start servers that are thrown away again: ``start("mysql", "--log-bin=binlog", "--server-id=2")``."""
    servers: list[MySqlServer] = []

    def start_another(flavour: Flavour, *options: str) -> MySqlServer:
        servers.append(start(new_folder(flavour), flavour, *options))
        return servers[-1]

    try:
        yield start_another
    finally:
        for server in servers:
            discard(server)


class ServerPool:
    """Servers that come back, and go out again as if they were new: that costs a tenth of a start."""

    def __init__(self, start_another: StartServer) -> None:
        self._start = start_another
        self._idle: list[tuple[tuple[str, ...], MySqlServer]] = []

    @contextmanager
    def lending(self) -> Iterator[StartServer]:
        """Lend servers, called as `starting_servers` are; take them back at the end."""
        lent: list[tuple[tuple[str, ...], MySqlServer]] = []

        def lend(flavour: Flavour, *options: str) -> MySqlServer:
            kind = (flavour, *(option for option in options if not option.startswith(SERVER_ID)))
            found = next((each for each in self._idle if each[0] == kind), None)
            if found is None:
                found = kind, self._start(flavour, *options)
            else:
                self._idle.remove(found)
                _make_as_new(found[1], options)
            lent.append(found)
            return found[1]

        try:
            yield lend
        finally:
            self._idle += lent


def _make_as_new(server: MySqlServer, options: tuple[str, ...]) -> None:
    """Leave nobody connected, and nothing of others' data, accounts and replication."""
    is_mysql = server.flavour == "mysql"
    with server.connect() as connection, connection.cursor() as cursor:

        def column(query: str) -> list[str]:
            cursor.execute(query)
            return [str(row[0]) for row in cursor.fetchall()]

        for statement in ("STOP REPLICA", "RESET REPLICA ALL"):
            cursor.execute(statement)
        sessions = f"SELECT id FROM information_schema.processlist WHERE user = '{server.user}'"
        for session in column(f"{sessions} AND id != CONNECTION_ID() AND command != 'Killed'"):
            with suppress(pymysql.OperationalError):  # it has ended meanwhile
                cursor.execute(f"KILL {session}")
        for database in column("SHOW DATABASES"):
            if database not in _SYSTEM:
                cursor.execute(f"DROP DATABASE `{database}`")
        for user in column(f"SELECT user FROM mysql.user WHERE host = '%' AND user != '{server.user}'"):
            cursor.execute(f"DROP USER '{user}'@'%'")
        if not is_mysql:
            cursor.execute("RESET MASTER")
            cursor.execute("SET GLOBAL gtid_slave_pos = ''")
        for option in options:
            if option.startswith(SERVER_ID):
                cursor.execute(f"SET GLOBAL server_id = {option.removeprefix(SERVER_ID)}")
