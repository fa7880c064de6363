"""Redriving a run: what is asked of Step Functions, and what is said when it refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from rds_to_s3_ops.deployment.stack import Stack
from rds_to_s3_ops.errors import AwsError, InvalidInputError, NotFoundError
from rds_to_s3_ops.runs.runs import Run, Runs

STACK = Stack("s", "arn:aws:states:eu-west-1:123456789012:stateMachine:extract", "b", "p")
AT = datetime(2025, 4, 2, 12, 0, tzinfo=UTC)


class Executions:
    """Step Functions with one failed execution, whose old state is returned for some polls after its redrive."""

    def __init__(self, stale_looks: int = 0, refusal: str = "", message: str = "", status: str = "FAILED") -> None:
        self.status = status
        self.stale_looks = stale_looks
        self.refusal, self.message = refusal, message
        self.redriven: list[str] = []

    def describe_execution(self, **arguments: str) -> dict[str, Any]:
        if self.refusal == "ExecutionDoesNotExist":
            raise refused("DescribeExecution", self.refusal, self.message)
        if self.redriven and self.stale_looks == 0:
            return {"status": "RUNNING", "startDate": AT, "redriveCount": 1}
        self.stale_looks -= bool(self.redriven)
        return {"status": self.status, "startDate": AT, "stopDate": AT, "redriveCount": 0}

    def redrive_execution(self, executionArn: str) -> None:  # noqa: N803 - boto3's name
        if self.refusal:
            raise refused("RedriveExecution", self.refusal, self.message)
        self.redriven.append(executionArn)


def refused(operation: str, code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def redrive(executions: Executions) -> Run:
    return Runs(cast("Any", executions), STACK).redrive("run-1", sleep=lambda _: None)


def test_a_failed_run_is_redriven_under_its_own_name() -> None:
    executions = Executions()
    run = redrive(executions)
    assert executions.redriven == [STACK.execution_arn("run-1")]
    assert (run.run_id, run.status, run.redrives) == ("run-1", "RUNNING", 1)


def test_an_answer_from_before_the_redrive_is_not_taken_for_the_end_of_it() -> None:
    assert redrive(Executions(stale_looks=3)).is_running


@pytest.mark.parametrize(
    ("code", "error", "told"),
    [
        ("ExecutionNotRedrivable", InvalidInputError, "cannot be redriven: because; to run its failed tables"),
        ("ExecutionDoesNotExist", NotFoundError, "no run 'run-1'"),
        ("AccessDeniedException", AwsError, "AWS refused RedriveExecution: because"),
    ],
)
def test_a_refusal_says_what_to_do(code: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        redrive(Executions(refusal=code, message="because"))


@pytest.mark.parametrize(("status", "told"), [("SUCCEEDED", "has not failed"), ("RUNNING", "is still running")])
def test_only_a_run_that_ended_badly_is_redriven(status: str, told: str) -> None:
    executions = Executions(status=status)
    with pytest.raises(InvalidInputError, match=told):
        redrive(executions)
    assert not executions.redriven
