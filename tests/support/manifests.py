"""Whole manifests and entries, from the members that a test is about."""

from __future__ import annotations

from typing import Any

from rds_to_s3.commit.entries import TableEntry
from rds_to_s3.reported.manifest import Manifest

NOTHING = {"tables": 0, "succeeded": 0, "failed": 0, "rows": 0, "files": 0, "bytes": 0}


def entry_json(table: str = "orders", status: str = "SUCCEEDED", **members: Any) -> dict[str, Any]:
    """Return a table's entry as JSON has it."""
    return {
        "table": table,
        "status": status,
        "rows": 0,
        "source_rows": 0,
        "window": {"after": None, "until": "2025-04-02 12:00:00.000000"},
        "format": "csv",
        "attempts": 1,
        "seconds": 0.1,
        "files": [],
        "columns": [],
        "warnings": [],
        "error": None,
    } | members


def manifest_json(*tables: dict[str, Any], run_id: str = "run-1", **members: Any) -> dict[str, Any]:
    """Return a run's manifest as JSON has it."""
    return {
        "version": 1,
        "run_id": run_id,
        "execution_arn": f"arn:aws:states:eu-central-1:1:execution:m:{run_id}",
        "status": "SUCCEEDED",
        "started_at": "2025-04-02T12:00:00.000Z",
        "finished_at": "2025-04-02T12:00:09.000Z",
        "redrives": 0,
        "window_end": "2025-04-02 12:00:00.000000",
        "totals": NOTHING,
        "tables": list(tables),
    } | members


def entry(table: str = "orders", status: str = "SUCCEEDED", **members: Any) -> TableEntry:
    """Return a table's entry."""
    return TableEntry.model_validate(entry_json(table, status, **members))


def manifest(*tables: dict[str, Any], run_id: str = "run-1", **members: Any) -> Manifest:
    """Return a run's manifest."""
    return Manifest.model_validate(manifest_json(*tables, run_id=run_id, **members))
