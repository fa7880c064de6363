"""The command as an operator or a script meets it: AWS is moto's, in process."""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws
from typer.testing import CliRunner, Result

from rds_to_s3.table_state import Commit, TableState, state_key, watermark_key
from rds_to_s3_ops import cli
from rds_to_s3_ops.commands import common, tables
from rds_to_s3_ops.errors import AwsError
from rds_to_s3_ops.runs import Run, Runs
from rds_to_s3_ops.stack import Stack

WATERMARK = "orders/csv/last_extract.txt"
RUN_ID = r"run-\d{8}-\d{6}-[a-z0-9]{4}"


@dataclass
class Deployed:
    """A stack's parts, and how to put things in them and run the command on it."""

    stack: Stack
    s3: Any
    ssm: Any
    stepfunctions: Any

    def put(self, key: str, body: str | bytes | dict[str, Any]) -> None:
        self.s3.put_object(Bucket=self.stack.bucket, Key=key, Body=json.dumps(body) if isinstance(body, dict) else body)

    def get(self, key: str) -> str:
        body: bytes = self.s3.get_object(Bucket=self.stack.bucket, Key=key)["Body"].read()
        return body.decode()

    def keys(self) -> list[str]:
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=self.stack.bucket).get("Contents", [])]

    def table_list(self) -> dict[str, Any]:
        listed: dict[str, Any] = json.loads(
            self.ssm.get_parameter(Name=self.stack.table_list_parameter)["Parameter"]["Value"]
        )
        return listed

    def write_table_list(self, text: str) -> None:
        self.ssm.put_parameter(Name=self.stack.table_list_parameter, Overwrite=True, Value=text)

    def executions(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.stepfunctions.list_executions(stateMachineArn=self.stack.state_machine_arn)[
            "executions"
        ]
        return listed

    def inputs(self) -> list[Any]:
        described = [
            self.stepfunctions.describe_execution(executionArn=item["executionArn"]) for item in self.executions()
        ]
        return [json.loads(item["input"]) for item in described]

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli.app, [*arguments], env={"STACK_NAME": "food"})


def manifest(run_id: str, failed: tuple[str, ...] = ()) -> dict[str, Any]:
    error = {"type": "TableNotFoundError", "message": "no such table"}
    window = {"after": None, "until": "2025-04-02 11:59:58"}
    tables: list[dict[str, Any]] = [
        {
            "table": name,
            "status": "SUCCEEDED",
            "rows": 20,
            "files": [],
            "warnings": [],
            "window": window,
            "seconds": 0.1,
        }
        for name in ("menu", "orders")
    ]
    for table in tables:
        table.update({"status": "FAILED", "error": error} if table["table"] in failed else {"error": None})
    totals = {"tables": 2, "succeeded": 2 - len(failed), "failed": len(failed), "rows": 40, "files": 0, "bytes": 0}
    return {
        "version": 1, "run_id": run_id, "status": "FAILED" if failed else "SUCCEEDED", "totals": totals,
        "tables": tables,
        "started_at": "2025-04-02T12:00:00.000Z", "finished_at": "2025-04-02T12:00:09.000Z", "redrives": 0,
        "window_end": "2025-04-02 11:59:58",
    }  # fmt: skip


@pytest.fixture(scope="module")
def session() -> Iterator[boto3.Session]:
    """One session for the module: a session reads the services' descriptions, which takes most of a test's time."""
    with mock_aws(config={"stepfunctions": {"execute_state_machine": False}}):
        yield boto3.Session("test", "test", region_name="eu-west-1")


@pytest.fixture
def deployed(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "STACK_NAME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    s3, ssm, stepfunctions = session.client("s3"), session.client("ssm"), session.client("stepfunctions")
    name = f"food-{secrets.token_hex(4)}"
    machine = stepfunctions.create_state_machine(name=name, definition="{}", roleArn="arn:aws:iam::123456789012:role/r")
    stack = Stack("food", machine["stateMachineArn"], name, f"/{name}/table-list")
    s3.create_bucket(Bucket=stack.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    ssm.put_parameter(Name=stack.table_list_parameter, Type="String", Value='{"tables": ["menu", "orders"]}')
    monkeypatch.setattr(boto3, "Session", lambda **_: session)
    monkeypatch.setattr(common, "find_stack", lambda *_: stack)
    return Deployed(stack, s3, ssm, stepfunctions)


@pytest.fixture
def stands(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let every run have a status as soon as it is looked at."""

    def set_status(status: str, *, redrives: int = 0) -> None:
        now = datetime(2025, 4, 2, 12, 0, tzinfo=UTC)
        ended = None if status == "RUNNING" else now
        monkeypatch.setattr(
            Runs, "describe", lambda _, run_id: Run(run_id, status, now, ended, redrives, error="E", cause="why")
        )
        monkeypatch.setattr(Runs, "redrive", Runs.describe)
        monkeypatch.setattr(Runs, "events", lambda *_: [])

    return set_status


@pytest.fixture
def ends_with(stands: Callable[..., None]) -> Callable[[str], None]:
    """Let every run be over, with a status, as soon as it is looked at."""
    return stands


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
    deployed.put(
        "_state/runs/run-1/tables/menu.json", {"table": "menu", "status": "SUCCEEDED", "rows": 20, "seconds": 1.0}
    )
    deployed.put("runs/run-1/manifest.json", manifest("run-1", failed=("orders",)))
    result = deployed.run("watch", "run-1")
    assert result.exit_code == 1
    assert result.stdout.startswith("menu: succeeded (20 rows, 1.0 s)\nrun-1: failed\n")
    assert "orders: TableNotFoundError\n  no such table" in result.stdout
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
    assert "the run goes on. Come back with: rds-to-s3 watch run-" in result.stderr
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


def test_show_of_a_run_at_work_says_how_to_follow_it(deployed: Deployed) -> None:
    run_id = deployed.run("run", "--no-watch").stdout.strip()
    assert f"rds-to-s3 watch {run_id}" in deployed.run("show", run_id).stdout
    assert json.loads(deployed.run("show", run_id, "--json").stdout)["status"] == "RUNNING"


OTHERWISE = [("RUNNING", "FAILED", 1), ("ABORTED", "FAILED", 0), ("TIMED_OUT", "SUCCEEDED", 0), ("FAILED", "FAILED", 1)]


@pytest.mark.parametrize(("status", "manifest_says", "redrives"), OTHERWISE)
@pytest.mark.parametrize("words", [("show", "run-1"), ("show",)])
def test_show_does_not_take_an_older_manifest_for_how_the_run_stands(
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
    assert "Its manifest is from before that, of 2025-04-02T12:00:09.000Z:" in text
    assert f"run-1  {manifest_says.lower()}\n2 tables" in text
    assert ("rds-to-s3 watch run-1" in text, "rds-to-s3 redrive run-1" in text) == (
        status == "RUNNING",
        status in {"ABORTED", "TIMED_OUT"},
    )
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
def test_whoever_waited_for_a_run_that_was_stopped_hears_that_and_not_its_older_manifest(
    deployed: Deployed, stands: Callable[..., None], status: str, words: tuple[str, ...]
) -> None:
    older = manifest("run-1", failed=("menu",))
    deployed.put("runs/run-1/manifest.json", older)
    stands(status, redrives=1)
    result = deployed.run(*words)
    assert (result.exit_code, "Its manifest is from before that" in result.stdout) == (1, True)
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


# --- rewind -------------------------------------------------------------------------------------------------------


def test_rewind_says_what_was_and_will_be_and_writes_it(deployed: Deployed) -> None:
    deployed.put(WATERMARK, "2025-04-02 12:00:00")
    result = deployed.run("rewind", "orders", "2025-04-01", "--yes")
    assert result.exit_code == 0
    assert "the watermark is 2025-04-02 12:00:00 and becomes 2025-04-01 00:00:00" in result.stderr
    assert deployed.get(WATERMARK) == "2025-04-01 00:00:00"


def test_rewind_all_empties_the_watermark(deployed: Deployed) -> None:
    deployed.put(WATERMARK, "2025-04-02 12:00:00")
    told = json.loads(deployed.run("rewind", "orders", "--all", "--yes", "--json").stdout)
    assert told == {"table": "orders", "key": WATERMARK, "was": "2025-04-02 12:00:00", "is": None}
    assert deployed.get(WATERMARK) == ""


def test_rewind_mends_a_malformed_watermark_and_knows_from_the_last_commit_what_is_forward(deployed: Deployed) -> None:
    deployed.put(WATERMARK, "yesterday")
    refused = deployed.run("rewind", "orders", "2025-04-01 10:00:00.5", "--yes")
    assert (refused.exit_code, "FORWARD" in refused.stderr) == (2, True), "nobody knows what was extracted"
    deployed.put(
        state_key("orders", "csv"),
        TableState(
            table="orders",
            format="csv",
            commit=Commit(
                run_id="run-1",
                token="0",
                planned_at=0.0,
                server_utc=0.0,
                watermark="2025-04-02 12:00:00",
                watermark_before=None,
                read_from=None,
                files=[],
            ),
        ).model_dump_json(),
    )
    assert deployed.run("rewind", "orders", "2099-01-01", "--yes").exit_code == 2
    assert deployed.run("rewind", "orders", "2025-04-01 10:00:00.5", "--yes").exit_code == 0
    assert deployed.get(WATERMARK) == "2025-04-01 10:00:00.500000"


@pytest.mark.parametrize("present", ["2025-04-02 12:00:00", "", None])
def test_rewind_goes_forward_only_when_told_to(deployed: Deployed, present: str | None) -> None:
    if present is not None:
        deployed.put(WATERMARK, present)
    refused = deployed.run("rewind", "orders", "2025-05-01", "--yes")
    assert (refused.exit_code, "FORWARD" in refused.stderr, "--forward" in refused.stderr) == (2, True, True)
    assert deployed.run("rewind", "orders", "2025-05-01", "--yes", "--forward").exit_code == 0
    assert deployed.get(WATERMARK) == "2025-05-01 00:00:00"


def test_rewind_asks_and_without_a_terminal_needs_yes(deployed: Deployed) -> None:
    deployed.put(WATERMARK, "2025-04-02 12:00:00")
    result = deployed.run("rewind", "orders", "2025-04-01")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert deployed.get(WATERMARK) == "2025-04-02 12:00:00"


def test_rewind_overwrites_nothing_that_moved_meanwhile(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.put(WATERMARK, "2025-04-02 12:00:00")
    monkeypatch.setattr(tables, "_confirm", lambda: deployed.put(WATERMARK, "2025-04-02 16:00:00"))
    result = deployed.run("rewind", "orders", "2025-04-01")
    assert result.exit_code == 5
    assert deployed.get(WATERMARK) == "2025-04-02 16:00:00"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["orders"], 2),
        (["orders", "2025-04-01", "--all"], 2),
        (["orders", "last week"], 2),
        (["orders", "2025-02-30"], 2),
        (["nope", "2025-04-01"], 3),
    ],
)
def test_rewind_refuses_what_it_cannot_do(deployed: Deployed, arguments: list[str], code: int) -> None:
    assert deployed.run("rewind", *arguments, "--yes").exit_code == code


def test_rewind_finds_the_watermark_of_the_table_s_format_also_behind_a_pattern(deployed: Deployed) -> None:
    deployed.run("tables", "add", "inv*", "--set", "format=parquet")
    deployed.put("invoice/parquet/last_extract.txt", "2025-04-02 12:00:00")
    assert deployed.run("rewind", "invoice", "--all", "--yes").exit_code == 0
    assert deployed.get("invoice/parquet/last_extract.txt") == ""


@pytest.mark.parametrize("name", ["a/b", "a\\b", "100%", "why?", "#1", "café", ".."])
def test_rewind_moves_the_watermark_that_the_run_reads_whatever_the_table_s_name(deployed: Deployed, name: str) -> None:
    deployed.write_table_list(json.dumps({"tables": [name]}))
    key = watermark_key(name, "csv")
    deployed.put(key, "2025-04-02 12:00:00")
    assert deployed.run("rewind", name, "2025-04-01", "--yes").exit_code == 0
    assert deployed.get(key) == "2025-04-01 00:00:00"
    assert deployed.keys() == [key]


def test_a_table_that_is_extracted_in_full_has_nothing_to_rewind(deployed: Deployed) -> None:
    deployed.run("tables", "add", "city", "--set", "mode=full")
    assert deployed.run("rewind", "city", "--all", "--yes").exit_code == 2


# --- tables -------------------------------------------------------------------------------------------------------


def test_a_table_is_added_with_settings_and_removed(deployed: Deployed) -> None:
    checks = {"total": {"ge": 0}}
    result = deployed.run(
        "tables", "add", "invoice", "--set", "format=parquet", "--set", f"checks={json.dumps(checks)}"
    )
    assert result.exit_code == 0
    assert deployed.table_list()["tables"][-1] == {"name": "invoice", "format": "parquet", "checks": checks}
    assert "invoice" in deployed.run("tables", "list").stdout
    assert deployed.run("tables", "remove", "invoice").exit_code == 0
    assert deployed.table_list() == {"tables": ["menu", "orders"]}


def test_a_listed_table_changes_only_when_told_to_and_keeps_its_place(deployed: Deployed) -> None:
    assert deployed.run("tables", "add", "menu", "--set", "format=parquet").exit_code == 2
    assert deployed.run("tables", "add", "menu", "--set", "format=parquet", "--replace").exit_code == 0
    assert deployed.table_list()["tables"] == [{"name": "menu", "format": "parquet"}, "orders"]


def test_what_the_operator_wrote_around_the_tables_stays(deployed: Deployed) -> None:
    written = {"defaults": {"format": "parquet"}, "tables": ["menu", "naïve"], "exclude": ["tmp*"]}
    deployed.write_table_list(json.dumps(written))
    deployed.run("tables", "add", "orders")
    assert deployed.table_list() == {**written, "tables": ["menu", "naïve", "orders"]}


@pytest.mark.parametrize(
    "setting",
    ["formt=csv", "format=xml", "format", "lookback_seconds=soon", "name=zzz", "own_keys=[]", "tables=[]", "=csv"],
)
def test_a_setting_that_is_not_valid_changes_nothing(deployed: Deployed, setting: str) -> None:
    result = deployed.run("tables", "add", "invoice", "--set", setting)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert deployed.table_list() == {"tables": ["menu", "orders"]}


def test_the_table_that_is_listed_is_the_one_that_was_named(deployed: Deployed) -> None:
    result = deployed.run("tables", "add", "café", "--set", "name=zzz")
    assert (result.exit_code, "name is no setting" in result.stderr) == (2, True)
    assert deployed.run("tables", "add", "menu", "--set", "name=zzz", "--replace").exit_code == 2
    assert deployed.table_list() == {"tables": ["menu", "orders"]}


def test_a_setting_that_is_given_twice_is_refused(deployed: Deployed) -> None:
    result = deployed.run("tables", "add", "invoice", "--set", "format=csv", "--set", "format=parquet")
    assert (result.exit_code, "given twice" in result.stderr) == (2, True)
    assert deployed.table_list() == {"tables": ["menu", "orders"]}


def test_removing_a_table_that_is_not_listed_names_those_that_are(deployed: Deployed) -> None:
    result = deployed.run("tables", "remove", "order")
    assert (result.exit_code, "menu, orders" in result.stderr) == (3, True)


def test_a_malformed_table_list_is_told_with_its_error(deployed: Deployed) -> None:
    deployed.write_table_list('{"tables": ["menu", "menu"]}')
    result = deployed.run("tables", "list")
    assert (result.exit_code, "listed twice" in result.stderr) == (2, True)


def test_a_long_table_list_is_summarised_unless_all_is_asked_for(deployed: Deployed) -> None:
    deployed.write_table_list(json.dumps({"tables": [f"t{number}" for number in range(50)]}))
    assert "and 10 more tables" in deployed.run("tables", "list").stdout
    assert "t49" in deployed.run("tables", "list", "--all").stdout


def test_tables_list_as_json_is_the_document(deployed: Deployed) -> None:
    assert json.loads(deployed.run("tables", "list", "--json").stdout) == {"tables": ["menu", "orders"]}


# --- errors -------------------------------------------------------------------------------------------------------


def test_without_a_stack_it_asks_which(deployed: Deployed) -> None:
    result = CliRunner().invoke(cli.app, ["history"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "rds-to-s3: which stack? name it with --stack, or set STACK_NAME\n"


def test_an_aws_that_cannot_be_reached_is_one_line(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", refuse)
    result = deployed.run("history")
    assert (result.exit_code, result.stderr.count("\n")) == (4, 1)
    assert result.stderr.startswith("rds-to-s3: AWS cannot be reached: ")


def test_a_bucket_that_is_not_there_is_told_in_aws_s_words(deployed: Deployed) -> None:
    deployed.s3.delete_bucket(Bucket=deployed.stack.bucket)
    result = deployed.run("show")
    assert (result.exit_code, "NoSuchBucket" in result.stderr) == (4, True)


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("runs/latest.json", ("show",)),
        ("runs/latest.json", ("verify",)),
        ("runs/latest.json", ("ddl", "--for", "duckdb")),
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


# --- verify -------------------------------------------------------------------------------------------------------


def with_file(deployed: Deployed, run_id: str, body: bytes, key: str = "orders/csv/orders_data_x.csv") -> None:
    document = manifest(run_id)
    file = {"key": key, "rows": 2, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    document["tables"][1]["files"] = [file]
    deployed.put(f"runs/{run_id}/manifest.json", document)
    deployed.put("runs/latest.json", document)
    deployed.put(key, body)


def test_verify_reads_the_newest_runs_files_and_says_that_nothing_differs(deployed: Deployed) -> None:
    with_file(deployed, "run-1", b'a,b\n1,"x\ny"\n,\n')
    result = deployed.run("verify")
    assert result.exit_code == 0, result.output
    assert "1 files, 2 rows" in result.output
    assert "nothing differs" in result.output


@pytest.mark.parametrize("arguments", [("run-1",), ("--table", "orders"), ()])
def test_verify_names_the_file_that_differs_and_exits_with_1(deployed: Deployed, arguments: tuple[str, ...]) -> None:
    with_file(deployed, "run-1", b"a\n1\n2\n")
    deployed.put("orders/csv/orders_data_x.csv", b"a\n1\n2\n3\n")
    result = deployed.run("verify", *arguments, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert not found["ok"]
    assert [problem.split(":")[0] for problem in found["files"]["broken"][0]["problems"]] == ["bytes", "sha256", "rows"]


@pytest.mark.parametrize(
    ("arguments", "exit_code"), [(("run-9",), 3), (("--table", "nothing"), 3), (("run-1", "--table", "orders"), 2)]
)
def test_verify_of_what_is_not_there_is_told(deployed: Deployed, arguments: tuple[str, ...], exit_code: int) -> None:
    with_file(deployed, "run-1", b"a\n1\n2\n")
    assert deployed.run("verify", *arguments).exit_code == exit_code


# --- ddl ----------------------------------------------------------------------------------------------------------


def with_columns(deployed: Deployed, run_id: str, **changes: Any) -> None:
    document = manifest(run_id)
    document["tables"][1].update(
        format="csv",
        files=[{"key": "orders/csv/orders_data_20250402_120000.csv", "rows": 2, "bytes": 4, "sha256": "0"}],
        columns=[{"name": "id", "type": "int", "nullable": False}, {"name": "n", "type": "text", "nullable": True}],
        **changes,
    )
    deployed.put(f"runs/{run_id}/manifest.json", document)
    deployed.put("runs/latest.json", document)


def test_ddl_prints_the_newest_runs_load_for_each_table_with_files(deployed: Deployed) -> None:
    with_columns(deployed, "run-1", key=["id"])
    result = deployed.run("ddl", "--for", "duckdb")
    assert result.exit_code == 0, result.output
    assert 'MERGE INTO "orders" AS t' in result.stdout
    assert "menu" not in result.stdout
    listed = json.loads(deployed.run("ddl", "--for", "snowflake", "orders", "--run", "run-1", "--json").stdout)
    assert [entry["table"] for entry in listed] == ["orders"]
    assert listed[0]["statements"][-1].startswith("MERGE")


def test_ddl_appends_without_a_key_and_merges_by_one_that_is_given(deployed: Deployed) -> None:
    with_columns(deployed, "run-1")
    assert "INSERT INTO" in deployed.run("ddl", "--for", "redshift", "orders").stdout
    assert "MERGE INTO" in deployed.run("ddl", "--for", "redshift", "orders", "--key", "id").stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [(("nothing",), 3), (("--run", "run-9"), 3), (("orders", "--key", "nothing"), 2), (("--key", "id"), 2)],
)
def test_ddl_of_what_is_not_there_is_told(deployed: Deployed, arguments: tuple[str, ...], exit_code: int) -> None:
    with_columns(deployed, "run-1")
    assert deployed.run("ddl", "--for", "athena", *arguments).exit_code == exit_code
    assert deployed.run("ddl", "--for", "oracle").exit_code == 2
