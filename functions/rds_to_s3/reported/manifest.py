"""The manifest of a run: ``runs/{run_id}/manifest.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from rds_to_s3.commit.entries import FILE_KINDS, Count, Document, ErrorEntry, Name, Seconds, TableEntry, Timestamp

Instant = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$"})
]


class Totals(Document):
    """A manifest's sums."""

    tables: Count
    succeeded: Count
    failed: Count
    rows: Count
    files: Count
    bytes: Count

    @classmethod
    def of(cls, tables: Sequence[TableEntry]) -> Totals:
        """Add tables up."""
        failed = sum(table.status == "FAILED" for table in tables)
        return cls(
            tables=len(tables),
            succeeded=len(tables) - failed,
            failed=failed,
            rows=sum(table.rows for table in tables),
            files=sum(len(table.files) for table in tables),
            bytes=sum(table.bytes for table in tables),
        )


class BoundEntry(Document):
    """What the window's end was derived from."""

    decided_by: str = Field(description="What held the window's end back furthest.")
    server_now: Timestamp = ""
    settle_seconds: Seconds = 0.0


class TableListEntry(Document):
    """The object that the table list was read from."""

    from_: Name = Field(alias="from", description="s3://<data bucket>/<key>.")
    version: Name = Field(description="S3's version id; the ETag in a bucket without versions.")


class CostEntry(Document):
    """What the run has cost at least, from what is known at its end."""

    gb_seconds: Seconds = Field(description="Of ExtractTable: seconds by GB of memory.")
    requests: Count = Field(description="Invocations of the four functions.")
    transitions: Count = Field(description="Of the state machine, those of redrives included.")
    amount: Annotated[float, WithJsonSchema({"type": "number", "minimum": 0})]
    currency: Name
    prices_as_of: Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"})]
    prices_of: Name = Field(description="The region whose prices they are.")


class RunSummary(Document):
    """A run's figures, as they are kept from run to run for the trend."""

    run_id: Name = Field(description="The execution's name.")
    status: Literal["SUCCEEDED", "FAILED"] = Field(description="FAILED when a table failed or there is no plan.")
    started_at: Instant = Field(description="When the execution started.")
    finished_at: Instant = Field(description="When this manifest was written.")
    redrives: Count = 0
    totals: Totals


_FAILS_IF_SOMETHING_DID: dict[str, Any] = {
    "description": "A run is FAILED if, and only if, a table failed or the plan did.",
    "if": {"properties": {"status": {"const": "SUCCEEDED"}}},
    "then": {
        "properties": {
            "window_end": {"type": "string"},
            "error": {"type": "null"},
            "totals": {"properties": {"failed": {"const": 0}}},
            "tables": {"items": {"properties": {"status": {"not": {"const": "FAILED"}}}}},
        }
    },
}


class Manifest(RunSummary):
    """What one run did, in runs/{run_id}/manifest.json.

    Later versions of rds-to-s3 may add optional members; none is removed or changes its meaning within version 1.
    """

    model_config = ConfigDict(json_schema_extra={"allOf": [_FAILS_IF_SOMETHING_DID]})

    redrives: Count = Field(description="How often the execution had been redriven.")
    version: Literal[1]
    execution_arn: Annotated[str, WithJsonSchema({"type": "string", "pattern": "^arn:"})]
    window_end: Timestamp | None = Field(description="The upper bound of every window, on the database's clock.")
    warnings: list[str] = Field([], description="What concerns the whole run.")
    bound: BoundEntry | None = Field(None, description="Null or absent when the run could not be planned.")
    table_list: TableListEntry | None = Field(None, description="Absent where the SSM parameter itself holds the list.")
    error: ErrorEntry | None = Field(
        None, description="Why the run could not be planned; null or absent when it could."
    )
    cost: CostEntry | None = Field(
        None, description="Lambda and Step Functions only; S3's requests, logs and network are not known here."
    )
    tables: list[TableEntry]

    @property
    def keys(self) -> set[str]:
        """The keys of all files that it names."""
        return {key for table in self.tables for key in table.keys}

    @property
    def failed(self) -> list[TableEntry]:
        """The tables that failed."""
        return [table for table in self.tables if table.status == "FAILED"]

    @property
    def summary(self) -> RunSummary:
        """What the trend needs of it."""
        return RunSummary(**self.model_dump(include=set(RunSummary.model_fields)))

    def table(self, name: str) -> TableEntry | None:
        """Return a table's entry; None where the run had no such table."""
        return next((table for table in self.tables if table.table == name), None)


def keys_in(body: bytes) -> set[str]:
    """Return the keys of all files that a manifest names, without its model.

    Each table of a run asks the manifest of the run before: with a thousand tables, the model would take minutes.
    """
    tables = json.loads(body)["tables"]
    return {file["key"] for table in tables for kind in FILE_KINDS for file in table.get(kind, ())}
