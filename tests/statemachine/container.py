"""Runs a definition on Step Functions Local, AWS's own engine in a container, with functions of ours behind a port."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.statemachine.definition import Definition, with_short_waits
from tests.statemachine.engine import REGION, Machine, answer
from tests.statemachine.functions import Functions

COMPOSE = Path(__file__).with_name("docker-compose.yaml")
START_SECONDS = 60


def why_not() -> str | None:
    """Say what is missing for a container, None if nothing is."""
    if shutil.which("docker") is None:
        return "Step Functions Local needs docker, which is not installed"
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            return f"Step Functions Local needs docker; `{' '.join(command)}` said: {done.stderr.strip()[-200:]}"
    return None


class ContainerEngine:
    """Step Functions Local. Its machines are `Machine`s, as moto's are."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.current: Machine | None = None

    def machine(self, definition: Definition, functions: Functions) -> Machine:
        self.current = Machine(
            self.client, with_short_waits(definition), functions, self.put_table_list, sees_redrives=False
        )
        return self.current

    def put_table_list(self, document: str) -> None:
        """Do nothing: the function in Parameter Store's place knows the document already."""

    def invoke(self, function: str, body: str) -> tuple[bytes, bool]:
        assert self.current
        return answer(self.current, function, body)


@contextmanager
def functions_server(engine: ContainerEngine) -> Iterator[int]:
    """Serve Lambda's Invoke, and nothing else of Lambda; yields the port."""

    class Invoke(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            # /2015-03-31/functions/{name or ARN}/invocations
            payload, failed = engine.invoke(self.path.split("/")[3], body)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            if failed:
                self.send_header("X-Amz-Function-Error", "Unhandled")
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    # Every interface, since the container calls from the network that docker made for it.
    server = ThreadingHTTPServer(("0.0.0.0", 0), Invoke)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def client(service: str, endpoint: str) -> Any:
    make: Any = boto3.client  # typed for names of services that are literals
    return make(
        service,
        REGION,
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5),
    )


@contextmanager
def running() -> Iterator[ContainerEngine]:
    """Start the container, and take it away again."""
    engine = ContainerEngine(None)
    with functions_server(engine) as port:
        compose = ["docker", "compose", "-f", str(COMPOSE), "-p", f"rds-to-s3-{os.getpid()}"]
        environment = os.environ | {"LAMBDA_PORT": str(port)}

        def docker(*command: str) -> str:
            done = subprocess.run([*compose, *command], env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        docker("up", "-d")
        try:
            engine.client = client("stepfunctions", f"http://{docker('port', 'stepfunctions', '8083')}")
            _wait_for(engine.client)
            yield engine
        finally:
            docker("down", "-v")


def _wait_for(stepfunctions: Any) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            stepfunctions.list_state_machines()
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def invoke(endpoint: str, function: str, payload: Any) -> tuple[Any, str | None]:
    """Call a function as the container does; returns its answer and the kind of its failure."""
    response = client("lambda", endpoint).invoke(FunctionName=function, Payload=json.dumps(payload))
    return json.loads(response["Payload"].read()), response.get("FunctionError")
