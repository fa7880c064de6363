"""The template's roles: what each function and the state machine may do, and no more."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import boto3
import pytest

from rds_to_s3.bucket_keys import (
    HISTORY_KEY,
    LATEST_MANIFEST_KEY,
    gate_key,
    manifest_key,
    report_key,
)
from tests.statemachine import definition
from tests.template import Stack, actions, as_list, granted, load, statements

TEMPLATE = load()
FUNCTIONS = ("PlanRun", "ExtractTable", "WriteManifest", "CheckRun")
ACCOUNT = "eu-central-1:123456789012"


STACKS = {
    "secret": Stack(),
    "parameters": Stack(DatabaseCredentials="ssm:/shop/db", KmsKeyArn="arn:key", DatabaseCaParameter="/shop/ca"),
    "iam": Stack(
        DatabaseCredentials="iam:/shop/db",
        DatabaseIamResource="db-1/extractor",
        SubnetIds="subnet-1",
        SecurityGroupIds="sg-1",
    ),
}
ROLES = Stack().of_type("AWS::IAM::Role")
# What AWS knows no narrower resource for.
UNBOUND = {
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_no_role_has_a_wildcard_where_a_name_would_do(stack: Stack, role: str) -> None:
    for statement in statements(stack, role):
        if statement["Effect"] == "Deny":
            continue
        assert not [action for action in as_list(statement["Action"]) if "*" in action]
        if "*" in as_list(statement["Resource"]):
            assert set(as_list(statement["Action"])) <= UNBOUND


def test_each_function_has_a_role_of_its_own() -> None:
    stack = Stack()
    roles = [stack.resource(f"{name}Function")["Role"] for name in FUNCTIONS]
    assert roles == [f"<{name}Role.Arn>" for name in FUNCTIONS]


@pytest.mark.parametrize("key", [manifest_key("r"), report_key("r"), LATEST_MANIFEST_KEY, HISTORY_KEY])
def test_the_manifests_function_may_write_everything_that_it_writes(key: str) -> None:
    allowed = granted(Stack(), "WriteManifestRole", "s3:PutObject")
    assert any(fnmatchcase(f"<DataBucket.Arn>/{key}", pattern) for pattern in allowed), allowed


def test_a_permissions_boundary_is_put_on_every_role() -> None:
    stack = Stack(PermissionsBoundary="arn:boundary")
    assert {stack.resource(role)["PermissionsBoundary"] for role in ROLES} == {"arn:boundary"}
    assert not [role for role in ROLES if "PermissionsBoundary" in Stack().resource(role)]


@pytest.mark.parametrize("role", ["PlanRunRole", "ExtractTableRole"])
@pytest.mark.parametrize(
    ("reference", "secret"),
    [
        ("secretsmanager:shop/database", f"arn:aws:secretsmanager:{ACCOUNT}:secret:shop/database-??????"),
        (
            "secretsmanager:arn:aws:secretsmanager:us-east-1:210987654321:secret:shop-AbCdEf",
            "arn:aws:secretsmanager:us-east-1:210987654321:secret:shop-AbCdEf",
        ),
    ],
)
def test_credentials_in_a_secret_open_that_secret_and_no_parameter(role: str, reference: str, secret: str) -> None:
    stack = Stack(DatabaseCredentials=reference)
    assert granted(stack, role, "secretsmanager:GetSecretValue") == [secret]
    assert granted(stack, role, "ssm:GetParameters") == []
    assert granted(stack, role, "rds-db:connect") == []


KEYS = {
    "secret": ("secretsmanager:shop/database", "", "PlanRunRole", "secretsmanager"),
    "secret of another account": (
        "secretsmanager:arn:aws:secretsmanager:eu-central-1:210987654321:secret:shop-AbCdEf",
        "",
        "ExtractTableRole",
        "secretsmanager",
    ),
    "parameters": ("ssm:/shop/db", "", "PlanRunRole", "ssm"),
    "key of masked columns": ("ssm:/shop/db", "mask", "ExtractTableRole", "secretsmanager"),
}


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"])
@pytest.mark.parametrize(("credentials", "mask", "role", "service"), KEYS.values(), ids=KEYS)
def test_a_customers_key_decrypts_what_it_encrypts_and_only_through_the_service(
    region: str, credentials: str, mask: str, role: str, service: str
) -> None:
    """Of any account, since the key of a secret of another account is that account's."""
    stack = Stack.in_region(region, DatabaseCredentials=credentials, MaskKeySecret=mask)
    conditions = {}
    for statement in statements(stack, role):
        if statement["Action"] == "kms:Decrypt":
            partition = stack.pseudo["AWS::Partition"]
            key = f"arn:{partition}:kms:{region}:210987654321:key/1"
            assert fnmatchcase(key, statement["Resource"])
            (operator,) = statement["Condition"]
            assert operator == "StringLike"
            conditions[statement["Condition"][operator]["kms:ViaService"]] = statement["Condition"][operator]
    domain = boto3.Session().client("s3", region_name=region).meta.endpoint_url.partition(region)[2]
    for suffix in (domain, ".amazonaws.com"):
        (pattern,) = {each for each in conditions if fnmatchcase(f"{service}.{region}{suffix}", each)}
        assert [key for key in conditions[pattern] if key.startswith("kms:EncryptionContext:")]
    assert not [each for each in conditions if fnmatchcase(f"lambda.{region}.amazonaws.com", each)]


def test_credentials_in_parameters_open_those_under_their_path_and_no_secret() -> None:
    stack = Stack(DatabaseCredentials="ssm:/shop/db")
    path = f"arn:aws:ssm:{ACCOUNT}:parameter/shop/db/*"
    assert granted(stack, "ExtractTableRole", "ssm:GetParameters") == [path]
    assert granted(stack, "ExtractTableRole", "secretsmanager:GetSecretValue") == []
    assert granted(stack, "ExtractTableRole", "rds-db:connect") == []
    (decrypt,) = [s for s in statements(stack, "ExtractTableRole") if s["Action"] == "kms:Decrypt"]
    assert decrypt["Condition"]["StringLike"]["kms:EncryptionContext:PARAMETER_ARN"] == path


def test_iam_credentials_allow_to_log_in_as_the_one_user_that_was_named() -> None:
    stack = Stack(DatabaseCredentials="iam:/shop/db", DatabaseIamResource="db-ABC/extractor")
    assert granted(stack, "PlanRunRole", "rds-db:connect") == [f"arn:aws:rds-db:{ACCOUNT}:dbuser:db-ABC/extractor"]
    assert granted(stack, "PlanRunRole", "ssm:GetParameters") == [f"arn:aws:ssm:{ACCOUNT}:parameter/shop/db/*"]


@pytest.mark.parametrize(
    ("resource", "allowed"),
    [("", True), ("db-ABC/extractor", True), ("cluster-ABC/app_ro", True), ("*/*", False), ("db-ABC/*", False)],
)
def test_an_iam_login_is_as_one_user_of_one_server(resource: str, allowed: bool) -> None:
    pattern = TEMPLATE["Parameters"]["DatabaseIamResource"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, resource)) is allowed
    assert granted(Stack(DatabaseCredentials="iam:/shop/db"), "PlanRunRole", "rds-db:connect") == []


def test_the_functions_without_a_database_can_reach_no_credentials() -> None:
    for stack in STACKS.values():
        for role in ("WriteManifestRole", "CheckRunRole"):
            services = {action.split(":")[0] for action in actions(stack, role)}
            assert services <= {"logs", "xray", "s3", "kms", *(["sns"] if role == "WriteManifestRole" else [])}


def test_the_gate_reads_manifests_and_writes_its_answer_only() -> None:
    stack = Stack()
    answers = "<DataBucket.Arn>/_state/runs/*/gate.json"
    assert granted(stack, "CheckRunRole", "s3:GetObject") == ["<DataBucket.Arn>/runs/*", answers]
    assert granted(stack, "CheckRunRole", "s3:PutObject") == [answers]
    assert fnmatchcase(f"<DataBucket.Arn>/{gate_key('r')}", answers)


def test_the_state_machine_may_do_what_its_states_do_and_no_more() -> None:
    tasks = [state for _, state in definition.states(definition.as_deployed()) if state["Type"] == "Task"]
    needs = {
        "arn:aws:states:::lambda:invoke": "lambda:InvokeFunction",
        "arn:aws:states:::aws-sdk:ssm:getParameter": "ssm:GetParameter",
        "arn:aws:states:::aws-sdk:sfn:listExecutions": "states:ListExecutions",
        "arn:aws:states:::events:putEvents": "events:PutEvents",
    }
    of_itself = {action for action in actions(Stack(), "StateMachineRole") if action.split(":")[0] in {"logs", "xray"}}
    assert {needs[task["Resource"]] for task in tasks} == actions(Stack(), "StateMachineRole") - of_itself
    assert {task["Parameters"]["FunctionName"] for task in tasks if "FunctionName" in task["Parameters"]} == {
        definition.SUBSTITUTIONS[f"{name}FunctionArn"] for name in FUNCTIONS
    }


def test_the_state_machine_may_call_the_four_functions_and_read_the_table_list() -> None:
    stack = Stack()
    assert granted(stack, "StateMachineRole", "lambda:InvokeFunction") == [f"<{n}Function.Arn>" for n in FUNCTIONS]
    assert granted(stack, "StateMachineRole", "ssm:GetParameter") == [
        f"arn:aws:ssm:{ACCOUNT}:parameter<TableListParameter>"
    ]


def test_the_state_machine_may_send_events_to_the_default_bus_in_its_own_name_only() -> None:
    (statement,) = [s for s in statements(Stack(), "StateMachineRole") if s["Action"] == "events:PutEvents"]
    assert statement["Resource"] == f"arn:aws:events:{ACCOUNT}:event-bus/default"
    (entry,) = definition.as_deployed()["States"]["AnnounceRun"]["Parameters"]["Entries"]
    assert statement["Condition"] == {"StringEquals": {"events:source": entry["Source"]}}
    assert entry["EventBusName"] == "default"


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("PlanRunRole", {"s3:GetObject", "s3:PutObject", "s3:ListBucket"}),
        (
            "ExtractTableRole",
            {
                "s3:GetObject",
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
                "s3:ListBucket",
                "s3:ListBucketMultipartUploads",
            },
        ),
        ("WriteManifestRole", {"s3:GetObject", "s3:PutObject", "s3:ListBucket"}),
    ],
)
def test_what_a_function_may_do_in_the_bucket(role: str, expected: set[str]) -> None:
    assert {action for action in actions(Stack(), role) if action.startswith("s3:")} == expected


def test_only_the_manifests_function_writes_where_operators_look_and_only_the_plan_and_extractors_keep_state() -> None:
    stack = Stack()
    written = granted(stack, "WriteManifestRole", "s3:PutObject")
    assert written == [
        "<DataBucket.Arn>/runs/*",
        f"<DataBucket.Arn>/{HISTORY_KEY}",
        "<DataBucket.Arn>/_state/runs/*/reported.json",
    ]
    assert granted(stack, "PlanRunRole", "s3:PutObject") == ["<DataBucket.Arn>/_state/*"]


def test_the_catalogue_is_open_to_the_manifests_function_only_where_it_is_wanted() -> None:
    of_glue = {"glue:GetTable", "glue:GetPartitions", "glue:BatchCreatePartition"}
    assert not actions(Stack(), "WriteManifestRole") & of_glue
    stack = Stack(GlueDatabase="lake")
    assert {action for action in actions(stack, "WriteManifestRole") if action.startswith("glue:")} == of_glue
    assert granted(stack, "WriteManifestRole", "glue:BatchCreatePartition") == [
        f"arn:aws:glue:{ACCOUNT}:catalog",
        f"arn:aws:glue:{ACCOUNT}:database/lake",
        f"arn:aws:glue:{ACCOUNT}:table/lake/*_files",
    ]
    assert stack.resource("WriteManifestFunction")["Environment"]["Variables"]["GLUE_DATABASE"] == "lake"
    alarm = stack.template["Resources"]["PartitionsNotRegisteredAlarm"]
    assert alarm["Condition"] == "HasGlueDatabase"
