"""The result of each table."""

from __future__ import annotations

from collections.abc import Sequence

from rds_to_s3.commit.entries import TableEntry
from rds_to_s3.manifest.report.figures import count, duration, size
from rds_to_s3.manifest.report.pieces import breakable, scrolling_table, section, state, text
from rds_to_s3.timestamps import short


def tables_section(tables: Sequence[TableEntry]) -> str:
    if not tables:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{breakable(table.table)}</th><td>{state(table.status)}</td>'
        f'<td class="n">{count(table.rows)}</td><td class="n">{size(table.bytes)}</td>'
        f'<td class="n">{duration(table.seconds)}{_readers(table)}</td><td class="n">{table.attempts}</td>'
        f"<td>{text(_after(table))}</td><td>{text(_complete_up_to(table))}</td></tr>\n"
        for table in tables
    )
    heads = [
        ("Table", ""), ("Outcome", ""), ("Rows", "n"), ("Bytes", "n"), ("Time", "n"), ("Attempts", "n"),
        ("Rows stamped after", ""), ("Complete up to", ""),
    ]  # fmt: skip
    caption = "Rows written by this run, and the upper bound of each table in the bucket, on the database's clock"
    return section("Tables", scrolling_table("tables", caption, heads, rows))


def _readers(table: TableEntry) -> str:
    return f", {table.readers} readers" if table.readers > 1 else ""


def _after(table: TableEntry) -> str:
    if table.status in {"FAILED", "SKIPPED"}:
        return ""
    return short(table.window.after or "the beginning")


def _complete_up_to(table: TableEntry) -> str:
    if table.status in {"FAILED", "SKIPPED"}:
        after = table.window.after
        return short(after) if after else "as before this run"
    return short(table.window.until or "")
