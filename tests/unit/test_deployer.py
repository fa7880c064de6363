"""What docs/deploy.md lets a deployer do is what CloudFormation needs for the template's resources."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.template import load

ROOT = Path(__file__).parents[2]
SCHEMAS = next((ROOT / ".local" / "sam").glob("lib/python3*/site-packages/cfnlint/data/schemas"), None)
"""CloudFormation's schemas of resources, as cfn-lint brings them: with the permissions that their handlers need."""
MADE_BY_SAM = {
    "AWS::Serverless::Function": ["AWS::Lambda::Function"],
    "AWS::Serverless::StateMachine": ["AWS::StepFunctions::StateMachine", "AWS::Scheduler::Schedule"],
    "AWS::Serverless::LayerVersion": ["AWS::Lambda::LayerVersion"],
}
# What the handlers need for features that the template does not use, and s3:GetObject, which is for SAM's bucket.
UNUSED = (
    "ec2:*SecurityGroupEgress",
    "ec2:UpdateSecurityGroupRuleDescriptionsEgress",
    "ec2:DescribeInstances",
    "elasticfilesystem:*",
    "firehose:*",
    "iam:*GroupPolicy",
    "iam:*UserPolicy",
    "kms:*",
    "lambda:AssociateRuntimeAlias",
    "lambda:GetCodeSigningConfig",
    "lambda:PassCapacityProvider",
    "lambda:PublishVersion",
    "lambda:PutRuntimeManagementConfig",
    "logs:*LogDelivery",
    "logs:*ResourcePolicy",
    "logs:DeleteDataProtectionPolicy",
    "logs:DeleteIndexPolicy",
    "logs:Put*Authentication",
    "logs:Put*Protection*",
    "logs:PutIndexPolicy",
    "s3:*Accelerate*",
    "s3:*Analytics*",
    "s3:*BucketCors",
    "s3:*BucketWebsite",
    "s3:*IntelligentTiering*",
    "s3:*Inventory*",
    "s3:*MetadataTable*",
    "s3:*Metadata*Table*",
    "s3:*Metrics*",
    "s3:*ObjectLock*",
    "s3:*Replication*",
    "s3:DeleteBucketEncryption",
    "s3:DeleteBucketLifecycle",
    "s3:DeleteObject",
    "s3:GetObject*",
    "s3:PutObjectAcl",
    "s3:REST.PUT.OBJECT",
    "s3files:*",
    "s3tables:*",
    "sns:PutDataProtectionPolicy",
    "vpc-lattice:*",
    "vpce:*",
)


def documented() -> set[str]:
    """The actions of the page's table; a name without its service has the one before it."""
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    section = text.partition("## What a deployer may do")[2].partition("\n## ")[0]
    found: set[str] = set()
    service = ""
    for word in re.findall(r"`([^`\n]+)`", section.partition("### ")[0]):
        if named := re.fullmatch(r"([a-z0-9]+):[A-Za-z*]+", word):
            service = named[1]
            found.add(word)
        elif re.fullmatch(r"[A-Z][A-Za-z*]+", word):
            found.add(f"{service}:{word}")
    return found


def needed(kind: str) -> set[str]:
    assert SCHEMAS
    name = json.loads((SCHEMAS / "providers" / "us-east-1.json").read_text())[kind]
    handlers = json.loads((SCHEMAS / "resources" / f"{name}.json").read_text())["handlers"]
    return {action for work, handler in handlers.items() if work != "list" for action in handler["permissions"]}


KINDS = {kind for each in load()["Resources"].values() for kind in MADE_BY_SAM.get(each["Type"], [each["Type"]])}


@pytest.mark.skipif(SCHEMAS is None, reason="SAM is not installed here")
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_deployer_may_do_what_cloudformation_does_for_each_resource(kind: str) -> None:
    patterns = documented() | set(UNUSED)
    assert {each for each in needed(kind) if not any(fnmatchcase(each, pattern) for pattern in patterns)} == set()
