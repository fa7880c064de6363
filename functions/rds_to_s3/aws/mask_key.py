"""The key of masked columns, from Secrets Manager."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any

from rds_to_s3.aws.clients import aws_client
from rds_to_s3.aws.errors import translated_errors
from rds_to_s3.errors import CredentialsNotFoundError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_AGE_SECONDS = 60.0
NO_KEY = (
    'the table list masks columns with "hash", and the stack has no key for it: make a secret with 32 random '
    "characters, and deploy with MaskKeySecret=<its name or ARN>"
)


class MaskKey:
    """The key in one secret: the bytes of its text, all of them. A warm function keeps it for `MOST_AGE_SECONDS`.

    Parameters
    ----------
    secret : str
        Name or ARN; empty where the stack names none.
    client : callable
        Makes a boto3 client by service name; for tests.
    """

    def __init__(self, secret: str, client: Callable[[str], Any] | None = None) -> None:
        self._secret = secret
        self._client = client or aws_client
        self._key = b""
        self._fetched_at = 0.0

    def get(self) -> bytes:
        """Return the key.

        Raises
        ------
        SettingsError
            The stack names no secret.
        CredentialsNotFoundError
            The secret is missing, unreadable or empty.
        StorageUnavailableError
            The service did not answer; worth another try.
        """
        if not self._secret:
            raise SettingsError(NO_KEY)
        if not self._key or time.monotonic() - self._fetched_at > MOST_AGE_SECONDS:
            self._key = self._fetch()
            self._fetched_at = time.monotonic()
        return self._key

    def _fetch(self) -> bytes:
        what = f"the key of masked columns in secret {self._secret}"
        with translated_errors(
            "secretsmanager", what, "Check MaskKeySecret, and that the function's role may read it."
        ):
            response = self._client("secretsmanager").get_secret_value(SecretId=self._secret)
        key: bytes = response.get("SecretString", "").encode() or bytes(response.get("SecretBinary") or b"")
        if not key:
            raise CredentialsNotFoundError(f"{what} is empty: put 32 random characters into it")
        return key


@cache
def mask_key(secret: str) -> MaskKey:
    """Return the key of a secret, one for the process."""
    return MaskKey(secret)


UNNAMED = MaskKey("")
"""The key of a stack that names no secret."""
