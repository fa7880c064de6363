"""The meaning of each error code of S3: our error, the cause, and what helps. Data only.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; the codes that begin with KMS are KMS's own, passed
on: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html. The table in docs/errors.md is written from
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rds_to_s3.errors import Meaning, StorageRefusedError, StorageUnavailableError, StoredBytesError


@dataclass(frozen=True)
class Refusal(Meaning):
    """What the error codes of one kind mean. The remedy's fields are ``bucket``, ``key`` and ``action``."""

    codes: tuple[str, ...]


_KEY = (
    "KEY=$(aws s3api get-bucket-encryption --bucket {bucket} --query 'ServerSideEncryptionConfiguration.Rules[0]."
    "ApplyServerSideEncryptionByDefault.KMSMasterKeyID' --output text) finds the bucket's key"
)

DENIED = Refusal(
    StorageRefusedError,
    "a policy does not allow it",
    "The function's role, the bucket's policy, the KMS key's policy and the VPC endpoint's policy must each allow "
    "{action} on the bucket {bucket}. A bucket policy that denies uploads without an encryption header denies ours: "
    "they leave it to the bucket's default encryption (docs/deploy.md). aws s3api get-bucket-policy --bucket {bucket} "
    "shows it.",
    ("AccessDenied", "AccessDeniedException", "Forbidden", "403"),
)

REFUSALS: tuple[Refusal, ...] = (
    DENIED,
    Refusal(
        StorageRefusedError,
        "the role may not use the KMS key",
        "The key's policy and the role must allow kms:GenerateDataKey and kms:Decrypt. " + _KEY + ".",
        ("KMS.AccessDeniedException",),
    ),
    Refusal(
        StorageRefusedError,
        "the KMS key is disabled",
        _KEY + "; aws kms enable-key --key-id $KEY enables it.",
        ("KMS.DisabledException",),
    ),
    Refusal(
        StorageRefusedError,
        "the KMS key is pending deletion, or its key material is missing",
        _KEY + "; aws kms cancel-key-deletion --key-id $KEY and then aws kms enable-key --key-id $KEY restore it.",
        ("KMS.KMSInvalidStateException", "KMS.InvalidStateException"),
    ),
    Refusal(
        StorageRefusedError,
        "the KMS key does not exist, or is not an encryption key in the bucket's region",
        "Deploy with the KmsKeyArn of a symmetric key in that region. " + _KEY + ".",
        ("KMS.NotFoundException", "KMS.InvalidKeyUsageException", "KMS.IncorrectKeyException"),
    ),
    Refusal(
        StorageUnavailableError,
        "KMS throttled the request, or failed",
        "If this persists, raise KMS's request quota; the bucket's key (BucketKeyEnabled) saves requests.",
        (
            "KMS.ThrottlingException",
            "KMS.LimitExceededException",
            "KMS.KMSInternalException",
            "KMS.InternalException",
            "KMS.DependencyTimeoutException",
            "KMS.KeyUnavailableException",
        ),
    ),
    Refusal(
        StorageRefusedError,
        "there is no such bucket",
        "Deploy the stack again, or correct the bucket's name.",
        ("NoSuchBucket", "InvalidBucketName"),
    ),
    Refusal(
        StorageRefusedError,
        "the bucket is in another region",
        "aws s3api get-bucket-location --bucket {bucket} names it.",
        (
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "IncorrectEndpoint",
            "301",
        ),
    ),
    Refusal(
        StorageRefusedError,
        "the AWS account is closed, suspended, or not signed up",
        "Ask AWS Support about the account.",
        ("AllAccessDisabled", "AccountProblem", "NotSignedUp", "InvalidPayer"),
    ),
    Refusal(
        StorageRefusedError,
        "the bucket's settings do not allow the request",
        "Look for Object Lock, an access point, or an encryption that the bucket demands: aws s3api "
        "get-object-lock-configuration --bucket {bucket} and get-bucket-encryption show two of them.",
        (
            "InvalidRequest",
            "InvalidArgument",
            "MissingSecurityHeader",
            "InvalidEncryptionAlgorithmError",
            "EncryptionTypeMismatch",
            "MethodNotAllowed",
            "NotImplemented",
            "InvalidStorageClass",
        ),
    ),
    Refusal(
        StorageRefusedError,
        "the object has been archived",
        "aws s3api restore-object --bucket {bucket} --key '{key}' --restore-request Days=7 restores it.",
        ("InvalidObjectState",),
    ),
    Refusal(
        StorageRefusedError,
        "the object's name, or the object, is larger than S3 takes",
        "Shorten the table's name in the database, or set target_file_bytes lower.",
        ("KeyTooLongError", "EntityTooLarge", "TooManyParts", "MetadataTooLarge"),
    ),
    Refusal(
        StorageRefusedError,
        "the secret key does not belong to the access key",
        "On AWS the function's role has both; on your own machine, correct AWS_SECRET_ACCESS_KEY.",
        ("SignatureDoesNotMatch",),
    ),
    Refusal(
        StorageUnavailableError,
        "the clock of the function and that of S3 differ by more than 15 minutes",
        "Lambda sets its own clock; on your own machine, set it.",
        ("RequestTimeTooSkewed", "RequestExpired"),
    ),
    Refusal(
        StorageUnavailableError,
        "the credentials have expired or are not valid yet",
        "Lambda renews those of its role; on your own machine, log in again, for example with aws sso login.",
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId"),
    ),
    Refusal(
        StorageUnavailableError,
        "S3 gives no reason, since its answer to a HEAD request has no text",
        "The credentials may have expired, or the KMS key may be disabled.",
        ("400",),
    ),
    Refusal(
        StorageUnavailableError,
        "S3 throttled the request",
        "If this persists, lower MaxConcurrency.",
        (
            "SlowDown",
            "Throttling",
            "ThrottlingException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "TooManyRequestsException",
            "BandwidthLimitExceeded",
            "429",
        ),
    ),
    Refusal(
        StorageUnavailableError,
        "S3 failed, or the request arrived incomplete",
        "If this persists, look at the AWS Health Dashboard, and in a VPC at the gateway endpoint.",
        (
            "InternalError",
            "ServiceUnavailable",
            "RequestTimeout",
            "IncompleteBody",
            "OperationAborted",
            "TemporaryRedirect",
            "500",
            "502",
            "503",
            "504",
        ),
    ),
    Refusal(
        StoredBytesError,
        "S3 received other bytes than were sent",
        "Nothing of it is visible. If this persists, look for a proxy that changes requests.",
        (
            "BadDigest",
            "InvalidDigest",
            "XAmzContentChecksumMismatch",
            "XAmzContentSHA256Mismatch",
            "InvalidPart",
            "InvalidPartOrder",
        ),
    ),
)
BY_CODE: Mapping[str, Refusal] = {code: refusal for refusal in REFUSALS for code in refusal.codes}

EXPIRED = BY_CODE["ExpiredToken"]
_UNKNOWN = Refusal(StorageRefusedError, "S3 does not take the request", "Look the code up in S3's documentation.", ())
_FAULT = BY_CODE["InternalError"]
_MAY_PASS = {408, 409, 425, 429}


def meaning(code: str, status: int) -> Refusal:
    """Return what a code means; an unknown one goes by its HTTP status.

    Examples
    --------
    >>> meaning("SlowDown", 503).error.__name__
    'StorageUnavailableError'
    >>> meaning("SomethingNew", 400).error.__name__
    'StorageRefusedError'
    """
    if (refusal := BY_CODE.get(code)) is not None:
        return refusal
    if status == 403:
        return DENIED
    return _UNKNOWN if 300 <= status < 500 and status not in _MAY_PASS else _FAULT
