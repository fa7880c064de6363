"""A table's ledger from one commit to the next: whether there is one, and how it continues."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rds_to_s3.commit.read_as import FEW_HEALED, Ledger, LedgerBlock, Position, Proof
from rds_to_s3.commit.state import Commit, Staged
from rds_to_s3.errors import NoKeyError
from rds_to_s3.extract.proof.entries import Entries
from rds_to_s3.extract.proof.pieces import PieceReader
from rds_to_s3.extract.proof.prove import MOST_LATER, Prover
from rds_to_s3.extract.proof.recording import LedgerWriter, Recording
from rds_to_s3.extract.scope.prepared_read import PreparedRead
from rds_to_s3.extract.stages.deletes import DeleteTracking
from rds_to_s3.extract.stages.stage import Checkpoint, Stage
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.s3.objects import ObjectStore


def wants_proof(spec: TableSpec) -> bool:
    """Return whether the settings ask for a proof."""
    return spec.mode == "compare" or (spec.mode == "incremental" and spec.prove_bytes > 0)


def why_off(spec: TableSpec, table: Table, prepared: PreparedRead) -> str | None:
    """Return why a table is not proved although its settings ask for it and its key has an order; or None."""
    if not wants_proof(spec) or not table.ordered_key:
        return None
    if not prepared.key:
        return "its key has a TIMESTAMP, and in the server's time zone an hour occurs twice. Set that zone to +00:00"
    if spec.deletes == "track" and prepared.selection.key_columns(table) != prepared.selection.identity(table):
        # Deletes are recorded by the key's text, and the ledger by its stored bytes: the two do not match.
        return (
            "its deletes are tracked, and a character set of its key has several codes for one character. Set "
            '"deletes": "ignore"'
        )
    return None


@dataclass(frozen=True)
class Proving:
    """One invocation's dealings with a table's ledger.

    Parameters
    ----------
    spec : TableSpec
    store : ObjectStore
    table : Table
    prepared : PreparedRead
    writer : LedgerWriter
    """

    spec: TableSpec
    store: ObjectStore
    table: Table
    prepared: PreparedRead
    writer: LedgerWriter

    @classmethod
    def of(
        cls, spec: TableSpec, store: ObjectStore, table: Table, prepared: PreparedRead, token: str
    ) -> Proving | None:
        """Return None where nothing is proved: the settings say so, or the table has no key that serves.

        Raises
        ------
        NoKeyError
            The mode ``compare`` is impossible.
        """
        if not wants_proof(spec) or not prepared.key:
            return None
        if (reason := why_off(spec, table, prepared)) is not None:
            if spec.mode == "compare":
                raise NoKeyError(f'table {spec.name!r} cannot be compared: {reason}, or "mode": "full"')
            return None
        return cls(spec, store, table, prepared, LedgerWriter(spec, store, token))

    @property
    def _until(self) -> str:
        return str(self.prepared.window.as_entry().until)

    def stage(self) -> Stage:
        """Return the stage that records what is delivered."""
        selection = self.prepared.selection
        return Recording(
            self.writer,
            selection.positions(selection.identity(self.table)),
            len(selection.output),
            in_blocks=self.prepared.is_whole,
        )

    def continued(self, last: Commit | None, staged: Staged) -> tuple[Ledger | None, list[str]]:
        """Return the ledger with what this window has delivered, and warnings."""
        columns = [column.name for column in self.prepared.selection.columns]
        key = self.prepared.ledger_key
        if self.prepared.is_whole:
            blocks = [*staged.recorded.blocks] or [LedgerBlock(key="", rows=0, last=None)]
            blocks[-1] = blocks[-1].model_copy(update={"last": None})
            # Delivered as it is in the table, which proves as much as a round of comparisons does.
            return Ledger(columns=columns, key=key, blocks=blocks, round=1, whole_until=self._until), []
        before, warnings = self.prepared.ledger, []
        if before is None:
            before = Ledger(columns=columns, key=key)
            warnings = [_begins_again(self.spec.name, last.ledger if last is not None else None, key)]
        new = [run.model_copy(update={"round": before.round}) for run in staged.recorded.runs]
        ledger = before.model_copy(update={"runs": [*before.runs, *new]})
        if sum(run.rows for run in ledger.runs) > MOST_LATER:
            return None, [
                f"the proof is off: more than {MOST_LATER:,} rows have changed since the last round of it began. Raise "
                "prove_bytes so that a round takes fewer runs"
            ]
        return ledger, warnings

    def prove(
        self,
        connection: Connection,
        ledger: Ledger,
        staged: Staged,
        bounds: Sequence[str],
        stages: Sequence[Stage],
        *,
        ahead: Stage,
        has_time: Callable[[], bool],
    ) -> tuple[Ledger, Proof, bool]:
        """Compare the next slice, or in the mode ``compare`` all of the table. Deliver what differs through `stages`.

        Returns
        -------
        ledger : Ledger
        proof : Proof
        finished : bool
            False if there was no time to compare all of it.
        """
        if self.prepared.is_whole:
            return ledger, Proof(whole_until=ledger.whole_until), True
        compares = self.spec.mode == "compare"
        proof = staged.proof or Proof()
        prover = Prover(
            PieceReader(
                connection,
                self.table.name,
                self.prepared.selection,
                self.prepared.key,
                self.prepared.selection.identity(self.table),
                bounds=None if compares else bounds,
                ahead=ahead if compares else None,
            ),
            self.store,
            self.writer,
            stages,
            counts_gone=self.spec.deletes != "track",
        )
        budget = math.inf if compares else self.spec.prove_bytes
        if compares:
            # Also where a table that was read by windows has a round half done.
            ledger = staged.proving or ledger.model_copy(update={"next": 0, "began": None})
        ledger = prover.run(ledger, self._until, proof, budget=budget, has_time=has_time)
        position = Position(segment=len(self.prepared.segments))
        for stage in [*([ahead] if compares else []), *stages]:
            stage.close(position)
            stage.checkpoint(Checkpoint(staged, finished=True))
        return ledger, proof, not compares or ledger.began is None

    def without(self, ledger: Ledger, deletes: DeleteTracking) -> Ledger:
        """Return the ledger after deletes were reported: a row that comes back has not been delivered."""
        if not deletes.reported:
            return ledger
        gone = Entries.without_row(np.concatenate(deletes.reported)).in_order()
        run = self.writer.put_run(gone, ledger.round)
        return ledger.model_copy(update={"runs": [*ledger.runs, run]})


def warnings_of(proof: Proof, spec: TableSpec) -> list[str]:
    """Return what the manifest says about rows that differed."""
    if proof.healed <= FEW_HEALED or spec.mode == "compare":
        return []
    return [
        f"{proof.healed} rows were not in the files as they are in the table, and have been delivered now (keys: "
        f"{'; '.join(proof.samples)}; ..). Something changes rows without their stamp, or stamps them in another zone "
        'or by a late clock: see "time_zone" and "lookback_seconds"'
    ]


def _begins_again(table: str, before: Ledger | None, key: str) -> str:
    if before is None:
        reason = "no earlier run has recorded what it delivered"
    elif before.key != key:
        reason = "the table's key has changed"
    else:
        reason = "columns were removed, or are in another order"
    return (
        f"the proof of this table begins: {reason}. The rows that are there now are taken as delivered; what differs "
        f"from now on is found. To prove the whole table: rds-to-s3 rewind {table} --all"
    )
