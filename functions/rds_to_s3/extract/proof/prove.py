"""Proves a slice of a table equal to what has been delivered, and delivers what differs.

The ledger has a key and a digest for each row that was delivered: blocks of neighbouring keys, and a run for what each
later window delivered. A slice is read in the key's order, in the snapshot of the window's read and after it. Of each
row in it the newest entry says what was delivered last. What a slice has seen replaces its block: the comparison is the
merge. What a run still says otherwise is corrected by a run of the comparison's own. A round has compared every block
once; then the runs of earlier rounds have nothing more to say. A block of few rows goes into the one behind it.

A row stamped beyond where the next read begins is that read's business, and no difference. In the mode ``compare`` no
read follows: it is delivered now, and remembered for the window of a table that becomes incremental again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rds_to_s3.commit.read_as import Ledger, LedgerBlock, LedgerRun, Proof
from rds_to_s3.commit.state import Position
from rds_to_s3.errors import RowCountError, StoredBytesError
from rds_to_s3.extract.proof.entries import Entries
from rds_to_s3.extract.proof.recording import BLOCK_BYTES, MOST_ROWS, LedgerWriter
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.stages.stage import Stage
from rds_to_s3.extract.stages.tail import STAMP_WIDTH
from rds_to_s3.formats import Rows
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment, SelectColumn, not_beyond, select_page
from rds_to_s3.mysql.wire.result_set import query
from rds_to_s3.rows.keys import Keys, contained, digests_of, keys_of
from rds_to_s3.s3.objects import ObjectStore

FEWEST_ROWS, FIRST_ROWS = 100, 1_000  # of a statement
MOST_CACHED = 1_000_000  # entries of runs in memory
MOST_LATER = 4_000_000  # entries of runs: more of them, and a round does not keep up with what changes
SAMPLES = 5


@dataclass(frozen=True)
class _Piece:
    """Rows that one statement returns.

    Attributes
    ----------
    last : list of str or None
        The key of the last of them; None where there is none.
    ends : bool
        Whether they reach the end of the range.
    """

    sql: str
    entries: Entries
    beyond: NDArray[np.bool_]
    bytes: int
    last: list[str] | None
    ends: bool


@dataclass(frozen=True)
class Prover:
    """One invocation's proof of one table.

    Parameters
    ----------
    key : sequence of SelectColumn
        The columns of the key's order.
    bounds : sequence of str or None
        Where the next read begins, for each cursor column; None where no read follows.
    stages : sequence of Stage
        What a row passes that is delivered again; the last one writes the files.
    ahead : Stage or None
        Where no read follows: remembers the rows beyond where one would begin.
    counts_gone : bool
        Whether keys that are gone are counted here: where deletes are tracked, they are reported elsewhere.
    """

    connection: Connection
    table: Table
    selection: Selection
    key: Sequence[SelectColumn]
    bounds: Sequence[str] | None
    store: ObjectStore
    writer: LedgerWriter
    stages: Sequence[Stage]
    ahead: Stage | None
    counts_gone: bool
    _cache: dict[str, Entries] = field(default_factory=dict)

    def run(self, ledger: Ledger, until: str, proof: Proof, *, budget: float, has_time: Callable[[], bool]) -> Ledger:
        """Compare the next slice.

        Parameters
        ----------
        until : str
            The end of this run's window.
        proof : Proof
            What is found is added to it.
        budget : float
            How many bytes of rows to read, and a block more.

        Returns
        -------
        Ledger
            As it is after this.
        """
        left = budget
        while left > 0 and has_time():
            if not ledger.is_complete:
                # What was learnt a moment ago would only be compared with itself.
                ledger = self._learn(ledger, left, has_time)
                break
            if ledger.next == 0 and ledger.began is None:
                ledger = ledger.model_copy(update={"began": until})
            ledger, read = self._compare(ledger, proof, left, has_time)
            left -= max(read, 1)
            if ledger.next == len(ledger.blocks):
                ledger = self._end_round(ledger, proof)
                break
        proof.whole_until = ledger.whole_until
        return ledger

    # --- a table that is not known yet ---

    def _learn(self, ledger: Ledger, budget: float, has_time: Callable[[], bool]) -> Ledger:
        """Record what is there behind the last block, without comparing it with anything."""
        blocks, read = list(ledger.blocks), 0
        for piece in self._pieces(blocks[-1].last if blocks else None, None, FIRST_ROWS):
            read += piece.bytes
            entries = piece.entries.in_order()
            last = None if piece.ends else piece.last
            blocks.append(self.writer.put_block(entries, last))
            if read >= budget or not has_time():
                break
        update: dict[str, object] = {"blocks": blocks, "is_learnt": True}
        if blocks and blocks[-1].last is None:
            update |= {"round": ledger.round + 1, "next": 0, "began": None}
        return ledger.model_copy(update=update)

    # --- a block ---

    def _compare(self, ledger: Ledger, proof: Proof, budget: float, has_time: Callable[[], bool]) -> tuple[Ledger, int]:
        place = ledger.next
        block = ledger.blocks[place]
        known = self._load(block.key)
        claimed = np.zeros(len(known), np.bool_)
        new: list[LedgerBlock] = []
        held: tuple[Entries, list[str] | None] | None = None
        corrected: list[Entries] = []
        read = seen_rows = few = 0
        whole = False
        # A quarter more than it had: one statement, unless many rows have come.
        rows = block.rows + block.rows // 4
        for piece in self._pieces(ledger.blocks[place - 1].last if place else None, block.last, rows):
            read += piece.bytes
            seen_rows += len(piece.entries)
            # A quarter of what a block holds.
            few = min(BLOCK_BYTES * max(seen_rows, 1) // max(read, 1), MOST_ROWS) // 4
            expected, found, in_runs = self._expected(piece.entries, known, claimed, ledger.runs)
            differs = ~found | (expected != piece.entries.digests).any(axis=1)
            later = differs & piece.beyond
            differs &= ~later
            if differs.any():
                self._heal(piece, piece.entries.keys[differs], proof)
                corrected.append(piece.entries.take(differs & in_runs))
            seen = Entries(piece.entries.keys, np.where(later[:, None], expected, piece.entries.digests))
            kept = seen.take(~later | found).in_order()
            whole = piece.ends
            if held is not None and whole and len(kept) < few:
                kept = Entries.joined([held[0], kept]).in_order()
            elif held is not None:
                new.append(self.writer.put_block(*held))
            held = kept, block.last if whole else piece.last
            if not whole and (read >= budget or not has_time()):
                break
        proof.rows += seen_rows
        behind = [*ledger.blocks[place + 1 :]]
        rest = known.take(~claimed)
        if whole:
            corrected.append(self._gone(rest, ledger.runs, proof))
        if held is not None and not new and held[0].equals(known):
            new.append(block.model_copy(update={"last": held[1]}))
        elif held is not None and whole and not new and behind and len(held[0]) < few:
            behind[0] = self._joined(held[0], behind[0])
        elif held is not None:
            new.append(self.writer.put_block(*held))
        after = place + len(new)
        if not whole and behind and len(rest) < few:
            behind[0] = self._joined(rest, behind[0])
        elif not whole:
            new.append(self.writer.put_block(rest, block.last))
        runs = [*ledger.runs]
        if len(entries := Entries.joined(corrected).in_order()):
            runs.append(self.writer.put_run(entries, ledger.round))
        blocks = [*ledger.blocks[:place], *new, *behind]
        return ledger.model_copy(update={"blocks": blocks, "runs": runs, "next": after}), read

    def _joined(self, few: Entries, behind: LedgerBlock) -> LedgerBlock:
        """Put entries into the next block, whose range then begins where theirs did."""
        if not len(few):
            return behind
        return self.writer.put_block(Entries.joined([few, self._load(behind.key)]).in_order(), behind.last)

    def _expected(
        self, entries: Entries, known: Entries, claimed: NDArray[np.bool_], runs: Sequence[LedgerRun]
    ) -> tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Return the digest that was delivered last of each key, whether there is one, and whether a run has the key.

        Claim those of the block.
        """
        expected = np.zeros_like(entries.digests)
        places = known.find(entries.keys)
        found = places >= 0
        expected[found] = known.digests[places[found]]
        claimed[places[found]] = True
        later, in_runs = self._in_runs(entries.keys, runs)
        expected[in_runs] = later.digests[in_runs]
        return expected, found | in_runs, in_runs

    def _in_runs(self, keys: Keys, runs: Sequence[LedgerRun]) -> tuple[Entries, NDArray[np.bool_]]:
        """Return what the newest run that has a key says of it, and which keys a run has."""
        digests = np.zeros_like(keys)
        in_runs = np.zeros(len(keys), np.bool_)
        for run in runs if len(keys) else ():
            entries = self._load(run.key, cached=True)
            places = entries.find(keys)
            there = places >= 0
            digests[there] = entries.digests[places[there]]
            in_runs |= there
        return Entries(keys, digests), in_runs

    def _gone(self, unclaimed: Entries, runs: Sequence[LedgerRun], proof: Proof) -> Entries:
        """Count the keys that are gone; return those that a run has, so that it does not count them again."""
        later, in_runs = self._in_runs(unclaimed.keys, runs)
        gone = ~(in_runs & later.gone)
        proof.gone += int(gone.sum()) if self.counts_gone else 0
        return Entries.without_row(unclaimed.keys[gone & in_runs])

    def _end_round(self, ledger: Ledger, proof: Proof) -> Ledger:
        """Drop the runs of earlier rounds: what is in them is in the blocks, or is gone."""
        old = [run for run in ledger.runs if run.round < ledger.round]
        if self.counts_gone and old:
            entries = Entries.joined([self._load(run.key) for run in old]).in_order()
            left = np.ones(len(entries), np.bool_)
            kept = [run.key for run in ledger.runs if run.round >= ledger.round]
            for key in (*(block.key for block in ledger.blocks), *kept):
                left &= ~contained(entries.keys, self._load(key).keys)
            left &= ~entries.gone
            proof.gone += int(left.sum())
        return ledger.model_copy(
            update={
                "runs": [run for run in ledger.runs if run.round >= ledger.round],
                "round": ledger.round + 1,
                "next": 0,
                "began": None,
                "whole_until": None if ledger.is_learnt else ledger.began,
            }
        )

    # --- reading ---

    def _pieces(self, after: list[str] | None, up_to: list[str] | None, rows: int) -> Iterator[_Piece]:
        """Read a range of keys: so many rows by the first statement, and then about `BLOCK_BYTES` by each."""
        condition = "TRUE"
        if up_to is not None:
            condition = not_beyond(self.key, [bytes.fromhex(value) for value in up_to])
        condition = self.selection.accepting(condition)
        while True:
            position = None if after is None else [bytes.fromhex(value) for value in after]
            segment = Segment(condition, tuple(self.key))
            rows = min(max(rows, FEWEST_ROWS), MOST_ROWS)
            sql = select_page(self.table.name, self.selection.select, segment, position=position, rows=rows)
            piece = self._piece(sql, rows)
            yield piece
            if piece.ends:
                return
            after = piece.last
            rows = min(BLOCK_BYTES * len(piece.entries) // max(piece.bytes, 1), 16 * rows)

    def _piece(self, sql: str, most: int) -> _Piece:
        columns = len(self.selection.output)
        positions = [self.selection.select.index(column) for column in self.key]
        parts: list[Entries] = []
        beyond: list[NDArray[np.bool_]] = []
        size, last = 0, None
        for rows in self._rows(sql):
            parts.append(Entries(keys_of(rows, positions), digests_of(rows, columns)))
            beyond.append(self._beyond(rows))
            if self.ahead is not None:
                self.ahead.take(rows, _nowhere)
            size += rows.payload_bytes
            last = [(rows.value(rows.rows - 1, position) or b"").hex() for position in positions]
        entries = Entries.joined(parts)
        later = np.concatenate(beyond) if beyond else np.zeros(0, np.bool_)
        return _Piece(sql, entries, later, size, last, len(entries) < most)

    def _rows(self, sql: str) -> Iterator[Rows]:
        read = 0
        with query(self.connection, sql, table=self.table.name) as result:
            for block in result:
                read += block.rows
                if block.rows:
                    yield self.selection.as_written(block)
        sent = int(self.connection.row("SELECT FOUND_ROWS() AS sent")["sent"])
        if sent != read:
            raise RowCountError(f"the server sent {sent} rows of table {self.table.name!r}, and {read} were read")

    def _beyond(self, rows: Rows) -> NDArray[np.bool_]:
        beyond = np.zeros(rows.rows, np.bool_)
        if self.bounds is None:
            return beyond
        for position, bound in zip(self.selection.cursor_positions, self.bounds, strict=True):
            beyond |= rows.texts(position, STAMP_WIDTH) > bound.encode()
        return beyond

    def _heal(self, piece: _Piece, keys: NDArray[np.uint64], proof: Proof) -> None:
        """Deliver rows again: read once more, in the same snapshot, since nobody keeps the rows of a whole piece."""
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        wanted = keys[order]
        positions = [self.selection.select.index(column) for column in self.key]
        for block in self._rows(piece.sql):
            rows: Rows = block.keep(contained(keys_of(block, positions), wanted))
            if not rows.rows:
                continue
            for row in range(min(rows.rows, SAMPLES - len(proof.samples))):
                shown = [(rows.value(row, place) or b"").decode(errors="replace") for place in positions]
                proof.samples.append(", ".join(shown))
            for stage in self.stages:
                rows = stage.take(rows, _nowhere)
            proof.healed += rows.rows

    def _load(self, key: str, *, cached: bool = False) -> Entries:
        if not key:
            return Entries.none()
        if key in self._cache:
            return self._cache[key]
        stored = self.store.get(key)
        if stored is None:
            raise StoredBytesError(f"{key} is gone, and with it what was delivered of table {self.table.name!r}")
        entries = Entries.unpack(stored.body)
        if cached and sum(map(len, self._cache.values())) + len(entries) <= MOST_CACHED:
            self._cache[key] = entries
        return entries


def _nowhere(_rows: Rows, _row: int) -> Position:
    """Return a position for rows that no read is resumed after."""
    return Position()
