"""Where a trial can take place: what the region lacks, and the class, version and zones of the database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from local.ministack_server import REPOSITORY
from smoke.account import Account
from smoke.errors import SmokeError

CLASSES = ("db.t4g.micro", "db.t3.micro", "db.t4g.small", "db.t3.small")
"""The smallest classes for MySQL; a region may lack some."""
STORAGE = "gp3"
LAYERS = ("AwsSdkPandasLayerArn", "PowertoolsLayerArn")
_MAPPED = re.compile(r'^    ([\w-]+): \{PandasAccount: "(\w+)".* PowertoolsAccount: "(\w+)"\}$', re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """The database's instance class, its MySQL version, and two availability zones for all that is created."""

    instance_class: str
    engine_version: str
    zones: tuple[str, str]


def what_is_missing(region: str, parameters: Mapping[str, str]) -> list[str]:
    """Return what the stack would be refused for in the region, by the template's rules, once the database is there."""
    if region.startswith("cn-"):
        return ["VpcEndpoints=create is not for China, and a trial needs it"]
    mapped = {name: accounts for name, *accounts in _MAPPED.findall((REPOSITORY / "template.yaml").read_text())}
    if region not in mapped:
        return [
            f"the template knows no region {region}: correct the name, or add it to LayersByRegion in template.yaml"
        ]
    return [
        f"AWS publishes no layer for {name} in {region}: publish one (docs/deploy.md, Layers, and other regions), and "
        f"name it in STACK_PARAMETERS='{name}=arn:...'"
        for name, account in zip(LAYERS, mapped[region], strict=True)
        if account == "none" and not parameters.get(name)
    ]


def choose_place(account: Account) -> Place:
    """Return the smallest class in zones that also have the endpoint of Secrets Manager.

    A subnet in another zone of the region would be refused after ten minutes, with the database there.
    """
    region = account.region
    if account.stand_in:
        return Place(CLASSES[0], "8.4", (f"{region}a", f"{region}b"))
    rds = account.client("rds")
    versions = rds.describe_db_engine_versions(Engine="mysql", DefaultOnly=True)["DBEngineVersions"]
    version = str(versions[0]["EngineVersion"])
    services = account.client("ec2").describe_vpc_endpoint_services(
        ServiceNames=[f"com.amazonaws.{region}.secretsmanager"]
    )
    reachable = set(services["ServiceDetails"][0]["AvailabilityZones"])
    for name in CLASSES:
        pages = rds.get_paginator("describe_orderable_db_instance_options").paginate(
            Engine="mysql", EngineVersion=version, DBInstanceClass=name, Vpc=True
        )
        options = [option for page in pages for option in page["OrderableDBInstanceOptions"]]
        offered = {
            zone["Name"]
            for option in options
            if option["StorageType"] == STORAGE and option["SupportsStorageEncryption"]
            for zone in option["AvailabilityZones"]
        }
        zones = sorted(offered & reachable)
        if len(zones) > 1:
            return Place(name, version, (zones[0], zones[1]))
    raise SmokeError(
        f"RDS offers none of {', '.join(CLASSES)} for MySQL {version} in two zones of {region} that have the endpoint "
        "of Secrets Manager: choose another region"
    )
