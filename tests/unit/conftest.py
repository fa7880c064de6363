"""The command's fixtures."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from rds_to_s3_ops.deployment import stack as stacks
from rds_to_s3_ops.deployment.stack import Stack
from rds_to_s3_ops.runs.runs import Run, Runs
from tests.support.deployed_command import Deployed


@pytest.fixture(scope="module")
def session() -> Iterator[boto3.Session]:
    """One session for the module: a session reads the services' descriptions, which takes most of a test's time."""
    with mock_aws(config={"stepfunctions": {"execute_state_machine": False}}):
        yield boto3.Session("test", "test", region_name="eu-west-1")


@pytest.fixture(scope="module")
def clients(session: boto3.Session) -> list[Any]:
    """The tests' own, S3's, SSM's and that of Step Functions; the command makes itself others."""
    return [session.client("s3"), session.client("ssm"), session.client("stepfunctions")]


@pytest.fixture
def deployed(session: boto3.Session, clients: list[Any], monkeypatch: pytest.MonkeyPatch) -> Deployed:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "STACK_NAME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    s3, ssm, stepfunctions = clients
    name = f"food-{secrets.token_hex(4)}"
    machine = stepfunctions.create_state_machine(name=name, definition="{}", roleArn="arn:aws:iam::123456789012:role/r")
    stack = Stack("food", machine["stateMachineArn"], name, f"/{name}/table-list")
    s3.create_bucket(Bucket=stack.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    ssm.put_parameter(Name=stack.table_list_parameter, Type="String", Value='{"tables": ["menu", "orders"]}')
    monkeypatch.setattr(boto3, "Session", lambda **_: session)
    monkeypatch.setattr(stacks, "find_stack", lambda *_: stack)
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
