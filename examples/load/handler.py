"""Brings a warehouse up to date whenever a run has finished: what `rds-to-s3 load` does, started by the run's event."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any


def handler(event: dict[str, Any], _context: object) -> None:
    """Load what the warehouse does not have, whichever run the event is about."""
    sys.stdout.write(f"run {event['detail']['run_id']}: {event['detail']['status']}\n")
    options = ["--for", os.environ["WAREHOUSE"], "--to", os.environ["TARGET"], "--stack", os.environ["STACK_NAME"]]
    # A process of its own: memory is given back, and an exit code is an error. Lambda then calls the function twice
    # more, and puts the event into the queue of what failed.
    command = [sys.executable, "-c", "from rds_to_s3_ops.cli import main; main()", "load", *options]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})  # noqa: S603
