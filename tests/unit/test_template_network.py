"""The template's network, and what differs between regions."""

from __future__ import annotations

import botocore.session
import pytest

from tests.template import PARTITIONS, Stack, actions, load, statements

TEMPLATE = load()
ACCOUNT = "eu-central-1:123456789012"
NETWORK = {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1,sg-2", "VpcId": "vpc-1"}
QUEUE = "arn:aws:sqs:eu-central-1:210987654321:sf-snowpipe"
MAPPED = TEMPLATE["Mappings"]["LayersByRegion"]


def functions_in(value: object) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(functions_in, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    return {key for key in value if key.startswith("Fn::")}.union(*map(functions_in, value.values()))


def test_network_interfaces_are_for_lambda_itself_only() -> None:
    denied = [s for s in statements(Stack(**NETWORK), "ExtractTableRole") if s["Effect"] == "Deny"]
    (statement,) = denied
    allowed = {a for a in actions(Stack(**NETWORK), "ExtractTableRole") if a.startswith("ec2:")}
    assert set(statement["Action"]) == allowed
    assert statement["Condition"]["ArnLike"] == {"lambda:SourceFunctionArn": f"arn:aws:lambda:{ACCOUNT}:function:*"}
    assert not [s for s in statements(Stack(), "ExtractTableRole") if s["Effect"] == "Deny"]


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({}, ""),
        (NETWORK, ""),
        (NETWORK | {"VpcEndpoints": "create"}, ""),
        ({"SubnetIds": "subnet-1"}, "SubnetIds needs SecurityGroupIds"),
        ({"SecurityGroupIds": "sg-1"}, "SecurityGroupIds needs SubnetIds"),
        ({"VpcEndpoints": "create", "VpcId": "vpc-1"}, "create needs SubnetIds"),
        (NETWORK | {"VpcEndpoints": "create", "VpcId": ""}, "create needs VpcId"),
        ({"SnowpipeQueueArn": QUEUE}, ""),
        ({"SnowpipeQueueArn": QUEUE, "ExistingDataBucket": "kept"}, "SnowpipeQueueArn needs the stack's own bucket"),
    ],
)
def test_parameters_that_cannot_work_together_are_refused_before_anything_is_made(
    parameters: dict[str, str], told: str
) -> None:
    violations = Stack(**parameters).violations()
    assert len(violations) == (1 if told else 0)
    assert told in "".join(violations)


@pytest.mark.parametrize(("region", "refused"), [("cn-north-1", 1), ("eu-west-1", 0), ("us-gov-west-1", 0)])
def test_endpoints_are_not_made_where_their_names_are_others(region: str, refused: int) -> None:
    stack = Stack.in_region(region, UseLayers="false", **NETWORK, VpcEndpoints="create")
    assert len(stack.violations()) == refused


def test_rules_use_only_what_a_rule_may() -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-rules.html."""
    assert functions_in(TEMPLATE["Rules"]) <= {
        f"Fn::{name}"
        for name in ("And", "Contains", "EachMemberEquals", "EachMemberIn", "Equals", "Not", "Or", "RefAll")
    }


@pytest.mark.parametrize(
    ("parameters", "endpoints"),
    [
        ({"VpcEndpoints": "none"}, set()),
        ({}, {"SecretsManagerEndpoint"}),
        ({"RouteTableIds": "rtb-1"}, {"SecretsManagerEndpoint", "S3Endpoint"}),
        ({"DatabaseCredentials": "iam:/shop/db"}, {"SsmEndpoint"}),
        ({"DatabaseCaParameter": "/shop/ca"}, {"SecretsManagerEndpoint", "SsmEndpoint"}),
    ],
)
def test_the_stack_makes_the_endpoints_that_the_functions_need(parameters: dict[str, str], endpoints: set[str]) -> None:
    stack = Stack(**{**NETWORK, "VpcEndpoints": "create", **parameters})
    made = {name for name in stack.there() if name.endswith("Endpoint")}
    assert made == endpoints
    for name in made - {"S3Endpoint"}:
        endpoint = stack.resource(name)
        assert (endpoint["SubnetIds"], endpoint["PrivateDnsEnabled"]) == (["subnet-1", "subnet-2"], True)
        assert endpoint["SecurityGroupIds"] == ["<EndpointSecurityGroup>"]
    (ingress,) = stack.resource("EndpointSecurityGroup")["SecurityGroupIngress"]
    assert (ingress["SourceSecurityGroupId"], ingress["FromPort"], ingress["ToPort"]) == ("sg-1", 443, 443)


@pytest.mark.parametrize("region", MAPPED)
def test_a_region_has_both_layers_or_a_rule_demands_an_arn(region: str) -> None:
    stack = Stack.in_region(region)
    missing = [kind for kind in ("Pandas", "Powertools") if MAPPED[region][f"{kind}Account"] == "none"]
    assert len(stack.violations()) == len(missing)
    for kind in missing:
        assert kind in "".join(stack.violations())
    own = {"AwsSdkPandasLayerArn": "arn:pandas", "PowertoolsLayerArn": "arn:powertools"}
    assert Stack.in_region(region, **own).violations() == []
    assert Stack.in_region(region, UseLayers="false").violations() == []
    if not missing:
        assert "none" not in str(stack.resource("PlanRunFunction")["Layers"])


def test_a_region_that_nobody_knows_demands_both_arns() -> None:
    assert len(Stack.in_region("eu-south-9").violations()) == 2


@pytest.mark.parametrize(
    ("region", "pandas", "powertools"),
    [
        ("eu-west-1", "aws:lambda:eu-west-1:336392948345:layer:AWSSDKPandas-Python313-Arm64:9", "017000801446"),
        ("eu-west-2", "aws:lambda:eu-west-2:336392948345:layer:AWSSDKPandas-Python313-Arm64:8", "017000801446"),
        ("eu-south-1", "aws:lambda:eu-south-1:774444163449:layer:AWSSDKPandas-Python313-Arm64:8", "017000801446"),
        ("me-central-1", "aws:lambda:me-central-1:593833071574:layer:AWSSDKPandas-Python313-Arm64:8", "017000801446"),
    ],
)
def test_the_layers_are_those_of_the_region(region: str, pandas: str, powertools: str) -> None:
    first, second = Stack.in_region(region).resource("PlanRunFunction")["Layers"]
    assert first == f"arn:{pandas}"
    assert second == (f"arn:aws:lambda:{region}:{powertools}:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:27")


def test_every_region_is_mapped() -> None:
    """By partitions.json: endpoints.json, which get_available_regions reads, gets no new ones."""
    partitions = botocore.session.get_session().get_component("data_loader").load_data("partitions")["partitions"]
    known = {
        region
        for partition in partitions
        if partition["id"] in {"aws", *PARTITIONS.values()}
        for region in partition["regions"]
        if not region.endswith("-global")
    }
    assert len(known) >= 39
    assert known <= set(MAPPED)
