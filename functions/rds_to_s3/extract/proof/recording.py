"""The stage that records what is delivered: the ledger's objects are put as rows pass."""

from __future__ import annotations

from collections.abc import Sequence

from rds_to_s3.bucket_keys import ledger_key
from rds_to_s3.commit.read_as import LedgerBlock, LedgerRun
from rds_to_s3.extract.proof.entries import Entries
from rds_to_s3.extract.stages.stage import Checkpoint, PositionOf, Stage
from rds_to_s3.formats import Rows
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.rows.keys import digests_of, keys_of
from rds_to_s3.s3.objects import ObjectStore

BLOCK_BYTES = 8 * 1024 * 1024  # of rows; a quarter of a slice
MOST_ROWS = 250_000  # of an object


class LedgerWriter:
    """Puts the ledger's objects of one invocation.

    Parameters
    ----------
    spec : TableSpec
    store : ObjectStore
    token : str
        Of this invocation.
    """

    def __init__(self, spec: TableSpec, store: ObjectStore, token: str) -> None:
        self._spec = spec
        self._store = store
        self._token = token
        self._puts = 0

    def _put(self, entries: Entries) -> str:
        """Put entries that are in order; return the object's key, empty where there are none."""
        if not len(entries):
            return ""
        self._puts += 1
        key = ledger_key(self._spec.name, self._spec.format, self._token, self._puts)
        self._store.put(key, entries.pack())
        return key

    def put_block(self, entries: Entries, last: list[str] | None) -> LedgerBlock:
        """Put a block that ends with a key."""
        return LedgerBlock(key=self._put(entries), rows=len(entries), last=last)

    def put_run(self, entries: Entries, of_round: int = 0) -> LedgerRun:
        """Put a run of a round."""
        return LedgerRun(key=self._put(entries), rows=len(entries), round=of_round)


class Recording(Stage):
    """The stage of one invocation.

    Rows that a check holds back are recorded, too: what was put into quarantine is not a difference.

    Parameters
    ----------
    writer : LedgerWriter
    key : sequence of int
        Positions of the key's columns.
    columns : int
        How many columns the files hold.
    in_blocks : bool
        Whether the whole table is read, in the key's order.
    """

    is_exact = True

    def __init__(self, writer: LedgerWriter, key: Sequence[int], columns: int, *, in_blocks: bool) -> None:
        self._writer = writer
        self._key = key
        self._columns = columns
        self._in_blocks = in_blocks
        self._parts: list[Entries] = []
        self._rows = self._bytes = 0
        self._last: list[str] | None = None
        self._blocks: list[LedgerBlock] = []
        self._runs: list[LedgerRun] = []

    def take(self, rows: Rows, position_of: PositionOf, /) -> Rows:
        """Record rows that are delivered."""
        if rows.rows:
            self._parts.append(Entries(keys_of(rows, self._key), digests_of(rows, self._columns)))
            self._rows += rows.rows
            self._bytes += rows.payload_bytes
            if self._in_blocks:
                self._last = position_of(rows, rows.rows - 1).values
            if self._rows >= MOST_ROWS or (self._in_blocks and self._bytes >= BLOCK_BYTES):
                self._flush()
        return rows

    def checkpoint(self, at: Checkpoint, /) -> None:
        """Put what was recorded so far."""
        self._flush()
        recorded = at.staged.recorded
        recorded.blocks = [*recorded.blocks, *self._blocks]
        recorded.runs = [*recorded.runs, *self._runs]
        self._blocks, self._runs = [], []

    def _flush(self) -> None:
        if not self._parts:
            return
        entries = Entries.joined(self._parts).in_order()
        if self._in_blocks:
            self._blocks.append(self._writer.put_block(entries, self._last))
        else:
            self._runs.append(self._writer.put_run(entries))
        self._parts, self._rows, self._bytes = [], 0, 0
