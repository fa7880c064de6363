"""A small application: ``python -m benchmarks.deployed.oltp TABLE ROWS``, until its standard input ends.

``BENCHMARK_URL`` names the database. Some connections make point reads and updates of one row, at a fixed rate,
whatever the server does: a time begins when its statement was due. Prints one line of JSON: milliseconds by kind of
statement.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from typing import Any

from benchmarks.contenders.limit import connect

CONNECTIONS = 4
PER_SECOND = 200
UPDATES = 0.2


def application(table: str, rows: int, stopped: threading.Event) -> dict[str, list[float]]:
    """Make statements until `stopped`, and return the milliseconds of each."""
    found: dict[str, list[float]] = {"read": [], "update": []}
    threads = [
        threading.Thread(target=_connection, args=(table, rows, number, stopped, found))
        for number in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _connection(table: str, rows: int, number: int, stopped: threading.Event, found: dict[str, list[float]]) -> None:
    connection: Any = connect(autocommit=True)
    chance = random.Random(number)  # noqa: S311 - the same keys in each part of a round
    due = time.perf_counter()
    with connection.cursor() as cursor:
        while not stopped.is_set():
            due += CONNECTIONS / PER_SECOND
            time.sleep(max(due - time.perf_counter(), 0.0))
            key, kind = chance.randint(1, rows), "update" if chance.random() < UPDATES else "read"
            if kind == "update":
                cursor.execute(f"UPDATE {table} SET total = total + 1, modifiedDate = NOW() WHERE id = {key}")
            else:
                cursor.execute(f"SELECT * FROM {table} WHERE id = {key}")
                cursor.fetchall()
            found[kind].append((time.perf_counter() - due) * 1000)
    connection.close()


def _wait_for_the_end(stopped: threading.Event) -> None:
    sys.stdin.read()
    stopped.set()


def main() -> None:
    table, rows = sys.argv[1:]
    stopped = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(stopped,), daemon=True).start()
    print(json.dumps(application(table, int(rows), stopped)))


if __name__ == "__main__":
    main()
