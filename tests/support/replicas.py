"""A source, its replicas, and one endpoint that leads to any of them: the world of a late replica."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Any

from rds_to_s3.mysql.connection import Connection, connect
from rds_to_s3.mysql.credentials import Credentials
from tests.integration.conftest import Database
from tests.support.tls import trusting

if TYPE_CHECKING:
    from local.mysql_programs import Flavour
    from local.mysql_server import MySqlServer
    from tests.support.servers import StartServer

GTIDS = ("--gtid-mode=ON", "--enforce-gtid-consistency=ON")


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition; errors inside it count as no."""
    end = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except Exception:
            assert time.monotonic() < end
        assert time.monotonic() < end
        time.sleep(0.05)


def started(start_server: StartServer, flavour: Flavour, number: int, *options: str) -> MySqlServer:
    """Start a server that can be a source and a replica, with nothing in its binary log."""
    gtids = GTIDS if flavour == "mysql" else ("--log-slave-updates=ON",)
    server = start_server(flavour, f"--server-id={number}", "--log-bin=binlog", *gtids, *options)
    server.execute("RESET BINARY LOGS AND GTIDS" if flavour == "mysql" else "RESET MASTER")
    return server


def follow(replica: MySqlServer, source: MySqlServer, channel: str = "", port: int | None = None) -> None:
    """Let a server replicate from another, through a proxy on `port` if one is given."""
    port = port or source.port
    if replica.flavour == "mysql":
        of = f" FOR CHANNEL '{channel}'" if channel else ""
        replica.execute(
            f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='{source.host}', SOURCE_PORT={port}, SOURCE_USER="
            f"'{source.user}', SOURCE_PASSWORD='{source.password}', SOURCE_SSL=1, SOURCE_AUTO_POSITION=1{of}",
            f"START REPLICA{of}",
        )
    else:
        replica.execute(
            f"CHANGE MASTER TO MASTER_HOST='{source.host}', MASTER_PORT={port}, MASTER_USER='{source.user}', "
            f"MASTER_PASSWORD='{source.password}', MASTER_SSL=1, MASTER_SSL_VERIFY_SERVER_CERT=0, "
            "MASTER_USE_GTID=slave_pos",
            "START SLAVE",
        )


def stop_applying(replica: MySqlServer) -> None:
    """Let a replica fall behind: it receives, and applies nothing."""
    replica.execute("STOP REPLICA SQL_THREAD")


def go_on_applying(replica: MySqlServer) -> None:
    """Let it catch up."""
    replica.execute("START REPLICA SQL_THREAD")


@contextmanager
def frozen(server: MySqlServer) -> Iterator[None]:
    """Stop a server's process as a whole: its connections stay open, and silent."""
    pid = int((server.directory / "data" / "mysqld.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@dataclass
class Replicated:
    """A source with replicas, and one database of it.

    Attributes
    ----------
    source : MySqlServer
    replicas : list of MySqlServer
        In the order in which the endpoint leads to them.
    """

    source: MySqlServer
    replicas: list[MySqlServer]
    name: str = "shop"
    opened: list[int] = field(default_factory=list)
    _turns: Iterator[MySqlServer] | None = None

    @classmethod
    def start(
        cls, start_server: StartServer, flavour: Flavour = "mysql", replicas: int = 2, *options: str
    ) -> Replicated:
        """Start a source and its replicas."""
        source = started(start_server, flavour, 1)
        followers = [started(start_server, flavour, number + 2, *options) for number in range(replicas)]
        for follower in followers:
            follow(follower, source)
        world = cls(source, followers)
        source.execute(f"CREATE DATABASE {world.name}")
        return world

    def database(self, server: MySqlServer | None = None) -> Database:
        """Open the database on the source, or on another server."""
        server = server or self.source
        wait_until(lambda: bool(server.connect(self.name)))
        return Database(server, self.name, server.connect(self.name))

    def caught_up(self, server: MySqlServer) -> bool:
        """Whether a replica has all that the source has."""
        if server.flavour == "mysql":
            done = _value(self.source, "SELECT @@GLOBAL.gtid_executed")
            return bool(_value(server, f"SELECT GTID_SUBSET('{done}', @@GLOBAL.gtid_executed)"))
        return bool(_value(self.source, "SELECT @@gtid_binlog_pos") == _value(server, "SELECT @@gtid_slave_pos"))

    def wait(self, *servers: MySqlServer) -> None:
        """Wait until replicas have all that the source has."""
        for server in servers or self.replicas:
            wait_until(lambda server=server: self.caught_up(server))  # type: ignore[misc]

    def let_pass(self, seconds: float) -> None:
        """Write on the source for some time, and wait until the replicas have it: they show how far they are."""
        database = self.database()
        database.execute("CREATE TABLE IF NOT EXISTS beat (at DATETIME(6))")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            database.execute("INSERT INTO beat VALUES (NOW(6))")
            time.sleep(0.2)
        database.connection.close()
        self.wait()

    def lead_to(self, *servers: MySqlServer) -> None:
        """Let the endpoint lead to these servers, one connection after the other, from the first."""
        self._turns = cycle(servers)

    def connect(self, read_seconds: int) -> Connection:
        """Connect to the endpoint: `Pipeline.connect` of a reader behind it."""
        if self._turns is None:
            self.lead_to(*self.replicas)
        assert self._turns is not None
        server = next(self._turns)
        self.opened.append(server.port)
        return connect_to(server, self.name, read_seconds)


def connect_to(
    server: MySqlServer, database: str, read_seconds: int, user: tuple[str, str] | None = None
) -> Connection:
    """Connect to one server as the extractor does."""
    name, password = user or (server.user, server.password)
    credentials = Credentials(host=server.host, port=server.port, username=name, database=database, password=password)
    return connect(lambda _: credentials, trusting(server), read_seconds=read_seconds)


def _value(server: MySqlServer, query: str) -> Any:
    connection = server.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
            return row[0] if row else None
    finally:
        connection.close()
