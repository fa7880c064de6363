"""How the facts of `make aws-smoke` are asked for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from smoke import asking, facts
from smoke.account import Account
from smoke.deployment import Names
from smoke.trial import Trial

REGION = "eu-west-1"


def gate_event(count: int | None, retries: int | None) -> dict[str, Any]:
    """One scheduled call of the gate, as GetExecutionHistory shows it."""
    execution = {"Name": "r"} | ({} if count is None else {"RedriveCount": count})
    entry = {"Name": "CheckRun", "EnteredTime": "2026-11-30T12:00:00Z"}
    entry |= {} if retries is None else {"RetryCount": retries}  # type: ignore[dict-item]
    parameters = json.dumps({"FunctionName": "f", "Payload": {"execution": execution, "entry": entry}})
    return {"type": "TaskScheduled", "taskScheduledEventDetails": {"parameters": parameters}}


@pytest.mark.parametrize(
    ("count", "retries", "results"),
    [
        (1, 0, ["held", "held"]),
        (1, None, ["held", "held"]),
        (0, 2, ["did not hold"] * 2),
        (None, 0, ["did not hold", "held"]),
    ],
)
def test_the_gates_input_after_a_redrive_is_read_from_the_history(
    count: int | None, retries: int | None, results: list[str]
) -> None:
    history = [gate_event(0, 0), {"type": "ExecutionRedriven"}, gate_event(count, retries)]
    seen = SimpleNamespace(account=Account(REGION), history=history)
    assert [asking.ask(fact, seen).result for fact in facts.FACTS[:2]] == results  # type: ignore[arg-type]
    seen.history = history[:2]
    assert {asking.ask(fact, seen).result for fact in facts.FACTS[:2]} == {"could not be asked"}  # type: ignore[arg-type]


def test_the_versions_are_those_of_the_requirements() -> None:
    pinned = dict(
        line.split("==")
        for line in Path("requirements/lambda.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    names = {"PyMySQL": "PyMySQL", "Powertools": "aws-lambda-powertools", "numpy": "numpy", "pyarrow": "pyarrow"}
    assert all(pinned[package].startswith(facts.TESTED[name]) for name, package in names.items())


class Refusing:
    """An account whose services answer each call with one error, but the calls that it lets pass."""

    stand_in = None

    def __init__(self, message: str, *passing: str) -> None:
        self._message, self._passing = message, passing

    def client(self, _service: str) -> Refusing:
        return self

    def describe_stack_resource(self, **_: str) -> dict[str, Any]:
        return {"StackResourceDetail": {"PhysicalResourceId": "plan"}}

    def get_function_configuration(self, **_: str) -> dict[str, Any]:
        return {"Layers": [{"Arn": "arn:aws:lambda:us-east-1:1:layer:pandas:9"}]}

    def put_parameter(self, **_: str) -> None:
        self._refuse("reserved")

    def get_layer_version_by_arn(self, **request: str) -> None:
        self._refuse(request["Arn"].rpartition(":")[2])

    def _refuse(self, what: str) -> None:
        if what not in self._passing:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": self._message}}, "AnOperation")


NO_RIGHT = (
    "User: arn:aws:iam::1:user/me is not authorized to perform: x on resource: y because no identity-based policy"
)


@pytest.mark.parametrize(
    ("sentence", "account", "result"),
    [
        ("Parameter Store refuses", Refusing("No access to reserved parameter name: /aws-x"), "held"),
        ("Parameter Store refuses", Refusing(NO_RIGHT), "could not be asked"),
        ("A layer version that does not exist", Refusing(NO_RIGHT, "9"), "held"),
        ("A layer version that does not exist", Refusing(NO_RIGHT), "could not be asked"),
    ],
)
def test_a_refusal_for_lack_of_rights_is_no_answer(sentence: str, account: Any, result: str, tmp_path: Path) -> None:
    seen = Trial(account, Names("rds-to-s3-smoke-1", "1"), None, tmp_path, print)  # type: ignore[arg-type]
    seen.outputs = {"DataBucketName": "b"}
    (fact,) = (each for each in facts.FACTS if each.sentence.startswith(sentence))
    assert asking.ask(fact, seen).result == result
