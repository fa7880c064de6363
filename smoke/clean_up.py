"""Finds what trials have left, and deletes it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from smoke.account import PREFIX, Account
from smoke.errors import SmokeError

_STACK = re.compile(re.escape(PREFIX) + r"[0-9a-f]{6}(-database)?")
_BUCKET = re.compile(re.escape(PREFIX) + r"[0-9a-f]{6}-(code|databucket)-[0-9a-z-]+")
TRIES = 40


@dataclass(frozen=True)
class Left:
    """What is still there. All else that a trial creates belongs to its stacks."""

    stacks: list[str]
    buckets: list[str]

    def __bool__(self) -> bool:
        return bool(self.stacks or self.buckets)

    def without(self, stack: str) -> Left:
        """Return all but one stack."""
        return Left([name for name in self.stacks if name != stack], self.buckets)

    def lines(self) -> list[str]:
        """Return a line for each."""
        return [f"  stack   {name}" for name in self.stacks] + [f"  bucket  {name}" for name in self.buckets]


def find_left(account: Account, name: str = PREFIX) -> Left:
    """Return what is there of the trial `name`, by default of all trials. The database's stack comes last."""
    pages = account.client("cloudformation").get_paginator("describe_stacks").paginate()
    stacks = [stack["StackName"] for page in pages for stack in page["Stacks"]]
    buckets = [bucket["Name"] for bucket in account.client("s3").list_buckets()["Buckets"]]
    return Left(
        # The functions are in the database's network, so that stack can only go after the other.
        sorted((each for each in stacks if _STACK.fullmatch(each) and each.startswith(name)), key=len),
        [each for each in buckets if _BUCKET.fullmatch(each) and each.startswith(name) and _is_here(account, each)],
    )


def _is_here(account: Account, bucket: str) -> bool:
    found = account.client("s3").get_bucket_location(Bucket=bucket).get("LocationConstraint") or "us-east-1"
    return bool(found == account.region)


def delete_all(account: Account, left: Left, say: Callable[[str], None], *, pause: float = 30) -> None:
    """Delete stacks and buckets, and wait until they are gone.

    Raises
    ------
    SmokeError
        A stack cannot be deleted; the message has CloudFormation's reasons.
    """
    failures: list[str] = []
    for stack in left.stacks:
        try:
            delete_stack(account, stack, say, pause=pause)
        except SmokeError as error:  # the others cost, too
            failures.append(str(error))
    for bucket in left.buckets:
        say(f"  {time.strftime('%H:%M:%S')}  delete the bucket {bucket}")
        _delete_bucket(account.client("s3"), bucket)
    if failures:
        raise SmokeError("; ".join(failures))


def delete_stack(account: Account, name: str, say: Callable[[str], None], *, pause: float = 30) -> None:
    """Delete a stack, in whatever state it is; see `delete_all`."""
    say(f"  {time.strftime('%H:%M:%S')}  delete the stack {name} (network and database take minutes) ...")
    client = account.client("cloudformation")
    status: str | None = None
    reason = said = ""
    for _ in range(TRIES):
        try:
            client.delete_stack(StackName=name)
        except ClientError as error:  # in the middle of an update it cannot be deleted
            reason = str(error)
        status = _settled(client, name, pause)
        if status is None:
            return
        if status == "DELETE_FAILED":
            reason = "; ".join(_reasons(client, name))
            _delete_free_interfaces(account, client, name)
        if reason != said:
            say(f"            not yet: {reason}")
            said = reason
        time.sleep(pause)
    raise SmokeError(f"the stack {name} is {status} and does not go: {reason}")


def _settled(client: Any, name: str, pause: float) -> str | None:
    """Return the status of a stack once nothing is in progress; None once it is gone."""
    while True:
        try:
            status = str(client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        if status == "DELETE_COMPLETE":
            return None
        if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
            return status
        time.sleep(min(pause, 10))


def _reasons(client: Any, name: str) -> list[str]:
    events = client.describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"] == "DELETE_FAILED"]
    return [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed[:5]]


def _delete_free_interfaces(account: Account, client: Any, name: str) -> None:
    # Lambda removes its interfaces up to twenty minutes after the functions. Some stay for good, free and in the way:
    # https://github.com/aws/aws-cdk/issues/6701
    outputs = client.describe_stacks(StackName=name)["Stacks"][0].get("Outputs", [])
    vpc = next((output["OutputValue"] for output in outputs if output["OutputKey"] == "VpcId"), None)
    if vpc is None:
        return
    ec2 = account.client("ec2")
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "status", "Values": ["available"]}]
    for interface in ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]:
        with suppress(ClientError):  # Lambda has just deleted it itself, or it is in use again
            ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])


def _delete_bucket(s3: Any, bucket: str) -> None:
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        if objects:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
    s3.delete_bucket(Bucket=bucket)
