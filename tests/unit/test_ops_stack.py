"""Where the stack's parts are, and what is said when they are not."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rds_to_s3_ops.deployment.stack import LONGEST_NAME, Stack, find_stack
from rds_to_s3_ops.errors import AwsError, CommandError, NotFoundError
from tests.template import load

OUTPUTS = {
    "StateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:extract",
    "DataBucketName": "data",
    "TableListParameterName": "/food/table-list",
}


def described(outputs: dict[str, str], status: str = "CREATE_COMPLETE") -> dict[str, Any]:
    pairs = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    return {"Stacks": [{"StackName": "food", "StackStatus": status, "CreationTime": "2025-04-02", "Outputs": pairs}]}


def find(answer: dict[str, Any] | None, code: str = "", message: str = "", name: str = "food") -> Stack:
    client = boto3.client("cloudformation", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stub:
        if answer is None:
            stub.add_client_error("describe_stacks", code, message)
        else:
            stub.add_response("describe_stacks", answer, {"StackName": name})
        return find_stack(client, name)


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
        (described({}, "ROLLBACK_COMPLETE"), "", NotFoundError, "its creation failed"),
        (described({}, "REVIEW_IN_PROGRESS"), "", NotFoundError, "was not confirmed"),
    ],
)
def test_a_stack_that_is_not_ready_is_reported_in_one_line(
    answer: dict[str, Any] | None, code: str, error: type[CommandError], told: str
) -> None:
    with pytest.raises(error, match=r"^[^\n]+\Z") as raised:
        find(answer, code, "because")
    assert told in str(raised.value)


@pytest.mark.parametrize("answer", [None, described({}, "ROLLBACK_COMPLETE")])
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("aws-shop", "Parameter Store refuses /aws-shop/table-list"),
        ("SSMshop", "Parameter Store refuses /SSMshop/table-list"),
        ("x" * 50, "50 characters, and 49 are possible"),
        ("x" * 49, ""),
        ("shop-aws", ""),
    ],
)
def test_a_name_that_cannot_be_deployed_is_explained(answer: dict[str, Any] | None, name: str, told: str) -> None:
    with pytest.raises(NotFoundError) as raised:
        find(answer, "ValidationError", "because", name)
    assert told in str(raised.value)
    assert ("possible" in str(raised.value) or "Parameter Store" in str(raised.value)) == bool(told)


def test_the_longest_name_is_that_of_the_template() -> None:
    schedule = load()["Resources"]["ExtractTablesStateMachine"]["Properties"]["Events"]["Schedule"]["Properties"][
        "Name"
    ]
    assert len(schedule["Fn::Sub"].replace("${AWS::StackName}", "x" * LONGEST_NAME)) == 64
