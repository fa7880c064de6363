"""The screens of the command in ``docs/screens.md``: ``python -m tests.support.screens``, or ``make screens``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rds_to_s3.plan.bound import Bound
from rds_to_s3.plan.table_list import parse_table_list
from rds_to_s3_ops.commands.common import new_console, print_view
from rds_to_s3_ops.findings import failed, passed, warned
from rds_to_s3_ops.inspection.preview import Estimate, RunPreview, TablePreview
from rds_to_s3_ops.inspection.views import finding_view, preview_view, verdicts_view
from rds_to_s3_ops.runs.progress import RunProgress
from rds_to_s3_ops.runs.progress_views import ProgressView
from rds_to_s3_ops.runs.result_views import manifest_view
from rds_to_s3_ops.runs.runs import Run
from rds_to_s3_ops.runs.views import HistoryEntry, history_view
from rds_to_s3_ops.screen.table_list import table_list_view
from tests.support.many_tables import AFTER, ERRORS, LONGEST, NAMES, RUN, SCHEDULED, many_at_work, many_tables
from tests.support.terminal import in_terminal

PAGE = Path(__file__).parents[2] / "docs" / "screens.md"
COLUMNS, LINES = 80, 30
START = datetime(2025, 4, 2, 12, tzinfo=UTC)

_HEAD = """\
# What the command shows

Each screen is of a terminal of 80 columns and of 70 tables, three of which failed. `make screens` draws them with a
terminal emulator ([pyte](https://github.com/selectel/pyte)) from the command's own output, and a test compares the two.
Other tests draw them at 60, 100 and 200 columns: names, run ids, states and errors are whole in each.

The pages for a browser are in [report.md](report.md).
"""


def page() -> str:
    """Return the page."""
    return _HEAD + "".join(
        f"\n## `{title}`\n\n{told}\n\n```\n{drawn(screen)}\n```\n" for title, told, screen in SCREENS
    )


def drawn(screen: Callable[[], None], lines: int = 0) -> str:
    """Return what a terminal shows."""
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    os.environ["TERM"] = "xterm-256color"
    with in_terminal(COLUMNS, lines or LINES if screen is _watch else 400) as terminal:
        screen()
    return "\n".join(terminal.lines)


def _watch() -> None:
    run = Run(RUN, "RUNNING", START)
    new_console().print(ProgressView(RunProgress(run, "extracting", 64.0, None, tuple(many_at_work()), 125.0)))


def _show() -> None:
    print_view(manifest_view(many_tables(redrives=1), "food-data"))


def _history() -> None:
    runs = [
        Run(RUN, "FAILED", START, START + timedelta(seconds=71), redrives=1),
        Run(SCHEDULED, "SUCCEEDED", START - timedelta(hours=4), START - timedelta(hours=3, minutes=58)),
        Run("run-20250402-040000-m7q2", "ABORTED", START - timedelta(hours=8), START - timedelta(hours=7)),
    ]
    well = [name for name in NAMES if name not in ERRORS]
    manifests = {RUN: many_tables(redrives=1), SCHEDULED: many_tables(well, run_id=SCHEDULED)}
    print_view(history_view([HistoryEntry(run, manifests.get(run.run_id)) for run in runs]))


def _plan() -> None:
    kind, message = ERRORS["delivery_event"]
    until = "2025-04-02 11:59:58.000000"
    tables = [
        TablePreview(name, "incremental", "csv", AFTER, until, [Estimate("modifiedDate", 1_000 + 90 * number)])
        for number, name in enumerate(NAMES)
        if name != "delivery_event"
    ]
    tables[7].warnings.append("no index has the order of the read: the server sorts the rows")
    tables.append(TablePreview("delivery_event", "incremental", "csv", error={"type": kind, "message": message}))
    now = datetime(2025, 4, 2, 12)
    bound = Bound(
        until=now - timedelta(seconds=2), server_now=now, server_utc=0.0, until_utc=0.0, zone="UTC", settle_seconds=2.0,
        decided_by="clock", warnings=[],
    )  # fmt: skip
    print_view(preview_view(RunPreview("food", bound, tables)))


def _tables() -> None:
    listed = parse_table_list(
        '{"tables": ["menu", "customer", {"name": "order_item", "format": "parquet", "deletes": "track",'
        f' "checks": {{"amount": {{"ge": 0}}}}}}, {{"name": "{LONGEST}", "mode": "full", "compression": "gzip"}}],'
        ' "exclude": ["*_tmp"]}'
    )
    print_view(table_list_view(listed, "SSM parameter /food/table-list"))


def _doctor() -> None:
    findings = [
        passed("AWS credentials", "arn:aws:sts::123456789012:assumed-role/operator/anna in eu-west-1"),
        warned(
            "open transactions",
            "cannot be seen without the PROCESS privilege: windows end 900 s before now, and rows of a transaction "
            "that stays open longer may be lost",
            "GRANT PROCESS ON *.* TO 'extractor'@'%'",
        ),
        failed("table delivery_event", "the user 'extractor' may not read `delivery_event`",
               "GRANT SELECT ON `food`.`delivery_event` TO 'extractor'@'%'"),
    ]  # fmt: skip
    for finding in findings:
        print_view(finding_view(finding))
    print_view(verdicts_view(findings))


SCREENS: list[tuple[str, str, Callable[[], None]]] = [
    (
        "rds-to-s3 watch RUN",
        "While a run is running: the tables that are read now, then what failed; 30 lines high.",
        _watch,
    ),
    (
        "rds-to-s3 show",
        "And the end of `run`, `redrive` and `watch`: what failed and the next command come first.",
        _show,
    ),
    ("rds-to-s3 history", "A run id without room in its column is on a line of its own, to be copied.", _history),
    ("rds-to-s3 plan", "What would fail comes first here, too.", _plan),
    ("rds-to-s3 tables list", "The settings of a table's own are under it.", _tables),
    ("rds-to-s3 doctor", "Some of its findings, each with what to do.", _doctor),
]


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
