"""Why a planned table is not read: it is gone, or it is off the table list."""

from __future__ import annotations

import json

from rds_to_s3.errors import TableNotFoundError
from rds_to_s3.plan.table_list import TableSpec


def gone_since_the_plan(spec: TableSpec, error: TableNotFoundError) -> str:
    """Return the warning about a table that a pattern selected and that was dropped before its read."""
    return (
        f"the table is skipped: the pattern {json.dumps(spec.pattern, ensure_ascii=False)} brought it in, and it was "
        f'dropped or renamed after the run was planned. If that happens in every run, name it in "exclude". ({error})'
    )


def off_the_list(name: str) -> str:
    """Return the warning about a table that failed and is no longer listed when its run is redriven."""
    return (
        f"the table is skipped: it failed, and when the run was redriven the table list did not bring in {name!r} any "
        "more. To extract it, list it again; the next run then continues at its watermark"
    )
