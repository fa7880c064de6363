"""``make up`` once more, and the main job on what it deployed."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from local.system import LocalSystem
from tests.e2e.conftest import OVERRIDES, DeployedSystem, Run
from tests.e2e.examples import EventQueue

CHANGED = {
    "location": 1,
    "customer": 4,
    "restaurant": 1,
    "delivery_agent": 2,
    "customer_address": 3,
    "menu": 4,
    "orders": 6,
    "order_item": 6,
    "delivery": 4,
}


def test_three_runs_deliver_everything_then_the_changes_then_nothing(system: DeployedSystem) -> None:
    first = system.run()
    assert first.execution["status"] == "SUCCEEDED"
    assert first.rows == {table: system.count(table) for table in CHANGED}

    system.change_rows()
    second = system.run()
    assert second.execution["status"] == "SUCCEEDED"
    assert second.rows == CHANGED

    files = {table: system.keys(f"{table}/") for table in CHANGED}
    third = system.run()
    assert {entry["status"] for entry in third.tables.values()} == {"UNCHANGED"}
    assert {table: system.keys(f"{table}/") for table in CHANGED} == files


def test_a_table_that_fails_leaves_the_others_done_and_alone_is_run_again(system: DeployedSystem) -> None:
    system.sql("RENAME TABLE menu TO menu_elsewhere")
    broken = system.run()

    assert (broken.execution["status"], broken.execution["error"]) == ("FAILED", "TablesFailed")
    assert "menu" in broken.execution["cause"]
    assert broken.tables["menu"]["error"]["type"] == "TableNotFoundError"
    assert {name for name, entry in broken.tables.items() if entry["status"] == "SUCCEEDED"} == set(CHANGED) - {"menu"}

    page = system.body("runs/index.html").decode()
    assert f'href="{broken.manifest["run_id"]}/report.html"' in page
    assert page.count('<tr class="needs">') == 1
    assert "TableNotFoundError" in page

    system.sql("RENAME TABLE menu_elsewhere TO menu")
    repaired = system.run(rerun_failed_of=broken.manifest["run_id"])
    assert '<tr class="needs">' not in system.body("runs/index.html").decode()

    assert repaired.execution["status"] == "SUCCEEDED"
    assert repaired.rows == {"menu": system.count("menu")}


def test_a_redrive_of_the_execution_runs_the_failed_table_and_no_other(system: DeployedSystem) -> None:
    events = EventQueue(system)
    system.sql("RENAME TABLE menu TO menu_elsewhere")
    broken = system.run()
    others = {table: system.keys(f"{table}/") for table in CHANGED if table != "menu"}
    still_broken = system.redrive(broken)
    assert (still_broken.execution["status"], still_broken.manifest["redrives"]) == ("FAILED", 1)

    system.sql("RENAME TABLE menu_elsewhere TO menu")
    redriven = system.redrive(broken)

    assert redriven.execution["status"] == "SUCCEEDED"
    assert redriven.manifest["redrives"] == 2
    assert redriven.rows["menu"] == system.count("menu")
    assert redriven.manifest["totals"]["succeeded"] == len(CHANGED)
    assert {table: system.keys(f"{table}/") for table in others} == others

    assert events.take(3) == [event_of(run, system) for run in (broken, still_broken, redriven)]


def event_of(run: Run, system: DeployedSystem) -> dict[str, Any]:
    """What the contract promises of a run's event, by its manifest."""
    return {
        "run_id": run.manifest["run_id"],
        "status": run.manifest["status"],
        "redrives": run.manifest["redrives"],
        "bucket": system.bucket,
        "manifest": f"runs/{run.manifest['run_id']}/manifest.json",
        "failed": [name for name, entry in run.tables.items() if entry["status"] == "FAILED"],
        "rows": run.manifest["totals"]["rows"],
    }


def test_the_deployed_schedule_starts_a_run(system: DeployedSystem) -> None:
    scheduler = system.client("scheduler")
    (summary,) = scheduler.list_schedules()["Schedules"]
    schedule = scheduler.get_schedule(Name=summary["Name"])
    assert (schedule["ScheduleExpression"], schedule["State"]) == ("cron(0 0/4 * * ? *)", "DISABLED")
    step_functions = system.client("stepfunctions")
    machine = system.local.outputs["StateMachineArn"]
    before = {entry["executionArn"] for entry in step_functions.list_executions(stateMachineArn=machine)["executions"]}

    # The deployed schedule itself, only with another time: what it starts, and with what input, stays as deployed.
    soon = datetime.now(UTC) + timedelta(seconds=1)
    scheduler.create_schedule(
        Name="soon",
        ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=schedule["Target"],
    )
    for _ in range(300):
        executions = step_functions.list_executions(stateMachineArn=machine)["executions"]
        started = {entry["executionArn"] for entry in executions} - before
        if started:
            break
        time.sleep(0.2)
    scheduler.delete_schedule(Name="soon")

    (arn,) = started
    run = system.ended(arn)
    assert run.execution["status"] == "SUCCEEDED"
    assert set(run.tables) == set(CHANGED)


def test_up_again_reuses_what_runs_and_deploys_nothing(system: DeployedSystem) -> None:
    lines: list[str] = []

    again = LocalSystem.up(system.local.home, overrides=OVERRIDES, say=lines.append)

    assert again.environment == system.local.environment
    assert again.outputs == system.local.outputs
    assert not any("sam" in line for line in lines)


def test_up_restarts_a_database_server_that_was_killed(system: DeployedSystem) -> None:
    rows = system.count("orders")
    os.kill(int((system.local.home / "mysql" / "mysqld.pid").read_text()), signal.SIGKILL)

    again = LocalSystem.up(system.local.home, overrides=OVERRIDES)

    assert again.environment == system.local.environment
    assert system.count("orders") == rows
    assert system.run().execution["status"] == "SUCCEEDED"


def test_the_environment_file_is_what_a_shell_can_source(system: DeployedSystem) -> None:
    lines = (system.local.home / "env").read_text().splitlines()

    assert [line.partition("=")[0].removeprefix("export ") for line in lines] == [
        "AWS_ENDPOINT_URL",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "STACK_NAME",
        "MYSQL_URL",
    ]


def test_the_stack_reads_as_a_user_who_may_only_read(system: DeployedSystem) -> None:
    secret = json.loads(system.client("secretsmanager").get_secret_value(SecretId="rds-to-s3/database")["SecretString"])

    assert set(secret) == {"engine", "host", "port", "username", "password", "dbname"}
    assert secret["username"] == "extractor"


def test_a_run_that_was_stopped_is_taken_up_by_a_redrive(system: DeployedSystem) -> None:
    server = system.local.database.server
    assert server is not None
    client = system.client("stepfunctions")
    with server.connect("food_delivery") as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLES orders WRITE")  # its extractor waits
        arn = client.start_execution(stateMachineArn=system.local.outputs["StateMachineArn"], input="{}")[
            "executionArn"
        ]
        records = f"_state/runs/{arn.rpartition(':')[2]}/tables/"
        deadline = time.monotonic() + 60
        while len(system.keys(records)) < 6:
            assert time.monotonic() < deadline, "the other tables should be extracted meanwhile"
            time.sleep(0.1)
        client.stop_execution(executionArn=arn)
    stopped = client.describe_execution(executionArn=arn)
    assert stopped["status"] == "ABORTED"
    client.redrive_execution(executionArn=arn)
    run = system.ended(arn)
    assert (run.execution["status"], run.manifest["redrives"]) == ("SUCCEEDED", 1)
    assert run.rows == {table: system.count(table) for table in run.tables}
    assert all(entry["rows"] == sum(file["rows"] for file in entry["files"]) for entry in run.tables.values())
    assert len(system.keys("orders/csv/orders_data_")) == 1
