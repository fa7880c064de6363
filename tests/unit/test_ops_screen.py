"""What the command shows of seventy tables with awkward names, in terminals of several widths."""

from __future__ import annotations

import itertools
import json
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len
from rich.console import RenderableType

from rds_to_s3.plan.table_list import parse_table_list
from rds_to_s3_ops.commands.common import new_console, print_view
from rds_to_s3_ops.runs.progress import RunProgress
from rds_to_s3_ops.runs.progress_views import ProgressView
from rds_to_s3_ops.runs.result_views import manifest_view
from rds_to_s3_ops.runs.runs import Run
from rds_to_s3_ops.runs.views import HistoryEntry, history_view
from rds_to_s3_ops.screen.lines import plain
from rds_to_s3_ops.screen.table_list import table_list_view
from tests.support import screens
from tests.support.many_tables import ERRORS, NAMES, RUN, SCHEDULED, WARNED, WARNING, many_at_work, many_tables
from tests.support.terminal import Terminal, in_terminal

WIDTHS = [60, 80, 100, 200]
START = datetime(2025, 4, 2, 12, tzinfo=UTC)
FAILED = many_tables()
every_width = pytest.mark.parametrize("width", WIDTHS)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def shown(view: RenderableType, width: int) -> Terminal:
    with in_terminal(width) as terminal:
        print_view(view)
    return terminal


def squeezed(text: str) -> str:
    return "".join(as_shown(part) for part in text.split())


def as_shown(text: str) -> str:
    return unicodedata.normalize("NFC", plain(text))  # as the emulator keeps it


def assert_whole(terminal: Terminal, *texts: str) -> None:
    """Every text is there from its first to its last character; on one line, where it fits on one."""
    everything = squeezed("".join(terminal.lines))
    for text in texts:
        assert squeezed(text) in everything
        if "\n" not in text and " " not in text and cell_len(text) <= terminal.screen.columns:
            assert any(as_shown(text) in line for line in terminal.lines), text


def place(terminal: Terminal, text: str) -> int:
    return next(number for number, line in enumerate(terminal.lines) if text in line)


@every_width
def test_a_terminal_shows_the_failed_tables_first_and_their_errors_whole(width: int) -> None:
    terminal = shown(manifest_view(FAILED, "food-data"), width)
    assert_whole(terminal, RUN, *ERRORS, *(f"{kind}: {message}" for kind, message in ERRORS.values()))
    first_error = place(terminal, "DatabaseAccessError:")
    last_error = place(terminal, "ReadInterruptedError:")
    commands = [place(terminal, f"rds-to-s3 {command} {RUN}") for command in ("redrive", "rerun")]
    assert first_error < last_error < commands[0] < commands[1] < place(terminal, "neither a created")
    assert commands[1] < place(terminal, "status")
    assert terminal.lines[0].split() == [RUN, "failed"]


@every_width
def test_the_tables_are_in_the_order_of_need_and_the_rest_is_counted(width: int) -> None:
    terminal = shown(manifest_view(FAILED, "food-data"), width)
    table = terminal.lines[place(terminal, " status ") + 1 :]
    states = [word for line in table for word in line.split() if word in {"failed", "succeeded", "unchanged"}]
    assert [state for state, _ in itertools.groupby(states[:-2])] == ["failed", "succeeded"]
    assert states.count("failed") == len(ERRORS)
    order = [next(n for n, line in enumerate(table) if line.startswith(name[:25])) for name in (*ERRORS, *WARNED)]
    assert sorted(order[:3]) + order[3:] == sorted(order)
    hidden = len(NAMES) - 40
    assert f"and {hidden} more tables (" in " ".join(terminal.lines)


@every_width
def test_with_all_every_table_and_every_file_is_listed_whole(width: int) -> None:
    terminal = shown(manifest_view(FAILED, "food-data", everything=True), width)
    assert_whole(terminal, *NAMES, *(f"s3://food-data/{file}" for entry in FAILED.tables for file in entry.keys))
    assert_whole(terminal, WARNING, "".join(WARNED[:1]))


@every_width
def test_the_history_shows_each_run_s_id_and_state_whole(width: int) -> None:
    runs = [
        Run(SCHEDULED if number % 2 else f"{RUN[:-1]}{number}", "SUCCEEDED", START - timedelta(hours=4 * number))
        for number in range(8)
    ]
    runs[3] = Run(RUN, "FAILED", START, START + timedelta(hours=30), redrives=2)
    terminal = shown(history_view([HistoryEntry(run, FAILED if run.run_id == RUN else None) for run in runs]), width)
    assert_whole(terminal, *(run.run_id for run in runs))
    line = next(line for line in terminal.lines if line.startswith(RUN))
    assert line.split()[1] == "failed"
    assert ("2025-04-02 12:00:00" in line) == (width > 60)
    head = terminal.lines[0]
    assert head.split()[:3] == ["run", "status", "failed"]
    assert ("window up to" in head) == (width == 200)


@every_width
def test_the_table_list_shows_names_and_own_settings_whole(width: int) -> None:
    settings = {
        "format": "parquet",
        "compression": "gzip",
        "exclude_columns": ["a_column_with_a_long_name", "注文明細表"],
    }
    entries = [{"name": name, **settings} if number % 2 else name for number, name in enumerate(NAMES)]
    terminal = shown(
        table_list_view(parse_table_list(json.dumps({"tables": entries})), "/s/table-list", everything=True), width
    )
    assert_whole(terminal, *NAMES, "compression=gzip", 'exclude_columns=["a_column_with_a_long_name", "注文明細表"]')


@every_width
@pytest.mark.parametrize("height", [24, 50])
def test_the_live_view_fits_the_terminal_and_shows_what_needs_attention_whole(width: int, height: int) -> None:
    progress = RunProgress(Run(RUN, "RUNNING", START), "extracting", 64.0, None, tuple(many_at_work()))
    with in_terminal(width, height) as terminal:
        console = new_console()
        assert (console.width, console.height) == (width, height)
        console.print(ProgressView(progress))
    lines = terminal.lines
    assert lines[0].split()[0] == RUN  # nothing has scrolled away
    assert_whole(terminal, RUN)
    assert_whole(terminal, "courier_price", "order_item", "הזמנות")
    assert place(terminal, "retrying") < place(terminal, "running") < place(terminal, "DatabaseAccessError")
    if height == 50:
        assert_whole(terminal, *ERRORS, *(": ".join(error) for error in ERRORS.values()))
    assert any("3 failed" in line for line in lines[:3])
    assert any(line.startswith("and ") for line in lines)


def test_a_name_cannot_control_the_terminal() -> None:
    terminal = shown(manifest_view(FAILED, "food-data", everything=True), 80)
    assert any("a\ufffd[2Jb" in line for line in terminal.lines)


def test_many_tables_that_fail_of_one_cause_have_its_error_once() -> None:
    error = {"type": "DatabaseUnreachableError", "message": "no connection to db:3306"}
    down = many_tables(NAMES[:50])
    for entry in down.tables:
        entry.status, entry.error = "FAILED", type(FAILED.failed[0].error).model_validate(error)  # type: ignore[union-attr]
    terminal = shown(manifest_view(down, "food-data"), 80)
    assert sum("no connection" in line for line in terminal.lines) == 1
    assert_whole(terminal, *NAMES[:50])


def test_the_screens_in_the_docs_are_what_the_command_shows() -> None:
    assert screens.page() == screens.PAGE.read_text(encoding="utf-8"), "draw them again: make screens"
