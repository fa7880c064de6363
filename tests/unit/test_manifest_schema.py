"""The published JSON Schema takes the contract's manifest and refuses what the contract rules out."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import rds_to_s3
from rds_to_s3_ops.manifest_schema import schema_text

TEXT = (Path(rds_to_s3.__file__).parent / "schemas" / "manifest-v1.schema.json").read_text(encoding="utf-8")
SCHEMA = json.loads(TEXT)
Manifest = dict[str, Any]

FILE = {"key": "t/quarantine/t_quarantine_20250402_120000.csv", "rows": 1, "bytes": 9, "sha256": "0" * 64}
DRIFT = {"change": "widened", "column": "id", "from": "int", "to": "bigint"}
FAILED_RUN: Manifest = {
    "version": 1,
    "run_id": "run-1",
    "execution_arn": "arn:aws:states:eu-central-1:123456789012:execution:extract-tables:run-1",
    "status": "FAILED",
    "started_at": "2025-04-02T12:00:03Z",
    "finished_at": "2025-04-02T12:00:09.25Z",
    "redrives": 0,
    "window_end": "2025-04-02 12:00:00.000000",
    "totals": {"tables": 3, "succeeded": 2, "failed": 1, "rows": 35, "files": 1, "bytes": 4096},
    "tables": [
        {
            "table": "orders",
            "status": "SUCCEEDED",
            "rows": 35,
            "source_rows": 35,
            "window": {"after": None, "until": "2025-04-02 12:00:00.000000"},
            "format": "csv",
            "attempts": 1,
            "seconds": 0.42,
            "files": [
                {"key": "orders/csv/orders_data_20250402_120000.csv", "rows": 35, "bytes": 4096, "sha256": "0a" * 32}
            ],
            "columns": [{"name": "orders_id", "type": "bigint unsigned", "nullable": False}],
            "warnings": ["2 rows have neither timestamp"],
            "error": None,
        },
    ],
}
_NOTHING = {"rows": 0, "source_rows": 0, "files": [], "columns": [], "warnings": []}
FAILED_RUN["tables"] += [
    FAILED_RUN["tables"][0] | _NOTHING | {"table": "menu", "status": "UNCHANGED"},
    FAILED_RUN["tables"][0]
    | _NOTHING
    | {"table": "gone", "status": "FAILED", "error": {"type": "TableNotFoundError", "message": "create it"}},
]


def errors(change: Callable[[Manifest], object]) -> list[str]:
    manifest = copy.deepcopy(FAILED_RUN)
    change(manifest)
    return [error.json_path for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(manifest)]


def test_the_file_is_what_the_model_says() -> None:
    assert schema_text() == TEXT, "write it anew: PYTHONPATH=functions:ops python -m rds_to_s3_ops.manifest_schema"


def test_the_schema_is_itself_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_contracts_manifest_is_valid() -> None:
    assert errors(lambda manifest: None) == []


def test_a_run_that_could_not_be_planned_has_a_manifest_too() -> None:
    unplanned: Manifest = {
        "window_end": None,
        "tables": [],
        "error": {"type": "TableListError", "message": "tables.0: not a name"},
    }
    assert errors(lambda manifest: manifest.update(unplanned)) == []


def test_the_optional_members_are_known() -> None:
    def add(manifest: Manifest) -> None:
        manifest["warnings"] = ["no PROCESS privilege"]
        manifest["bound"] = {
            "decided_by": "oldest transaction",
            "server_now": "2025-04-02 12:00:02",
            "settle_seconds": 2,
            "zone": "UTC",
        }
        manifest["error"] = None
        manifest["tables"][0] |= {"quarantined_rows": 1, "drift": [DRIFT], "quarantine": [FILE], "invocations": 3}

    assert errors(add) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda manifest: manifest.update(version=2), "$.version"),
        (lambda manifest: manifest.update(status="DONE"), "$.status"),
        (lambda manifest: manifest.update(started_at="2025-04-02 12:00:03"), "$.started_at"),
        (lambda manifest: manifest.update(window_end="2025-04-02T12:00:00Z"), "$.window_end"),
        (lambda manifest: manifest.pop("totals"), "$"),
        (lambda manifest: manifest["tables"][0].pop("source_rows"), "$.tables[0]"),
        (lambda manifest: manifest["tables"][0]["files"][0].update(sha256="beef"), "$.tables[0].files[0].sha256"),
        (lambda manifest: manifest["tables"][1].update(rows=1), "$.tables[1].rows"),
        (lambda manifest: manifest["tables"][2].update(error=None), "$.tables[2].error"),
        (lambda manifest: manifest["totals"].update(rows=-1), "$.totals.rows"),
    ],
)
def test_what_the_contract_rules_out_is_refused(change: Callable[[Manifest], object], path: str) -> None:
    assert errors(change) == [path]


def test_a_run_with_a_failed_table_cannot_have_succeeded() -> None:
    assert "$.totals.failed" in errors(lambda manifest: manifest.update(status="SUCCEEDED"))
