"""The command on the deployed system: an operator's evening with a table that failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rds_to_s3.aws import database as aws_database
from rds_to_s3_ops.cli import app
from tests.e2e.conftest import DeployedSystem

Command = Callable[..., Result]


@pytest.fixture
def command(system: DeployedSystem, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command with the environment that ``.local/env`` gives."""
    for name, value in system.local.aws.environment.items():
        monkeypatch.setenv(name, value)
    aws_database._source.cache_clear()
    aws_database._ca_bundle.cache_clear()
    return lambda *words: CliRunner().invoke(app, [*words, "--stack", system.local.stack_name])


def test_a_failed_table_is_found_mended_and_redriven_from_the_command_line(
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
    assert {check for check, result in results.items() if result == "skip"} <= {"layers", "network from the functions"}
