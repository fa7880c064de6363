"""The life of a stack: what it owns, what it keeps, and what the console shows of it."""

from __future__ import annotations

import re

import pytest

from tests.template import Stack, as_list, granted, load, statements

TEMPLATE = load()
FUNCTIONS = ("PlanRun", "ExtractTable", "WriteManifest", "CheckRun")
ACCOUNT = "eu-central-1:123456789012"
ROLES = Stack().of_type("AWS::IAM::Role")


def test_the_table_lists_resource_is_as_it_always_was() -> None:
    """A change of any property, in any release, would write TableList over the lists that operators have edited."""
    assert TEMPLATE["Resources"]["TableListParameter"] == {
        "Type": "AWS::SSM::Parameter",
        "Condition": "OwnsTableList",
        "Properties": {
            "Name": {"Fn::Sub": "/${AWS::StackName}/table-list"},
            "Description": "The tables to extract. The next run reads it as it is then.",
            "Type": "String",
            "Tier": "Intelligent-Tiering",
            "Value": {"Ref": "TableList"},
        },
    }


def test_a_table_list_that_exists_is_read_and_not_owned() -> None:
    stack = Stack(ExistingTableListParameter="/shop/lists/nightly")
    assert (stack.condition("OwnsTableList"), Stack().condition("OwnsTableList")) == (False, True)
    substitutions = stack.resource("ExtractTablesStateMachine")["DefinitionSubstitutions"]
    assert substitutions["TableListParameterName"] == "/shop/lists/nightly"
    assert stack.resolve(TEMPLATE["Outputs"]["TableListParameterName"]["Value"]) == "/shop/lists/nightly"
    assert granted(stack, "StateMachineRole", "ssm:GetParameter") == [
        f"arn:aws:ssm:{ACCOUNT}:parameter/shop/lists/nightly"
    ]


def test_the_stacks_own_table_list_is_not_deleted_where_it_is_named_as_the_existing_one() -> None:
    """CloudFormation deletes what a stack owns no more, and Parameter Store keeps nothing of it."""
    stack = Stack(ExistingTableListParameter="/shop/table-list")
    assert stack.resource("TableListParameter")["Name"] == "/shop/table-list"
    assert "TableListParameter" in stack.there()
    assert stack.resolve(TEMPLATE["Outputs"]["TableListParameterName"]["Value"]) == "<TableListParameter>"


def test_the_manifests_function_knows_the_alarms_limit() -> None:
    variables = Stack(FreshnessLimitHours="24").resource("WriteManifestFunction")["Environment"]["Variables"]
    assert variables["FRESHNESS_LIMIT_HOURS"] == "24"
    assert (variables["EXTRACT_MEMORY_SIZE"], variables["ARCHITECTURE"]) == (1769, "arm64")


def test_the_console_shows_every_parameter_once_in_a_group_with_a_label() -> None:
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])
    assert set(interface["ParameterLabels"]) == set(TEMPLATE["Parameters"])


def test_the_bucket_and_its_policy_outlive_the_stack_but_not_a_creation_that_fails() -> None:
    for name in ("DataBucket", "DataBucketPolicy"):
        resource = TEMPLATE["Resources"][name]
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_a_bucket_that_exists_is_used_and_not_owned() -> None:
    stack = Stack(ExistingDataBucket="kept-bucket")
    assert not {"DataBucket", "DataBucketPolicy"} & stack.there()
    assert stack.resolve(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["DATA_BUCKET"]) == "kept-bucket"
    assert stack.resolve(TEMPLATE["Outputs"]["DataBucketName"]["Value"]) == "kept-bucket"
    substitutions = stack.resource("ExtractTablesStateMachine")["DefinitionSubstitutions"]
    assert substitutions["DataBucketName"] == "kept-bucket"
    for role in ROLES:
        buckets = [r for s in statements(stack, role) for r in as_list(s["Resource"]) if "s3:" in str(s["Action"])]
        assert all(resource.startswith("arn:aws:s3:::kept-bucket") for resource in buckets)
        assert "<DataBucket" not in str(statements(stack, role))


def test_what_is_not_needed_any_more_expires() -> None:
    rules = {rule["Id"]: rule for rule in Stack().resource("DataBucket")["LifecycleConfiguration"]["Rules"]}
    assert rules["ForgetOldVersions"]["ExpiredObjectDeleteMarker"] is True
    old = rules["ForgetOldRuns"]
    assert (old["Prefix"], old["ExpirationInDays"] > 30) == ("_state/runs/", True)
    assert not [rule for rule in rules.values() if "Prefix" not in rule and "ExpirationInDays" in rule]


def test_former_keys_can_be_read_with_and_written_with_no_more() -> None:
    stack = Stack(KmsKeyArn="arn:new", FormerKmsKeyArns="arn:old,arn:older")
    for name in FUNCTIONS:
        assert granted(stack, f"{name}Role", "kms:GenerateDataKey") == ["arn:new"]
        assert {"arn:new", "arn:old", "arn:older"} <= set(granted(stack, f"{name}Role", "kms:Decrypt"))
    cleared = Stack(FormerKmsKeyArns="arn:old")
    assert granted(cleared, "CheckRunRole", "kms:Decrypt") == ["arn:old"]
    assert granted(cleared, "CheckRunRole", "kms:GenerateDataKey") == []


def test_logs_and_topic_have_keys_of_ones_own_only_where_they_are_given() -> None:
    stack = Stack(LogsKmsKeyArn="arn:logs", TopicKmsKeyArn="arn:topic")
    for name in ("FunctionLogGroup", "StateMachineLogGroup"):
        assert stack.resource(name)["KmsKeyId"] == "arn:logs"
        assert "KmsKeyId" not in Stack().resource(name)
    assert stack.resource("AlarmTopic")["KmsMasterKeyId"] == "arn:topic"
    assert "KmsMasterKeyId" not in Stack().resource("AlarmTopic")
    # SNS uses the key in the name of whoever publishes.
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert granted(stack, "WriteManifestRole", action) == ["arn:topic"]
        assert granted(Stack(), "WriteManifestRole", action) == []


@pytest.mark.parametrize("parameter", ["KmsKeyArn", "TopicKmsKeyArn"])
@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("", True),
        ("arn:aws:kms:eu-west-1:123456789012:key/0b7e9e2c-5d3f-4d3a-9d53-1b1f0c0a7b11", True),
        ("arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-0123456789abcdef0123456789abcdef", True),
        ("arn:aws:kms:eu-west-1:123456789012:alias/shop", False),  # deploys, and then denies each use
        ("alias/shop", False),
        ("0b7e9e2c-5d3f-4d3a-9d53-1b1f0c0a7b11", False),
    ],
)
def test_a_key_that_no_role_can_be_granted_is_refused(parameter: str, key: str, allowed: bool) -> None:
    assert bool(re.fullmatch(TEMPLATE["Parameters"][parameter]["AllowedPattern"], key)) is allowed
