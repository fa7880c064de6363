"""Which rows no file need have yet: those that the next run reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rds_to_s3.mysql.select import literal, quoted
from rds_to_s3.table_window import earlier
from rds_to_s3.window import format_timestamp

if TYPE_CHECKING:
    from rds_to_s3.selection import Selection
    from rds_to_s3.table_list import TableSpec
    from rds_to_s3.watermark import Watermark


def reads_from(
    selection: Selection, spec: TableSpec, watermark: Watermark | None, commit: Mapping[str, Any]
) -> datetime | None:
    """Return where the next run reads from, as `rds_to_s3.table_window.derive_window` does; None where all is read."""
    if spec.mode == "full" or watermark is None:
        return None
    if commit.get("watermark") == watermark.text and commit.get("read_from"):
        return datetime.fromisoformat(commit["read_from"])
    return earlier(watermark.moment, spec.lookback_seconds, whole_days=selection.whole_days)


def is_pending(selection: Selection, start: datetime | None) -> str:
    """Write a condition: the next run reads the row, so no file need have it yet."""
    cursors = [column for column in (selection.modified, selection.created) if column is not None]
    if not cursors or start is None:
        return "0"
    stamp = f"COALESCE({', '.join(quoted(column.name) for column in cursors)})"
    if selection.whole_days:
        day = format_timestamp(start + timedelta(microseconds=1))[:10]
        return f"COALESCE({stamp} >= {literal(day.encode(), 'temporal')}, 0)"
    return f"COALESCE({stamp} > {literal(format_timestamp(start).encode(), 'temporal')}, 0)"
