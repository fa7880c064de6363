"""The deployed definition with its substitutions filled in, and its translation for Step Functions Local."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Definition = dict[str, Any]

PATH = Path(__file__).parents[2] / "statemachine" / "extract_tables.asl.json"
FUNCTIONS = ("PlanRun", "ExtractTable", "WriteManifest", "CheckRun")
MAPS = ("ExtractTables", "ReadRanges")
TABLE_LIST_PARAMETER = "/shop/table-list"
BUCKET = "shop-data"
SUBSTITUTIONS = {
    "Partition": "aws",
    "TableListParameterName": TABLE_LIST_PARAMETER,
    "DataBucketName": BUCKET,
    **{f"{name}FunctionArn": f"arn:aws:lambda:us-east-1:123456789012:function:{name}" for name in FUNCTIONS},
}


def as_deployed() -> Definition:
    """Fill the substitutions in, as CloudFormation does."""
    text = re.sub(r"\$\{(\w+)\}", lambda match: SUBSTITUTIONS[match[1]], PATH.read_text())
    definition: Definition = json.loads(text)
    return definition


def for_stepfunctions_local(definition: Definition) -> Definition:
    """Translate into what AWS's container, last built in 2024, understands.

    It knows ``Iterator`` and ``Parameters`` where the Map now has ``ItemProcessor`` and ``ItemSelector``, no
    ``MaxConcurrencyPath``, no jitter and no longest delay, and no endpoint of ours for Parameter Store and
    EventBridge, so functions stand in for them.
    """
    translated = copy.deepcopy(definition)
    for items in (translated["States"][name] for name in MAPS):
        items["Iterator"] = items.pop("ItemProcessor")
        del items["Iterator"]["ProcessorConfig"]
        items["Parameters"] = items.pop("ItemSelector")
        del items["MaxConcurrencyPath"]
        items["MaxConcurrency"] = 5
    table_list = translated["States"]["ReadTableList"]
    table_list["Resource"] = "arn:aws:states:::lambda:invoke"
    table_list["Parameters"] = {
        "FunctionName": "arn:aws:lambda:us-east-1:123456789012:function:ReadTableList",
        "Payload": table_list["Parameters"],
    }
    table_list["ResultSelector"] = {"document.$": "$.Payload.Parameter.Value"}
    event = translated["States"]["AnnounceRun"]
    event["Resource"] = table_list["Resource"]
    event["Parameters"] = {
        "FunctionName": "arn:aws:lambda:us-east-1:123456789012:function:AnnounceRun",
        "Payload": event["Parameters"],
    }
    # It has no endpoint of ours for Step Functions itself either.
    translated["States"]["ListRunningRuns"] = {
        "Type": "Pass",
        "Result": {"names": []},
        "ResultPath": "$.running",
        "Next": "PlanRun",
    }
    for _, state in states(translated):
        for retrier in state.get("Retry", []):
            retrier.pop("JitterStrategy", None)
            retrier.pop("MaxDelaySeconds", None)
    return translated


def with_short_waits(definition: Definition) -> Definition:
    """Wait a second before each retry, for an engine that really waits."""
    shortened = copy.deepcopy(definition)
    for _, state in states(shortened):
        for retrier in state.get("Retry", []):
            if retrier["MaxAttempts"]:
                retrier |= {"IntervalSeconds": 1, "BackoffRate": 1.0}
    return shortened


def as_redriven(definition: Definition, start_at: str, execution: dict[str, Any]) -> Definition:
    """Start at a state, with ``$$.Execution`` as a redriven execution has it, for an engine that cannot redrive."""
    text = json.dumps({**definition, "StartAt": start_at})
    for pattern, value in (
        ('"execution.$": "$$.Execution"', f'"execution": {json.dumps(execution)}'),
        ('"input.$": "$$.Execution.Input"', f'"input": {json.dumps(execution["Input"])}'),
        ('"run_id.$": "$$.Execution.Name"', f'"run_id": {json.dumps(execution["Name"])}'),
    ):
        text = text.replace(pattern, value)
    redriven: Definition = json.loads(text)
    return redriven


def states(definition: Definition) -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk over all states, those inside the Maps included."""
    for name, state in definition["States"].items():
        yield name, state
        if inside := state.get("ItemProcessor") or state.get("Iterator"):
            yield from states(inside)
