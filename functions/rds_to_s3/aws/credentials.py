"""Fetches the database's credentials from Secrets Manager, Parameter Store, or as an RDS IAM token."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError

from rds_to_s3.aws.clients import aws_client
from rds_to_s3.aws.errors import translated_errors
from rds_to_s3.errors import CredentialsNotFoundError
from rds_to_s3.mysql.credentials import Credentials, CredentialsReference

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_AGE_SECONDS = 60.0
"""A secret can change its server at any time: after a migration, a restore, a blue/green switch. The
old server still answers, so no error reports it. The extractions that a run starts side by side share one
request."""


class CredentialsSource:
    """One reference's credentials, kept between invocations of a warm function for `MOST_AGE_SECONDS`.

    Parameters
    ----------
    client : callable
        Makes a boto3 client by service name; for tests.
    """

    def __init__(self, reference: CredentialsReference, client: Callable[[str], Any] | None = None) -> None:
        self.reference = reference
        self._client = client or aws_client
        self._cached: Credentials | None = None
        self._fetched_at = 0.0

    def get(self, *, refresh: bool = False) -> Credentials:
        """Return the credentials, from memory unless they are too old or `refresh`.

        Parameters
        ----------
        refresh : bool
            Set it after a refused login, since they may have been rotated, and where the server must be the right one.

        Raises
        ------
        CredentialsNotFoundError
            Missing, unreadable or incomplete.
        StorageUnavailableError
            The service did not answer; worth another try.
        """
        now = time.monotonic()
        if self._cached is None or refresh or now - self._fetched_at > MOST_AGE_SECONDS:
            self._cached = self._fetch()
            self._fetched_at = now
        if self.reference.store == "iam":
            # A token lives 15 minutes and is computed locally: a new one for each connection costs nothing.
            return self._with_token(self._cached)
        return self._cached

    def _fetch(self) -> Credentials:
        service = "secretsmanager" if self.reference.store == "secretsmanager" else "ssm"
        advice = "Check the name, and that the function's role may read and decrypt it."
        with translated_errors(service, f"the database credentials at {self.reference}", advice):
            return self._from_secret() if service == "secretsmanager" else self._from_parameters()

    def _from_secret(self) -> Credentials:
        response = self._client("secretsmanager").get_secret_value(SecretId=self.reference.name)
        try:
            fields = json.loads(response.get("SecretString", ""))
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            # `from None`: the decoding error quotes the secret.
            raise CredentialsNotFoundError(
                f"{self.reference} is not a JSON object with host, port, username, password and dbname"
            ) from None
        return Credentials.from_fields(fields, self.reference)

    def _from_parameters(self) -> Credentials:
        path = self.reference.name
        leaves = {"host": "host", "port": "port", "username": "username", "database": "dbname"}
        if self.reference.store == "ssm":
            leaves["password"] = "password"  # noqa: S105 - a parameter's name
        response = self._client("ssm").get_parameters(Names=[f"{path}/{leaf}" for leaf in leaves], WithDecryption=True)
        fields: dict[str, object] = {
            leaves[parameter["Name"].rpartition("/")[2]]: parameter["Value"] for parameter in response["Parameters"]
        }
        if self.reference.store == "iam":
            fields["password"] = "-"  # noqa: S105 - a token takes its place
        return Credentials.from_fields(fields, self.reference)

    def _with_token(self, credentials: Credentials) -> Credentials:
        try:
            token = self._client("rds").generate_db_auth_token(
                DBHostname=credentials.host, Port=credentials.port, DBUsername=credentials.username
            )
        except BotoCoreError as error:
            raise CredentialsNotFoundError(
                f"no RDS IAM token could be signed ({type(error).__name__}): does the function have a role?"
            ) from error
        return replace(credentials, password=token, is_token=True)
