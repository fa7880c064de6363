"""The local AWS does what AWS does, where the state machine depends on it (local/ministack_patches.py)."""

from __future__ import annotations

import io
import itertools
import json
import time
import zipfile
from typing import Any

import pytest

from local.ministack_server import MiniStack

ROLE = "arn:aws:iam::000000000000:role/any"

SOURCE = """
import os, sys, time

class NotYetError(Exception):
    pass

running = 0

def handler(event, context):
    if event.get("raise_until") is not None and event.get("redrives", 0) < event["raise_until"]:
        raise NotYetError("call again")
    if event.get("exit"):
        os._exit(1)
    time.sleep(event.get("sleep", 0))
    return {"pid": os.getpid(), "began": time.time() - event.get("sleep", 0), "ended": time.time()}
"""


@pytest.fixture(scope="module")
def function(aws: MiniStack) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("step.py", SOURCE)
    created = aws.client("lambda").create_function(
        FunctionName="step",
        Runtime="python3.13",
        Handler="step.handler",
        Role=ROLE,
        Timeout=20,
        Code={"ZipFile": archive.getvalue()},
    )
    return str(created["FunctionArn"])


def task(function: str, payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    parameters = {"FunctionName": function, "Payload": payload}
    state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": parameters}
    return {**state, "OutputPath": "$.Payload", **more}


def start(aws: MiniStack, name: str, definition: dict[str, Any], data: Any = None) -> str:
    client = aws.client("stepfunctions")
    machine = client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)
    execution = client.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(data or {}))
    return str(execution["executionArn"])


def finished(aws: MiniStack, arn: str) -> dict[str, Any]:
    client = aws.client("stepfunctions")
    for _ in range(600):
        execution: dict[str, Any] = client.describe_execution(executionArn=arn)
        if execution["status"] != "RUNNING":
            return execution
        time.sleep(0.1)
    raise AssertionError("still running")


def history(aws: MiniStack, arn: str) -> list[str]:
    events = aws.client("stepfunctions").get_execution_history(executionArn=arn)["events"]
    return [event["type"] for event in events]


def test_an_exception_reaches_the_state_machine_under_its_class_name(aws: MiniStack, function: str) -> None:
    definition = {"StartAt": "Step", "States": {"Step": task(function, {"raise_until": 1}, End=True)}}

    execution = finished(aws, start(aws, "names", definition))

    assert execution["error"] == "NotYetError"
    assert json.loads(execution["cause"])["errorMessage"] == "call again"


def test_a_function_stays_warm_after_an_exception(aws: MiniStack, function: str) -> None:
    client = aws.client("lambda")

    def invoke(payload: dict[str, Any]) -> dict[str, Any]:
        answer = client.invoke(FunctionName=function, Payload=json.dumps(payload))
        return dict(json.loads(answer["Payload"].read()))

    before = invoke({})
    assert invoke({"raise_until": 1})["errorType"] == "NotYetError"
    assert invoke({})["pid"] == before["pid"]


def test_a_function_whose_process_dies_is_an_exit_error(aws: MiniStack, function: str) -> None:
    definition = {"StartAt": "Step", "States": {"Step": task(function, {"exit": True}, End=True)}}

    assert finished(aws, start(aws, "exits", definition))["error"] == "Runtime.ExitError"


def test_a_map_runs_no_more_iterations_at_once_than_its_path_says(aws: MiniStack, function: str) -> None:
    states = {"Step": task(function, {"sleep": 0.3}, End=True)}
    one_at_a_time = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrencyPath": "$.limit",
        "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Step", "States": states},
        "End": True,
    }
    definition = {"StartAt": "Each", "States": {"Each": one_at_a_time}}

    execution = finished(aws, start(aws, "each", definition, {"items": [1, 2, 3], "limit": 1}))

    spans = sorted((item["began"], item["ended"]) for item in json.loads(execution["output"]))
    assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(spans))


def test_a_redrive_runs_the_failed_state_again_with_its_own_input(aws: MiniStack, function: str) -> None:
    payload = {"raise_until": 2, "redrives.$": "$$.Execution.RedriveCount"}
    definition = {
        "StartAt": "Before",
        "States": {
            "Before": {"Type": "Pass", "Result": {"kept": True}, "Next": "Gate"},
            "Gate": task(function, payload, OutputPath="$", ResultPath=None, Next="After"),
            "After": {"Type": "Succeed"},
        },
    }
    client = aws.client("stepfunctions")
    arn = start(aws, "redriven", definition)
    assert finished(aws, arn)["redriveStatus"] == "REDRIVABLE"

    client.redrive_execution(executionArn=arn)
    again = finished(aws, arn)
    assert (again["status"], again["redriveCount"], again["error"]) == ("FAILED", 1, "NotYetError")

    client.redrive_execution(executionArn=arn)
    last = finished(aws, arn)
    assert (last["status"], last["redriveCount"]) == ("SUCCEEDED", 2)
    assert json.loads(last["output"]) == {"kept": True}
    assert "error" not in last
    events = history(aws, arn)
    assert events.count("ExecutionStarted") == 1
    assert events.count("ExecutionRedriven") == 2
    assert events.count("PassStateEntered") == 1
    assert events.count("TaskStateEntered") == 1
    assert events.count("TaskScheduled") == 3


def test_a_redriven_map_runs_only_the_iterations_that_failed(aws: MiniStack, function: str) -> None:
    payload = {"raise_until.$": "$.raise_until", "redrives.$": "$$.Execution.RedriveCount"}
    each = {
        "Type": "Map",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": "Step",
            "States": {"Step": task(function, payload, End=True)},
        },
        "End": True,
    }
    client = aws.client("stepfunctions")
    items = [{"raise_until": 0}, {"raise_until": 1}, {"raise_until": 0}]
    arn = start(aws, "redriven-map", {"StartAt": "Each", "States": {"Each": each}}, items)
    assert finished(aws, arn)["status"] == "FAILED"
    scheduled = history(aws, arn).count("TaskScheduled")

    client.redrive_execution(executionArn=arn)

    assert len(json.loads(finished(aws, arn)["output"])) == 3
    assert history(aws, arn).count("TaskScheduled") == scheduled + 1


def test_what_succeeded_cannot_be_redriven(aws: MiniStack) -> None:
    client = aws.client("stepfunctions")
    arn = start(aws, "fine", {"StartAt": "Fine", "States": {"Fine": {"Type": "Succeed"}}})
    assert finished(aws, arn)["redriveStatus"] == "NOT_REDRIVABLE"

    with pytest.raises(client.exceptions.ExecutionNotRedrivable):
        client.redrive_execution(executionArn=arn)
