"""Seventy tables at three in the morning: ordinary names and awkward ones, three of them failed."""

from __future__ import annotations

from typing import Any

from rds_to_s3.reported.manifest import Manifest
from rds_to_s3_ops.runs.progress import TableProgress, TableState
from tests.support.manifests import entry_json, manifest

RUN = "run-20250402-120000-k3x9"
SCHEDULED = "3f1c9e52-7a80-4c1d-9b7e-0d2f6a4b8c11_6c0b7a1d-52f4-4f8e-a7c3-9e1d2b3c4d5f"  # as the scheduler names runs
AFTER, UNTIL = "2025-04-02 07:59:57.000000", "2025-04-02 11:59:56.000000"

LONGEST = "warehouse_replenishment_orders_with_a_name_as_long_as_they_can_be"[:64]
WIDE = "注文明細表" * 12 + "注文明細"
AWKWARD = [
    LONGEST,
    WIDE,
    "order items (old)",
    "tab`le",
    "cafe\u0301_menü",
    "הזמנות",
    "a\x1b[2Jb",
    "-rf",
    "[bold]x[/bold]",
]
SUBJECTS = ("customer", "order", "delivery", "menu", "invoice", "courier", "review")
PARTS = ("", "_item", "_address", "_event", "_history", "_note", "_status", "_tag", "_price")
ORDINARY = [f"{subject}{part}" for part in PARTS for subject in SUBJECTS]
NAMES = [*ORDINARY, *AWKWARD][-70:]

_DENIED = "the user 'extractor' may not read `{0}`. Grant it:\nGRANT SELECT ON `food`.`{0}` TO 'extractor'@'%';"
_LOST = (
    "the connection to the server was lost after 1,204,331 rows, and the four further attempts did not reach it: "
    "connect to 10.0.3.17:3306 timed out after 10 s. Check the server, its security group and its events in the console"
)
ERRORS = {
    "delivery_event": ("DatabaseAccessError", _DENIED.format("delivery_event")),
    LONGEST: ("ReadInterruptedError", _LOST),
    WIDE: ("DatabaseAccessError", _DENIED.format(WIDE)),
}
WARNING = "3 rows have neither a created nor a modified date: no incremental run can see them"
WARNED = ("invoice_note", "review_tag")


def many_tables(names: list[str] = NAMES, *, run_id: str = RUN, **members: Any) -> Manifest:
    """Return the manifest of a run of many tables."""
    entries = [_entry(number, name) for number, name in enumerate(names)]
    failed = sum(entry["status"] == "FAILED" for entry in entries)
    totals = {
        "tables": len(entries), "succeeded": len(entries) - failed, "failed": failed,
        "rows": sum(entry["rows"] for entry in entries), "files": sum(len(entry["files"]) for entry in entries),
        "bytes": sum(file["bytes"] for entry in entries for file in entry["files"]),
    }  # fmt: skip
    return manifest(
        *entries,
        run_id=run_id,
        **{"status": "FAILED" if failed else "SUCCEEDED", "window_end": UNTIL, "totals": totals} | members,
    )


def _entry(number: int, name: str) -> dict[str, Any]:
    told: dict[str, Any] = {"window": {"after": AFTER, "until": UNTIL}, "seconds": 0.4 + number / 10}
    if name in ERRORS:
        kind, message = ERRORS[name]
        return entry_json(name, "FAILED", error={"type": kind, "message": message}, attempts=5, **told)
    told["warnings"] = [WARNING] if name in WARNED else []
    if number % 3 == 0 and name not in WARNED:
        return entry_json(name, "UNCHANGED", **told)
    rows = 1_000 + 7_919 * number
    file = {"key": f"{name}/csv/{name}_data_20250402_115956.csv", "rows": rows, "bytes": 131 * rows, "sha256": "0" * 64}
    return entry_json(name, rows=rows, source_rows=rows, files=[file], **told)


def many_at_work() -> list[TableProgress]:
    """Return the tables of the same run while it is running."""
    tables = []
    for number, name in enumerate(NAMES):
        if name in ERRORS:
            table = TableProgress(name, TableState.FAILED, seconds=3.0, attempts=5, note=": ".join(ERRORS[name]))
        elif name == "courier_price":
            note = "ReadInterruptedError: the connection was lost"
            table = TableProgress(
                name, TableState.RETRYING, seconds=41.0, attempts=2, note=note, retry="3 of 8 in 20 s"
            )
        elif name in {"order_item", WARNED[0], "הזמנות"}:
            table = TableProgress(name, TableState.RUNNING, 100_000 + number, 13_100_000 + number, 12.0, 1)
        elif number < 40:
            table = TableProgress(name, TableState.SUCCEEDED, 1_000 * number, 131_000 * number, 0.4, 1)
        else:
            table = TableProgress(name)
        tables.append(table)
    return tables
