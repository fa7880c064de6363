"""One deployed system for this tier: MySQL, the local AWS and the stack, made by what ``make up`` runs."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from local.database import SAMPLE_DATA
from local.demo import empty_bucket
from local.ministack_server import MiniStack
from local.system import LocalSystem, down
from rds_to_s3.aws import database as aws_database
from rds_to_s3_ops.cli import app

Command = Callable[..., Result]

# What a stack may have beside the extraction, so that this tier sees it work.
OVERRIDES = {
    "NotifySuccess": "true",
    "GlueDatabase": "lake",
    "SnowpipeQueueArn": "arn:aws:sqs:us-east-1:000000000000:snowpipe",
}


@dataclass(frozen=True)
class Run:
    """An execution that ended, and the manifest it left."""

    arn: str
    execution: dict[str, Any]
    manifest: dict[str, Any]

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        return {entry["table"]: entry for entry in self.manifest["tables"]}

    @property
    def rows(self) -> dict[str, int]:
        return {name: entry["rows"] for name, entry in self.tables.items()}


@dataclass(frozen=True)
class DeployedSystem:
    """The system as an operator with an AWS client and a MySQL client sees it."""

    local: LocalSystem

    def client(self, service: str) -> Any:
        return self.local.aws.client(service)

    def sql(self, *statements: str) -> None:
        server = self.local.database.server
        assert server is not None
        server.execute(*statements, database="food_delivery")

    def count(self, table: str) -> int:
        server = self.local.database.server
        assert server is not None
        with server.connect("food_delivery") as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM `{table}`")
            (rows,) = cursor.fetchone() or (0,)
        return int(rows)

    def change_rows(self) -> None:
        self.local.database.run_script(SAMPLE_DATA / "changes.sql")

    def keys(self, prefix: str) -> list[str]:
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def body(self, key: str) -> bytes:
        return bytes(self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read())

    @property
    def bucket(self) -> str:
        return self.local.outputs["DataBucketName"]

    def run(self, **data: Any) -> Run:
        """Start an execution with `data` as its input, and wait for its end."""
        machine = self.local.outputs["StateMachineArn"]
        started = self.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(data))
        return self.ended(started["executionArn"])

    def redrive(self, run: Run) -> Run:
        self.client("stepfunctions").redrive_execution(executionArn=run.arn)
        return self.ended(run.arn)

    def ended(self, arn: str, seconds: float = 90) -> Run:
        client = self.client("stepfunctions")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            execution = client.describe_execution(executionArn=arn)
            if execution["status"] != "RUNNING":
                return Run(arn, execution, json.loads(self.body(f"runs/{execution['name']}/manifest.json")))
            time.sleep(0.1)
        raise AssertionError(f"{arn} did not end within {seconds} s")


@pytest.fixture(scope="package")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedSystem]:
    home = tmp_path_factory.mktemp("system")
    try:
        # S3 refuses to notify a queue that does not exist.
        queue = OVERRIDES["SnowpipeQueueArn"].rpartition(":")[2]
        MiniStack.start(home / "aws").client("sqs").create_queue(QueueName=queue)
        yield DeployedSystem(LocalSystem.up(home, overrides=OVERRIDES, say=print))
    finally:
        down(home)
        # 200 MB of a server's data are not worth keeping for a look afterwards.
        shutil.rmtree(home / "mysql" / "data", ignore_errors=True)


@pytest.fixture
def system(deployed: DeployedSystem) -> DeployedSystem:
    """The system at its seed: the sample data anew, nothing in the bucket."""
    deployed.local.database.reset()
    empty_bucket(deployed.client("s3"), deployed.bucket)
    return deployed


@pytest.fixture
def command(system: DeployedSystem, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command with the environment that ``.local/env`` gives."""
    for name, value in system.local.aws.environment.items():
        monkeypatch.setenv(name, value)
    aws_database._source.cache_clear()
    aws_database._ca_bundle.cache_clear()
    return lambda *words: CliRunner().invoke(app, [*words, "--stack", system.local.stack_name])
