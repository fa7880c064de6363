"""Runs the SAM command, which lives in an environment of its own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from local import processes
from local.errors import LocalSystemError
from local.ministack_server import REPOSITORY, MiniStack

SAM = REPOSITORY / ".local" / "sam" / "bin" / "sam"


def local_environment(aws: MiniStack) -> dict[str, str]:
    """Return an environment in which SAM talks to the local AWS, and to nothing else."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_CLI_"))}
    return {
        **inherited,
        **aws.environment,
        # Neither the user's profiles nor a proxy has a part in talking to a server on this machine.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "SAM_CLI_POLL_DELAY": "0.2",  # by default it looks every five seconds
        # The functions find Zstandard in the environment that MiniStack runs in: the layer stays empty.
        "RDS_TO_S3_LOCAL": "1",
    }


def run_sam(arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
    """Run ``sam`` with its output appended to `log`.

    It has a session of its own, so that a Ctrl-C ends it through us alone.

    Raises
    ------
    LocalSystemError
        It failed; with the end of the log.
    """
    if not SAM.is_file():
        raise LocalSystemError(f"{SAM} is missing: run `make up`, which installs it")
    settings = {"SAM_CLI_TELEMETRY": "0", "__SAM_CLI_APP_DIR": str(REPOSITORY / ".local" / "sam-settings")}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(SAM), *arguments],
            cwd=REPOSITORY,
            env={**environment, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
    if code:
        tail = processes.log_tail(log, 25)
        raise LocalSystemError(f"`sam {arguments[0]}` failed; the end of {log}:\n{tail}")
