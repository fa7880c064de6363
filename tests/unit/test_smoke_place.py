"""Where a trial takes place; what is asked and answered is checked against botocore's models of RDS and EC2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from smoke import __main__ as smoke
from smoke.account import Account
from smoke.errors import SmokeError
from smoke.place import CLASSES, LAYERS, Place, choose_place, what_is_missing
from tests.template import load

REGION = "us-east-1"
VERSION = "8.4.7"
MAPPED = load()["Mappings"]["LayersByRegion"]


def option(zones: str, *, storage: str = "gp3") -> dict[str, Any]:
    return {
        "EngineVersion": VERSION,
        "StorageType": storage,
        "SupportsStorageEncryption": True,
        "AvailabilityZones": [{"Name": f"{REGION}{zone}"} for zone in zones],
    }


def account_that_offers(
    offers: Mapping[str, list[dict[str, Any]]], reachable: str, monkeypatch: pytest.MonkeyPatch
) -> Account:
    session = boto3.Session("test", "test", region_name=REGION)
    clients = {name: session.client(name) for name in ("rds", "ec2")}
    rds, ec2 = Stubber(clients["rds"]), Stubber(clients["ec2"])
    rds.add_response("describe_db_engine_versions", {"DBEngineVersions": [{"EngineVersion": VERSION}]})
    ec2.add_response(
        "describe_vpc_endpoint_services",
        {"ServiceDetails": [{"AvailabilityZones": [f"{REGION}{zone}" for zone in reachable]}]},
        {"ServiceNames": [f"com.amazonaws.{REGION}.secretsmanager"]},
    )
    for name in CLASSES:
        rds.add_response(
            "describe_orderable_db_instance_options",
            {"OrderableDBInstanceOptions": offers.get(name, [])},
            {"Engine": "mysql", "EngineVersion": VERSION, "DBInstanceClass": name, "Vpc": True},
        )
    for stub in (rds, ec2):
        stub.activate()
    monkeypatch.setattr(Account, "client", lambda _, service: clients[service])
    return Account(REGION)


@pytest.mark.parametrize(
    ("offers", "reachable", "expected"),
    [
        ({CLASSES[0]: [option("bacf")]}, "abcdf", (CLASSES[0], "ab")),
        ({CLASSES[0]: [option("a"), option("c")]}, "abc", (CLASSES[0], "ac")),
        ({CLASSES[0]: [option("ace")]}, "bcde", (CLASSES[0], "ce")),  # a without the endpoint
        ({CLASSES[0]: [option("ae")], CLASSES[1]: [option("bc")]}, "abc", (CLASSES[1], "bc")),
        ({CLASSES[0]: [option("ab", storage="gp2")], CLASSES[3]: [option("ab")]}, "ab", (CLASSES[3], "ab")),
    ],
)
def test_the_database_and_the_endpoint_are_in_zones_that_have_both(
    offers: dict[str, list[dict[str, Any]]],
    reachable: str,
    expected: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, zones = expected
    account = account_that_offers(offers, reachable, monkeypatch)
    assert choose_place(account) == Place(name, VERSION, (f"{REGION}{zones[0]}", f"{REGION}{zones[1]}"))


def test_a_region_without_two_such_zones_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    account = account_that_offers({CLASSES[0]: [option("a")]}, "abc", monkeypatch)
    with pytest.raises(SmokeError, match="choose another region"):
        choose_place(account)


@pytest.mark.parametrize("region", [*MAPPED, "eu-south-9"])
def test_what_the_rules_would_refuse_at_the_end_is_said_before_anything_is_there(region: str, tmp_path: Path) -> None:
    missing = what_is_missing(region, {})
    with_layers = what_is_missing(region, dict.fromkeys(LAYERS, "arn:layer"))
    if region.startswith("cn-") or region not in MAPPED:
        assert missing == with_layers
        assert ("China" if region in MAPPED else "LayersByRegion") in missing[0]
    else:
        accounts = (MAPPED[region]["PandasAccount"], MAPPED[region]["PowertoolsAccount"])
        wanted = [name for name, account in zip(LAYERS, accounts, strict=True) if account == "none"]
        assert [name for name in LAYERS if any(name in line for line in missing)] == wanted
        assert with_layers == []
    if missing:
        said: list[str] = []
        code = smoke.try_account(
            Account(region), 9, say=said.append, answer=lambda _: pytest.fail("it asks"), work=tmp_path / "work"
        )
        assert (code, said[-1]) == (smoke.REFUSED, "Nothing was created.")
