"""How hard the property tests try, and which tests share a worker.

The property tests try a little in every run; ``HYPOTHESIS_PROFILE=thorough pytest tests/unit`` tries twenty times as
many examples.
"""

from __future__ import annotations

import gc
import os
from functools import cache
from typing import Any

import botocore.loaders
import pytest
from hypothesis import HealthCheck, settings


def _parsed_once(load_file: Any) -> Any:
    """Let a process parse each of botocore's files once."""
    parse = cache(lambda path: load_file(botocore.loaders.JSONFileLoader(), path))
    return lambda _, path: parse(path)


# Hundreds of sessions are made here, and each would parse botocore's description of all endpoints.
botocore.loaders.JSONFileLoader.load_file = _parsed_once(  # type: ignore[method-assign]
    botocore.loaders.JSONFileLoader.load_file
)

# A machine that does other things at the same time is no reason to fail.
settings.register_profile("quick", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what is there to stay: half a million objects, also of forked processes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_sessionfinish() -> None:
    """Let it have them back: a library that sees its objects outlive it complains at the end."""
    gc.unfreeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker whole files, and one of them all of ``tests/e2e``: its files share one deployed system."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - the tests of one file need no xdist

    class OneDeployment(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return "tests/e2e" if nodeid.startswith("tests/e2e/") else super()._split_scope(nodeid)

    return OneDeployment(config, log)
