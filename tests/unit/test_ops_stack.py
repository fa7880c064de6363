"""Where the stack's parts are, and what is said when they are not."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rds_to_s3_ops.deployment.stack import Stack, find_stack
from rds_to_s3_ops.errors import AwsError, CommandError, NotFoundError

OUTPUTS = {
    "StateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:extract",
    "DataBucketName": "data",
    "TableListParameterName": "/food/table-list",
}


def described(outputs: dict[str, str], status: str = "CREATE_COMPLETE") -> dict[str, Any]:
    pairs = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    return {"Stacks": [{"StackName": "food", "StackStatus": status, "CreationTime": "2025-04-02", "Outputs": pairs}]}


def find(answer: dict[str, Any] | None, code: str = "", message: str = "") -> Stack:
    client = boto3.client("cloudformation", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stub:
        if answer is None:
            stub.add_client_error("describe_stacks", code, message)
        else:
            stub.add_response("describe_stacks", answer, {"StackName": "food"})
        return find_stack(client, "food")


def test_the_outputs_name_the_parts() -> None:
    stack = find(described(OUTPUTS))
    assert stack == Stack("food", OUTPUTS["StateMachineArn"], "data", "/food/table-list")
    assert stack.execution_arn("run-1") == "arn:aws:states:eu-west-1:123456789012:execution:extract:run-1"


@pytest.mark.parametrize(
    ("answer", "code", "error", "told"),
    [
        (None, "ValidationError", NotFoundError, "no stack 'food' in region eu-west-1"),
        (None, "AccessDenied", AwsError, "AWS refused DescribeStacks"),
        (None, "ExpiredToken", AwsError, "log in again"),
        (described({}), "", NotFoundError, "is it one of rds-to-s3?"),
        (described({}, "CREATE_IN_PROGRESS"), "", AwsError, "wait until it is deployed"),
    ],
)
def test_a_stack_that_is_not_ready_is_reported_in_one_line(
    answer: dict[str, Any] | None, code: str, error: type[CommandError], told: str
) -> None:
    with pytest.raises(error, match=r"^[^\n]+\Z") as raised:
        find(answer, code, "because")
    assert told in str(raised.value)
