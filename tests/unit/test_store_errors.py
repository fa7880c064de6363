"""What is said, and done, about each error code of S3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError

from rds_to_s3.errors import PermanentError, RdsToS3Error, StorageRefusedError, StorageUnavailableError, TransientError
from rds_to_s3.s3.error_codes import BY_CODE, REFUSALS
from rds_to_s3.s3.objects import ConditionFailedError, ObjectStore, UploadGoneError

BUCKET = "shop-data"


class Refusing:
    """An S3 client whose every call fails with one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            raise self._error

        return refuse


def answer(code: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "AKIA-secret-token"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "PutObject")


def put(error: Exception) -> Exception:
    store = ObjectStore(BUCKET, Refusing(error))  # type: ignore[arg-type]
    with pytest.raises((RdsToS3Error, ConditionFailedError, UploadGoneError)) as caught:
        store.put("orders/csv/x.csv", b"")
    return caught.value


def test_each_code_means_one_thing() -> None:
    counts = Counter(code for refusal in REFUSALS for code in refusal.codes)
    assert [code for code, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("status", [400, 403, 503])
@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_a_code_says_the_same_whatever_its_status(code: str, status: int) -> None:
    error = put(answer(code, status))
    message = str(error)
    assert type(error) is BY_CODE[code].error
    assert message.startswith("S3 ")
    assert "orders/csv/x.csv" in message
    assert message.count(f"({code})") == 1
    assert "AKIA" not in message
    assert "{" not in message


@pytest.mark.parametrize(
    ("code", "status", "passes", "helps"),
    [
        ("RequestTimeTooSkewed", 403, True, "clock"),
        ("ExpiredToken", 403, True, "credentials"),
        ("ExpiredTokenException", 403, True, "credentials"),
        ("TokenRefreshRequired", 403, True, "credentials"),
        ("InvalidToken", 403, True, "credentials"),
        ("SlowDown", 503, True, "MaxConcurrency"),
        ("KMS.ThrottlingException", 400, True, "quota"),
        ("400", 400, True, "credentials"),
        ("KMS.KMSInvalidStateException", 400, False, "aws kms cancel-key-deletion"),
        ("KMS.DisabledException", 400, False, "aws kms enable-key"),
        ("KMS.NotFoundException", 400, False, "KmsKeyArn"),
        ("InvalidRequest", 400, False, "Object Lock"),
        ("AccessDenied", 403, False, "encryption header"),
        ("403", 403, False, "s3:PutObject"),
        ("NoSuchBucket", 404, False, "bucket"),
        ("PermanentRedirect", 301, False, "get-bucket-location"),
        ("AuthorizationHeaderMalformed", 400, False, "another region"),
        ("AllAccessDisabled", 403, False, "account"),
        ("AccountProblem", 403, False, "account"),
        ("SomethingNew", 403, False, "policy"),
        ("SomethingNew", 400, False, "documentation"),
        ("SomethingNew", 500, True, "Health Dashboard"),
        ("SomethingNew", 408, True, "Health Dashboard"),
    ],
)
def test_what_can_pass_is_retried_and_nothing_else(code: str, status: int, passes: bool, helps: str) -> None:
    error = put(answer(code, status))
    assert isinstance(error, TransientError if passes else PermanentError)
    assert helps in str(error)
    assert BUCKET in str(error)


@pytest.mark.parametrize("code", ["ExpiredToken", "RequestTimeTooSkewed"])
def test_what_passes_is_not_blamed_on_a_policy(code: str) -> None:
    assert "policy" not in str(put(answer(code, 403)))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("PreconditionFailed", ConditionFailedError),
        ("ConditionalRequestConflict", ConditionFailedError),
        ("NoSuchUpload", UploadGoneError),
        ("NoSuchKey", ConditionFailedError),
    ],
)
def test_what_a_commit_waits_for_is_no_error_of_the_bucket(code: str, expected: type[Exception]) -> None:
    assert type(put(answer(code))) is expected


@pytest.mark.parametrize("code", ["NoSuchKey", "404", "PreconditionFailed"])
def test_what_is_gone_or_another_by_now_need_not_be_deleted(code: str) -> None:
    """S3 answers 404 to a conditional deletion of nothing: another invocation was faster, or a first try did arrive."""
    ObjectStore(BUCKET, Refusing(answer(code, 404))).delete("orders/csv/x.csv", if_match="etag")  # type: ignore[arg-type]


def test_a_bucket_that_is_gone_is_an_error_of_every_deletion() -> None:
    store = ObjectStore(BUCKET, Refusing(answer("NoSuchBucket", 404)))  # type: ignore[arg-type]
    with pytest.raises(StorageRefusedError):
        store.delete("orders/csv/x.csv", if_match="etag")


def test_missing_credentials_are_not_blamed_on_the_network() -> None:
    error = put(NoCredentialsError())
    assert isinstance(error, StorageUnavailableError)
    assert "credentials" in str(error)
    assert "network" not in str(error)


def test_a_name_that_s3_cannot_have_is_not_asked_again() -> None:
    assert isinstance(put(ParamValidationError(report="Invalid bucket name")), StorageRefusedError)
