"""The command on the deployed system: an operator's evening with a table that failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb

from tests.e2e.conftest import Command, DeployedSystem, Run


def test_a_failed_table_is_found_fixed_and_redriven_from_the_command_line(
    system: DeployedSystem, command: Command
) -> None:
    system.sql("RENAME TABLE menu TO menu_elsewhere")
    ran = command("run", "--table", "menu", "--table", "orders", "--wait", "--json")
    assert ran.exit_code == 1
    run_id = json.loads(ran.stdout)["run_id"]

    assert "WriteManifest: FAILED" in command("history", run_id).stdout
    doctor = command("doctor", "--json")
    assert doctor.exit_code == 1
    found: dict[str, Any] = {finding["check"]: finding for finding in json.loads(doctor.stdout)}
    assert found["table menu"]["result"] == "fail"
    assert (found["last run"]["result"], run_id in found["last run"]["remedy"]) == ("warn", True)
    foretold = command("plan", "--table", "menu", "--json")
    assert (foretold.exit_code, json.loads(foretold.stdout)["tables"][0]["error"]["type"]) == (1, "TableNotFoundError")

    system.sql("RENAME TABLE menu_elsewhere TO menu")
    assert command("plan", "--table", "menu").exit_code == 0
    redriven = command("redrive", run_id, "--wait", "--json")
    assert redriven.exit_code == 0
    manifest = json.loads(redriven.stdout)
    assert (manifest["run_id"], manifest["redrives"], manifest["totals"]["failed"]) == (run_id, 1, 0)
    story = command("history", run_id).stdout
    assert "CheckRun: RETRY_FAILED: menu" in story
    assert story.rstrip().endswith("run succeeded")
    assert command("redrive", run_id).exit_code == 2


def test_the_doctor_finds_a_fresh_system_sound(command: Command) -> None:
    examined = command("doctor", "--json")
    assert examined.exit_code == 0
    results = {finding["check"]: finding["result"] for finding in json.loads(examined.stdout)}
    assert "fail" not in results.values()
    inside = {check.rpartition(": ")[2] for check in results if check.startswith("from the functions: ")}
    assert inside == {"libraries", "S3", "credentials", "authorities", "names", "login", "TLS", "grants", "clock"}
    assert {check for check, result in results.items() if result == "skip"} <= {"layers", "network from the functions"}


def test_the_files_are_verified_against_the_manifest_and_the_database_and_loaded(
    system: DeployedSystem, command: Command, tmp_path: Path
) -> None:
    ran = command("run", "--table", "menu", "--table", "orders", "--wait", "--json")
    assert ran.exit_code == 0
    verified = command("verify", "--source", "--json")
    assert verified.exit_code == 0
    found = json.loads(verified.stdout)
    assert [(table["table"], table["ok"]) for table in found["tables"]] == [("menu", True), ("orders", True)]
    assert all(table["equal"] == table["source_rows"] > 0 for table in found["tables"])
    file = str(tmp_path / "shop.duckdb")
    for status in ("LOADED", "CURRENT"):
        load = json.loads(command("load", "--for", "duckdb", "--to", file, "--json").stdout)
        results = {table["table"]: table["status"] for table in load["tables"]}
        assert (load["totals"]["failed"], results["menu"], results["orders"]) == (0, status, status)
    with duckdb.connect(file, read_only=True) as warehouse:
        counted = [warehouse.execute(f"SELECT count(*) FROM {table['table']}").fetchone() for table in found["tables"]]
    assert counted == [(table["source_rows"],) for table in found["tables"]]
    system.sql("DELETE FROM order_item", "DELETE FROM delivery", "DELETE FROM orders WHERE orders_id = 1")
    assert "1 extra" in command("verify", "--table", "orders", "--source").stdout
    assert command("verify", "--table", "orders", "--source", "--ignore-extra").exit_code == 0
    every_key = json.loads(command("verify", "--table", "orders", "--source", "--all-keys", "--json").stdout)
    assert every_key["tables"][0]["samples"]["extra"] == [{"orders_id": "1"}]
    assert command("verify", "--table", "orders", "--source", "--memory", "zz").exit_code == 2
    assert 'MERGE INTO "orders"' in command("ddl", "--for", "snowflake", "orders").stdout


def everything_left_by(system: DeployedSystem, *runs: Run) -> dict[str, str]:
    """All that runs leave where somebody may read: the bucket, the executions and their histories, the logs."""
    states = system.client("stepfunctions")
    histories = [
        str(call(executionArn=run.arn))
        for run in runs
        for call in (states.describe_execution, states.get_execution_history)
    ]
    messages: list[str] = []
    logs = system.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        streams = logs.describe_log_streams(logGroupName=group["logGroupName"])["logStreams"]
        for stream in streams:
            events = logs.get_log_events(logGroupName=group["logGroupName"], logStreamName=stream["logStreamName"])
            messages += [event["message"] for event in events["events"]]
    return {
        "bucket": "\n".join(system.body(key).decode("utf-8", "replace") for key in system.keys("")),
        "histories": "\n".join(histories),
        "logs": "\n".join(messages),
    }


def test_no_failing_run_and_no_command_shows_the_password(system: DeployedSystem, command: Command) -> None:
    password = system.local.database.reader.password
    system.sql("ALTER USER 'extractor'@'%' IDENTIFIED BY 'rotated at the server only'")
    try:
        refused = system.run()
        commands = ["doctor"], ["plan"], ["show"], ["history", refused.manifest["run_id"]]
        shown = "".join(command(*words).output for words in commands)
    finally:
        system.sql(f"ALTER USER 'extractor'@'%' IDENTIFIED BY '{password}'")
    assert refused.execution["error"] == "PlanFailed"
    system.sql("RENAME TABLE menu TO menu_elsewhere")
    failed = system.run()
    system.sql("RENAME TABLE menu_elsewhere TO menu")
    assert failed.execution["error"] == "TablesFailed"

    places = everything_left_by(system, refused, failed) | {"commands": shown}
    for place in ("bucket", "histories", "logs", "commands"):
        assert "DatabaseLoginError" in places[place], f"{place} tells nothing of the failure, so nothing was searched"
        assert password not in places[place]
