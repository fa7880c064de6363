"""A secret that names another server from now on: a warm function notices."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

import plan_run.handler
from local.ministack_server import MiniStack
from rds_to_s3.aws import credentials as aws_credentials
from rds_to_s3.aws import database as aws_database
from rds_to_s3.aws.credentials import CredentialsSource
from rds_to_s3.aws.database import open_connection
from rds_to_s3.settings import DatabaseSettings
from tests.integration.conftest import Database
from tests.integration.pipeline import Json

Move = Callable[[Database], None]


@pytest.fixture(params=["secretsmanager", "ssm", "iam"])
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def move(
    store: str, aws: MiniStack, bucket: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Move]:
    """Write credentials for a database where the functions' environment says."""
    reference = f"{store}:/{bucket}/db"
    environment = {"DATA_BUCKET": bucket, "DATABASE_CREDENTIALS": reference, "DATABASE_TLS": "unverified"}
    for name, value in {**aws.environment, **environment, "POWERTOOLS_SERVICE_NAME": "test"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    passwords: dict[str, str] = {}

    def by_password(_: CredentialsSource, found: Any) -> Any:
        return replace(found, password=passwords[found.database])

    # RDS alone takes a token for a password.
    monkeypatch.setattr(CredentialsSource, "_with_token", by_password)

    def put(there: Database) -> None:
        server = there.server
        passwords[there.name] = server.password
        fields = {"host": server.host, "port": str(server.port), "username": server.user, "password": server.password}
        if store == "secretsmanager":
            client = aws.client("secretsmanager")
            secret = json.dumps(fields | {"dbname": there.name})
            if passwords.keys() == {there.name}:
                client.create_secret(Name=f"/{bucket}/db", SecretString=secret)
            client.put_secret_value(SecretId=f"/{bucket}/db", SecretString=secret)
            return
        for name, value in (fields | {"database": there.name}).items():
            aws.client("ssm").put_parameter(
                Name=f"/{bucket}/db/{name}", Value=value, Type="SecureString", Overwrite=True
            )

    put(database)
    yield put
    aws_database._source.cache_clear()


def connected_to(**options: Any) -> str:
    connection = open_connection(DatabaseSettings.from_environment(), 10, **options)
    try:
        return str(connection.row("SELECT DATABASE() AS name")["name"])
    finally:
        connection.close()


def planned_database(run_id: str) -> str:
    execution = {"Id": f"arn:aws:states:us-east-1:0:execution:test:{run_id}", "Name": run_id, "Input": {}}
    state: Json = {"table_list": {"document": json.dumps({"tables": ["t"]})}}
    started = {"StartTime": "2026-01-01T00:00:00Z", "RedriveCount": 0}
    plan_run.handler.handler({"execution": execution | started, "state": state}, None)
    bucket = DatabaseSettings.from_environment().data_bucket
    plan = boto3.client("s3").get_object(Bucket=bucket, Key=f"_state/runs/{run_id}/plan.json")["Body"].read()
    return str(json.loads(plan)["database"])


def test_a_warm_function_plans_on_the_server_that_the_secret_names_now(
    move: Move, database: Database, mariadb_database: Database
) -> None:
    assert planned_database("before") == database.name
    move(mariadb_database)
    assert planned_database("after") == mariadb_database.name


def test_a_warm_function_reads_from_the_server_that_the_secret_named_a_minute_ago_at_most(
    move: Move, database: Database, mariadb_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connected_to() == database.name
    move(mariadb_database)
    assert connected_to() == database.name
    later = time.monotonic() + aws_credentials.MOST_AGE_SECONDS + 1
    monkeypatch.setattr(aws_credentials, "time", SimpleNamespace(monotonic=lambda: later))
    assert connected_to() == mariadb_database.name


def test_fresh_credentials_are_those_of_now(move: Move, database: Database, mariadb_database: Database) -> None:
    assert connected_to() == database.name
    move(mariadb_database)
    assert connected_to(fresh=True) == mariadb_database.name
    assert connected_to() == mariadb_database.name
