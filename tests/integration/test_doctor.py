"""The doctor before a real server, with users that are broken in one way each."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from local.ministack_server import MiniStack
from rds_to_s3.aws import database as aws_database
from rds_to_s3.plan.table_list import parse_table_list
from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.deployment.stack import Stack
from rds_to_s3_ops.findings import Finding
from rds_to_s3_ops.inspection.doctor import examine_database
from tests.integration.conftest import Database

LISTED = parse_table_list('{"tables": ["dish", "bill"]}')
TABLES = [
    """CREATE TABLE dish (id INT PRIMARY KEY, createdDate DATETIME, modifiedDate DATETIME,
    KEY c (createdDate), KEY m (modifiedDate))""",
    "CREATE TABLE bill (createdDate DATETIME, modifiedDate DATETIME)",
]

Examine = Callable[..., dict[str, Finding]]


@pytest.fixture
def user(any_database: Database) -> str:
    name = f"reader_{secrets.token_hex(4)}"
    any_database.execute(*TABLES, f"CREATE USER '{name}'@'%' IDENTIFIED BY 'pass'")
    return name


@pytest.fixture
def examine(any_database: Database, aws: MiniStack, user: str, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Examine the database with a login, by way of a secret as the functions have it."""
    for variable, value in aws.environment.items():
        monkeypatch.setenv(variable, value)
    aws_database._source.cache_clear()
    aws_database._ca_bundle.cache_clear()

    def look(secret: dict[str, Any] | None = None, *, with_ca: bool = True, **parameters: str) -> dict[str, Finding]:
        server = any_database.server
        name, authority = f"db-{secrets.token_hex(4)}", f"/ca-{secrets.token_hex(4)}"
        login = {"host": server.host, "port": server.port, "username": user, "password": "pass"}
        fields = login | {"dbname": any_database.name} | (secret or {})
        aws.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(fields))
        aws.client("ssm").put_parameter(Name=authority, Value=server.authority.read_text(), Type="String")
        given = {"DatabaseCredentials": f"secretsmanager:{name}", "DatabaseCaParameter": authority if with_ca else ""}
        stack = Stack("food", "arn", "bucket", "/food/table-list", given | parameters)
        found = list(examine_database(stack, LISTED, Bucket(aws.client("s3"), "bucket")))
        assert not any("pass'" in finding.message + finding.remedy for finding in found)
        return {finding.check: finding for finding in found}

    return look


def grant(database: Database, user: str, *grants: str) -> None:
    database.execute(*(f"GRANT {privilege} TO '{user}'@'%'" for privilege in grants))


def test_a_user_with_the_least_grants_passes(any_database: Database, user: str, examine: Examine) -> None:
    grant(any_database, user, f"SELECT ON `{any_database.name}`.*", "PROCESS ON *.*")
    found = examine()
    for check in ("database credentials", "network from here", "TLS", "login", "least privilege", "open transactions"):
        assert found[check].verdict == "pass", found[check]
    assert found["tables are readable"].message == "2 of 2"
    assert found["indexes on the cursor columns"].verdict == "warn"
    assert found["indexes on the cursor columns"].message.startswith("bill.")
    assert found["keys"].verdict == "warn"


def test_a_user_that_may_read_one_table_only_gets_the_other_and_the_grant_in_the_finding(
    any_database: Database, user: str, examine: Examine
) -> None:
    grant(any_database, user, f"SELECT ON `{any_database.name}`.dish")
    found = examine()
    assert found["open transactions"].remedy == f"GRANT PROCESS ON *.* TO '{user}'@'%'"
    assert found["tables are readable"].message == "1 of 2"
    assert found["table bill"].verdict == "fail"
    assert "GRANT SELECT" in found["table bill"].message


def test_a_user_that_may_write_is_reported(any_database: Database, user: str, examine: Examine) -> None:
    grant(any_database, user, f"ALL PRIVILEGES ON `{any_database.name}`.*")
    assert found_remedy(examine(), "least privilege").startswith("create a user for the stack")


def test_a_user_that_may_write_by_a_role_is_reported_and_one_that_may_read_by_it_is_not(
    any_database: Database, user: str, examine: Examine
) -> None:
    role = f"role_{secrets.token_hex(4)}"
    account = f"'{user}'@'%'"
    any_database.execute(f"CREATE ROLE {role}", f"GRANT SELECT ON `{any_database.name}`.* TO {role}")
    grant(any_database, user, f"SELECT ON `{any_database.name}`.*", "PROCESS ON *.*")
    any_database.execute(f"GRANT {role} TO {account}")
    try:
        assert examine()["least privilege"].verdict == "pass"
        any_database.execute(f"GRANT DELETE ON `{any_database.name}`.* TO {role}")
        found = examine()["least privilege"]
        assert (found.verdict, "DELETE" in found.message) == ("warn", True)
    finally:
        any_database.execute(f"DROP ROLE {role}")


def test_a_wrong_password_fails_at_the_login(examine: Examine) -> None:
    found = examine({"password": "wrong"})
    assert (found["network from here"].verdict, found["login"].verdict) == ("pass", "fail")
    assert "tables are readable" not in found


def test_a_user_without_the_database_gets_the_grant_in_the_finding(examine: Examine, any_database: Database) -> None:
    assert f"GRANT SELECT ON `{any_database.name}`.*" in found_remedy(examine(), "login")


def test_an_unknown_authority_fails_at_tls(examine: Examine) -> None:
    assert found_remedy(examine(with_ca=False), "TLS") == "see docs/errors.md, DatabaseTlsError"


def test_an_incomplete_secret_fails_by_its_field(examine: Examine) -> None:
    found = examine({"dbname": ""})
    assert list(found) == ["database credentials"]
    assert "lacks dbname" in found["database credentials"].message


def test_a_database_out_of_reach_fails_or_is_skipped_where_only_the_vpc_can_tell(examine: Examine) -> None:
    assert examine({"port": 1})["network from here"].verdict == "fail"
    beyond = examine({"port": 1}, SubnetIds="subnet-1,subnet-2")["network from here"]
    assert beyond.verdict == "skip"
    assert "only be checked inside the VPC" in beyond.message


def found_remedy(found: dict[str, Finding], check: str) -> str:
    assert found[check].verdict in {"warn", "fail"}
    return found[check].remedy
