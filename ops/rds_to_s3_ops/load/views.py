"""How `load` reports what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rds_to_s3_ops.load.loader import TableResult

_COUNTS = ("commits", "rows", "deleted_rows", "bytes")


def progress_line(table: str, commits: int, of: int) -> str:
    """Return the line after a transaction."""
    return f"{table}: {commits} of {of} commits"


def results_json(warehouse: str, target: str, results: Sequence[TableResult]) -> dict[str, Any]:
    """Return what ``load --json`` prints."""
    totals = {name: sum(getattr(result, name) for result in results) for name in _COUNTS}
    failed = sum(result.status == "FAILED" for result in results)
    return {
        "warehouse": warehouse,
        "to": target,
        "totals": {"tables": len(results), "failed": failed, **totals},
        "tables": [asdict(result) for result in results],
    }


def results_lines(results: Sequence[TableResult]) -> list[str]:
    """Return the lines for people: one for each table, and its warnings and its error below."""
    if not results:
        return ["no run has extracted a table yet"]
    width = max(len(result.table) for result in results)
    lines = []
    for result in results:
        lines.append(f"{result.table:<{width}}  {_summary(result)}")
        lines += [f"  warning: {warning}" for warning in result.warnings]
        lines += [f"  {result.error}"] if result.error else []
    return lines


def _summary(result: TableResult) -> str:
    until = f", until {result.until}" if result.until else ""
    done = f"{_many(result.commits, 'commit')}, {_many(result.rows, 'row')}"
    if result.deleted_rows:
        done += f", {_many(result.deleted_rows, 'deleted key')}"
    if result.status == "FAILED":
        return "failed" + (f" after {done}" if result.commits else "")
    if result.status == "CURRENT":
        return f"up to date{until}" if until else "nothing extracted yet"
    return f"{'to load' if result.status == 'PENDING' else 'loaded'}: {done}{until}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
