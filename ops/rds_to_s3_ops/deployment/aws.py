"""Access to AWS: clients from boto3's ordinary configuration, and its errors as ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.parsers import ResponseParserError

from rds_to_s3.errors import StorageRefusedError, StorageUnavailableError
from rds_to_s3_ops.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

# An operator is waiting: report an unreachable endpoint in seconds, not in minutes.
_CONFIG = Config(
    connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 3}, max_pool_connections=16
)


def environment_region() -> str | None:
    """Return the region in the environment; None if there is none, and the profile's applies."""
    # boto3 reads only the second name. The AWS CLI and the other SDKs read the first, some of them before the second.
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


@contextmanager
def region_for_boto3() -> Iterator[None]:
    """Give clients that other code creates with boto3's default the same region as ours."""
    region, before = environment_region(), os.environ.get("AWS_DEFAULT_REGION")
    if region is None or region == before:
        yield
        return
    os.environ["AWS_DEFAULT_REGION"] = region
    try:
        yield
    finally:
        if before is None:
            del os.environ["AWS_DEFAULT_REGION"]
        else:
            os.environ["AWS_DEFAULT_REGION"] = before


class Aws:
    """boto3 clients, created at first use.

    Region, credentials and endpoint come from the ordinary AWS configuration (``AWS_REGION``, ``AWS_PROFILE``,
    ``AWS_ENDPOINT_URL``, ``~/.aws``), so the same command works with the local system. An error in them is an
    `AwsError`.
    """

    @cached_property
    def _session(self) -> boto3.Session:
        with aws_errors():
            return boto3.Session(region_name=environment_region())

    @property
    def region(self) -> str:
        """The region in use; empty if none is configured."""
        return self._session.region_name or ""

    def cloudformation(self) -> CloudFormationClient:
        """Return a client of CloudFormation."""
        return cast("CloudFormationClient", self.client("cloudformation"))

    def s3(self) -> S3Client:
        """Return a client of S3."""
        return cast("S3Client", self.client("s3"))

    def ssm(self) -> SSMClient:
        """Return a client of Parameter Store."""
        return cast("SSMClient", self.client("ssm"))

    def stepfunctions(self) -> SFNClient:
        """Return a client of Step Functions."""
        return cast("SFNClient", self.client("stepfunctions"))

    def client(self, service: str, *, answer_seconds: float | None = None) -> Any:
        """Return a client of a service, by boto3's name of it.

        Parameters
        ----------
        answer_seconds : float, optional
            For calls that take long, such as an invocation: the wait for the answer, which is asked for once.

        Raises
        ------
        AwsError
            Region, profile or endpoint are missing or malformed.
        """
        with aws_errors(), _endpoint_errors():
            config = _CONFIG
            if answer_seconds is not None:
                config = config.merge(Config(read_timeout=answer_seconds, retries={"total_max_attempts": 1}))
            made: Any = self._session.client(service, config=config)  # type: ignore[call-overload]
            # Otherwise an invalid port would show only in the first call, as an unspecific error.
            _ = urlsplit(made.meta.endpoint_url).port
            return made


@contextmanager
def _endpoint_errors() -> Iterator[None]:
    try:
        yield
    except BotoCoreError:
        raise  # some of them are ValueErrors too
    except ValueError as error:
        raise AwsError(
            f"the AWS endpoint is malformed ({error}): set AWS_ENDPOINT_URL to a URL such as http://localhost:4566, "
            "or unset it"
        ) from error


def error_code(error: ClientError) -> str:
    """Return the service's error code, such as ``NoSuchKey`` or ``412``."""
    return error.response.get("Error", {}).get("Code", "")


@contextmanager
def aws_errors() -> Iterator[None]:
    """Turn boto3's errors, and those of `ObjectStore`, into an `AwsError` that says what to do."""
    try:
        yield
    except (StorageRefusedError, StorageUnavailableError) as error:
        # Their remedies are for the functions' roles; the command has the operator's credentials.
        with aws_errors():
            raise error.__cause__ or AwsError(str(error)) from None
    except NoRegionError:
        raise AwsError("no AWS region is configured: set AWS_REGION, or run `aws configure`") from None
    except InvalidRegionError as error:
        raise AwsError(f"{_one_line(error)} Set AWS_REGION to one such as eu-west-1") from None
    except ProfileNotFound as error:
        raise AwsError(f"{_one_line(error)}: set AWS_PROFILE to one that `aws configure list-profiles` lists") from None
    except NoCredentialsError:
        raise AwsError("no AWS credentials were found: run `aws sso login` or set AWS_PROFILE") from None
    except ConfigParseError as error:
        raise AwsError(f"{_one_line(error)}: correct that file, or move it") from None
    except PartialCredentialsError as error:
        raise AwsError(f"{_one_line(error)}: set both or neither") from None
    except ClientError as error:
        raise AwsError(f"AWS refused {error.operation_name}: {_message_of(error)}") from error
    except BotoCoreError as error:
        raise AwsError(f"AWS cannot be reached: {_one_line(error)}") from error
    except ResponseParserError as error:
        raise AwsError(
            "the answer is not from AWS: check for a proxy or a login page, and check AWS_ENDPOINT_URL"
        ) from error


def _message_of(error: ClientError) -> str:
    code = error_code(error)
    message = error.response.get("Error", {}).get("Message", "")
    if code in {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}:
        return f"the credentials are expired or invalid ({code}): log in again"
    return f"{message} ({code})" if message else code


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
