"""The template: what the contract promises, who may do what, and that it agrees with the state machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from fnmatch import fnmatchcase

import pytest

from rds_to_s3.bucket_keys import (
    HISTORY_KEY,
    LATEST_MANIFEST_KEY,
    data_key,
    manifest_key,
    report_key,
    state_key,
    watermark_key,
)
from rds_to_s3.extract.proof.ledgers import FEW
from tests.statemachine import definition
from tests.template import PATH, Stack, actions, as_list, granted, load, statements

TEMPLATE = load()
FUNCTIONS = ("PlanRun", "ExtractTable", "WriteManifest", "CheckRun")
NINE = "location, customer, restaurant, delivery_agent, customer_address, menu, orders, order_item, delivery"
ACCOUNT = "eu-central-1:123456789012"


def test_cfn_lint_finds_nothing() -> None:
    beside_sam = PATH.parent / ".local" / "sam" / "bin"
    command = shutil.which("cfn-lint", path=os.pathsep.join([str(beside_sam), os.environ["PATH"]]))
    if command is None:
        pytest.skip("cfn-lint comes with the SAM command, which `make up` installs")
    done = subprocess.run([command, str(PATH)], capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


# --- the contract -----------------------------------------------------------------------------------------------


def test_the_outputs_of_the_contract_are_there() -> None:
    assert {"StateMachineArn", "DataBucketName", "TableListParameterName"} <= set(TEMPLATE["Outputs"])


def test_only_the_databases_credentials_have_no_default() -> None:
    without = [name for name, parameter in TEMPLATE["Parameters"].items() if "Default" not in parameter]
    assert without == ["DatabaseCredentials"]


def test_the_defaults_of_the_contract() -> None:
    defaults = {name: parameter.get("Default") for name, parameter in TEMPLATE["Parameters"].items()}
    assert defaults["ScheduleExpression"] == "rate(4 hours)"
    assert defaults["ScheduleState"] == "ENABLED"
    assert defaults["MaxConcurrency"] == 5
    assert defaults["DatabaseTls"] == "verify"
    assert ", ".join(json.loads(defaults["TableList"])["tables"]) == NINE


@pytest.mark.parametrize(
    ("reference", "allowed"),
    [
        ("secretsmanager:shop/database", True),
        ("secretsmanager:arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-AbCdEf", True),
        ("secretsmanager:rds!db-1b2c", True),
        ("ssm:/shop/db", True),
        ("iam:/shop/db", True),
        ("ssm:/shop/db/", False),
        ("ssm:shop", False),
        ("shop/database", False),
        ("vault:shop", False),
        ("secretsmanager:", False),
    ],
)
def test_credentials_of_another_form_are_refused_before_anything_is_deployed(reference: str, allowed: bool) -> None:
    pattern = TEMPLATE["Parameters"]["DatabaseCredentials"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, reference)) is allowed


# --- the state machine ------------------------------------------------------------------------------------------


def test_the_template_fills_in_every_substitution_of_the_definition_and_no_secret() -> None:
    machine = Stack().resource("ExtractTablesStateMachine")
    assert set(machine["DefinitionSubstitutions"]) == set(definition.SUBSTITUTIONS)
    assert not [v for v in machine["DefinitionSubstitutions"].values() if "secretsmanager" in v]
    assert (PATH.parent / machine["DefinitionUri"]) == definition.PATH
    assert machine["Type"] == "STANDARD"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_time_out_comes_before_its_tasks(name: str) -> None:
    states = dict(definition.states(definition.as_deployed()))
    longest = TEMPLATE["Parameters"]["ExtractTimeout"]["MaxValue"]
    timeout = longest if name == "ExtractTable" else Stack().resource(f"{name}Function")["Timeout"]
    assert timeout < states[name]["TimeoutSeconds"] <= timeout + 30


def test_the_schedule_starts_a_run_over_everything() -> None:
    schedule = Stack().resource("ExtractTablesStateMachine")["Events"]["Schedule"]["Properties"]
    assert (schedule["ScheduleExpression"], schedule["State"], schedule["Input"]) == ("rate(4 hours)", "ENABLED", "{}")


# --- the functions ----------------------------------------------------------------------------------------------


def test_only_the_functions_that_read_the_database_know_where_its_credentials_are() -> None:
    stack = Stack()
    knowing = [
        name
        for name in FUNCTIONS
        if "DATABASE_CREDENTIALS" in str(stack.resource(f"{name}Function").get("Environment"))
    ]
    assert knowing == ["PlanRun", "ExtractTable"]


def test_without_subnets_no_function_is_in_a_vpc() -> None:
    stack = Stack()
    assert not [name for name in FUNCTIONS if "VpcConfig" in stack.resource(f"{name}Function")]
    assert not [action for action in actions(stack, "ExtractTableRole") if action.startswith("ec2:")]


def test_with_subnets_the_functions_that_read_the_database_are_in_the_vpc() -> None:
    stack = Stack(SubnetIds="subnet-1,subnet-2", SecurityGroupIds="sg-1")
    network = {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert stack.resource("PlanRunFunction")["VpcConfig"] == network
    assert stack.resource("ExtractTableFunction")["VpcConfig"] == network
    assert "VpcConfig" not in stack.resource("WriteManifestFunction")
    assert "VpcConfig" not in stack.resource("CheckRunFunction")
    assert "ec2:CreateNetworkInterface" in actions(stack, "ExtractTableRole")


def test_the_layers_follow_the_architecture() -> None:
    layers = Stack(Architecture="arm64").resource("ExtractTableFunction")["Layers"]
    assert [re.sub(r"\d+$", "*", layer) for layer in layers] == [
        "arn:aws:lambda:eu-central-1:336392948345:layer:AWSSDKPandas-Python313-Arm64:*",
        "arn:aws:lambda:eu-central-1:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:*",
    ]
    layers = Stack(Architecture="x86_64").resource("ExtractTableFunction")["Layers"]
    assert [re.sub(r"\d+$", "*", layer) for layer in layers] == [
        "arn:aws:lambda:eu-central-1:336392948345:layer:AWSSDKPandas-Python313:*",
        "arn:aws:lambda:eu-central-1:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-x86_64:*",
    ]


def test_layers_of_ones_own_replace_the_defaults() -> None:
    stack = Stack(AwsSdkPandasLayerArn="arn:pandas", PowertoolsLayerArn="arn:powertools")
    assert stack.resource("PlanRunFunction")["Layers"] == ["arn:pandas", "arn:powertools"]
    assert stack.resource("CheckRunFunction")["Layers"] == ["arn:powertools"]


def test_layers_can_be_left_out() -> None:
    stack = Stack(UseLayers="false")
    assert not [name for name in FUNCTIONS if "Layers" in stack.resource(f"{name}Function")]


# --- the bucket -------------------------------------------------------------------------------------------------


def test_the_bucket_outlives_the_stack() -> None:
    bucket = TEMPLATE["Resources"]["DataBucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_bucket_is_private_and_encrypted_and_forgets_abandoned_uploads() -> None:
    bucket = Stack().resource("DataBucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"] == [
        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    ]
    assert {"DaysAfterInitiation": 7} in [
        rule.get("AbortIncompleteMultipartUpload") for rule in bucket["LifecycleConfiguration"]["Rules"]
    ]


def test_the_bucket_takes_nothing_in_plain_text() -> None:
    (statement,) = Stack().resource("DataBucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_key_of_ones_own_encrypts_the_bucket_and_is_granted_to_those_who_use_it() -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/1"
    stack = Stack(KmsKeyArn=key)
    (rule,) = stack.resource("DataBucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    for name in FUNCTIONS:
        assert key in granted(stack, f"{name}Role", "kms:Decrypt")
    for name in ("PlanRun", "ExtractTable", "WriteManifest"):
        assert granted(stack, f"{name}Role", "kms:GenerateDataKey") == [key]
    assert granted(stack, "CheckRunRole", "kms:GenerateDataKey") == []


# --- who may do what --------------------------------------------------------------------------------------------

STACKS = {
    "secret": Stack(),
    "parameters": Stack(DatabaseCredentials="ssm:/shop/db", KmsKeyArn="arn:key", DatabaseCaParameter="/shop/ca"),
    "iam": Stack(DatabaseCredentials="iam:/shop/db", SubnetIds="subnet-1", SecurityGroupIds="sg-1"),
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
        assert statement["Effect"] == "Allow"
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


def test_credentials_in_parameters_open_those_under_their_path_and_no_secret() -> None:
    stack = Stack(DatabaseCredentials="ssm:/shop/db")
    path = f"arn:aws:ssm:{ACCOUNT}:parameter/shop/db/*"
    assert granted(stack, "ExtractTableRole", "ssm:GetParameters") == [path]
    assert granted(stack, "ExtractTableRole", "secretsmanager:GetSecretValue") == []
    assert granted(stack, "ExtractTableRole", "rds-db:connect") == []
    (decrypt,) = [s for s in statements(stack, "ExtractTableRole") if s["Action"] == "kms:Decrypt"]
    assert decrypt["Condition"]["StringLike"] == {"kms:EncryptionContext:PARAMETER_ARN": path}


def test_iam_credentials_allow_to_log_in_as_the_one_user_that_was_named() -> None:
    stack = Stack(DatabaseCredentials="iam:/shop/db", DatabaseIamResource="db-ABC/extractor")
    assert granted(stack, "PlanRunRole", "rds-db:connect") == [f"arn:aws:rds-db:{ACCOUNT}:dbuser:db-ABC/extractor"]
    assert granted(stack, "PlanRunRole", "ssm:GetParameters") == [f"arn:aws:ssm:{ACCOUNT}:parameter/shop/db/*"]


def test_the_functions_without_a_database_can_reach_no_credentials() -> None:
    for stack in STACKS.values():
        for role in ("WriteManifestRole", "CheckRunRole"):
            services = {action.split(":")[0] for action in actions(stack, role)}
            assert services <= {"logs", "xray", "s3", "kms"}


def test_the_gate_may_only_read_manifests() -> None:
    stack = Stack()
    assert granted(stack, "CheckRunRole", "s3:GetObject") == ["<DataBucket.Arn>/runs/*"]
    assert {action for action in actions(stack, "CheckRunRole") if action.startswith("s3:")} == {"s3:GetObject"}


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


# --- alarms -----------------------------------------------------------------------------------------------------

ALARMS = Stack().of_type("AWS::CloudWatch::Alarm")


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_says_what_to_do_and_reaches_the_topic(name: str) -> None:
    alarm = Stack().resource(name)
    assert alarm["AlarmActions"] == ["<AlarmTopic>"]
    assert len(alarm["AlarmDescription"]) > 60
    assert alarm["TreatMissingData"]


def test_there_is_an_alarm_for_each_way_a_run_can_go_wrong() -> None:
    metrics = {Stack().resource(name)["MetricName"] for name in ALARMS}
    assert metrics == {
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsAborted",
        "ExecutionThrottled",
        "ExecutionsStarted",
        "FreshnessLagHours",
        "RowsQuarantined",
        "RowsHealed",
        "EventsNotSent",
    }


def test_the_alarm_of_healed_rows_goes_off_where_the_manifest_warns_of_them() -> None:
    alarm = Stack().resource("RowsHealedAlarm")
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "Maximum",
        "GreaterThanThreshold",
        FEW,
    )


def test_a_schedule_that_is_off_raises_no_alarm_for_starting_nothing() -> None:
    assert TEMPLATE["Resources"]["NothingStartedAlarm"]["Condition"] == "IsScheduled"
    assert Stack().condition("IsScheduled")
    assert not Stack(ScheduleState="DISABLED").condition("IsScheduled")


def test_mail_is_sent_only_where_an_address_is_given() -> None:
    assert not Stack().condition("HasAlarmEmail")
    assert Stack(AlarmEmail="ops@example.com").condition("HasAlarmEmail")


def test_the_dashboard_shows_the_tables_of_this_stack() -> None:
    body = json.loads(Stack().resource("Dashboard")["DashboardBody"])
    searches = [w["properties"]["metrics"][0][0]["expression"] for w in body["widgets"][1:5]]
    assert [re.findall(r'"(\w+)"', search) for search in searches] == [
        ["FreshnessLagSeconds", "shop"],
        ["RowsExtracted", "shop"],
        ["ExtractSeconds", "shop"],
        ["BytesWritten", "shop"],
    ]
    assert body["widgets"][1]["properties"]["annotations"]["horizontal"][0]["value"] == 8


@pytest.mark.parametrize(
    ("state", "on_the_dashboard"), [("ENABLED", set(ALARMS)), ("DISABLED", {*ALARMS} - {"NothingStartedAlarm"})]
)
def test_the_dashboard_shows_every_alarm_that_there_is(state: str, on_the_dashboard: set[str]) -> None:
    body = json.loads(Stack(ScheduleState=state).resource("Dashboard")["DashboardBody"])
    assert {
        alarm.strip("<>").removesuffix(".Arn") for alarm in body["widgets"][0]["properties"]["alarms"]
    } == on_the_dashboard


def test_a_limit_of_a_week_is_within_what_an_alarm_can_look_back_at() -> None:
    stack = Stack(FreshnessLimitHours=str(TEMPLATE["Parameters"]["FreshnessLimitHours"]["MaxValue"]))
    alarm = stack.resource("NothingStartedAlarm")
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    assert alarm["Period"] >= 3600
    assert alarm["Period"] * int(alarm["EvaluationPeriods"]) <= 604_800


# --- what starts after a run ------------------------------------------------------------------------------------


def test_a_message_for_a_run_that_succeeded_is_sent_only_where_it_is_wanted() -> None:
    assert not Stack().condition("NotifiesSuccess")
    assert Stack(NotifySuccess="true").condition("NotifiesSuccess")
    resources = TEMPLATE["Resources"]
    assert {resources[name]["Condition"] for name in ("RunSucceededRule", "AlarmTopicPolicy")} == {"NotifiesSuccess"}


def test_the_message_is_made_of_the_event_that_the_state_machine_sends() -> None:
    (entry,) = definition.as_deployed()["States"]["AnnounceRun"]["Parameters"]["Entries"]
    rule = Stack(NotifySuccess="true").resource("RunSucceededRule")
    pattern, (target,) = rule["EventPattern"], rule["Targets"]
    assert (pattern["source"], pattern["detail-type"]) == ([entry["Source"]], [entry["DetailType"]])
    sent = {key.removesuffix(".$") for key in entry["Detail"]}
    assert set(pattern["detail"]) <= sent
    paths = target["InputTransformer"]["InputPathsMap"]
    assert {path.removeprefix("$.detail.") for path in paths.values()} <= sent
    assert set(re.findall(r"<(\w+)>", target["InputTransformer"]["InputTemplate"])) == set(paths)


def test_with_that_message_the_topic_still_takes_the_alarms() -> None:
    allowed = Stack(NotifySuccess="true").resource("AlarmTopicPolicy")["PolicyDocument"]["Statement"]
    assert {s["Principal"]["Service"] for s in allowed} == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}
    assert {(s["Effect"], s["Action"], s["Resource"]) for s in allowed} == {("Allow", "sns:Publish", "<AlarmTopic>")}


def test_snowpipe_hears_of_data_files_only_and_only_where_its_queue_is_given() -> None:
    assert "NotificationConfiguration" not in Stack().resource("DataBucket")
    queue = "arn:aws:sqs:eu-central-1:999999999999:sf-snowpipe-AIDA_x"
    assert re.fullmatch(TEMPLATE["Parameters"]["SnowpipeQueueArn"]["AllowedPattern"], queue)
    told = Stack(SnowpipeQueueArn=queue).resource("DataBucket")["NotificationConfiguration"]["QueueConfigurations"]
    assert {each["Queue"] for each in told} == {queue}
    suffixes = [each["Filter"]["S3Key"]["Rules"][0]["Value"] for each in told]
    written = [data_key("orders", "csv", "20250402_120000", 2, extension) for extension in ("csv", "csv.gz", "parquet")]
    assert [[suffix for suffix in suffixes if key.endswith(suffix)] for key in written] == [[s] for s in suffixes]
    others = [watermark_key("orders", "csv"), manifest_key("r"), report_key("r"), HISTORY_KEY, state_key("a", "csv")]
    assert not [key for key in others if key.endswith(tuple(suffixes))]
