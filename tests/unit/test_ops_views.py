"""What the operator sees, from data alone."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType

from rds_to_s3.manifest.report import figures
from rds_to_s3.plan.table_list import parse_table_list
from rds_to_s3.reported.manifest import Manifest
from rds_to_s3_ops.runs import progress_views, views
from rds_to_s3_ops.runs.progress import RunProgress, TableProgress, TableState
from rds_to_s3_ops.runs.result_views import manifest_view, outcome_json, outcome_view
from rds_to_s3_ops.runs.runs import Run
from rds_to_s3_ops.screen.table_list import table_list_view
from tests.support.manifests import entry_json
from tests.support.manifests import manifest as whole_manifest

START = datetime(2025, 4, 2, 12, 0, tzinfo=UTC)
PARAMETER = "/s/table-list"


def drawn(view: RenderableType, width: int = 160, **options: bool) -> str:
    output = io.StringIO()
    Console(file=output, width=width, highlight=False, **options).print(view)  # type: ignore[arg-type]
    return output.getvalue()


def table(name: str, status: str = "SUCCEEDED", rows: int = 20, **members: object) -> dict[str, Any]:
    files = [{"key": f"{name}/csv/{name}_data_20250402_115958.csv", "rows": rows, "bytes": 4096, "sha256": "0" * 64}]
    window = {"after": "2025-04-02 08:00:00", "until": "2025-04-02 11:59:58"}
    told = {"rows": rows, "window": window, "seconds": 0.42, "files": files if rows else [], **members}
    return entry_json(name, status, **told)


def manifest(*tables: dict[str, Any], **members: object) -> Manifest:
    failed = sum(entry["status"] == "FAILED" for entry in tables)
    rows = sum(entry["rows"] for entry in tables)
    told: dict[str, Any] = {
        "status": "FAILED" if failed else "SUCCEEDED",
        "window_end": "2025-04-02 11:59:58.000000",
        "totals": {
            "tables": len(tables), "succeeded": len(tables) - failed, "failed": failed,
            "rows": rows, "files": len(tables), "bytes": 4096,
        },
        **members,
    }  # fmt: skip
    return whole_manifest(*tables, **told)


def progress(*tables: TableProgress, phase: str = "extracting") -> RunProgress:
    return RunProgress(Run("run-1", "RUNNING", START), phase, 4.2, None, tables)


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_949, "9.9 kB"), (9_960, "10 kB"), (999_600, "1.0 MB"),
     (255_000_000, "255 MB"), (3 * 10**15, "3,000 TB")],
)  # fmt: skip
def test_sizes_are_short(number: int | None, text: str) -> None:
    assert figures.size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (7260, "2 h 01 min"),
    ],
)
def test_time_spans_are_short(seconds: float | None, text: str) -> None:
    assert figures.duration(seconds) == text


def test_the_live_table_has_a_line_for_each_table() -> None:
    text = drawn(
        progress_views.ProgressView(
            progress(
                TableProgress("menu", TableState.SUCCEEDED, 22, 4096, 0.42, 1),
                TableProgress(
                    "orders", TableState.RETRYING, seconds=3.0, attempts=1, note="ReadInterruptedError: lost"
                ),
                TableProgress("delivery"),
            )
        )
    )
    assert "run-1  extracting  4.2 s\n1 of 3 tables  22 rows  4.1 kB" in text
    assert [" ".join(line.split()) for line in text.splitlines()[-4:]] == [
        "orders retrying 3.0 s",
        "ReadInterruptedError: lost",
        "menu succeeded 22 4.1 kB 0.4 s",
        "delivery waiting",
    ]


def test_a_long_live_table_keeps_the_busy_and_the_failed_and_counts_the_rest() -> None:
    many = [TableProgress(f"done{number}", TableState.SUCCEEDED) for number in range(500)]
    many[77] = TableProgress("broken", TableState.FAILED)
    many[400] = TableProgress("busy", TableState.RUNNING)
    text = drawn(progress_views.ProgressView(progress(*many), height=9))
    assert "broken" in text
    assert "busy" in text
    assert "and 497 succeeded" in text
    assert len(text.splitlines()) == 8


def test_away_from_a_terminal_each_change_is_one_line() -> None:
    before = progress(TableProgress("menu", TableState.RUNNING), TableProgress("orders"))
    after = progress(TableProgress("menu", TableState.SUCCEEDED, 22, 4096, 0.42), TableProgress("orders"))
    assert progress_views.progress_lines(None, before) == ["run-1: extracting", "menu: running"]
    assert progress_views.progress_lines(before, after) == ["menu: succeeded (22 rows, 4.1 kB, 0.4 s)"]
    assert progress_views.progress_lines(after, after) == []


def test_a_divided_table_shows_its_ranges_and_an_estimate_of_its_end() -> None:
    running = TableProgress(
        "orders", TableState.RUNNING, 9_000, 4_096, 61.0, ranges=8, ranges_done=3, seconds_left=125.0
    )
    text = " ".join(drawn(progress_views.ProgressView(progress(running))).split())
    assert text.endswith("orders running 9,000 4.1 kB 1 min 01 s 3 of 8 ranges read, about 2 min 05 s left")
    one_more = replace(running, ranges_done=4, seconds_left=None)
    assert progress_views.progress_lines(progress(running), progress(running)) == []
    assert progress_views.progress_lines(progress(running), progress(one_more)) == [
        "orders: running (9,000 rows, 4.1 kB, 4 of 8 ranges read)"
    ]
    (told,) = progress_views.progress_json(progress(running))["tables"]
    assert (told["ranges"], told["ranges_done"], told["seconds_left"]) == (8, 3, 125)


def test_a_run_that_is_running_is_shown_with_its_tables() -> None:
    now = progress(TableProgress("orders", TableState.RUNNING, 9_000, 4_096, 3.0, ranges=2))
    text = drawn(outcome_view(now.run, None, "bucket", progress=now))
    assert "0 of 2 ranges read" in text
    assert outcome_json(now.run, None, now)["tables"][0]["rows"] == 9_000


def test_a_manifest_is_shown_with_what_failed_and_why() -> None:
    error = {"type": "TableNotFoundError", "message": "no table [b]menu[/b] in database food"}
    text = drawn(
        manifest_view(manifest(table("orders"), table("menu", "FAILED", 0, error=error), warnings=["slow"]), "bucket")
    )
    assert "2 tables (1 succeeded, 1 failed)  20 rows" in text
    assert "menu\n  TableNotFoundError: no table [b]menu[/b] in database food" in text
    assert "slow" in text
    assert "s3://bucket/runs/run-1/manifest.json" in text


def test_all_lists_the_files_too() -> None:
    text = drawn(manifest_view(manifest(table("orders")), "bucket", everything=True))
    assert "s3://bucket/orders/csv/orders_data_20250402_115958.csv" in text


def test_a_manifest_of_hundreds_of_tables_is_summarised() -> None:
    quiet = [table(f"quiet{number}", "UNCHANGED", 0) for number in range(500)]
    text = drawn(manifest_view(manifest(*quiet, table("orders")), "bucket"))
    assert "orders" in text
    assert "and 500 more tables (unchanged): add --all to list them" in text


def test_a_run_that_could_not_be_planned_says_why() -> None:
    text = drawn(
        manifest_view(
            manifest(status="FAILED", window_end=None, error={"type": "TableListError", "message": "not JSON"}),
            "bucket",
        )
    )
    assert "TableListError\n  not JSON" in text


def test_an_aborted_run_has_its_error_and_a_running_one_how_to_follow_it() -> None:
    ended = Run("run-1", "ABORTED", START, START + timedelta(seconds=5), error="Stopped", cause="by hand")
    assert "Stopped\nby hand" in drawn(views.run_view(ended))
    assert "rds-to-s3 watch run-1" in drawn(views.run_view(Run("run-1", "RUNNING", START)))


def test_the_history_has_a_line_for_each_run_with_or_without_a_manifest() -> None:
    done = Run("run-2", "FAILED", START, START + timedelta(seconds=9), redrives=2)
    entries = [
        views.HistoryEntry(Run("run-3", "RUNNING", START), None),
        views.HistoryEntry(done, manifest(table("orders"), table("menu", "FAILED", 0))),
    ]
    lines = [" ".join(line.split()) for line in drawn(views.history_view(entries)).splitlines()]
    assert "run-3 running 2025-04-02 12:00:00" in lines
    assert "run-2 failed 1 2025-04-02 12:00:00 20 9.0 s 2 2 4.1 kB 2025-04-02 11:59:58" in lines
    assert entries[0].as_json()["rows"] is None
    assert json.dumps(entries[1].as_json())


def test_before_the_first_run_the_history_says_how_to_start_one() -> None:
    assert "rds-to-s3 run" in drawn(views.history_view([]))


def test_the_table_list_is_shown_with_its_defaults_filled_in() -> None:
    listed = parse_table_list(
        '{"tables": ["menu", {"name": "city", "mode": "full"}, {"name": "orders", "format": "parquet"}],'
        ' "exclude": ["x*"]}'
    )
    lines = [" ".join(line.split()) for line in drawn(table_list_view(listed, PARAMETER)).splitlines()]
    assert "menu incremental csv createdDate modifiedDate" in lines
    assert lines[lines.index("city full csv") + 1] == "mode=full"
    assert lines[lines.index("orders incremental parquet, snappy createdDate modifiedDate") + 1] == "format=parquet"
    assert "patterns leave out: x*" in lines


def test_a_table_list_of_hundreds_shows_some_and_first_those_with_settings_of_their_own() -> None:
    tables = [*(f"t{number}" for number in range(500)), {"name": "orders", "format": "parquet"}]
    listed = parse_table_list(json.dumps({"tables": tables}))
    text = drawn(table_list_view(listed, PARAMETER))
    assert ("t38" in text, "t39" in text, "orders" in text) == (True, False, True)
    assert "and 461 more tables: add --all to list them" in text
    assert "t499" in drawn(table_list_view(listed, PARAMETER, everything=True))


def test_what_the_proof_found_is_shown_with_how_far_each_table_is_proved() -> None:
    found = {"rows": 50, "healed": 3, "gone": 1, "whole_until": "2025-04-02 11:59:58"}
    begun = {"rows": 9, "healed": 0, "gone": 0, "whole_until": None}
    earlier = begun | {"whole_until": "2025-04-01 11:59:58"}
    proofs = {"orders": found, "item": begun, "menu": earlier, "log": None}
    text = drawn(manifest_view(manifest(*[table(name, proof=proof) for name, proof in proofs.items()]), "bucket"))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "proved equal up to the window's end: 1 of 3 tables" in lines
    told = lines[lines.index("orders") : lines.index("", lines.index("orders"))]
    assert told == [
        *("orders", "healed 3 rows that differed", "1 delivered row is gone"),
        *("item", "not yet proved as a whole"),
        *("menu", "proved up to 2025-04-01 11:59:58"),
    ]


def test_a_table_of_which_a_row_is_gone_is_listed_among_hundreds() -> None:
    quiet = [table(f"t{number}", "UNCHANGED", rows=0) for number in range(60)]
    gone = table("orders", "UNCHANGED", rows=0, proof={"rows": 9, "healed": 0, "gone": 2, "whole_until": None})
    text = drawn(manifest_view(manifest(*quiet, gone), "bucket"))
    assert "orders\n  2 delivered rows are gone" in text


def test_deleted_rows_are_reported_with_the_file_that_names_them() -> None:
    file = {"key": "orders/deletes/orders_deletes_20250402_115958.csv", "rows": 2, "bytes": 10, "sha256": "0" * 64}
    gone = table("orders", rows=0, deleted_rows=2, deletes=[file])
    quiet = [table(f"t{number}", "UNCHANGED", rows=0, deleted_rows=0, deletes=[]) for number in range(60)]
    shown = drawn(manifest_view(manifest(*quiet, gone), "bucket"))
    assert "orders\n  2 deleted rows, in orders/deletes/orders_deletes_20250402_115958.csv" in shown
    only_deletes = manifest(gone)
    only_deletes.totals.files = 0
    assert f"s3://bucket/{file['key']}" in drawn(manifest_view(only_deletes, "bucket", everything=True))
