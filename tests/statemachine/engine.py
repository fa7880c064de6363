"""Runs a definition on moto's engine, in process, with functions of ours and the redrive that moto lacks."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch
from urllib.parse import unquote

import boto3
from jsonpath_ng.ext.parser import parse
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk,
    state_task_service_events,
)
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from rds_to_s3.errors import TableNotFoundError
from tests.statemachine.definition import TABLE_LIST_PARAMETER, Definition, as_redriven
from tests.statemachine.functions import Functions, error_name

REGION = "us-east-1"
Event = dict[str, Any]
Item = tuple[str, int | None]


@dataclass
class Execution:
    """One execution, or what one of its redrives appended to it."""

    machine: Machine
    arn: str
    name: str
    input: Any
    redrives: int = 0
    original: Execution | None = None
    _ended: list[Event] = field(default_factory=list, repr=False)

    def wait(self) -> Execution:
        pause = 0.005
        while self.describe()["status"] == "RUNNING":
            assert pause < 30, "the execution does not end"
            time.sleep(pause)
            pause *= 1.3  # asking takes from the engine the time that it needs for a long run
        return self

    def describe(self) -> dict[str, Any]:
        described: dict[str, Any] = self.machine.client.describe_execution(executionArn=self.arn)
        return described

    def abort(self) -> None:
        self.machine.client.stop_execution(executionArn=self.arn)

    @property
    def status(self) -> str:
        return str(self.describe()["status"])

    @property
    def started_at(self) -> str:
        """As ``$$.Execution.StartTime``, which a redrive does not change."""
        first = self.original.arn if self.original else self.arn
        started: datetime = self.machine.client.describe_execution(executionArn=first)["startDate"]
        return started.astimezone(UTC).isoformat()

    @property
    def error(self) -> str | None:
        return self.describe().get("error")

    @property
    def cause(self) -> str:
        """The message in the error document that Lambda makes the cause."""
        return str(json.loads(self.describe()["cause"])["errorMessage"])

    @property
    def output(self) -> Any:
        return json.loads(self.describe()["output"])

    @property
    def history(self) -> list[Event]:
        """Once the execution has ended, it is read once: the engine takes a tenth of a second for each reading."""
        if self._ended:
            return self._ended
        ended = self.status != "RUNNING"
        pages = self.machine.client.get_paginator("get_execution_history").paginate(
            executionArn=self.arn, maxResults=1000
        )
        events = [event for page in pages for event in page["events"]]
        self._ended = events if ended else []
        return events

    def story(self) -> list[str]:
        """The names of the states in the order in which they were entered."""
        return [name for name, _ in self._entered()]

    def _entered(self) -> Iterator[tuple[str, Any]]:
        for event in self.history:
            if details := event.get("stateEnteredEventDetails"):
                yield details["name"], json.loads(details["input"])

    def _exited(self) -> Iterator[tuple[str, Any]]:
        for event in self.history:
            if details := event.get("stateExitedEventDetails"):
                yield details["name"], json.loads(details["output"])

    def redrive(self) -> Execution:
        """Play what AWS does: the state that was entered and not left is entered again, with the input it had.

        In an inline Map only the iterations that had not ended run again; the others keep their output.
        """
        assert self.status in {"FAILED", "TIMED_OUT", "ABORTED"}, "only an execution that went wrong can be redriven"
        top = self.machine.definition["States"]
        name, data = [(name, data) for name, data in self._entered() if name in top][-1]
        assert name not in [name for name, _ in self._exited()][-1:], "the state had been left"
        kept = {}
        if top[name]["Type"] == "Map":
            ends = {"ExtractTables": {"TableFinished", "TableFailed"}, "ReadRanges": {"RangeFinished", "RangeFailed"}}
            kept = {item_of(out.get("result", out)): out for state, out in self._exited() if state in ends[name]}
        return self.machine.start_at(name, data, original=self, kept=kept).wait()


@dataclass
class Machine:
    """A state machine whose functions are ours."""

    client: Any
    definition: Definition
    functions: Functions
    put_table_list: Callable[[str], None]
    sees_redrives: bool = True
    slept: list[float] = field(default_factory=list)
    redrives: dict[str, Execution] = field(default_factory=dict)
    kept: dict[Item, dict[str, Any]] = field(default_factory=dict)

    def run(self, input: Any = None) -> Execution:
        return self.start(input).wait()

    def start(self, input: Any = None) -> Execution:
        input = {} if input is None else input
        name = f"run-{next(_numbers)}"
        return Execution(self, self._start(self.definition, input, name), name, input)

    def start_at(self, state: str, data: Any, original: Execution, kept: dict[Item, dict[str, Any]]) -> Execution:
        redrive = Execution(
            self, "", original.name, original.input, original.redrives + 1, original.original or original
        )
        name = f"{original.name}.redrive-{redrive.redrives}"
        self.redrives[name] = redrive
        self.kept = kept
        definition = {**self.definition, "StartAt": state}
        if not self.sees_redrives:
            execution = {"Id": original.arn, "Name": original.name, "Input": original.input}
            execution["StartTime"] = original.started_at
            definition = as_redriven(definition, state, execution | {"RedriveCount": redrive.redrives})
        redrive.arn = self._start(definition, data, name)
        return redrive

    def _start(self, definition: Definition, input: Any, name: str) -> str:
        machine = self.client.create_state_machine(
            name=f"machine-{next(_numbers)}",
            definition=json.dumps(definition),
            roleArn="arn:aws:iam::123456789012:role/extract-tables",
        )
        arn = self.client.start_execution(
            stateMachineArn=machine["stateMachineArn"], name=name, input=json.dumps(input)
        )["executionArn"]
        return str(arn)

    def invoke(self, function: str, payload: Any) -> Any:
        if function == "ExtractTable" and (output := self.kept.pop(item_of(payload), None)):
            result = output.get("result", output)
            if result["status"] == "FAILED":
                # Under a permanent name, since the iteration has to end as it did, without another try.
                raise TableNotFoundError("kept from before the redrive")
            return result | {"ranges": output.get("ranges", [])}
        return self.functions.invoke(function, payload)


def item_of(data: dict[str, Any]) -> Item:
    """The table, and the range if it is only that, of an iteration."""
    return data["table"], data.get("range")


def answer(machine: Machine, function: str, body: str) -> tuple[bytes, bool]:
    """Invoke a function, by name or ARN, as Lambda would; returns the payload and whether the function failed."""
    try:
        return json.dumps(machine.invoke(unquote(function).rpartition(":")[2], json.loads(body))).encode(), False
    except Exception as error:
        document = {"errorMessage": str(error), "errorType": error_name(error), "stackTrace": []}
        return json.dumps(document).encode(), True


class Engine:
    """moto's engine, with what it lacks: functions of ours, error names, redrives, and no real waits."""

    def __init__(self) -> None:
        self.client = boto3.client("stepfunctions", REGION)
        self.ssm = boto3.client("ssm", REGION)
        self._lambda = boto3.client("lambda", REGION)
        self.current: Machine | None = None

    def machine(self, definition: Definition, functions: Functions) -> Machine:
        self.put_table_list(functions.table_list())
        self.current = Machine(self.client, definition, functions, self.put_table_list)
        return self.current

    def put_table_list(self, document: str) -> None:
        self.ssm.put_parameter(Name=TABLE_LIST_PARAMETER, Type="String", Value=document, Overwrite=True)

    def client_for(self, service: str, **_: object) -> Any:
        assert service == "lambda"
        return self._lambda  # moto makes a client for each call, which takes longer than everything else in it

    def sdk_client_for(self, service: str, **_: object) -> Any:
        if service != "stepfunctions":
            return self.ssm

        def list_executions(StateMachineArn: str, StatusFilter: Any, MaxResults: int) -> Any:  # noqa: N803
            found = self.client.list_executions(
                stateMachineArn=StateMachineArn, statusFilter=StatusFilter, maxResults=MaxResults
            )
            return {"Executions": [{"Name": execution["name"]} for execution in found["executions"]]}

        # moto passes an integration's parameters on under AWS's names for Step Functions, which boto3 writes otherwise.
        return SimpleNamespace(list_executions=list_executions)

    def events_client_for(self, service: str, **_: object) -> Any:
        assert service == "events"

        def put_events(Entries: list[dict[str, Any]]) -> Any:  # noqa: N803
            assert self.current
            return self.current.invoke("AnnounceRun", {"Entries": Entries})

        return SimpleNamespace(put_events=put_events)

    def sleep(self, seconds: float) -> None:
        assert self.current
        self.current.slept.append(seconds)

    def invoke(self, name: str, _qualifier: object, body: str, _headers: object, response_headers: Any) -> bytes:
        assert self.current
        payload, failed = answer(self.current, name, body)
        if failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return payload

    def environment(self, worker: ExecutionWorker) -> Any:
        env = _environment(worker)
        context: dict[str, Any] = cast(Any, env.states.context_object.context_object_data["Execution"])
        if self.current and (redrive := self.current.redrives.get(context["Name"])):
            context |= {"Name": redrive.name, "Input": redrive.input, "RedriveCount": redrive.redrives}
            context["StartTime"] = redrive.started_at
        return env


# moto parses the definition twice for each execution, and each path each time it is used: most of what an execution
# takes. What these return is not changed by its use.
_parse_definition = lru_cache(maxsize=None)(AmazonStateLanguageParser.parse)
_parse_path = lru_cache(maxsize=None)(parse)
_environment = ExecutionWorker._get_evaluation_environment
_numbers = itertools.count(1)


@contextmanager
def running() -> Iterator[Engine]:
    """Run moto with an engine's patches in place."""
    with mock_aws(config={"lambda": {"use_docker": False}, "stepfunctions": {"execute_state_machine": True}}):
        engine = Engine()

        def environment(worker: ExecutionWorker) -> Any:
            return engine.environment(worker)

        with (
            patch.object(AmazonStateLanguageParser, "parse", _parse_definition),
            patch.object(json_path, "parse", _parse_path),
            # On AWS a path with a wildcard that finds nothing is an empty list, whatever follows the wildcard.
            patch.object(json_path, "_contains_slice_or_wildcard_array", lambda path: "[*]" in path),
            patch.object(LambdaSimpleBackend, "invoke", engine.invoke),
            patch.object(lambda_eval_utils, "boto_client_for", engine.client_for),
            patch.object(state_task_service_aws_sdk, "boto_client_for", engine.sdk_client_for),
            patch.object(state_task_service_events, "boto_client_for", engine.events_client_for),
            patch.object(retrier_decl, "time", SimpleNamespace(sleep=engine.sleep)),
            patch.object(ExecutionWorker, "_get_evaluation_environment", environment),
        ):
            yield engine
