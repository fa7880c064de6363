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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rds_to_s3.commit.read_as import Ledger, LedgerRun, Proof
from rds_to_s3.errors import StoredBytesError
from rds_to_s3.extract.proof.blocks import BlockRewrite
from rds_to_s3.extract.proof.entries import Entries
from rds_to_s3.extract.proof.pieces import FIRST_ROWS, Piece, PieceReader, nowhere
from rds_to_s3.extract.proof.recording import LedgerWriter
from rds_to_s3.extract.stages.stage import Stage
from rds_to_s3.formats import Rows
from rds_to_s3.rows.keys import Keys, contained, keys_of
from rds_to_s3.s3.objects import ObjectStore

MOST_CACHED = 1_000_000  # entries of runs in memory
MOST_LATER = 4_000_000  # entries of runs: more of them, and a round does not keep up with what changes
SAMPLES = 5


@dataclass(frozen=True)
class Prover:
    """One invocation's proof of one table.

    Parameters
    ----------
    stages : sequence of Stage
        What a row passes that is delivered again; the last one writes the files.
    counts_gone : bool
        Whether keys that are gone are counted here: where deletes are tracked, they are reported elsewhere.
    """

    reader: PieceReader
    store: ObjectStore
    writer: LedgerWriter
    stages: Sequence[Stage]
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
        for piece in self.reader.pieces(blocks[-1].last if blocks else None, None, FIRST_ROWS):
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
        """Compare the ledger's next block, or the beginning of it. Return the ledger, and how many bytes were read."""
        place = ledger.next
        block = ledger.blocks[place]
        rewrite = BlockRewrite(ledger, self.writer, self._load)
        claimed = np.zeros(len(rewrite.known), np.bool_)
        corrected: list[Entries] = []
        # A quarter more than it had: one statement, unless many rows have come.
        rows = block.rows + block.rows // 4
        for piece in self.reader.pieces(ledger.blocks[place - 1].last if place else None, block.last, rows):
            expected, found, in_runs = self._expected(piece.entries, rewrite.known, claimed, ledger.runs)
            differs = ~found | (expected != piece.entries.digests).any(axis=1)
            later = differs & piece.beyond
            differs &= ~later
            if differs.any():
                self._heal(piece, piece.entries.keys[differs], proof)
                corrected.append(piece.entries.take(differs & in_runs))
            seen = Entries(piece.entries.keys, np.where(later[:, None], expected, piece.entries.digests))
            rewrite.add(piece, seen.take(~later | found).in_order())
            if rewrite.bytes >= budget or not has_time():
                break
        proof.rows += rewrite.rows
        unread = rewrite.known.take(~claimed)
        if rewrite.ends:
            corrected.append(self._gone(unread, ledger.runs, proof))
        ledger = rewrite.finish(unread)
        if len(entries := Entries.joined(corrected).in_order()):
            run = self.writer.put_run(entries, ledger.round)
            ledger = ledger.model_copy(update={"runs": [*ledger.runs, run]})
        return ledger, rewrite.bytes

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

    # --- rows ---

    def _heal(self, piece: Piece, keys: NDArray[np.uint64], proof: Proof) -> None:
        """Deliver rows again: read once more, in the same snapshot, since nobody keeps the rows of a whole piece."""
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        wanted = keys[order]
        positions = self.reader.identity_positions
        for block in self.reader.rows(piece.sql):
            rows: Rows = block.keep(contained(keys_of(block, positions), wanted))
            if not rows.rows:
                continue
            for row in range(min(rows.rows, SAMPLES - len(proof.samples))):
                shown = [(rows.value(row, place) or b"").decode(errors="replace") for place in positions]
                proof.samples.append(", ".join(shown))
            for stage in self.stages:
                rows = stage.take(rows, nowhere)
            proof.healed += rows.rows

    def _load(self, key: str, *, cached: bool = False) -> Entries:
        if not key:
            return Entries.none()
        if key in self._cache:
            return self._cache[key]
        stored = self.store.get(key)
        if stored is None:
            raise StoredBytesError(f"{key} is gone, and with it what was delivered of table {self.reader.table!r}")
        entries = Entries.unpack(stored.body)
        if cached and sum(map(len, self._cache.values())) + len(entries) <= MOST_CACHED:
            self._cache[key] = entries
        return entries
