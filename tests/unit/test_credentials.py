"""Credentials from each store; nothing of them in a message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from rds_to_s3.aws import database
from rds_to_s3.aws.credentials import CredentialsSource
from rds_to_s3.errors import CredentialsNotFoundError, SettingsError, StorageUnavailableError
from rds_to_s3.mysql.credentials import Credentials, CredentialsReference
from rds_to_s3.settings import DatabaseSettings

SECRET = {
    "host": "db",
    "port": 3307,
    "username": "reader",
    "password": "s3cr3t-word",
    "dbname": "shop",
    "engine": "mysql",
}
PARAMETERS = {"host": "db", "port": "3307", "username": "reader", "password": "s3cr3t-word", "database": "shop"}


class Services:
    """Secrets Manager, Parameter Store and RDS, as far as they are asked."""

    def __init__(self, secret: str | None = None, parameters: dict[str, str] | None = None) -> None:
        self.secret = secret
        self.parameters = parameters or {}
        self.calls = 0

    def __call__(self, _service: str) -> Services:
        return self

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803
        self.calls += 1
        if self.secret is None:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSecretValue")
        return {"SecretString": self.secret, "ARN": SecretId}

    def get_parameters(self, Names: list[str], WithDecryption: bool) -> dict[str, Any]:  # noqa: N803
        self.calls += 1
        assert WithDecryption
        found = {f"/shop/db/{leaf}": value for leaf, value in self.parameters.items()}
        return {"Parameters": [{"Name": name, "Value": found[name]} for name in Names if name in found]}

    def generate_db_auth_token(self, DBHostname: str, Port: int, DBUsername: str) -> str:  # noqa: N803
        self.calls += 1
        return f"token-for-{DBUsername}@{DBHostname}:{Port}-{self.calls}"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"database_tls": "off", "database_iam_resource": "db-1/u"}, "deploy with DatabaseTls=verify"),
        ({"database_iam_resource": ""}, "need DatabaseIamResource"),
    ],
)
def test_iam_credentials_that_cannot_work_are_the_functions_first_error(settings: dict[str, str], told: str) -> None:
    environment = {"DATA_BUCKET": "data", "DATABASE_CREDENTIALS": "iam:/shop/db"}
    with pytest.raises(SettingsError, match=told):
        DatabaseSettings.from_environment(environment | {name.upper(): value for name, value in settings.items()})
    DatabaseSettings.from_environment(environment)  # the command does not know the roles' resource
    DatabaseSettings.from_environment(environment | {"DATABASE_IAM_RESOURCE": "db-1/u"})
    other = environment | {"DATABASE_CREDENTIALS": "ssm:/shop/db", "DATABASE_TLS": "off", "DATABASE_IAM_RESOURCE": ""}
    DatabaseSettings.from_environment(other)


def source(reference: str, services: Services) -> CredentialsSource:
    return CredentialsSource(CredentialsReference.parse(reference), services)


def test_a_secret_in_the_shape_of_rds() -> None:
    expected = Credentials("db", 3307, "reader", "shop", "s3cr3t-word")
    assert source("secretsmanager:shop/db", Services(json.dumps(SECRET))).get() == expected


def test_parameters_under_a_path() -> None:
    expected = Credentials("db", 3307, "reader", "shop", "s3cr3t-word")
    assert source("ssm:/shop/db", Services(parameters=PARAMETERS)).get() == expected


def test_an_iam_token_is_made_anew_for_each_connection_and_the_rest_is_kept() -> None:
    services = Services(parameters={key: value for key, value in PARAMETERS.items() if key != "password"})
    tokens = source("iam:/shop/db", services)
    first, second = tokens.get(), tokens.get()
    assert (first.password, second.password) == ("token-for-reader@db:3307-2", "token-for-reader@db:3307-3")
    assert first.is_token


def test_credentials_are_fetched_once_and_again_when_asked() -> None:
    services = Services(json.dumps(SECRET))
    kept = source("secretsmanager:shop/db", services)
    kept.get()
    kept.get()
    assert services.calls == 1
    services.secret = json.dumps(SECRET | {"password": "rotated"})
    assert kept.get(refresh=True).password == "rotated"


def test_the_port_may_be_left_out() -> None:
    secret = {key: value for key, value in SECRET.items() if key != "port"}
    assert source("secretsmanager:shop/db", Services(json.dumps(secret))).get().port == 3306


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (None, "ResourceNotFoundException"),
        ("s3cr3t-word", "JSON object"),
        ('["s3cr3t-word"]', "JSON object"),
        (json.dumps({"password": "s3cr3t-word"}), "host, username, dbname"),
        (json.dumps(SECRET | {"port": "s3cr3t-word"}), "port"),
        (json.dumps(SECRET | {"host": "db\n"}), "begins or ends with a space or a line break"),
        (json.dumps(SECRET | {"username": " reader", "dbname": "shop\n"}), "username, dbname in "),
    ],
)
def test_a_secret_that_cannot_be_used_is_said_so_without_a_word_of_it(secret: str | None, said: str) -> None:
    with pytest.raises(CredentialsNotFoundError) as caught:
        source("secretsmanager:shop/db", Services(secret)).get()
    assert said in str(caught.value)
    shown = f"{caught.value!r} {caught.value.__cause__!r}" + (
        "" if caught.value.__suppress_context__ else "with context"
    )
    assert "s3cr3t-word" not in shown
    assert "with context" not in shown or secret is None or "JSON object" not in said


def test_missing_parameters_are_named_as_the_operator_knows_them() -> None:
    with pytest.raises(CredentialsNotFoundError, match="database"):
        source("ssm:/shop/db", Services(parameters={"host": "db", "username": "u", "password": "p"})).get()


def test_a_store_that_cannot_be_reached_is_worth_another_try() -> None:
    class Unreachable(Services):
        def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803
            raise EndpointConnectionError(endpoint_url="https://secretsmanager")

    with pytest.raises(StorageUnavailableError, match="interface endpoint"):
        source("secretsmanager:x", Unreachable()).get()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ThrottlingException", StorageUnavailableError),
        ("ExpiredTokenException", StorageUnavailableError),
        ("ParameterNotFound", CredentialsNotFoundError),
        ("ParameterVersionNotFound", CredentialsNotFoundError),
        ("InvalidParameterException", CredentialsNotFoundError),
    ],
)
def test_a_busy_parameter_store_is_worth_another_try_and_a_missing_authority_is_not(
    monkeypatch: pytest.MonkeyPatch, code: str, expected: type[Exception]
) -> None:
    class Refusing:
        def get_parameter(self, **_: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": code, "Message": ""}}, "GetParameter")

    monkeypatch.setattr("rds_to_s3.aws.database.aws_client", lambda _: Refusing())
    with pytest.raises(expected):
        database._ca_bundle.__wrapped__("/shop/ca", 0)


@pytest.mark.parametrize("text", ["", "password123", "vault:/x", "ssm:", "secretsmanager"])
def test_a_reference_in_no_known_form_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        CredentialsReference.parse(text)
    assert "secretsmanager:<secret name or ARN>" in str(caught.value)
    assert "password123" not in str(caught.value)


def test_the_password_shows_in_no_representation() -> None:
    assert "s3cr3t" not in repr(Credentials("db", 1, "u", "d", "s3cr3t"))
