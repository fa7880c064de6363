"""The part of Step Functions Local's support that needs no docker: the functions behind an HTTP port."""

from __future__ import annotations

import pytest

from rds_to_s3.errors import TableNotFoundError
from tests.statemachine.container import ContainerEngine, functions_server, invoke
from tests.statemachine.definition import (
    SUBSTITUTIONS,
    as_deployed,
    as_redriven,
    for_stepfunctions_local,
    states,
    with_short_waits,
)
from tests.statemachine.engine import Engine
from tests.statemachine.functions import Functions, LambdaFaultError

ARN = SUBSTITUTIONS["ExtractTableFunctionArn"]


def test_the_functions_answer_and_fail_over_http_as_lambda_does() -> None:
    engine = ContainerEngine(client=None)
    engine.machine(for_stepfunctions_local(as_deployed()), Functions(["menu"], {"menu": [LambdaFaultError("Gone")]}))
    with functions_server(engine) as port:
        endpoint = f"http://127.0.0.1:{port}"
        failed, kind = invoke(endpoint, ARN, {"table": "menu"})
        assert (failed["errorType"], kind) == ("Gone", "Unhandled")
        answered, kind = invoke(endpoint, ARN, {"table": "menu"})
        assert (answered["status"], kind) == ("SUCCEEDED", None)


def test_short_waits_leave_the_number_of_attempts_alone() -> None:
    before, after = as_deployed(), with_short_waits(as_deployed())
    for (_, old), (_, new) in zip(states(before), states(after), strict=True):
        for one, other in zip(old.get("Retry", []), new.get("Retry", []), strict=True):
            assert one["MaxAttempts"] == other["MaxAttempts"]
            assert other.get("IntervalSeconds", 1) == 1


def test_a_redriven_definition_carries_the_execution_that_it_continues() -> None:
    execution = {"Name": "run-1", "Input": {"tables": ["menu"]}, "RedriveCount": 2}
    redriven = as_redriven(as_deployed(), "CheckRun", execution)
    assert redriven["StartAt"] == "CheckRun"
    assert redriven["States"]["CheckRun"]["Parameters"]["Payload"]["execution"] == execution
    assert redriven["States"]["TakeInput"]["Parameters"] == {"input": {"tables": ["menu"]}}


def test_a_redrive_is_played_where_the_engine_knows_none(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "moto")
    functions = Functions(["menu", "orders"], {"menu": [TableNotFoundError("create it")]})
    machine = engine.machine(with_short_waits(for_stepfunctions_local(as_deployed())), functions)
    machine.sees_redrives = False
    again = machine.run().redrive()
    assert (again.status, functions.attempts()) == ("SUCCEEDED", {"menu": 2, "orders": 1})
