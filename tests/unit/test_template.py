"""The template: what the contract promises, and that it agrees with the state machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest

from tests.statemachine import definition
from tests.template import PATH, Stack, actions, granted, load

TEMPLATE = load()
FUNCTIONS = ("PlanRun", "ExtractTable", "WriteManifest", "CheckRun")
NINE = "location, customer, restaurant, delivery_agent, customer_address, menu, orders, order_item, delivery"


def test_cfn_lint_finds_nothing() -> None:
    beside_sam = PATH.parent / ".local" / "sam" / "bin"
    command = shutil.which("cfn-lint", path=os.pathsep.join([str(beside_sam), os.environ["PATH"]]))
    if command is None:
        pytest.skip("cfn-lint comes with the SAM command, which `make up` installs")
    templates = [PATH, PATH.parent / "smoke" / "database.yaml", *sorted(PATH.parent.glob("examples/**/*.yaml"))]
    done = subprocess.run([command, *map(str, templates)], capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


# --- the contract -----------------------------------------------------------------------------------------------


def test_the_outputs_of_the_contract_are_there() -> None:
    assert {"StateMachineArn", "DataBucketName", "TableListParameterName"} <= set(TEMPLATE["Outputs"])


def test_only_the_databases_credentials_have_no_default() -> None:
    without = [name for name, parameter in TEMPLATE["Parameters"].items() if "Default" not in parameter]
    assert without == ["DatabaseCredentials"]


def test_the_defaults_of_the_contract() -> None:
    defaults = {name: parameter.get("Default") for name, parameter in TEMPLATE["Parameters"].items()}
    assert defaults["ScheduleExpression"] == "cron(0 0/4 * * ? *)"  # a rate starts a run at once
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
    assert (schedule["ScheduleExpression"], schedule["State"]) == ("cron(0 0/4 * * ? *)", "ENABLED")
    assert schedule["Input"] == "{}"


def test_a_group_of_tables_may_have_a_schedule_of_its_own() -> None:
    stack = Stack()
    groups = [name for name in TEMPLATE["Resources"] if name.startswith("GroupSchedule")]
    assert len(groups) == 3
    assert not any(stack.condition(f"Has{name}") for name in groups)
    chosen = Stack(GroupSchedule2Expression="rate(15 minutes)", GroupSchedule2Input='{"tables": ["audit_*"]}')
    assert [chosen.condition(f"Has{name}") for name in groups] == [False, True, False]
    schedule = chosen.resource("GroupSchedule2")
    assert (schedule["ScheduleExpression"], schedule["State"]) == ("rate(15 minutes)", "ENABLED")
    assert json.loads(schedule["Target"]["Input"]) == {"tables": ["audit_*"]}
    assert len({str(TEMPLATE["Resources"][name]["Properties"]["Name"]) for name in groups}) == 3


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
        "<ZstdLayer>",
    ]
    layers = Stack(Architecture="x86_64").resource("ExtractTableFunction")["Layers"]
    assert [re.sub(r"\d+$", "*", layer) for layer in layers] == [
        "arn:aws:lambda:eu-central-1:336392948345:layer:AWSSDKPandas-Python313:*",
        "arn:aws:lambda:eu-central-1:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-x86_64:*",
        "<ZstdLayer>",
    ]


def test_layers_of_ones_own_replace_the_defaults() -> None:
    stack = Stack(AwsSdkPandasLayerArn="arn:pandas", PowertoolsLayerArn="arn:powertools")
    assert stack.resource("PlanRunFunction")["Layers"] == ["arn:pandas", "arn:powertools"]
    assert stack.resource("CheckRunFunction")["Layers"] == ["arn:powertools"]


def test_layers_can_be_left_out() -> None:
    stack = Stack(UseLayers="false")
    assert not [name for name in FUNCTIONS if "Layers" in stack.resource(f"{name}Function")]


# --- the bucket -------------------------------------------------------------------------------------------------


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
    for name in FUNCTIONS:
        assert granted(stack, f"{name}Role", "kms:GenerateDataKey") == [key]


@pytest.mark.parametrize(
    ("parameter", "whole", "cut"),
    [
        ("TableList", '{"tables": ["orders"]}\n', "{"),
        ("TableList", '{"from": "s3://data/list.json"}', '{"from":'),
        ("TableList", TEMPLATE["Parameters"]["TableList"]["Default"], ""),
        ("ScheduleExpression", "rate(1 hour)", "rate(1"),
        ("ScheduleExpression", TEMPLATE["Parameters"]["ScheduleExpression"]["Default"], "cron(0"),
        ("ScheduleExpression", "at(2026-11-30T12:00:00)", ""),
        *((f"GroupSchedule{number}Expression", "rate(15 minutes)", "rate(15") for number in (1, 2, 3)),
        *((f"GroupSchedule{number}Input", '{"tables": ["a", "b*"]}', "{") for number in (1, 2, 3)),
    ],
)
def test_a_value_that_sam_has_cut_at_a_space_or_quote_is_refused(parameter: str, whole: str, cut: str) -> None:
    declared = TEMPLATE["Parameters"][parameter]
    assert re.fullmatch(declared["AllowedPattern"], whole)
    assert re.fullmatch(declared["AllowedPattern"], declared["Default"])
    assert not re.fullmatch(declared["AllowedPattern"], cut)
    assert f"'{parameter}=\"" in declared["ConstraintDescription"]
