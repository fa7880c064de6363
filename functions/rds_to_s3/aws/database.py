"""Connections to the database by a function's settings; credentials are kept for a minute."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING

from rds_to_s3.aws.clients import aws_client
from rds_to_s3.aws.credentials import CredentialsSource
from rds_to_s3.aws.errors import translated_errors
from rds_to_s3.errors import DatabaseLoginError
from rds_to_s3.mysql.connection import Connection, Tls, connect
from rds_to_s3.mysql.credentials import CredentialsReference

if TYPE_CHECKING:
    from rds_to_s3.mysql.credentials import Credentials
    from rds_to_s3.settings import DatabaseSettings

CA_SECONDS = 300  # a warm function sees new authorities after this time


def open_connection(settings: DatabaseSettings, read_seconds: int, *, fresh: bool = False) -> Connection:
    """Open a connection.

    Parameters
    ----------
    read_seconds : int
        The longest wait for a byte of the server.
    fresh : bool
        Fetch the credentials anew: they may name another server by now.

    Raises
    ------
    RdsToS3Error
        See `rds_to_s3.mysql.connection.connect` and `rds_to_s3.aws.credentials.CredentialsSource.get`.
    """
    source = _source(settings.database_credentials)
    tls = Tls(settings.database_tls, ca_bundle(settings))
    try:
        return connect(lambda refresh: source.get(refresh=fresh or refresh), tls, read_seconds=read_seconds)
    except DatabaseLoginError as error:
        raise DatabaseLoginError(f"{error} The login is from {settings.database_credentials}.") from None


def fresh_credentials(settings: DatabaseSettings) -> Credentials:
    """Return the credentials as they are now; see `rds_to_s3.aws.credentials.CredentialsSource.get`."""
    return _source(settings.database_credentials).get(refresh=True)


def ca_bundle(settings: DatabaseSettings, *, fresh: bool = False) -> str | None:
    """Return the further certificate authorities, None where there are none; `fresh` reads them anew."""
    if fresh:
        _ca_bundle.cache_clear()
    return _ca_bundle(settings.database_ca_parameter, int(time.monotonic() // CA_SECONDS))


@cache
def _source(reference: str) -> CredentialsSource:
    return CredentialsSource(CredentialsReference.parse(reference))


@cache
def _ca_bundle(parameter: str, _period: int) -> str | None:
    if not parameter:
        return None
    advice = "Check DatabaseCaParameter, and that the function's role may read it."
    with translated_errors("ssm", f"the CA certificates at ssm:{parameter}", advice):
        response = aws_client("ssm").get_parameter(Name=parameter, WithDecryption=True)
        return str(response["Parameter"]["Value"])
