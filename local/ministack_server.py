"""The local AWS: MiniStack, corrected where it differs from AWS, on a free port, its files in one folder.

::

    python -m local.ministack_server --dir /tmp/aws start     # prints its address
    python -m local.ministack_server --dir /tmp/aws stop
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import processes
from local.errors import LocalSystemError, exit_with_message

if TYPE_CHECKING:
    import boto3

REPOSITORY = Path(__file__).resolve().parent.parent
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True)
class MiniStack:
    """A running MiniStack. It keeps everything in memory and loses it when it stops."""

    directory: Path
    port: int

    @property
    def endpoint(self) -> str:
        """The address that AWS clients are given as ``AWS_ENDPOINT_URL``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which any AWS client talks to this server."""
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_DEFAULT_REGION": REGION, **CREDENTIALS}

    @classmethod
    def start(cls, directory: Path | str, environment: Mapping[str, str] | None = None) -> MiniStack:
        """Start a server with its files in `directory`, or return the running one.

        Parameters
        ----------
        directory : Path
            Made when missing. The port of an earlier start is taken again when it is free.
        environment : mapping, optional
            More variables for the server, such as ``SFN_WAIT_SCALE=0.01`` (retries without the waiting).
        """
        directory = Path(directory).resolve()
        running = cls.running(directory)
        if running:
            return running
        temporary = directory / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        server = cls(directory, processes.free_port(_recall(directory)))
        (directory / "server.json").write_text(json.dumps({"port": server.port}) + "\n")
        command = [sys.executable, "-m", "local.ministack_server", "--dir", str(directory), "serve"]
        environment = {**_server_environment(server.port, directory), **(environment or {})}
        log = directory / "ministack.log"
        process = processes.start(command, log, directory / "ministack.pid", cwd=directory, env=environment)
        processes.wait_until(server.answers, "MiniStack, the local AWS,", process, log, 60)
        return server

    @classmethod
    def running(cls, directory: Path | str) -> MiniStack | None:
        """Return the server of `directory` that runs and answers, if any."""
        directory = Path(directory).resolve()
        port = _recall(directory)
        if port is None or processes.running_pid(directory / "ministack.pid", str(directory)) is None:
            return None
        server = cls(directory, port)
        if processes.poll(server.answers, 10):
            return server
        server.stop()
        return None

    def stop(self) -> None:
        """End the server and with it the functions' processes."""
        stop_server(self.directory)

    def function_processes(self, function: str) -> list[int]:
        """Return the processes that wait for, or run, calls of functions with `function` in their name."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    command = (entry / "cmdline").read_bytes().decode(errors="replace")
                    if str(self.directory) in command and function in command and "_worker" in command:
                        found.append(int(entry.name))
        return found

    def answers(self) -> bool:
        """Return whether the server is ready."""
        # No proxy of the environment: this is a loopback address.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.endpoint}/_ministack/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def session(self) -> boto3.session.Session:
        """Return a boto3 session with this server's region and credentials; clients need ``endpoint_url`` too."""
        import boto3  # noqa: PLC0415 - the serving process has no use for it

        return boto3.session.Session(
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=REGION,
        )

    def client(self, service: str) -> Any:
        """Return a boto3 client of `service` at this server, past any proxy."""
        from botocore.config import Config  # noqa: PLC0415

        config = Config(proxies={}, retries={"max_attempts": 2}, connect_timeout=5)
        return self.session().client(service, endpoint_url=self.endpoint, config=config)  # type: ignore[call-overload]


def stop_server(directory: Path | str) -> bool:
    """Stop the server of `directory`; return whether one ran."""
    directory = Path(directory).resolve()
    stopped = processes.stop(directory / "ministack.pid", str(directory), seconds=10)
    shutil.rmtree(directory / "tmp", ignore_errors=True)
    return stopped


def _recall(directory: Path) -> int | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return int(json.loads((directory / "server.json").read_text())["port"])
    return None


def _server_environment(port: int, directory: Path) -> dict[str, str]:
    # Functions inherit the server's environment, which must not have the user's AWS settings.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **inherited,
        **CREDENTIALS,
        "PYTHONPATH": str(REPOSITORY),
        "TMPDIR": str(directory / "tmp"),
        "STATE_DIR": str(directory / "state"),
        "S3_DATA_DIR": str(directory / "s3"),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "LAMBDA_EXECUTOR": "local",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        # Listeners on fixed ports, and a sweep through the containers of this machine's docker: not wanted.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{directory}/no-docker.sock",
    }


def _serve() -> int:
    from local import ministack_patches  # noqa: PLC0415

    ministack_patches.apply()
    # The functions must import what their bundle carries, and nothing from this checkout.
    os.environ.pop("PYTHONPATH", None)
    sys.argv = ["ministack"]
    import_module("ministack.app").main()
    return 0


def main() -> int:
    """Start or stop a server from a shell."""
    parser = argparse.ArgumentParser(prog="python -m local.ministack_server", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("action", choices=["start", "stop", "serve"])
    arguments = parser.parse_args()
    if arguments.action == "serve":
        return _serve()
    if arguments.action == "stop":
        print("stopped" if stop_server(arguments.dir) else "not running")
        return 0
    if sys.platform != "linux":
        raise LocalSystemError("the local AWS runs on Linux")
    print(MiniStack.start(arguments.dir).endpoint)
    return 0


if __name__ == "__main__":
    sys.exit(exit_with_message(main))
