"""Connects from the operator's machine to the stack's database, with the functions' settings and code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rds_to_s3.aws.database import open_connection
from rds_to_s3.errors import (
    CredentialsNotFoundError,
    DatabaseUnreachableError,
    NotATableError,
    RdsToS3Error,
    StorageUnavailableError,
    TableNotFoundError,
)
from rds_to_s3.settings import DatabaseSettings
from rds_to_s3_ops.deployment.aws import region_for_boto3
from rds_to_s3_ops.errors import AwsError, CommandError, DatabaseError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from rds_to_s3.mysql.connection import Connection
    from rds_to_s3_ops.deployment.stack import Stack

# An operator is waiting, but a large table's count may take minutes.
READ_SECONDS = 900


def database_settings(stack: Stack) -> DatabaseSettings:
    """Return the functions' database settings, from the stack's parameters.

    Raises
    ------
    InvalidInputError
        The stack lacks these parameters: it is another stack, or an old one.
    """
    values: Mapping[str, Any] = {
        "data_bucket": stack.bucket,
        "database_credentials": stack.parameters.get("DatabaseCredentials", ""),
        "database_tls": stack.parameters.get("DatabaseTls", "verify"),
        "database_ca_parameter": stack.parameters.get("DatabaseCaParameter", ""),
    }
    if not values["database_credentials"]:
        raise InvalidInputError(f"stack {stack.name!r} has no parameter DatabaseCredentials: deploy it again")
    try:
        return DatabaseSettings.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors())
        raise InvalidInputError(f"the parameters of stack {stack.name!r} are not valid: {wrong}") from None


@contextmanager
def connected(stack: Stack, *, read_seconds: int = READ_SECONDS) -> Iterator[Connection]:
    """Connect to the stack's database for a ``with`` block, and turn its errors into the command's.

    Parameters
    ----------
    stack : Stack
    read_seconds : int
        The read timeout.

    Raises
    ------
    CommandError
        Any error of the database, also inside the block, with what to do.
    """
    settings = database_settings(stack)
    with database_errors():
        with region_for_boto3():
            connection = open_connection(settings, read_seconds)
        with closing(connection):
            yield connection


def database_name(connection: Connection) -> str:
    """Return the name of the credentials' database."""
    return str(connection.row("SELECT DATABASE() AS name")["name"])


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn the functions' errors into the command's."""
    try:
        yield
    except RdsToS3Error as error:
        raise command_error(error) from error


def command_error(error: RdsToS3Error) -> CommandError:
    """Return the command's error for one of the functions'.

    Parameters
    ----------
    error : RdsToS3Error
    """
    if isinstance(error, TableNotFoundError | NotATableError):
        return NotFoundError(str(error))
    if isinstance(error, CredentialsNotFoundError | StorageUnavailableError):
        return AwsError(str(error))
    if isinstance(error, DatabaseUnreachableError):
        return DatabaseError(
            f"{error} Connect to a database in a private subnet from inside its VPC, or through a tunnel under its own "
            "host name."
        )
    return DatabaseError(str(error))
