"""The stacks of examples/, deployed beside the system as its users deploy them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.conftest import DeployedSystem

EXAMPLES = Path(__file__).parents[2] / "examples"


def deploy(system: DeployedSystem, example: str, template: str | None = None, **parameters: str) -> dict[str, str]:
    """Deploy an example, once, or what a test makes of its template; returns its stack's outputs."""
    client: Any = system.client("cloudformation")
    name = f"{system.local.outputs['StateMachineArn'].rpartition(':')[2]}-{example.replace('/', '-').partition('.')[0]}"
    name = name.lower()
    if name not in {stack["StackName"] for stack in client.describe_stacks()["Stacks"]}:
        client.create_stack(
            StackName=name,
            TemplateBody=template or (EXAMPLES / example).read_text(encoding="utf-8"),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def take_all(sqs: Any, url: str, enough: Callable[[list[Any]], bool], seconds: float = 60) -> list[Any]:
    """Take the messages of a queue, until there are enough and no further one is there."""
    taken: list[Any] = []
    deadline = time.monotonic() + seconds
    while True:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        if not messages and (enough(taken) or time.monotonic() > deadline):
            return taken
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken.append(json.loads(message["Body"]))


class EventQueue:
    """The queue of examples/queue.yaml, empty at first."""

    def __init__(self, system: DeployedSystem) -> None:
        self._sqs: Any = system.client("sqs")
        self._url = deploy(system, "queue.yaml", DataBucketName=system.bucket)["QueueUrl"]
        self._sqs.purge_queue(QueueUrl=self._url)

    def take(self, count: int) -> list[dict[str, Any]]:
        """Take the details of all events, in the order of their runs and redrives, once there are so many."""
        taken = take_all(self._sqs, self._url, lambda events: len(events) >= count)
        assert all((event["source"], event["detail-type"]) == ("rds-to-s3", "Run finished") for event in taken)
        return sorted((event["detail"] for event in taken), key=lambda detail: (detail["run_id"], detail["redrives"]))
