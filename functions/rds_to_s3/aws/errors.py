"""Turns the errors of Secrets Manager and Parameter Store into ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from botocore.exceptions import BotoCoreError, ClientError

from rds_to_s3.errors import CredentialsNotFoundError, StorageUnavailableError

_FINAL = {
    "ResourceNotFoundException",
    "ParameterNotFound",
    "AccessDeniedException",
    "AccessDenied",
    "DecryptionFailure",
    "InvalidRequestException",
    "InvalidParameterException",
    "ParameterVersionNotFound",
    "ValidationException",
    "InvalidKeyId",
}


@contextlib.contextmanager
def translated_errors(service: str, what: str, advice: str) -> Iterator[None]:
    """Translate what reading a secret or a parameter raises.

    Parameters
    ----------
    service : str
        ``secretsmanager`` or ``ssm``.
    what : str
        What is read, and from where: ``the database credentials at ssm:/shop``.
    advice : str
        A sentence: what to check if it cannot be read.

    Raises
    ------
    CredentialsNotFoundError
        It is not there, or the role may not read it.
    StorageUnavailableError
        The service did not answer, or not now.
    """
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "Unknown")
        if code in _FINAL:
            raise CredentialsNotFoundError(f"cannot read {what}: {code}. {advice}") from error
        raise StorageUnavailableError(f"{service} answered {code} when asked for {what}") from error
    except BotoCoreError as error:
        raise StorageUnavailableError(
            f"{service} cannot be reached ({type(error).__name__}). In a VPC without a NAT gateway the function needs "
            "an interface endpoint for it."
        ) from error
