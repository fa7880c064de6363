"""Deleted rows: the delivered keys that are no longer in the table.

Every run compares two sets. The first has the delivered keys, in sorted runs in the bucket
(`rds_to_s3.extract.stages.key_runs`). The second has the table's keys, read in the same snapshot as the window. Keys
that are only in the first set are written to the deletes file and removed from the set, all under the window's commit.
So each delete is reported exactly once, and a key that is delivered again can be deleted again. A row that was inserted
and deleted between two runs was never delivered, and is not reported.

A reader applies a run's deletes, and then its rows. So no manifest may report a row and then its delete. A row that was
deleted while its window was still being read is reported by the next run. A run that reports the files of a stopped
run, or follows a run that is still running, leaves its own deletes to the next run. The reverse is possible: the
deletes of a stopped run, and a row that was inserted again since.

Memory does not grow with the table: both sets are compared range by range.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

import numpy as np

from rds_to_s3.bucket_keys import key_run_key, key_runs_prefix
from rds_to_s3.commit.read_as import Position
from rds_to_s3.commit.state import Commit, KeyRun, Staged, StagedFile
from rds_to_s3.errors import NoKeyError, RowCountError
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.stages.stage import Checkpoint, PositionOf, Stage
from rds_to_s3.formats import OutputColumn, Rows
from rds_to_s3.mysql.catalogue.remedies import key_grant
from rds_to_s3.mysql.catalogue.schema import DeniedColumns, Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import quoted
from rds_to_s3.mysql.wire.result_set import query
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.rows.keys import Keys, contained, keys_of
from rds_to_s3.s3.objects import ObjectStore

if TYPE_CHECKING:
    from rds_to_s3.extract.stages.files import FileSeries
    from rds_to_s3.extract.stages.key_runs import KeyValues

ROWS_AT_ONCE = 1_000_000
CACHED_ROWS = 1_000_000
MOST_LATER_RUNS = 8
KEYS_PER_SECOND = 300_000.0
_INTEGER = re.compile(r" (tiny|small|medium|big)?int(\(\d+\))?( unsigned)?$")  # without ZEROFILL, which adds digits
_VARCHAR = re.compile(r" varchar\(\d+\)$")


def _texts(key_columns: Sequence[str] | None) -> list[str] | None:
    """Return a key's columns, alike where each value keeps its text: an INT that became BIGINT."""
    if key_columns is None:
        return None
    return [_VARCHAR.sub(" varchar", _INTEGER.sub(" int", each)) for each in key_columns]


def require_key(table: Table, denied: DeniedColumns) -> None:
    """Raise NoKeyError for a table without a key.

    Parameters
    ----------
    denied : DeniedColumns
        Columns that the table has and the user may not read.
    """
    if not table.key:
        if (grant := key_grant(table, denied)) is not None:
            raise NoKeyError(
                f'table {table.name!r} sets "deletes": "track", and the database user may not read its key: {grant}'
            )
        raise NoKeyError(
            f'table {table.name!r} sets "deletes": "track", and has neither a primary key nor a unique key without '
            'NULLs to identify its rows: add one, or set "deletes": "ignore"'
        )


class DeleteTracking(Stage):
    """One table's deletes in one invocation: the stage that records delivered keys, and the comparison after the read.

    Parameters
    ----------
    token : str
        Of this invocation.
    """

    is_exact = True

    def __init__(self, spec: TableSpec, store: ObjectStore, token: str) -> None:
        self._spec = spec
        self._store = store
        self._token = token
        self._puts = 0
        self._buffer: list[KeyValues] = []
        self._new: list[KeyRun] = []
        self._cache: dict[str, KeyValues] = {}
        self.warnings: list[str] = []
        self.reported: list[Keys] = []
        """The keys that `finish` has found to be deleted."""

    def open(self, table: Table, selection: Selection, last: Commit | None) -> None:
        """Prepare for the read of a window.

        Raises
        ------
        NoKeyError
            The table has no key to identify its rows.
        """
        require_key(table, selection.denied)
        self._columns = selection.key_columns(table)
        # A row that no longer fulfils it is not there.
        self._name_of = selection.name_of
        self._there = "" if selection.where is None else f" WHERE {selection.where}"
        self._positions = [selection.select.index(column) for column in self._columns]
        self._types = [f"{c.name} {c.column_type}" for name in table.key if (c := table.column(name))]
        kept = last is not None and _texts(last.key_columns) == _texts(self._types)
        self._before = last.key_runs if last is not None and kept else None
        self._begins_late = last is not None and self._before is None

    @property
    def key_columns(self) -> list[str]:
        """Names and types of the key's columns. If their values have another text then, the stored keys are void."""
        return self._types

    def take(self, rows: Rows, _position_of: PositionOf, /) -> Rows:
        """Record the keys of rows that go into the files."""
        from rds_to_s3.extract.stages.key_runs import RUN_ROWS  # noqa: PLC0415 - brings Arrow

        if rows.rows:
            self._buffer.append(_values_of(rows, self._positions))
            if sum(map(len, self._buffer)) >= RUN_ROWS:
                self._flush()
        return rows

    def checkpoint(self, at: Checkpoint, /) -> None:
        """Store the keys delivered so far."""
        self._flush()
        delivered = at.staged.delivered
        delivered.runs = [*delivered.runs, *self._new]
        self._new = []

    def needs_seconds(self, table: Table) -> float:
        """Return how long `finish` may take, by the server's estimate of the table's rows."""
        return 10.0 + table.estimated_rows / KEYS_PER_SECOND

    def finish(
        self,
        connection: Connection,
        table: Table,
        staged: Staged,
        series: Callable[[Sequence[OutputColumn]], FileSeries],
        *,
        whole: bool,
        unreported: Sequence[str] = (),
    ) -> tuple[list[StagedFile], list[KeyRun]]:
        """Find the deleted rows.

        Parameters
        ----------
        series : callable
            Makes the files of deleted keys from their columns.
        whole : bool
            Whether this window is the whole table; then it has all delivered keys.
        unreported : sequence of str
            Earlier runs with unreported files.

        Returns
        -------
        files : list of StagedFile
        runs : list of KeyRun
            The keys delivered and not deleted, for the commit.
        """
        if self._begins_late or (self._before is None and not whole):
            self.warnings.append("deletes are tracked from this run on: rows deleted before it are not reported")
        if self._before is None and not whole:
            return [], self._baseline(connection, table)
        runs = [*(self._before or []), *staged.delivered.runs]
        if not runs:
            return [], []
        if missing := self._missing(runs):
            self.warnings.append(
                f"{missing} is gone: deletes are tracked from this run on, and earlier ones are not reported"
            )
            return [], self._baseline(connection, table)
        if unreported:
            self.warnings.append(f"the next run will report the rows deleted since run {unreported[0]}")
            return [], runs
        # Rows and keys are from one snapshot, so they cannot disagree.
        read_before = staged.delivered.runs if staged.invocations > 1 else []
        return self._compare(connection, table, runs, read_before, series)

    # --- the two sets ---

    def _baseline(self, connection: Connection, table: Table) -> list[KeyRun]:
        """Store the table's present keys as the delivered ones."""
        self._buffer, self._new = [], []
        for block in self._scan(connection, table):
            self._buffer.append(_values_of(block, range(len(self._columns))))
            self._flush_if_full()
        self._flush()
        return self._new

    def _compare(
        self,
        connection: Connection,
        table: Table,
        runs: list[KeyRun],
        read_before: Sequence[KeyRun],
        series: Callable[[Sequence[OutputColumn]], FileSeries],
    ) -> tuple[list[StagedFile], list[KeyRun]]:
        """Report the delivered keys that are gone, except those in `read_before`, which this window has read."""
        from rds_to_s3.extract.stages.key_runs import (  # noqa: PLC0415
            KeySpill,
            edges_of,
            newest,
            ranges,
            within,
        )

        merging = _should_merge(runs)
        edges = edges_of(max(table.estimated_rows, sum(run.rows for run in runs)), ROWS_AT_ONCE)
        files: FileSeries | None = None
        gone_keys: list[KeyValues] = []
        with contextlib.ExitStack() as stack:
            spool: list[IO[bytes]] = []
            if len(edges) > 2:
                spool = [stack.enter_context(tempfile.TemporaryFile()) for _ in edges[1:]]
            spill = KeySpill(edges, spool)
            for block in self._scan(connection, table):
                spill.add(keys_of(block, range(len(self._columns))))
            for place, low, high in ranges(edges):
                parts = [
                    (run, within(self._load(run), low, high)) for run in runs if run.first < high and run.last >= low
                ]
                delivered = newest([(part, run.gone) for run, part in parts])
                self._forget(runs, high)
                there = contained(delivered.keys, spill.range(place))
                for run, part in parts:
                    if run in read_before:
                        there |= contained(delivered.keys, part.keys)
                gone = delivered.take(np.flatnonzero(~there))
                if len(gone):
                    files = files or series([_output(table, name, self._name_of) for name in table.key])
                    for block in gone.blocks():
                        files.write(block, lambda _: Position())
                    gone_keys.append(type(gone)(gone.keys, []))
                    self.reported.append(gone.keys)
                if merging:
                    self._buffer.append(delivered.take(np.flatnonzero(there)))
                    self._flush_if_full()
        if files is not None:
            files.close(Position())
        finished = files.finished if files is not None else []
        if merging:
            self._flush(base=True)
            return finished, self._new
        if gone_keys:
            self._buffer = gone_keys
            self._flush(gone=True)
        return finished, [*runs, *self._new]

    def _scan(self, connection: Connection, table: Table) -> Iterator[Rows]:
        """Yield the keys of all rows. The server reads the smallest index."""
        columns = ", ".join(column.expression for column in self._columns)
        sql = f"SELECT {columns} FROM {quoted(table.name)}{self._there}"  # noqa: S608 - quoted identifiers
        read = 0
        with query(connection, sql, table=table.name) as result:
            for block in result:
                read += block.rows
                yield block
        sent = int(connection.row("SELECT FOUND_ROWS() AS sent")["sent"])
        if sent != read:
            raise RowCountError(f"the server sent {sent} keys of table {table.name!r}, and {read} were read")

    # --- runs ---

    def _flush_if_full(self) -> None:
        from rds_to_s3.extract.stages.key_runs import RUN_ROWS  # noqa: PLC0415

        if sum(map(len, self._buffer)) >= RUN_ROWS:
            self._flush(base=True)

    def _flush(self, *, gone: bool = False, base: bool = False) -> None:
        from rds_to_s3.extract.stages.key_runs import KeyValues  # noqa: PLC0415

        parts = [part for part in self._buffer if len(part)]
        self._buffer = []
        if not parts:
            return
        run = KeyValues.joined(parts).in_order()
        self._puts += 1
        key = key_run_key(self._spec.name, self._spec.format, self._token, self._puts)
        self._store.put(key, run.pack())
        first, last = int(run.keys[0, 0]), int(run.keys[-1, 0])
        self._new.append(KeyRun(key=key, rows=len(run), gone=gone, base=base, first=first, last=last))

    def _missing(self, runs: Sequence[KeyRun]) -> str | None:
        stored = set(self._store.keys(key_runs_prefix(self._spec.name, self._spec.format)))
        return next((run.key for run in runs if run.key not in stored), None)

    def _load(self, run: KeyRun) -> KeyValues:
        from rds_to_s3.extract.stages.key_runs import KeyValues  # noqa: PLC0415

        if run.key in self._cache:
            return self._cache[run.key]
        stored = self._store.get(run.key)
        if stored is None:
            raise RowCountError(f"{run.key} was deleted while it was needed")
        values = KeyValues.unpack(stored.body)
        if sum(map(len, self._cache.values())) + len(values) <= CACHED_ROWS:
            self._cache[run.key] = values
        return values

    def _forget(self, runs: Sequence[KeyRun], high: int) -> None:
        for run in runs:
            if run.last < high:
                self._cache.pop(run.key, None)


def _values_of(rows: Rows, positions: Sequence[int]) -> KeyValues:
    from rds_to_s3.extract.stages.key_runs import KeyValues  # noqa: PLC0415
    from rds_to_s3.formats.parquet import column_texts  # noqa: PLC0415

    return KeyValues(keys_of(rows, positions), [column_texts(rows, position) for position in positions])


def _should_merge(runs: Sequence[KeyRun]) -> bool:
    """Whether the runs are so many, or so large compared with the base, that a merge of all of them pays."""
    later = [run for run in runs if not run.base]
    base = sum(run.rows for run in runs if run.base)
    return len(later) > MOST_LATER_RUNS or sum(run.rows for run in later) > base // 4


def _output(table: Table, name: str, name_of: Callable[[str], str]) -> OutputColumn:
    column = table.column(name)
    assert column is not None  # noqa: S101 - it is one of the table's own key
    return OutputColumn(name_of(column.name), column.column_type, column.kind, False)
