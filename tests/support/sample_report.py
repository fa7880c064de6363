"""A run of everything that a report can show, for the tests in a browser and for the pictures in the docs."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from rds_to_s3.plan.execution import utc_text
from rds_to_s3.reported.manifest import RunSummary

RUN = "run-20250402-120000-k3x9"
BUCKET = "food-delivery-extracts"
REGION = "eu-west-1"
START = datetime(2025, 4, 2, 12, tzinfo=UTC)
REDRIVE = START + timedelta(days=1, hours=2)
AFTER, UNTIL = "2025-04-02 07:59:57", "2025-04-02 11:59:56"

# table: outcome, rows, work in seconds, its end in seconds after the run or its redrive began
_FIRST = {
    "location": ("UNCHANGED", 0, 0.4, 2.1),
    "customer": ("SUCCEEDED", 5_740, 2.6, 4.4),
    "restaurant": ("SUCCEEDED", 331, 1.4, 3.4),
    "delivery_agent": ("SKIPPED", 0, 0.1, 2.2),
    "customer_address": ("SUCCEEDED", 5_810, 3.6, 6.0),
    "menu": ("SUCCEEDED", 12_170, 5.2, 8.4),
}
_REDRIVEN = {
    "order_item": ("SUCCEEDED", 1_847_200, 6.3, 8.1),
    "delivery": ("SUCCEEDED", 98_115, 4.9, 6.8),
    "orders": ("FAILED", 0, 0.9, 2.7),
}
_DENIED = """\
the user 'extractor' may not read `orders`. Grant it:
GRANT SELECT ON `food`.`orders` TO 'extractor'@'%';"""


def sample_manifest() -> dict[str, Any]:
    """Return the manifest of a run that was redriven the day after, and still has a table that failed."""
    tables = [_table(name, START, *facts) for name, facts in _FIRST.items()]
    tables += [_table(name, REDRIVE, *facts) for name, facts in _REDRIVEN.items()]
    by_name = {table["table"]: table for table in tables}
    by_name["orders"] |= {"attempts": 5, "error": {"type": "DatabaseAccessError", "message": _DENIED}}
    by_name["order_item"]["attempts"] = 2
    by_name["delivery_agent"]["warnings"] = [
        "run-20250402-115500-m7q2 holds this table; it will be covered by that run"
    ]
    by_name["customer"] |= {
        "warnings": [
            "3 rows have neither a created nor a modified date: no incremental run can see them",
            "14 rows were not in the files as they are in the table, and have been delivered now (keys: 118; 119; ..)",
        ],
        "quarantined_rows": 42,
        "source_rows": 5_782,
        "quarantine": [_file("customer", "quarantine", "", 42, 6_180)],
    }
    for name in ("location", "restaurant", "customer_address", "menu"):
        by_name[name]["proof"] = _proof(240_000 if name == "menu" else 3 * by_name[name]["rows"] + 8, UNTIL)
    by_name["customer"]["proof"] = _proof(51_300, UNTIL, healed=14, gone=2)
    by_name["order_item"]["proof"] = _proof(412_600, None, healed=1)
    by_name["delivery"]["proof"] = _proof(347_900, "2025-04-01 15:59:57")
    by_name["menu"] |= {"deleted_rows": 17, "deletes": [_file("menu", "deletes", "", 17, 340)]}
    return {
        "version": 1,
        "run_id": RUN,
        "execution_arn": f"arn:aws:states:{REGION}:123456789012:execution:ExtractTables:{RUN}",
        "status": "FAILED",
        "started_at": utc_text(START),
        "finished_at": utc_text(REDRIVE + timedelta(seconds=9)),
        "redrives": 1,
        "window_end": UNTIL,
        "bound": {"decided_by": "transaction", "server_now": "2025-04-02 12:00:01.500000", "settle_seconds": 2},
        "totals": {
            "tables": len(tables),
            "succeeded": len(tables) - 1,
            "failed": 1,
            "rows": sum(table["rows"] for table in tables),
            "files": sum(len(table["files"]) for table in tables),
            "bytes": sum(file["bytes"] for table in tables for file in table["files"]),
        },
        "warnings": [
            "the database user may not see other sessions: the window ends 60 s earlier than it could; GRANT PROCESS"
        ],
        "error": None,
        "tables": tables,
    }


def earlier_runs() -> list[RunSummary]:
    """Return what is kept of the runs before it: some failed, one redriven."""
    runs = []
    for number in range(1, 24):
        start = START - timedelta(hours=4 * number)
        failed = number in {6, 13}
        redrives = int(number == 9)
        rows = 1_200_000 + 311_000 * (number * 7 % 5) - 470_000 * (start.hour < 8)
        end = start + timedelta(seconds=6 + rows / 160_000, days=redrives)
        runs.append(
            RunSummary.model_validate({
                "run_id": f"run-{start:%Y%m%d-%H%M%S}-{hashlib.sha256(str(number).encode()).hexdigest()[:4]}",
                "status": "FAILED" if failed else "SUCCEEDED",
                "started_at": utc_text(start),
                "finished_at": utc_text(end),
                "redrives": redrives,
                "totals": {
                    "tables": 9, "succeeded": 9 - failed, "failed": int(failed), "rows": rows, "files": 14,
                    "bytes": 131 * rows,
                },
            })
        )  # fmt: skip
    return runs


def _table(name: str, began: datetime, status: str, rows: int, seconds: float, end: float) -> dict[str, Any]:
    parts = min(rows // 250_000 + 1, 8) if rows else 0
    sizes = [rows // parts + (part < rows % parts) for part in range(parts)]
    suffixes = ["", *(f"_part{number:04}" for number in range(2, parts + 1))]
    return {
        "table": name,
        "status": status,
        "rows": rows,
        "source_rows": rows,
        "window": {"after": AFTER, "until": UNTIL},
        "format": "csv",
        "attempts": 1,
        "seconds": seconds,
        "files": [_file(name, "csv", suffix, size, 131 * size) for suffix, size in zip(suffixes, sizes, strict=False)],
        "columns": [],
        "warnings": [],
        "error": None,
        "finished_at": utc_text(began + timedelta(seconds=end)),
    }


def _proof(rows: int, whole_until: str | None, *, healed: int = 0, gone: int = 0) -> dict[str, Any]:
    return {"rows": rows, "healed": healed, "gone": gone, "whole_until": whole_until}


def _file(name: str, kind: str, suffix: str, rows: int, size: int) -> dict[str, Any]:
    what = "data" if kind == "csv" else kind
    key = f"{name}/{kind}/{name}_{what}_20250402_115956{suffix}.csv"
    return {"key": key, "rows": rows, "bytes": size, "sha256": hashlib.sha256(key.encode()).hexdigest()}
