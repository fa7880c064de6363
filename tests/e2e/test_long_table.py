"""A table that needs many invocations of a function with little time, some of which are killed."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from local.slow_network import SlowNetwork
from tests.e2e.conftest import DeployedSystem

# `LONG_TABLE_INVOCATIONS=10 pytest tests/e2e/test_long_table.py` takes two minutes.
INVOCATIONS = int(os.environ.get("LONG_TABLE_INVOCATIONS", "4"))
KILLS = INVOCATIONS // 3
SECONDS = 6
BYTES_PER_SECOND = 150_000
ROWS = 5_000 * INVOCATIONS  # of 110 bytes: an invocation stops reading after 4.3 of its 6 seconds


@contextmanager
def hurried(system: DeployedSystem, seconds: int) -> Iterator[None]:
    """Give the extractor `seconds`, and a slow network to the database."""
    functions = system.client("lambda")
    (name,) = [
        function["FunctionName"]
        for function in functions.list_functions()["Functions"]
        if "ExtractTable" in function["FunctionName"]
    ]
    secrets = system.client("secretsmanager")
    before = secrets.get_secret_value(SecretId="rds-to-s3/database")["SecretString"]
    secret = json.loads(before)
    with SlowNetwork(secret["host"], int(secret["port"]), BYTES_PER_SECOND) as network:
        secrets.put_secret_value(
            SecretId="rds-to-s3/database", SecretString=json.dumps(secret | {"port": network.port})
        )
        functions.update_function_configuration(FunctionName=name, Timeout=seconds)
        try:
            yield
        finally:
            functions.update_function_configuration(FunctionName=name, Timeout=900)
            secrets.put_secret_value(SecretId="rds-to-s3/database", SecretString=before)


def kill_some(system: DeployedSystem, arn: str) -> None:
    """Kill the extractor until Step Functions has seen `KILLS` of its invocations fail: some kills find it idle."""
    deadline = time.monotonic() + 20 * SECONDS
    while failures(system, arn) < KILLS:
        assert time.monotonic() < deadline, "no kill met an invocation at work"
        time.sleep(SECONDS * 0.7)
        for process in system.local.aws.function_processes("ExtractTable"):
            os.kill(process, signal.SIGKILL)


def failures(system: DeployedSystem, arn: str) -> int:
    pages = system.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
    return sum(event["type"] in {"TaskFailed", "LambdaFunctionFailed"} for page in pages for event in page["events"])


def test_a_table_that_outlasts_its_invocations_some_of_them_killed_arrives_whole_and_once(
    system: DeployedSystem,
) -> None:
    system.sql(
        "CREATE TABLE long_one (id INT PRIMARY KEY, pad CHAR(100) NOT NULL, createdDate DATETIME NOT NULL, "
        "KEY (createdDate))",
        "SET SESSION cte_max_recursion_depth = 1000000",
        "INSERT INTO long_one WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n "
        f"WHERE n < {ROWS}) SELECT n, REPEAT('x', 100), '2025-01-01' FROM n",
    )
    parameter = system.local.outputs["TableListParameterName"]
    listed = system.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    document = {"tables": [{"name": "long_one", "target_file_bytes": 200_000}]}
    system.client("ssm").put_parameter(Name=parameter, Value=json.dumps(document), Overwrite=True)
    try:
        with hurried(system, SECONDS):
            machine = system.local.outputs["StateMachineArn"]
            arn = system.client("stepfunctions").start_execution(stateMachineArn=machine, input="{}")["executionArn"]
            kill_some(system, arn)
            run = system.ended(arn, seconds=60 + 20 * INVOCATIONS)
    finally:
        system.client("ssm").put_parameter(Name=parameter, Value=listed, Overwrite=True)
        system.sql("DROP TABLE long_one")

    assert run.execution["status"] == "SUCCEEDED", json.dumps(run.manifest["tables"])
    table = run.tables["long_one"]
    assert (table["rows"], table["source_rows"]) == (ROWS, ROWS)
    assert table["invocations"] >= INVOCATIONS
    assert failures(system, run.arn) >= KILLS
    bodies = [system.body(file["key"]).decode() for file in table["files"]]
    ids = Counter(row["id"] for body in bodies for row in csv.DictReader(io.StringIO(body)))
    assert len(ids) == ROWS
    assert set(ids.values()) == {1}
    data = [key for key in system.keys("long_one/csv/") if not key.endswith("last_extract.txt")]
    assert data == [file["key"] for file in table["files"]]
    assert system.client("s3").list_multipart_uploads(Bucket=system.bucket).get("Uploads", []) == []
