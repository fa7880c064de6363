"""The JSON documents that the command reads, as their schema and docs/architecture.md describe them."""

from __future__ import annotations

from typing import Any, TypedDict


class Window(TypedDict):
    """What a table's extract covers: row versions stamped after `after`, up to `until` and a little beyond."""

    after: str | None
    until: str | None


class File(TypedDict, total=False):
    """One file in the bucket; `columns` only where they are not those of the table's entry."""

    columns: list[str]
    key: str
    rows: int
    bytes: int
    sha256: str


class Failure(TypedDict):
    """Why a table failed: an exception's class name, and a message that a person can act on."""

    type: str
    message: str


class TableRecord(TypedDict, total=False):
    """One table in a manifest, and in ``_state/runs/{run_id}/tables/{table}.json``."""

    table: str
    status: str
    rows: int
    source_rows: int
    window: Window | None
    format: str
    attempts: int
    seconds: float
    files: list[File]
    columns: list[dict[str, Any]]
    warnings: list[str]
    error: Failure | None
    quarantined_rows: int
    quarantine: list[File]
    deletes: list[File]
    superseded: list[File]
    mode: str
    redrive: int
    deleted_rows: int
    drift: list[dict[str, Any]]
    key: list[str]


class Totals(TypedDict):
    """A manifest's sums."""

    tables: int
    succeeded: int
    failed: int
    rows: int
    files: int
    bytes: int


class Manifest(TypedDict, total=False):
    """``runs/{run_id}/manifest.json``."""

    version: int
    run_id: str
    execution_arn: str
    status: str
    started_at: str
    finished_at: str
    redrives: int
    window_end: str | None
    totals: Totals
    tables: list[TableRecord]
    warnings: list[str]
    error: Failure | None


class PlannedTable(TypedDict):
    """One table of a plan; it holds more, which the command does not need."""

    table: str


class Plan(TypedDict, total=False):
    """``_state/runs/{run_id}/plan.json``."""

    run_id: str
    until: str
    tables: list[PlannedTable]
