"""The deployed stack: its state machine, bucket and table list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from rds_to_s3_ops.deployment.aws import aws_errors, error_code
from rds_to_s3_ops.errors import AwsError, NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef


LONGEST_NAME = 64 - len("-extract-tables")
_NEVER_CREATED = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "ROLLBACK_IN_PROGRESS", "REVIEW_IN_PROGRESS"}


@dataclass(frozen=True)
class Stack:
    """The stack's outputs and parameters.

    Attributes
    ----------
    name : str
    state_machine_arn : str
    bucket : str
    table_list_parameter : str
        The name of the SSM parameter with the table list.
    parameters : mapping
        The values of the last deployment, by parameter name.
    outputs : mapping
        All outputs, by name.
    """

    name: str
    state_machine_arn: str
    bucket: str
    table_list_parameter: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def list_after_deploy(self) -> str | None:
        """The list that a deploy may write to the SSM parameter: None where it is not the stack's, empty if unknown."""
        if self.parameters.get("ExistingTableListParameter") not in {None, "", f"/{self.name}/table-list"}:
            return None
        return self.parameters.get("TableList", "")

    def execution_arn(self, run_id: str) -> str:
        """Return the ARN of a run: a run's id is its execution's name."""
        return f"{self.state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{run_id}"


def find_stack(cloudformation: CloudFormationClient, name: str) -> Stack:
    """Read the stack's outputs and parameters.

    Raises
    ------
    NotFoundError
        There is no such stack in this account and region, or it is not one of rds-to-s3.
    AwsError
        AWS is unreachable or denies the request, or the stack is not fully deployed yet.
    """
    with aws_errors():
        try:
            described = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            # CloudFormation has no separate error code for a missing stack.
            if error_code(error) != "ValidationError":
                raise
            described = []
    if not described:
        raise NotFoundError(
            f"no stack {name!r} in region {cloudformation.meta.region_name}: "
            f"name it with --stack or STACK_NAME, and check AWS_PROFILE and AWS_REGION{_of_the_name(name)}"
        )
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described[0].get("Outputs", [])}
    try:
        return Stack(
            name=name,
            state_machine_arn=outputs["StateMachineArn"],
            bucket=outputs["DataBucketName"],
            table_list_parameter=outputs["TableListParameterName"],
            parameters=_parameters(described[0]),
            outputs=outputs,
        )
    except KeyError as missing:
        status = described[0]["StackStatus"]
        if status in _NEVER_CREATED:
            raise NotFoundError(
                f"stack {name!r} is {status}: its creation failed or was not confirmed. The stack's events say why; "
                f"delete it (sam delete --stack-name {name}), and deploy again{_of_the_name(name)}"
            ) from None
        if status.endswith("_IN_PROGRESS"):
            raise AwsError(f"stack {name!r} is {status}: wait until it is deployed") from None
        raise NotFoundError(f"stack {name!r} ({status}) has no output {missing}: is it one of rds-to-s3?") from None


def _of_the_name(name: str) -> str:
    """Return why a stack of this name cannot be created; empty if nothing is known against it.

    No Rule of CloudFormation sees a part of a name, so the deployment itself fails late.
    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
    https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
    """
    if len(name) > LONGEST_NAME:
        return f". The name has {len(name)} characters, and {LONGEST_NAME} are possible: its schedule's name is longer"
    if name.lower().startswith(("aws", "ssm")):
        return (
            f". Parameter Store refuses /{name}/table-list, since it keeps names that begin with aws or ssm for "
            "itself: take another name for the stack, or set ExistingTableListParameter"
        )
    return ""


def _parameters(described: StackTypeDef) -> dict[str, str]:
    # The value of a parameter of an SSM type is a name; the resolved value is beside it.
    return {
        parameter["ParameterKey"]: parameter.get("ResolvedValue", parameter.get("ParameterValue", ""))
        for parameter in described.get("Parameters", [])
        if "ParameterKey" in parameter
    }
