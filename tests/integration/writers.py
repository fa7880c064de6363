"""Sessions of an application that write all the time, in a separate process."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pymysql

from tests.integration.world import FUTURE, HOT, TABLE, World
from tests.support.deaths import fork


class Writers:
    """An application.

    Parameters
    ----------
    world : World
    seed : int
    first_version : int
        Below the versions that it writes.
    ddl : bool
        Whether one of them alters the table now and then.
    """

    def __init__(self, world: World, seed: int, *, first_version: int = 0, ddl: bool) -> None:
        self._world = world
        self._database = world.database
        self._seed = seed
        self._stop = threading.Event()
        self._versions = threading.Lock()
        self._version = first_version
        self._counts: Counter[str] = Counter()
        self._kinds: list[Callable[[random.Random, Any], None]] = [
            *[self._short] * 4,
            *[self._long] * 4,
            self._bulk,
            self._hot,
            self._future,
            *([self._alter] if ddl else []),
        ]

    @contextmanager
    def writing(self) -> Iterator[Counter[str]]:
        """Let them write while the block runs; the counts are complete after it."""
        counts: Counter[str] = Counter()
        wait, go_home = os.pipe()
        told, tell = os.pipe()

        def work() -> None:
            os.close(go_home)
            threads = [threading.Thread(target=self._session, args=(number,)) for number in range(len(self._kinds))]
            for thread in threads:
                thread.start()
            os.read(wait, 1)
            self._stop.set()
            for thread in threads:
                thread.join()
            os.write(tell, json.dumps(self._counts).encode())

        child = fork(work)
        os.close(wait)
        os.close(tell)
        try:
            yield counts
        finally:
            os.close(go_home)
            with os.fdopen(told) as answer:
                counts.update(json.loads(answer.read() or "{}"))
            os.waitpid(child, 0)

    def _session(self, number: int) -> None:
        random_ = random.Random(f"{self._seed}/{number}")
        connection = self._world.session(self._database)
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._kinds[number](random_, connection)
                rollback = number != self._kinds.index(self._hot) and random_.random() < 0.1
                rollback = rollback or time.monotonic() - began > self._world.longest_transaction
                connection.rollback() if rollback else connection.commit()
                self._counts["rolled_back" if rollback else "committed"] += 1
            except pymysql.err.MySQLError:  # deadlocks and lock waits are part of the weather
                with suppress(pymysql.err.MySQLError):
                    connection.rollback()
                self._counts["rolled_back"] += 1
        connection.close()

    # --- what a session does in one transaction ---

    def _short(self, random_: random.Random, connection: Any) -> None:
        self._statement(random_, connection)
        self._pause(random_.uniform(0, 0.1))

    def _long(self, random_: random.Random, connection: Any) -> None:
        for _ in range(random_.randint(1, 4)):
            self._statement(random_, connection)
            self._pause(random_.uniform(0, 1.2))

    def _bulk(self, random_: random.Random, connection: Any) -> None:
        rows = ", ".join(f"('bulk', {self._next()}, NOW())" for _ in range(random_.randint(50, 400)))
        self._run(connection, f"INSERT INTO {TABLE} (note, version, createdDate) VALUES {rows}")
        self._pause(random_.uniform(0, 1.5))

    def _hot(self, random_: random.Random, connection: Any) -> None:
        self._run(connection, f"UPDATE {TABLE} SET version = {self._next()}, modifiedDate = NOW() WHERE id = {HOT}")
        connection.commit()
        time.sleep(0.05)

    def _future(self, random_: random.Random, connection: Any) -> None:
        self._run(
            connection,
            f"INSERT INTO {TABLE} (note, version, createdDate) VALUES ('future', {self._next()}, '{FUTURE}')",
        )
        self._pause(random_.uniform(0.5, 1.5))

    def _alter(self, random_: random.Random, connection: Any) -> None:
        self._pause(random_.uniform(1.0, 3.0))
        self._run(connection, f"ALTER TABLE {TABLE} COMMENT = 'version {self._next()}'")

    def _statement(self, random_: random.Random, connection: Any) -> None:
        at = random_.randint(2, 400)
        several = f"id BETWEEN {at} AND {at + 20}"
        version = self._next()
        choice = random_.random()
        if choice < 0.45:
            sql = f"INSERT INTO {TABLE} (note, version, createdDate) VALUES ('single', {version}, NOW())"
        elif choice < 0.85:
            sql = f"UPDATE {TABLE} SET version = {version}, modifiedDate = NOW() WHERE id = {at}"
        elif choice < 0.95:
            sql = f"UPDATE {TABLE} SET version = version + {10**9}, modifiedDate = NOW(6) WHERE {several}"
        else:
            sql = f"UPDATE {TABLE} SET version = {version}, modifiedDate = NOW(), createdDate = NOW() WHERE id = {at}"
        self._run(connection, sql)

    def _next(self) -> int:
        with self._versions:
            self._version += 1
            return self._version

    def _run(self, connection: Any, sql: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    def _pause(self, seconds: float) -> None:
        self._stop.wait(seconds * self._world.pace)
