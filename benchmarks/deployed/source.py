"""What readers leave on the server while they read: statements, snapshots, undo."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from local.mysql_server import MySqlServer

_OLDEST = """
SELECT COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, trx_started, NOW(6))), 0) / 1e6 FROM information_schema.innodb_trx
JOIN performance_schema.processlist ON id = trx_mysql_thread_id WHERE user IN ({users})
"""
_LONGEST = """
SELECT COALESCE(MAX(max_timer_wait), 0) / 1e12 FROM performance_schema.events_statements_summary_by_user_by_event_name
WHERE user IN ({users})
"""
_FORGET = "TRUNCATE performance_schema.events_statements_summary_by_user_by_event_name"
_PURGED_SECONDS = 15
_UNDO = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'"


@dataclass(frozen=True)
class Left:
    """What readers left.

    Attributes
    ----------
    longest_statement, oldest_snapshot : float
        Seconds, of the readers' accounts.
    undo : int
        How many transactions the history list got longer than it was at the beginning.
    """

    longest_statement: float
    oldest_snapshot: float
    undo: int


class Source:
    """Watches a server while it is read by some accounts."""

    def __init__(self, server: MySqlServer, *users: str) -> None:
        self._users = ", ".join(f"'{user}'" for user in users)
        self._connection = server.connect()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._oldest = 0.0
        self._undo: list[int] = []
        self.left: Left | None = None

    def __enter__(self) -> Source:
        with self._connection.cursor() as cursor:
            cursor.execute(_FORGET)
        self._undo.append(self._purged())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        longest = float(self._value(_LONGEST.format(users=self._users)))
        self.left = Left(longest, self._oldest, max(self._undo) - self._undo[0])
        self._connection.close()

    def _purged(self) -> int:
        """Return the history list's length when it no longer shrinks: what the part before has left is purged."""
        deadline = time.monotonic() + _PURGED_SECONDS
        before, now = 1, 0
        while now < before and time.monotonic() < deadline:
            before = int(self._value(_UNDO))
            time.sleep(1)
            now = int(self._value(_UNDO))
        return now

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            self._oldest = max(self._oldest, float(self._value(_OLDEST.format(users=self._users))))
            self._undo.append(int(self._value(_UNDO)))

    def _value(self, statement: str) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            (value,) = cursor.fetchone() or (0,)
        return value
