"""The way to AWS: clients from boto3's ordinary configuration, and its errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from rds_to_s3_ops.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

# A person is waiting: an endpoint that does not answer is told in seconds, not in minutes.
_CONFIG = Config(
    connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 3}, max_pool_connections=16
)


class Aws:
    """boto3 clients, made when first asked for.

    They take region, credentials and endpoint from where every AWS tool takes them (``AWS_REGION``, ``AWS_PROFILE``,
    ``AWS_ENDPOINT_URL``, ``~/.aws``), so that the same command drives the local system.
    """

    def __init__(self) -> None:
        self._session = boto3.Session()

    @property
    def region(self) -> str:
        """The region in use; empty where none is configured."""
        return self._session.region_name or ""

    def cloudformation(self) -> CloudFormationClient:
        """Return a client of CloudFormation."""
        return self._session.client("cloudformation", config=_CONFIG)

    def s3(self) -> S3Client:
        """Return a client of S3."""
        return self._session.client("s3", config=_CONFIG)

    def ssm(self) -> SSMClient:
        """Return a client of Parameter Store."""
        return self._session.client("ssm", config=_CONFIG)

    def client(self, service: str) -> Any:
        """Return a client of any other service, by boto3's name of it."""
        return self._session.client(service, config=_CONFIG)  # type: ignore[call-overload]

    def stepfunctions(self) -> SFNClient:
        """Return a client of Step Functions."""
        return self._session.client("stepfunctions", config=_CONFIG)


def error_code(error: ClientError) -> str:
    """Return the service's own name of an error, such as ``NoSuchKey`` or ``412``."""
    return error.response.get("Error", {}).get("Code", "")


@contextmanager
def aws_errors() -> Iterator[None]:
    """Turn what boto3 raises into an `AwsError` that says what to do."""
    try:
        yield
    except NoRegionError:
        raise AwsError("no AWS region is configured: set AWS_REGION, or run `aws configure`") from None
    except NoCredentialsError:
        raise AwsError("no AWS credentials were found: run `aws sso login` or set AWS_PROFILE") from None
    except ClientError as error:
        raise AwsError(f"AWS refused {error.operation_name}: {_told(error)}") from error
    except BotoCoreError as error:
        raise AwsError(f"AWS cannot be reached: {error}") from error


def _told(error: ClientError) -> str:
    code = error_code(error)
    message = error.response.get("Error", {}).get("Message", "")
    if code in {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}:
        return f"the credentials are expired or invalid ({code}): log in again"
    return f"{message} ({code})" if message else code
