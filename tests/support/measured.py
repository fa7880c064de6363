"""Runs one of the programs `measured_*` in a process of its own, on a test's database and bucket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.ministack_server import MiniStack
    from tests.integration.pipeline import Pipeline

REPOSITORY = Path(__file__).parents[2]
PATHS = ("", "functions", "ops")


def measured(program: str, pipeline: Pipeline, aws: MiniStack, **given: Any) -> dict[str, Any]:
    """Return what the program told; it is given credentials, bucket, and whatever else is `given`."""
    server = pipeline.database.server
    credentials = {
        "host": server.host, "port": server.port, "username": server.user, "password": server.password,
        "database": pipeline.database.name,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", f"tests.support.{program}"],
        input=json.dumps({"credentials": credentials, "bucket": pipeline.bucket, **given}),
        env={**os.environ, **aws.environment, "PYTHONPATH": ":".join(str(REPOSITORY / path) for path in PATHS)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
