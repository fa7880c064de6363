"""The local stack behind a slow network, and its executions with what they cost."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.deployed.costs import Costs
from local.demo import empty_bucket
from local.errors import LocalSystemError
from local.mysql_server import MySqlServer
from local.slow_network import SlowNetwork
from local.stack import SECRET
from local.system import LocalSystem

# As much as a small Lambda's network gives a connection.
BYTES_PER_SECOND = 8_000_000
MOST_READERS = 8
SECONDS = 600


@dataclass(frozen=True)
class Execution:
    """One whole execution.

    Attributes
    ----------
    seconds : float
        From its start to its end, as a client of Step Functions sees them.
    carried : int
        Bytes that the network let through from the server.
    cpu, peak_mb : float
        Of the extractor's processes: all seconds, and the largest of them.
    server_cpu, aws_cpu, network_cpu : float
        CPU seconds of the database, of the local AWS, and of this process, which is the network.
    """

    readers: int
    rows: int
    seconds: float
    carried: int
    cpu: float
    peak_mb: float
    server_cpu: float
    aws_cpu: float
    network_cpu: float


@dataclass(frozen=True)
class Deployed:
    """The running system."""

    local: LocalSystem
    server: MySqlServer

    @classmethod
    def up(cls, home: Path, server: MySqlServer) -> Deployed:
        """Deploy the stack beside a server that runs in `home`; it reads the database ``bench``."""
        local = LocalSystem.up(home, overrides={"MaxConcurrency": str(MOST_READERS)}, say=print)
        server.execute("GRANT SELECT ON bench.* TO 'extractor'@'%'")
        return cls(local, server)

    @contextmanager
    def behind_a_slow_network(self) -> Iterator[SlowNetwork]:
        """Let every connection of the functions carry `BYTES_PER_SECOND`."""
        secrets = self.local.aws.client("secretsmanager")
        before = secrets.get_secret_value(SecretId=SECRET)["SecretString"]
        with SlowNetwork(self.server.host, self.server.port, BYTES_PER_SECOND) as network:
            changed = json.loads(before) | {"port": network.port, "dbname": "bench"}
            secrets.put_secret_value(SecretId=SECRET, SecretString=json.dumps(changed))
            try:
                yield network
            finally:
                secrets.put_secret_value(SecretId=SECRET, SecretString=before)

    def functions(self) -> list[int]:
        """Return the extractor's processes."""
        return self.local.aws.function_processes("ExtractTable")

    def first_load(self, network: SlowNetwork, table: str, readers: int) -> Execution:
        """Extract a table into an empty bucket.

        Raises
        ------
        LocalSystemError
            The execution failed, or other readers have read the table.
        """
        aws, outputs = self.local.aws, self.local.outputs
        s3, bucket = aws.client("s3"), outputs["DataBucketName"]
        empty_bucket(s3, bucket)
        document = json.dumps({"tables": [{"name": table, "readers": readers}]})
        aws.client("ssm").put_parameter(Name=outputs["TableListParameterName"], Value=document, Overwrite=True)
        carried = network.carried
        costs = Costs(
            {
                "functions": self.functions,
                "server": lambda: [int((self.server.directory / "mysqld.pid").read_text())],
                "aws": lambda: [int((aws.directory / "ministack.pid").read_text())],
                "network": lambda: [os.getpid()],
            }
        )
        with costs:
            began = time.monotonic()
            name, status = self._executed()
            seconds = time.monotonic() - began
        manifest = json.loads(s3.get_object(Bucket=bucket, Key=f"runs/{name}/manifest.json")["Body"].read())
        (entry,) = manifest["tables"]
        if status != "SUCCEEDED" or entry.get("readers", 1) not in {readers, None}:
            raise LocalSystemError(f"{table} with {readers} readers: {status}, {json.dumps(entry)[:2000]}")
        return Execution(
            readers,
            entry["rows"],
            seconds,
            network.carried - carried,
            costs.cpu("functions"),
            costs.peak_mb("functions"),
            costs.cpu("server"),
            costs.cpu("aws"),
            costs.cpu("network"),
        )

    def _executed(self) -> tuple[str, str]:
        machine, client = self.local.outputs["StateMachineArn"], self.local.aws.client("stepfunctions")
        arn = client.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            execution: dict[str, Any] = client.describe_execution(executionArn=arn)
            if execution["status"] != "RUNNING":
                return str(execution["name"]), str(execution["status"])
            time.sleep(0.2)
        raise LocalSystemError(f"{arn} did not end within {SECONDS} s")
