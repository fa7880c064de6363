"""Fixtures of the state-machine tier: the real definition, with real error names, no AWS and no database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.statemachine import definition as definitions
from tests.statemachine.definition import Definition
from tests.statemachine.engine import Engine, Machine, running
from tests.statemachine.functions import Functions

NINE = [
    "location",
    "customer",
    "restaurant",
    "delivery_agent",
    "customer_address",
    "menu",
    "orders",
    "order_item",
    "delivery",
]


@pytest.fixture(scope="package")
def engine() -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        with running() as engine:
            yield engine


@pytest.fixture
def functions() -> Functions:
    return Functions(listed=list(NINE))


@pytest.fixture(params=["as deployed", "for Step Functions Local"])
def definition(request: pytest.FixtureRequest) -> Definition:
    """The definition; the second time its translation, so that the translation is tested where no docker is."""
    deployed = definitions.as_deployed()
    return deployed if request.param == "as deployed" else definitions.for_stepfunctions_local(deployed)


@pytest.fixture
def machine(engine: Engine, definition: Definition, functions: Functions, caplog: pytest.LogCaptureFixture) -> Machine:
    caplog.set_level("CRITICAL", "moto")  # it logs the whole definition with each error that is caught
    return engine.machine(definition, functions)
