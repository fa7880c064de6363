"""Worlds whose table list says more of a table: filters, masks, several readers, another database."""

from __future__ import annotations

import hmac
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar
from unittest.mock import patch

import pymysql

from rds_to_s3.extract.ranges import division
from tests.integration.conftest import Database, fresh_database
from tests.integration.pipeline import Pipeline
from tests.integration.world import TABLE, World
from tests.support.ledger import Row

if TYPE_CHECKING:
    from tests.support.servers import StartServer


class Filtered(World):
    """Rows that come to fulfil the table's `where`, and cease to, with a stamp and without."""

    name = "some of the rows"
    where = "version < -50 or version > 50"
    hot_row_in_each_run = False

    def __init__(self, pipeline: Pipeline, random_: random.Random, start_server: StartServer) -> None:
        super().__init__(pipeline, random_, start_server)
        self.settings |= {"where": self.where, "deletes": "track"}

    def befall(self, runs: int) -> None:
        """Take rows out, and bring others in as they have never been."""
        first = self.random.randint(2, 350)
        connection = self.session(self.database)
        with suppress(pymysql.err.MySQLError), connection.cursor() as cursor:
            cursor.execute(f"UPDATE {TABLE} SET version = {10**12 + runs} WHERE version = 0")
            cursor.execute(f"UPDATE {TABLE} SET version = 0 WHERE id BETWEEN {first} AND {first + 9}")
            connection.commit()
        connection.close()


class Masked(World):
    """A column that is hashed, and another that has a new name in the files; the proof heals what no stamp shows."""

    name = "masked and renamed columns"
    KEY: ClassVar[bytes] = b"a key of the chaos"
    hot_row_in_each_run = False

    def __init__(self, pipeline: Pipeline, random_: random.Random, start_server: StartServer) -> None:
        super().__init__(pipeline, random_, start_server)
        self.settings |= {"mask": {"note": "hash"}, "rename": {"version": "revision"}}
        pipeline.mask_key = self.KEY

    def as_written(self, row: Row) -> Row:
        """Return a row of the table as the files have it."""
        name, note, *rest = row
        hashed = None if note is None else hmac.new(self.KEY, note.encode(), "sha256").hexdigest()
        return (name, hashed, *rest)

    def befall(self, runs: int) -> None:
        """Change rows without a stamp."""
        first = self.random.randint(2, 350)
        connection = self.session(self.database)
        with suppress(pymysql.err.MySQLError), connection.cursor() as cursor:
            cursor.execute(f"UPDATE {TABLE} SET note = 'healed {runs}' WHERE id BETWEEN {first} AND {first + 9}")
            connection.commit()
        connection.close()


class Shared(World):
    """Four readers of each window, which die, are frozen and overlap as one would."""

    name = "four readers"
    is_divided = True

    def __init__(self, pipeline: Pipeline, random_: random.Random, start_server: StartServer) -> None:
        super().__init__(pipeline, random_, start_server)
        self.settings |= {"readers": 4, "deletes": random_.choice(["ignore", "track"])}

    @contextmanager
    def inhabited(self) -> Iterator[None]:
        """Divide windows of any size."""
        with patch.object(division, "LEAST_BYTES", 1), super().inhabited():
            yield


class Elsewhere(World):
    """A table of another database than the credentials name, beside one of the same name that nobody lists."""

    name = "another database of the server"

    @contextmanager
    def inhabited(self) -> Iterator[None]:
        """Have two databases."""
        with fresh_database(self.pipeline.database.server) as self._other:
            self.pipeline.database.execute(
                f"CREATE TABLE {TABLE} (id INT PRIMARY KEY)", f"INSERT INTO {TABLE} VALUES (7)"
            )
            with super().inhabited():
                yield

    @property
    def database(self) -> Database:
        """The other one."""
        return self._other

    @property
    def listed(self) -> str:
        """Its name with its database's."""
        return f"{self._other.name}.{TABLE}"
