"""From the stack's parameters to the database, and what is said when there is no way."""

from __future__ import annotations

from typing import Any

import pytest

from rds_to_s3.errors import (
    CredentialsNotFoundError,
    DatabaseLoginError,
    DatabaseUnreachableError,
    RdsToS3Error,
    TableNotFoundError,
)
from rds_to_s3_ops.deployment import database
from rds_to_s3_ops.deployment.stack import Stack
from rds_to_s3_ops.errors import AwsError, CommandError, DatabaseError, InvalidInputError, NotFoundError


def stack(**parameters: str) -> Stack:
    return Stack("food", "arn", "bucket", "/food/table-list", parameters)


def test_the_settings_are_the_functions_own() -> None:
    settings = database.database_settings(
        stack(DatabaseCredentials="ssm:/food/db", DatabaseTls="unverified", DatabaseCaParameter="/food/ca")
    )
    assert settings.database_credentials == "ssm:/food/db"
    assert (settings.database_tls, settings.database_ca_parameter) == ("unverified", "/food/ca")


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({}, "has no parameter DatabaseCredentials"),
        ({"DatabaseCredentials": "ssm:/food/db", "DatabaseTls": "perhaps"}, "database_tls"),
    ],
)
def test_parameters_that_lead_nowhere_are_reported(parameters: dict[str, str], told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        database.database_settings(stack(**parameters))


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (DatabaseUnreachableError("no connection"), DatabaseError),
        (DatabaseLoginError("refused"), DatabaseError),
        (TableNotFoundError("no table"), NotFoundError),
        (CredentialsNotFoundError("no secret"), AwsError),
    ],
)
def test_the_functions_errors_become_the_commands(
    error: RdsToS3Error, becomes: type[CommandError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(database, "open_connection", refuse)
    with (
        pytest.raises(becomes, match=str(error)),
        database.connected(stack(DatabaseCredentials="secretsmanager:food")),
    ):
        pass
