"""A world: the scene of a chaos session. `befall` comes before each run, and `settle` before the last, quiet one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import patch

from rds_to_s3.plan import bound
from tests.integration.conftest import Database
from tests.integration.pipeline import Pipeline
from tests.support.ledger import Row

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from tests.support.servers import StartServer

TABLE = "chaos"
HOT = 1
FUTURE = "2099-01-01"
SEEDED = 400
INDEXES = "KEY (createdDate), KEY (modifiedDate)"


class World:
    """A server of today: stamps in its own zone, NULL for never, a number for a key.

    Attributes
    ----------
    settings : dict
        The table's, beside its name.
    session_sql : list of str
        What each session of the application begins with.
    hot_row_in_each_run : bool
        Whether a run that succeeds always has the row that changes all the time.
    count_of_phases : int
        How often the application is started.
    longest_transaction : float
        In seconds; one that has taken longer is rolled back.
    where : str
        Which rows are extracted, in SQL.
    is_divided : bool
        Whether several readers share the table.
    pace : float
        How long the application waits, by that of an ordinary one.
    """

    name: ClassVar[str] = "plain"
    flavours: ClassVar[tuple[str, ...]] = ("mysql", "mariadb")
    key: ClassVar[str] = "id INT PRIMARY KEY AUTO_INCREMENT"
    created: ClassVar[str] = "DATETIME NULL DEFAULT CURRENT_TIMESTAMP"
    hot_row_in_each_run: bool = True
    count_of_phases: ClassVar[int] = 1
    longest_transaction: ClassVar[float] = 60.0
    pace: ClassVar[float] = 1.0
    where: ClassVar[str] = "TRUE"
    is_divided: ClassVar[bool] = False

    def __init__(self, pipeline: Pipeline, random_: random.Random, start_server: StartServer) -> None:
        self.pipeline = pipeline
        self.random = random_
        self.start_server = start_server
        self.modified = "DATETIME(3) NULL"
        self.settings: dict[str, Any] = {"target_file_bytes": 20_000}
        self.session_sql: list[str] = []

    @property
    def database(self) -> Database:
        """Where the application writes."""
        return self.pipeline.database

    @property
    def listed(self) -> str:
        """The table's name in the table list."""
        return TABLE

    def as_written(self, row: Row) -> Row:
        """Return a row of the table as the files have it."""
        return row

    def session(self, database: Database) -> Connection[Any]:
        """Open a session of the application."""
        connection = database.connect(autocommit=False)
        with connection.cursor() as cursor:
            for statement in ("SET SESSION innodb_lock_wait_timeout = 5, lock_wait_timeout = 5", *self.session_sql):
                cursor.execute(statement)
        return connection

    @contextmanager
    def inhabited(self) -> Iterator[None]:
        """Make the table with its first rows; leave the servers as they were."""
        connection = self.session(self.database)
        with connection.cursor() as cursor:
            for statement in self._making():
                cursor.execute(statement)
            rows = ", ".join(f"('seeded', -{number})" for number in range(1, SEEDED))
            cursor.execute(f"INSERT INTO {TABLE} (note, version) VALUES {rows}")
        connection.commit()
        connection.close()
        self._list()
        # Sessions wait for a metadata lock for five seconds.
        with patch.object(bound, "FIRST_STATEMENT_SECONDS", 6.0):
            yield

    def _making(self) -> list[str]:
        return [
            f"CREATE TABLE {TABLE} ({self.key}, note VARCHAR(20), version BIGINT, createdDate {self.created}, "
            f"modifiedDate {self.modified}, {INDEXES})"
        ]

    def _list(self) -> None:
        self.pipeline.tables = [{"name": self.listed, **self.settings}]

    def phases(self) -> Iterator[None]:
        """Yield as often as the application is started; it is stopped in between."""
        yield

    def befall(self, runs: int) -> None:
        """Do what is done to the world before the run that follows `runs` others."""

    def settle(self) -> None:
        """Come to rest: the application has ended."""

    def may_fail_with(self, error: str) -> bool:
        """Whether a run is allowed to fail so in this world, as it is now."""
        return False

    def excuses(self, problem: str, warnings: list[str]) -> bool:
        """Whether a problem is none, since a run has warned about it."""
        return False
