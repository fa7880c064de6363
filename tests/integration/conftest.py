"""Real servers for the tests of this tier: MySQL, MariaDB, and an S3 API."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from local.ministack_server import MiniStack
from local.mysql_server import MySqlServer
from tests.support.memory_store import MemoryStore
from tests.support.servers import ServerPool, StartServer, discard, start, starting_servers

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from tests.integration.pipeline import Pipeline


@dataclass(frozen=True)
class Database:
    """A database that only one test sees, on a server that the session shares."""

    server: MySqlServer
    name: str
    connection: Connection[Any]
    """The owner's, autocommit on, the database selected."""

    def execute(self, *statements: str) -> None:
        """Run statements as the owner."""
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return a query's rows."""
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def connect(self, **options: Any) -> Connection[Any]:
        """Open another connection of the owner, over verified TLS; close it yourself."""
        return self.server.connect(self.name, **options)


@contextmanager
def fresh_database(server: MySqlServer) -> Iterator[Database]:
    name = f"test_{secrets.token_hex(6)}"
    server.execute(f"CREATE DATABASE `{name}`")
    connection = server.connect(name)
    try:
        yield Database(server, name, connection)
    finally:
        connection.close()
        server.execute(f"DROP DATABASE `{name}`")


@pytest.fixture(scope="session")
def mysql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySqlServer]:
    """Oracle's MySQL."""
    server = start(tmp_path_factory.mktemp("mysql"), "mysql")
    yield server
    discard(server)


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySqlServer]:
    server = start(tmp_path_factory.mktemp("mariadb"), "mariadb")
    yield server
    discard(server)


@pytest.fixture(scope="module")
def server_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerPool]:
    with starting_servers(tmp_path_factory.mktemp) as start_another:
        yield ServerPool(start_another)


@pytest.fixture
def start_server(server_pool: ServerPool) -> Iterator[StartServer]:
    """Servers that this test has for itself: ``start_server("mysql", "--log-bin=binlog", "--server-id=2")``."""
    with server_pool.lending() as start:
        yield start


@pytest.fixture
def database(mysql_server: MySqlServer) -> Iterator[Database]:
    with fresh_database(mysql_server) as database:
        yield database


@pytest.fixture
def mariadb_database(mariadb_server: MySqlServer) -> Iterator[Database]:
    with fresh_database(mariadb_server) as database:
        yield database


@pytest.fixture(params=["mysql", "mariadb"])
def any_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """The same test on MySQL and on MariaDB."""
    with fresh_database(request.getfixturevalue(f"{request.param}_server")) as database:
        yield database


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    """A local AWS with nothing in it: ``aws.client("s3")``, ``aws.client("ssm")``, ``aws.environment``."""
    server = MiniStack.start(tmp_path_factory.mktemp("aws"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def s3_client(aws: MiniStack) -> Any:
    return aws.client("s3")


@pytest.fixture
def bucket(s3_client: Any) -> str:
    """A fresh bucket; the whole server goes away with the session."""
    name = f"test-{secrets.token_hex(6)}"
    s3_client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def new_pipeline(request: pytest.FixtureRequest) -> Callable[[Database], Pipeline]:
    """Return a function that makes the extraction from a database into a fresh bucket, without tables.

    Where a module has the mark `bucket_in_memory`, no S3 API is used: requests take most of the time of a small run,
    and a test about the database loses nothing. Tests of commits, files and deaths use the real API.
    """
    from tests.integration.pipeline import Pipeline  # noqa: PLC0415 - it imports this module

    def make(database: Database) -> Pipeline:
        if request.node.get_closest_marker("bucket_in_memory"):
            return Pipeline(database, "memory", None, memory=MemoryStore())
        return Pipeline(database, request.getfixturevalue("bucket"), request.getfixturevalue("s3_client"))

    return make


@pytest.fixture
def pipeline(new_pipeline: Callable[[Database], Pipeline], database: Database) -> Pipeline:
    """The extraction of one table list from a fresh MySQL database into a fresh bucket."""
    return new_pipeline(database)


@pytest.fixture
def any_pipeline(new_pipeline: Callable[[Database], Pipeline], any_database: Database) -> Pipeline:
    """The same on MySQL and on MariaDB."""
    return new_pipeline(any_database)
