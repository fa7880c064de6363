"""Runs and their reports, for the tests of the report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree

from rds_to_s3.manifest.report import render_report
from rds_to_s3.reported.manifest import Manifest, RunSummary

Element = ElementTree.Element
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\x00\x1b\ud800"


def table(name: str, status: str = "SUCCEEDED", **members: Any) -> dict[str, Any]:
    wrote = status == "SUCCEEDED"
    key = f"{name}/csv/{name}_data_20250402_115956.csv"
    return {
        "table": name,
        "status": status,
        "rows": 20 if wrote else 0,
        "source_rows": 20 if wrote else 0,
        "window": {"after": "2025-04-02 08:00:00", "until": "2025-04-02 11:59:56"},
        "format": "csv",
        "attempts": 1,
        "seconds": 0.5,
        "files": [{"key": key, "rows": 20, "bytes": 4096, "sha256": "0" * 64}] if wrote else [],
        "columns": [],
        "warnings": [],
        "error": {"type": "DatabaseAccessError", "message": "GRANT SELECT first"} if status == "FAILED" else None,
        **members,
    }


def manifest(*tables: dict[str, Any], run_id: str = "run-1", hour: int = 12, **members: Any) -> dict[str, Any]:
    failed = sum(entry["status"] == "FAILED" for entry in tables)
    return {
        "version": 1,
        "run_id": run_id,
        "execution_arn": "arn:aws:states:eu-west-1:123456789012:execution:extract:run-1",
        "status": "FAILED" if failed else "SUCCEEDED",
        "started_at": f"2025-04-02T{hour:02}:00:00.000Z",
        "finished_at": f"2025-04-02T{hour:02}:00:05.000Z",
        "redrives": 0,
        "window_end": "2025-04-02 11:59:56",
        "totals": {
            "tables": len(tables),
            "succeeded": len(tables) - failed,
            "failed": failed,
            "rows": sum(entry["rows"] for entry in tables),
            "files": sum(len(entry["files"]) for entry in tables),
            "bytes": 4096 * sum(len(entry["files"]) for entry in tables),
        },
        "tables": list(tables),
        "warnings": [],
        "error": None,
        **members,
    }


def parsed(run: dict[str, Any] | Manifest, previous: Iterable[Any] = (), **options: Any) -> Element:
    earlier = [each if isinstance(each, RunSummary) else Manifest.model_validate(each) for each in previous]
    return ElementTree.fromstring(render_report(Manifest.model_validate(run), earlier, **options).encode())


def summary_of(run: dict[str, Any]) -> RunSummary:
    return Manifest.model_validate(run).summary


def said(element: Element | None) -> str:
    assert element is not None
    return " ".join("".join(element.itertext()).split())


def section(page: Element, name: str) -> Element | None:
    return page.find(f".//section[@aria-labelledby='{name}']")


def section_text(page: Element, name: str) -> str:
    return said(section(page, name))


def side_file(name: str, kind: str, rows: int, size: int = 9) -> dict[str, Any]:
    return {"key": f"{name}/{kind}/{name}_{kind}.csv", "rows": rows, "bytes": size, "sha256": "0" * 64}


WITH_ASIDES = table(
    "orders",
    quarantined_rows=1200,
    quarantine=[side_file("orders", "quarantine", 1000, 51_200), side_file("orders", "quarantine", 200)],
    deleted_rows=1,
    deletes=[side_file("orders", "deletes", 1)],
)
ALL_KINDS = manifest(
    table("menu"),
    table("orders", "FAILED", attempts=3),
    table("location", "UNCHANGED"),
    table("delivery", "SKIPPED", warnings=["run-0 holds this table"]),
)
HEALED = manifest(
    table("menu", proof={"rows": 20, "healed": 0, "gone": 0, "whole_until": "2025-04-02 11:59:56"}),
    table("orders", proof={"rows": 1500, "healed": 12, "gone": 3, "whole_until": None}),
    table("log"),
)
PLAN_FAILED = manifest(status="FAILED", window_end=None, error={"type": "TableListError", "message": "not JSON"})
