"""How far the tables of a run are read, from their states in the bucket: by the files that are finished."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rds_to_s3.bucket_keys import range_key
from rds_to_s3.commit.state_store import read_state
from rds_to_s3.errors import StateMalformedError
from rds_to_s3_ops.errors import UnreadableError

if TYPE_CHECKING:
    from rds_to_s3.commit.state import TableState
    from rds_to_s3_ops.deployment.bucket import Bucket, PlannedTable

_READERS = 12
LEAST_SECONDS = 1.0  # between two looks
SHARE = 10  # of the time: a table of ten thousand files has a state of megabytes
MOST_TABLES = 200


@dataclass(frozen=True)
class TableRead:
    """How far one table is read.

    Attributes
    ----------
    rows, bytes : int
        Of the finished files.
    ranges : int
        How many readers share the table: 1 if it is not divided.
    ranges_done : int
        How many of them are read to their end. If one reads the table, this says nothing.
    expected_rows : int or None
        About how many rows will be read; None where nobody estimated it.
    is_held : bool
        Whether the run has the table's lease, so that it reads the table now.
    attempts : int
        Of the run, so far.
    rows_a_second : float or None
        Of what was seen being read; None before anything was.
    seconds_since : float
        How long ago the rows were seen to change.
    """

    rows: int
    bytes: int
    ranges: int = 1
    ranges_done: int = 0
    expected_rows: int | None = None
    is_held: bool = False
    attempts: int = 0
    rows_a_second: float | None = None
    seconds_since: float = 0.0

    @classmethod
    def of(
        cls, state: TableState, ranges: Sequence[TableState], run_id: str, now: float | None = None
    ) -> TableRead | None:
        """Return how far a run has read a table, from its state and those of its ranges; None before it is read.

        Parameters
        ----------
        now : float, optional
            Seconds since 1970, to see whether the run reads it now.
        """
        whole, lease, attempts = state.staged, state.lease, state.attempts.get(run_id, 0)
        is_held = now is not None and lease is not None and lease.run_id == run_id and lease.expires_at > now
        if whole is None or whole.run_id != run_id:
            return cls(0, 0, is_held=True, attempts=attempts) if is_held else None
        parts = [each.staged for each in ranges if each.staged is not None]
        files = [file for part in [whole, *parts] for file in part.written.files]
        if not files and whole.division is None:
            return cls(0, 0, is_held=True, attempts=attempts) if is_held else None
        return cls(
            rows=sum(file.rows for file in files),
            bytes=sum(file.bytes for file in files),
            ranges=whole.division.ranges if whole.division else whole.readers,
            ranges_done=sum(part.done for part in parts) if whole.division else whole.readers,
            expected_rows=(whole.division.rows if whole.division else whole.expected_rows) or None,
            is_held=is_held,
            attempts=attempts,
        )


class Reads:
    """Looks at the tables of a run, not more often than they change, and reads only the ranges that have changed."""

    def __init__(self, bucket: Bucket, run_id: str) -> None:
        self._bucket = bucket
        self._run_id = run_id
        self._known: dict[str, tuple[str, TableState]] = {}
        self._found: dict[str, TableRead] = {}
        self._first: dict[str, tuple[float, int]] = {}  # when each table was first looked at, and its rows then
        self._last: dict[str, tuple[float, int]] = {}  # when its rows were last seen to change
        self._not_before = 0.0

    def look(self, tables: Iterable[PlannedTable]) -> dict[str, TableRead]:
        """Return how far these tables are read, by their names; without those that have no finished file."""
        began = time.monotonic()
        if began < self._not_before:
            return self._found
        wanted = list(tables)[:MOST_TABLES]
        etags = {item.key: item.etag for item in self._bucket.listed("_state/ranges/")} if wanted else {}
        with ThreadPoolExecutor(_READERS) as readers:
            found = readers.map(lambda table: self._read(table, etags), wanted)
            self._found = {table.table: read for table, read in zip(wanted, found, strict=True) if read is not None}
        self._not_before = time.monotonic() + max(LEAST_SECONDS, SHARE * (time.monotonic() - began))
        return self._found

    def _read(self, table: PlannedTable, etags: dict[str, str]) -> TableRead | None:
        try:
            state = self._bucket.table_state(table.table, table.format)
        except UnreadableError:
            return None  # the run says so
        division = state.staged.division if state.staged is not None else None
        keys = (
            [range_key(table.table, table.format, division.token, n + 1) for n in range(division.ranges)]
            if division is not None
            else []
        )
        ranges = [self._range(key, etags[key]) for key in keys if key in etags]
        read = TableRead.of(state, [each for each in ranges if each is not None], self._run_id, time.time())
        return None if read is None else self._timed(table.table, read)

    def _timed(self, table: str, read: TableRead) -> TableRead:
        now, rows = time.monotonic(), read.rows
        began, first = self._first.setdefault(table, (now, rows))
        if rows < first:
            self._first[table] = now, rows  # it is read anew
        if self._last.get(table, (now, None))[1] != rows:
            self._last[table] = now, rows
        changed = self._last[table][0]
        speed = (rows - first) / (changed - began) if rows > first and changed > began else None
        return replace(read, rows_a_second=speed, seconds_since=now - changed)

    def _range(self, key: str, etag: str) -> TableState | None:
        if key not in self._known or self._known[key][0] != etag:
            stored = self._bucket.read(key)
            if stored is None:
                return None
            try:
                self._known[key] = etag, read_state(stored.body, key)
            except StateMalformedError:
                return None
        return self._known[key][1]
