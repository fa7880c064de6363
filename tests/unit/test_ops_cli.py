"""The command's runs, and its errors, as an operator or a script meets them."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from typer.testing import CliRunner

from rds_to_s3_ops import cli
from rds_to_s3_ops.errors import AwsError
from rds_to_s3_ops.runs.runs import Runs
from tests.support.deployed_command import Deployed, manifest
from tests.support.manifests import entry_json

RUN_ID = r"run-\d{8}-\d{6}-[a-z0-9]{4}"


# --- run ----------------------------------------------------------------------------------------------------------


def test_run_without_watching_prints_the_run_s_id_and_returns(deployed: Deployed) -> None:
    result = deployed.run("run", "--no-watch")
    assert result.exit_code == 0
    assert re.fullmatch(RUN_ID, result.stdout.strip())
    assert deployed.inputs() == [{}]


def test_run_takes_tables_each_once(deployed: Deployed) -> None:
    deployed.run("run", "--no-watch", "--table", "orders", "-t", "menu", "-t", "orders")
    assert deployed.inputs() == [{"tables": ["orders", "menu"]}]


def test_run_takes_a_failed_run_by_id_or_arn(deployed: Deployed) -> None:
    deployed.run("run", "--no-watch", "--rerun-failed-of", deployed.stack.execution_arn("run-1"))
    assert deployed.inputs() == [{"rerun_failed_of": "run-1"}]


def test_run_refuses_two_ways_to_choose_tables(deployed: Deployed) -> None:
    result = deployed.run("run", "--table", "orders", "--rerun-failed-of", "run-1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "exclude each other" in result.stderr
    assert deployed.inputs() == []


@pytest.mark.parametrize(
    "words",
    ["run --rerun-failed-of", "rerun", "redrive", "watch", "show", "history", "verify", "ddl --for duckdb --since"],
)
def test_an_empty_run_id_is_neither_every_table_nor_the_newest_run(deployed: Deployed, words: str) -> None:
    result = deployed.run(*words.split(), "")
    assert (result.exit_code, "run's id is empty" in result.stderr) == (2, True), result.output
    assert deployed.inputs() == []


def test_run_as_json_names_the_execution(deployed: Deployed) -> None:
    told = json.loads(deployed.run("run", "--no-watch", "--json").stdout)
    assert told["execution_arn"] == deployed.stack.execution_arn(told["run_id"])


@pytest.mark.parametrize(("status", "code"), [("SUCCEEDED", 0), ("FAILED", 1), ("ABORTED", 1), ("TIMED_OUT", 1)])
@pytest.mark.parametrize("option", ["--watch", "--wait"])
def test_the_exit_code_says_how_the_run_ended(
    deployed: Deployed, ends_with: Callable[[str], None], status: str, code: int, option: str
) -> None:
    ends_with(status)
    assert deployed.run("run", option).exit_code == code


def test_watching_away_from_a_terminal_prints_lines_and_then_the_result(
    deployed: Deployed, ends_with: Callable[[str], None]
) -> None:
    ends_with("FAILED")
    deployed.put("_state/runs/run-1/plan.json", {"run_id": "run-1", "until": "", "tables": [{"table": "menu"}]})
    deployed.put("_state/runs/run-1/tables/menu.json", entry_json("menu", rows=20, seconds=1.0))
    deployed.put("runs/run-1/manifest.json", manifest("run-1", failed=("orders",)))
    result = deployed.run("watch", "run-1")
    assert result.exit_code == 1
    assert result.stdout.startswith("menu: succeeded (20 rows, 1.0 s)\nrun-1: failed\n")
    assert "orders\n  TableNotFoundError: no such table" in result.stdout
    assert "\x1b" not in result.stdout


def test_watching_as_json_is_a_document_a_line_and_the_manifest_last(
    deployed: Deployed, ends_with: Callable[[str], None]
) -> None:
    ends_with("SUCCEEDED")
    deployed.put("runs/run-1/manifest.json", manifest("run-1"))
    lines = [json.loads(line) for line in deployed.run("watch", "run-1", "--json").stdout.splitlines()]
    assert lines[0]["phase"] == "succeeded"
    assert lines[-1] == manifest("run-1")


def test_ctrl_c_leaves_the_run_running_and_says_so(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> list[Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Runs, "events", interrupt)
    result = deployed.run("run")
    assert result.exit_code == 130
    assert "the run continues. To follow it again: rds-to-s3 watch run-" in result.stderr
    assert [item["status"] for item in deployed.executions()] == ["RUNNING"]


def test_watch_without_a_run_takes_the_newest(deployed: Deployed, ends_with: Callable[[str], None]) -> None:
    assert deployed.run("watch").exit_code == 3
    run_id = deployed.run("run", "--no-watch").stdout.strip()
    ends_with("SUCCEEDED")
    assert f"{run_id}: succeeded" in deployed.run("watch").stdout


# --- rerun, show, history -----------------------------------------------------------------------------------------


def test_rerun_starts_the_failed_tables_of_a_run(deployed: Deployed) -> None:
    deployed.put("runs/run-1/manifest.json", manifest("run-1", failed=("menu",)))
    assert deployed.run("rerun", "run-1", "--no-watch").exit_code == 0
    assert deployed.inputs() == [{"rerun_failed_of": "run-1"}]


def test_rerun_of_a_run_where_nothing_failed_starts_nothing(deployed: Deployed) -> None:
    deployed.put("runs/run-1/manifest.json", manifest("run-1"))
    result = deployed.run("rerun", "run-1")
    assert (result.exit_code, deployed.inputs()) == (2, [])


def test_show_takes_the_latest_run_or_a_named_one(deployed: Deployed) -> None:
    assert deployed.run("show").exit_code == 3
    deployed.put("runs/latest.json", manifest("run-2"))
    deployed.put("runs/run-1/manifest.json", manifest("run-1", failed=("menu",)))
    assert deployed.run("show").stdout.startswith("run-2  succeeded")
    assert deployed.run("show", "run-1").stdout.startswith("run-1  failed")
    assert json.loads(deployed.run("show", "run-1", "--json").stdout) == manifest("run-1", failed=("menu",))


def test_show_of_a_running_run_says_how_to_follow_it(deployed: Deployed) -> None:
    run_id = deployed.run("run", "--no-watch").stdout.strip()
    assert f"rds-to-s3 watch {run_id}" in deployed.run("show", run_id).stdout
    assert json.loads(deployed.run("show", run_id, "--json").stdout)["status"] == "RUNNING"


OTHERWISE = [("RUNNING", "FAILED", 1), ("ABORTED", "FAILED", 0), ("TIMED_OUT", "SUCCEEDED", 0), ("FAILED", "FAILED", 1)]


@pytest.mark.parametrize(("status", "manifest_says", "redrives"), OTHERWISE)
@pytest.mark.parametrize("words", [("show", "run-1"), ("show",)])
def test_show_does_not_take_an_older_manifest_for_the_runs_state(
    deployed: Deployed,
    stands: Callable[..., None],
    status: str,
    manifest_says: str,
    redrives: int,
    words: tuple[str, ...],
) -> None:
    older = manifest("run-1", failed=("menu",) if manifest_says == "FAILED" else ())
    for key in ("runs/run-1/manifest.json", "runs/latest.json"):
        deployed.put(key, older)
    stands(status, redrives=redrives)
    text = deployed.run(*words).stdout
    assert text.startswith(f"run-1  {status.lower().replace('_', ' ')}\n")
    assert "Its last manifest is from before that, of 2025-04-02 12:00:09 UTC:" in text
    assert f"run-1  {manifest_says.lower()}\n2 tables" in text
    assert ("rds-to-s3 watch run-1" in text, "rds-to-s3 redrive run-1" in text) == (
        status == "RUNNING",
        status != "RUNNING",
    )
    assert "rerun" not in text
    told = json.loads(deployed.run(*words, "--json").stdout)
    assert (told["run_id"], told["status"], told["redrives"]) == ("run-1", status, redrives)
    assert told["manifest"] == older


@pytest.mark.parametrize(("status", "failed"), [("SUCCEEDED", ()), ("FAILED", ("menu",))])
def test_show_of_a_redriven_run_that_ended_is_its_manifest(
    deployed: Deployed, stands: Callable[..., None], status: str, failed: tuple[str, ...]
) -> None:
    document = manifest("run-1", failed) | {"redrives": 1}
    deployed.put("runs/run-1/manifest.json", document)
    stands(status, redrives=1)
    assert "from before" not in deployed.run("show", "run-1").stdout
    assert json.loads(deployed.run("show", "run-1", "--json").stdout) == document


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT"])
@pytest.mark.parametrize("words", [("redrive", "run-1", "--wait"), ("watch", "run-1")])
def test_waiting_for_a_run_that_was_stopped_reports_that_and_not_its_older_manifest(
    deployed: Deployed, stands: Callable[..., None], status: str, words: tuple[str, ...]
) -> None:
    older = manifest("run-1", failed=("menu",))
    deployed.put("runs/run-1/manifest.json", older)
    stands(status, redrives=1)
    result = deployed.run(*words)
    assert (result.exit_code, "Its last manifest is from before that" in result.stdout) == (1, True)
    document = deployed.run(*words, "--json").stdout
    told = json.loads(document.splitlines()[-1] if words[0] == "watch" else document)
    assert (told["status"], told["manifest"]) == (status, older)


@pytest.mark.parametrize("command", ["show", "watch", "rerun"])
def test_an_unknown_run_is_not_found(deployed: Deployed, command: str) -> None:
    result = deployed.run(command, "run-nope")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "rds-to-s3: no run 'run-nope': see `rds-to-s3 history`\n"


def test_history_lists_the_runs(deployed: Deployed) -> None:
    assert "no run yet" in deployed.run("history").stdout
    run_id = deployed.run("run", "--no-watch").stdout.strip()
    assert run_id in deployed.run("history").stdout
    (told,) = json.loads(deployed.run("history", "--json").stdout)
    assert (told["run_id"], told["status"], told["rows"]) == (run_id, "RUNNING", None)


def test_history_is_limited_to_something(deployed: Deployed) -> None:
    assert deployed.run("history", "--limit", "0").exit_code == 2


@pytest.mark.parametrize(("options", "lines"), [([], 2), (["--all"], 51)])
def test_the_history_of_a_run_of_many_tables_is_summarised(
    deployed: Deployed, stands: Callable[..., None], monkeypatch: pytest.MonkeyPatch, options: list[str], lines: int
) -> None:
    stands("SUCCEEDED")
    at = datetime(2025, 4, 2, 12, 0, tzinfo=UTC)
    events: list[dict[str, Any]] = [
        {"id": 1, "type": "MapStateEntered", "timestamp": at, "stateEnteredEventDetails": {"name": "ExtractTables"}}
    ]
    for number in range(50):
        output = json.dumps({"Payload": {"table": f"t{number}", "status": "UNCHANGED", "rows": 0, "files": 0}})
        details = {"taskSucceededEventDetails": {"output": output}}
        events.append({"id": number + 2, "type": "TaskSucceeded", "timestamp": at, **details})
    monkeypatch.setattr(Runs, "events", lambda *_: events)
    assert len(deployed.run("history", "run-1", *options).stdout.splitlines()) == lines
    assert len(json.loads(deployed.run("history", "run-1", "--json").stdout)) == 51


def test_all_of_the_history_is_one_run_s(deployed: Deployed) -> None:
    result = deployed.run("history", "--all")
    assert (result.exit_code, "--limit" in result.stderr) == (2, True)


# --- errors -------------------------------------------------------------------------------------------------------


def test_without_a_stack_it_asks_which(deployed: Deployed) -> None:
    result = CliRunner().invoke(cli.app, ["history"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "rds-to-s3: no stack given: use --stack, or set STACK_NAME\n"


def test_an_aws_that_cannot_be_reached_is_one_line(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", refuse)
    result = deployed.run("history")
    assert (result.exit_code, result.stderr.count("\n")) == (4, 1)
    assert result.stderr.startswith("rds-to-s3: AWS cannot be reached: ")


def test_a_bucket_that_is_not_there_is_reported_in_aws_s_words(deployed: Deployed) -> None:
    deployed.s3.delete_bucket(Bucket=deployed.stack.bucket)
    result = deployed.run("show")
    assert (result.exit_code, "NoSuchBucket" in result.stderr) == (4, True)


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("runs/latest.json", ("show",)),
        ("runs/latest.json", ("verify",)),
        ("runs/run-1/manifest.json", ("ddl", "--for", "duckdb")),
        ("runs/run-1/manifest.json", ("show", "run-1")),
        ("runs/run-1/manifest.json", ("rerun", "run-1")),
        ("runs/run-1/manifest.json", ("verify", "--table", "orders")),
        ("_state/runs/run-1/plan.json", ("watch", "run-1")),
        ("_state/runs/run-1/tables/menu.json", ("watch", "run-1")),
    ],
)
@pytest.mark.parametrize("body", ["not JSON", b"\xff", "[1]", "{}"])
def test_a_damaged_document_is_named_in_one_line(
    deployed: Deployed, ends_with: Callable[[str], None], key: str, command: tuple[str, ...], body: str | bytes
) -> None:
    ends_with("SUCCEEDED")
    deployed.put("_state/runs/run-1/plan.json", {"tables": []})
    deployed.put(key, body)
    result = deployed.run(*command)
    assert (result.exit_code, result.stderr.count("\n")) == (4, 1)
    assert f"s3://{deployed.stack.bucket}/{key} cannot be read: it " in result.stderr


@pytest.mark.parametrize(
    ("changes", "told"), [({"version": 2}, "it has version 2"), ({"tables": [{"table": "menu"}]}, "its tables")]
)
def test_a_manifest_of_another_kind_is_not_shown(deployed: Deployed, changes: dict[str, Any], told: str) -> None:
    deployed.put("runs/latest.json", manifest("run-1") | changes)
    result = deployed.run("show")
    assert (result.exit_code, told in result.stderr, "newer version" in result.stderr) == (4, True, True)


def test_debug_shows_the_traceback(deployed: Deployed) -> None:
    deployed.put("runs/latest.json", b"not JSON")
    assert deployed.run("show").exit_code == 4
    assert isinstance(deployed.run("show", "--debug").exception, AwsError)


def test_a_terminal_without_unicode_gets_what_it_can_show(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.put("runs/latest.json", json.dumps(manifest("run-1")).replace("menu", "меню"))
    for options in ([], ["--json"]):
        output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdout", output)
        monkeypatch.setattr(sys, "argv", ["rds-to-s3", "show", "--stack", "food", *options])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
        assert output.tell() > 0


@pytest.mark.parametrize(
    "command", ["run", "rerun", "redrive", "watch", "show", "history", "plan", "doctor", "rewind", "tables"]
)
def test_every_command_has_help(command: str) -> None:
    assert CliRunner().invoke(cli.app, [command, "--help"]).exit_code == 0


def test_help_lists_the_exit_codes() -> None:
    text = CliRunner().invoke(cli.app, ["--help"]).stdout
    assert "Not found: the stack, the run, or the table." in text
