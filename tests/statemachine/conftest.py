"""Fixtures of the state-machine tier: the real definition, with real error names, no AWS and no database.

With ``STEPFUNCTIONS_LOCAL=1`` the same tests run on AWS's own engine, in a container.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.statemachine.container import ContainerEngine, why_not
from tests.statemachine.container import running as running_container
from tests.statemachine.definition import as_deployed, for_stepfunctions_local
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


@pytest.fixture(scope="package")
def container() -> Iterator[ContainerEngine]:
    if reason := why_not():
        pytest.skip(reason)
    with running_container() as engine:
        yield engine


# The translation runs on moto too, so that it is tested where no docker is.
ENGINES = ["on Step Functions Local"] if os.environ.get("STEPFUNCTIONS_LOCAL") else ["as deployed", "translated"]


@pytest.fixture(params=ENGINES)
def machine(request: pytest.FixtureRequest, functions: Functions, caplog: pytest.LogCaptureFixture) -> Machine:
    caplog.set_level("CRITICAL", "moto")  # it logs the whole definition with each error that is caught
    on_container = request.param == "on Step Functions Local"
    engine: Engine | ContainerEngine = request.getfixturevalue("container" if on_container else "engine")
    definition = as_deployed()
    return engine.machine(
        definition if request.param == "as deployed" else for_stepfunctions_local(definition), functions
    )
