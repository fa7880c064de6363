"""What one invocation reads of its table, and the commit that follows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from rds_to_s3.commit.entries import ColumnEntry, TableEntry
from rds_to_s3.commit.opening import Opened
from rds_to_s3.commit.read_as import Ledger, Proof
from rds_to_s3.commit.state import Commit, KeyRun, Staged, StagedFile
from rds_to_s3.extract.checkpointed_read import Reading
from rds_to_s3.extract.proof.ledgers import Proving
from rds_to_s3.extract.scope.prepared_read import PreparedRead
from rds_to_s3.extract.scope.written import as_stored
from rds_to_s3.extract.stages.deletes import DeleteTracking
from rds_to_s3.extract.stages.delivered_ahead import committed_tail
from rds_to_s3.extract.stages.table_checks import TableChecks
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.reported.record import committed_record, joined_record
from rds_to_s3.reported.unreported import Outstanding
from rds_to_s3.timestamps import format_timestamp
from rds_to_s3.wording import counted


@dataclass
class Work:
    """What one invocation reads in its snapshot, and its results.

    Attributes
    ----------
    deletes : DeleteTracking or None
        None where deletes are not tracked.
    leaves_out : bool
        Whether the last commit names rows of this window that it delivered.
    proving : Proving or None
        None where nothing is proved.
    """

    connection: Connection
    opened: Opened
    table: Table
    prepared: PreparedRead
    staged: Staged
    checks: TableChecks
    deletes: DeleteTracking | None
    warnings: list[str]
    deleted: list[StagedFile] = field(default_factory=list)
    key_runs: list[KeyRun] = field(default_factory=list)
    proving: Proving | None = None
    leaves_out: bool = False
    ledger: Ledger | None = None
    proof: Proof | None = None

    @property
    def reading(self) -> Reading:
        return Reading(self.table, self.prepared.selection, self.prepared.window, self.prepared.segments)

    def commit(
        self,
        run: PlannedRun,
        spec: TableSpec,
        token: str,
        blank: TableEntry,
        outstanding: Outstanding,
        *,
        other: Commit | None,
    ) -> Commit:
        """Return the decision.

        Parameters
        ----------
        blank : TableEntry
            The table's entry in the manifest, without the results of the read.
        outstanding : Outstanding
            The earlier commits that it has to report as well.
        other : Commit or None
            The last commit in the table's other format.
        """
        staged, selection, window = self.staged, self.prepared.selection, self.prepared.window
        last = self.opened.last
        columns = [as_stored(column, selection.masked) for column in selection.columns]
        record = committed_record(
            blank,
            spec,
            window.as_entry(),
            staged,
            deleted=self.deleted if self.deletes is not None else None,
            columns=[
                ColumnEntry(name=column.name, type=column.column_type, nullable=column.nullable)
                for column in selection.output
            ],
            key=selection.key_of(self.table),
            proof=self.proof.as_entry() if self.proof is not None else None,
            warnings=[
                *self.warnings,
                *staged.warnings,
                *(f"{counted(values, 'value')} {what}" for what, values in staged.inexact.items()),
                *self.checks.warnings(staged),
                *(self.deletes.warnings if self.deletes is not None else []),
                *outstanding.warnings(),
            ],
            sequence=next_sequence(last, other),
        )
        record = joined_record(record, [each.record for each in outstanding.taken])
        bare: dict[str, Any] = {"files": [], "quarantine": [], "deletes": [], "previous": None}
        return Commit(
            run_id=run.run_id,
            token=token,
            planned_at=run.planned_at,
            server_utc=run.server_utc,
            source=staged.source,
            seen_until=staged.seen_until,
            clock_lead=run.bound.get("clock_lead"),
            watermark=window.until.text,
            watermark_before=self.opened.etag,
            read_from=format_timestamp(window.remember_from),
            files=staged.written.files,
            quarantine=staged.checked.quarantine,
            deletes=self.deleted,
            key_runs=self.key_runs,
            key_columns=self.deletes.key_columns if self.deletes is not None else None,
            tail=committed_tail(staged),
            ledger=self.ledger,
            columns=columns,
            read_as=self.prepared.read_as,
            settled=staged.settled,
            table_columns=[as_stored(column, selection.masked) for column in self.table.columns],
            record=record,
            unreported=outstanding.carried,
            previous=last.model_copy(update=bare).model_dump() if last else None,
        )


def next_sequence(*before: Commit | None) -> int:
    """Return a commit's place among the commits of its table.

    Greater than those before, and at least the time in milliseconds: if the state is lost, the order goes on.
    """
    return max([int(time.time() * 1000), *(commit.record.sequence + 1 for commit in before if commit is not None)])
