"""Each function's role against the calls that it makes: nothing is refused, and nothing is granted for no reason.

The handlers run in this process against a real database and a local AWS that lets everything pass; every call is noted
with the action and the resource that IAM would ask for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import boto3
import botocore.client
import pytest
from botocore.exceptions import ClientError

import check_run.handler
import extract_table.handler
import plan_run.handler
import write_manifest.handler
from local.ministack_server import MiniStack
from rds_to_s3.aws import database as aws_database
from rds_to_s3.aws.credentials import CredentialsSource
from rds_to_s3.commit.table_commit import TableCommit
from rds_to_s3.errors import TablesFailed
from rds_to_s3.mysql.credentials import Credentials
from rds_to_s3.s3.objects import ObjectStore
from tests.integration.conftest import Database
from tests.integration.pipeline import Json
from tests.template import PSEUDO, Stack, as_list, statements

HANDLERS: dict[str, Callable[[Json, Any], Any]] = {
    "PlanRun": plan_run.handler.handler,
    "ExtractTable": extract_table.handler.handler,
    "WriteManifest": write_manifest.handler.handler,
    "CheckRun": check_run.handler.handler,
}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"
TOPIC_KEY = "arn:aws:kms:eu-central-1:123456789012:key/2"
ACCOUNT = f"{PSEUDO['AWS::Region']}:{PSEUDO['AWS::AccountId']}"
# What Lambda itself does in the role's name, so that no call of ours shows it.
OF_LAMBDA = {"logs", "xray", "ec2"}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
S3_ACTIONS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
    "ListObjectsV2": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
Need = tuple[str, str]
"""An action and the resource that it is done to."""


def needs(service: str, operation: str, params: Json) -> Iterator[Need]:
    """Yield what IAM asks for when an API is called, the key of the bucket and of the secret included."""
    if service == "s3":
        action = S3_ACTIONS[operation]
        yield action, f"<DataBucket.Arn>/{params['Key']}" if "Key" in params else "<DataBucket.Arn>"
        # Parts are encrypted under the upload's own data key, which S3 has to decrypt.
        yield from [("kms:Decrypt", KEY)] if operation in {"GetObject", "UploadPart"} else []
        yield from [("kms:GenerateDataKey", KEY)] if action == "s3:PutObject" else []
    elif service == "secretsmanager":
        assert operation == "GetSecretValue"
        yield "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{ACCOUNT}:secret:{params['SecretId']}-AbCdEf"
        yield "kms:Decrypt", f"arn:aws:kms:{ACCOUNT}:key/of-the-secret"
    elif service == "sns":
        yield f"sns:{operation}", f"<{params['TopicArn'].rpartition(':')[2]}>"
        # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        yield from (("kms:GenerateDataKey", TOPIC_KEY), ("kms:Decrypt", TOPIC_KEY))
    else:
        assert service == "ssm"
        names = params["Names"] if operation == "GetParameters" else [params["Name"]]
        yield from ((f"ssm:{operation}", f"arn:aws:ssm:{ACCOUNT}:parameter{name}") for name in names)
        if operation == "GetParameters":
            yield "kms:Decrypt", f"arn:aws:kms:{ACCOUNT}:key/of-the-parameters"


@dataclass
class Functions:
    """The four handlers, and what each of them needed so far."""

    needed: dict[str, set[Need]] = field(default_factory=lambda: {name: set() for name in HANDLERS})
    now: str = ""

    def call(self, name: str, event: Json) -> Any:
        self.now = name
        try:
            return HANDLERS[name](event, self)
        finally:
            self.now = ""

    def get_remaining_time_in_millis(self) -> int:
        return 300_000

    def note(self, need: Need) -> None:
        self.needed[self.now].add(need)

    def run(self, execution: Json, table_list: Json, **gate: Any) -> Json:
        """Play a run through to its gate; return the state's outcome."""
        state = {"input": execution["Input"], "table_list": {"document": json.dumps(table_list)}, **gate}
        plan = self.call("PlanRun", {"execution": execution, "state": state})
        results = [self.table(plan["run_id"], item["table"]) for item in plan["tables"]]
        outcome: Json = self.call(
            "WriteManifest", {"execution": execution, "state": state | {"plan": plan, "results": results}}
        )
        return outcome

    def table(self, run_id: str, table: str) -> Json:
        try:
            answer: Json = self.call("ExtractTable", {"run_id": run_id, "table": table, "execution_id": run_id})
        except Exception as error:
            return {"table": table, "status": "FAILED", "error": type(error).__name__}
        return answer


def execution(name: str, redrives: int = 0, **given: Any) -> Json:
    arn = f"arn:aws:states:us-east-1:000000000000:execution:test:{name}"
    started = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    return {"Id": arn, "Name": name, "Input": given, "StartTime": started, "RedriveCount": redrives}


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch, aws: MiniStack, bucket: str) -> Functions:
    functions = Functions()
    call = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(client: Any, operation: str, params: Json) -> Any:
        service = client.meta.service_model.service_name
        if functions.now:
            for need in needs(service, operation, params):
                functions.note(need)
        try:
            return call(client, operation, params)
        except ClientError as error:
            if functions.now and service == "s3" and error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                functions.note(("s3:ListBucket", "<DataBucket.Arn>"))  # without it S3 would have answered 403
            raise

    for name, value in {**aws.environment, "DATA_BUCKET": bucket, "POWERTOOLS_METRICS_NAMESPACE": "test"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", noted)
    return functions


@pytest.fixture
def stack(request: pytest.FixtureRequest, aws: MiniStack, database: Database, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack's parameters, its credentials put where they say, and the functions' environment as it would be."""
    server, path = database.server, f"/{database.name}"
    fields = {"host": server.host, "port": str(server.port), "username": server.user, "password": server.password}
    ssm = aws.client("ssm")
    parameters: dict[str, str] = {"DatabaseTls": "verify", "DatabaseCaParameter": f"{path}/ca"}
    ssm.put_parameter(Name=f"{path}/ca", Value=server.authority.read_text(), Type="String", Tier="Advanced")
    match request.param:
        case "secret":
            parameters = {"DatabaseCredentials": f"secretsmanager:{database.name}", "DatabaseTls": "unverified"}
            secret = json.dumps(fields | {"dbname": database.name})
            aws.client("secretsmanager").create_secret(Name=database.name, SecretString=secret)
            aws.client("secretsmanager").create_secret(Name=f"{database.name}-masks", SecretString="a key")
            parameters["MaskKeySecret"] = f"{database.name}-masks"
        case "parameters":
            parameters |= {"DatabaseCredentials": f"ssm:{path}/db", "KmsKeyArn": KEY, "TopicKmsKeyArn": TOPIC_KEY}
        case "iam":
            parameters |= {
                "DatabaseCredentials": f"iam:{path}/db",
                "DatabaseIamResource": "db-1/u",
                "SubnetIds": "subnet-1",
                "SecurityGroupIds": "sg-1",
            }
    for name, value in (fields | {"database": database.name}).items():
        ssm.put_parameter(Name=f"{path}/db/{name}", Value=value, Type="SecureString")
    monkeypatch.setenv("DATABASE_CREDENTIALS", parameters["DatabaseCredentials"])
    monkeypatch.setenv("DATABASE_TLS", parameters["DatabaseTls"])
    monkeypatch.setenv("DATABASE_CA_PARAMETER", parameters.get("DatabaseCaParameter", ""))
    monkeypatch.setenv("MASK_KEY_SECRET", parameters.get("MaskKeySecret", ""))
    monkeypatch.setenv("ALARM_TOPIC", aws.client("sns").create_topic(Name="AlarmTopic")["TopicArn"])
    for kept in ("_ca_bundle", "_source"):  # by a warm function; a cold one asks
        monkeypatch.setattr(aws_database, kept, getattr(aws_database, kept).__wrapped__)
    return Stack(**parameters)


@pytest.fixture(autouse=True)
def no_login_by_token(monkeypatch: pytest.MonkeyPatch, functions: Functions, database: Database) -> None:
    """RDS alone takes a token for a password; that one was asked for is noted."""

    def with_password(_: CredentialsSource, credentials: Credentials) -> Credentials:
        functions.note(("rds-db:connect", f"arn:aws:rds-db:{ACCOUNT}:dbuser:db-1/u"))
        return replace(credentials, password=database.server.password)

    monkeypatch.setattr(CredentialsSource, "_with_token", with_password)


def work(functions: Functions, stack: Stack, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the functions do all that they ever do in AWS."""
    columns = (
        "id INT PRIMARY KEY, total INT, createdDate DATETIME DEFAULT NOW(), modifiedDate DATETIME, KEY (createdDate)"
    )
    database.execute(
        f"CREATE TABLE orders ({columns}, KEY (createdDate), KEY (modifiedDate))",
        "INSERT INTO orders (id, total) VALUES (1, 1), (2, -1), (3, 3)",
    )
    orders = {"name": "orders", "deletes": "track", "checks": {"total": {"ge": 0}, "id": {"unique": True}}}
    orders |= {"on_violation": "quarantine"}
    if stack.parameters["MaskKeySecret"]:
        orders |= {"mask": {"total": "hash"}, "checks": {"total": {"unique": True}}}
    listed: Json = {"tables": [orders, "absent"]}
    outcome = functions.run(execution("first"), listed)
    entry = {"entry": {"Name": "CheckRun", "RetryCount": 0}}
    with pytest.raises(TablesFailed):
        functions.call("CheckRun", {"execution": execution("first"), "state": {"outcome": outcome}} | entry)
    database.execute("CREATE TABLE absent LIKE orders", "INSERT INTO absent (id) VALUES (1)")
    gate = functions.call("CheckRun", {"execution": execution("first", 1), "state": {"outcome": outcome}} | entry)
    assert functions.run(execution("first", 1), listed, **gate)["status"] == "SUCCEEDED"

    database.execute("INSERT INTO orders (id, total) VALUES (4, 4)", "DELETE FROM orders WHERE id = 3")
    with monkeypatch.context() as patched:
        patched.setattr(TableCommit, "decide", lambda *_: (_ for _ in ()).throw(ConnectionError("killed")))
        assert functions.run(execution("second"), listed)["failed"] == ["orders", "absent"]
    store = ObjectStore(os.environ["DATA_BUCKET"])
    store.put("table-list.json", json.dumps(listed).encode())
    listed = {"from": f"s3://{store.bucket}/table-list.json"}
    assert functions.run(execution("third", rerun_failed_of="second"), listed)["failed"] == []


@pytest.mark.parametrize("stack", ["secret", "parameters", "iam"], indirect=True)
def test_a_role_grants_what_its_function_does_and_nothing_else(
    stack: Stack, functions: Functions, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(functions, stack, database, monkeypatch)
    unused = {KEY, TOPIC_KEY} - {stack.parameters["KmsKeyArn"], stack.parameters["TopicKmsKeyArn"]}
    for name, needed in functions.needed.items():
        granted = [
            (action, resource)
            for statement in statements(stack, f"{name}Role")
            for action in as_list(statement["Action"])
            for resource in as_list(statement["Resource"])
            if action.split(":")[0] not in OF_LAMBDA
        ]
        asked = {need for need in needed if need[1] not in unused}
        refused = sorted(need for need in asked if not any(_covers(grant, need) for grant in granted))
        assert not refused, f"{name} would be refused {refused}"
        idle = [grant for grant in granted if not any(_covers(grant, need) for need in asked)]
        assert not idle, f"{name} never does {idle}"


def _covers(grant: Need, need: Need) -> bool:
    # IAM's ? and * are fnmatch's; its brackets are themselves.
    return grant[0] == need[0] and fnmatchcase(need[1], re.sub(r"([\[])", r"[\1]", grant[1]))
