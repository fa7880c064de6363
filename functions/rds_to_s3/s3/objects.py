"""The bucket: conditional reads and writes, and multipart uploads. Turns S3's errors into ours."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from rds_to_s3.errors import StorageRefusedError, StorageUnavailableError
from rds_to_s3.s3.endpoints import bound_first_connection
from rds_to_s3.s3.error_codes import EXPIRED, meaning

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

T = TypeVar("T")
_ACTIONS = {"read": "s3:GetObject", "write": "s3:PutObject", "delete": "s3:DeleteObject", "list": "s3:ListBucket"}


class ConditionFailedError(Exception):
    """A conditional write found the object other than expected. The caller decides what to do."""


class UploadGoneError(Exception):
    """A multipart upload does not exist: completed before, or aborted."""


@dataclass(frozen=True)
class StoredObject:
    """An object's content and the ETag that names exactly this content.

    Attributes
    ----------
    version : str or None
        In a bucket that keeps versions.
    """

    body: bytes
    etag: str
    version: str | None = None


@dataclass(frozen=True)
class ObjectHead:
    """An object's ETag, metadata and size, without its content."""

    etag: str
    metadata: dict[str, str]
    bytes: int = 0


@dataclass(frozen=True)
class ListedObject:
    """An object in a listing."""

    key: str
    etag: str
    written_at: datetime


@dataclass(frozen=True)
class Part:
    """An uploaded part. `crc32` is what S3 verified the part against, base64 as S3 writes it."""

    number: int
    etag: str
    crc32: str

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


class ObjectStore:
    """One bucket.

    Parameters
    ----------
    kms_key : str, optional
        For uploads; without it the bucket's default encryption applies.
    """

    def __init__(self, bucket: str, client: S3Client | None = None) -> None:
        self.bucket = bucket
        self._client = client or s3_client()

    def get(self, key: str) -> StoredObject | None:
        """Return an object, None where there is none."""
        with self._translated("read", key):
            found = _unless_absent(lambda: self._client.get_object(Bucket=self.bucket, Key=key))
            return StoredObject(found["Body"].read(), found["ETag"], found.get("VersionId")) if found else None

    def pieces(self, key: str, size: int) -> Iterator[bytes] | None:
        """Return an object's content as pieces of `size` bytes, which are read when asked for; None where it is not."""
        with self._translated("read", key):
            found = _unless_absent(lambda: self._client.get_object(Bucket=self.bucket, Key=key))
        return self._pieces(key, found["Body"].iter_chunks(size)) if found else None

    def _pieces(self, key: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        with self._translated("read", key):
            yield from pieces

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/octet-stream",
    ) -> str:
        """Write an object, and return its ETag.

        Parameters
        ----------
        if_match : str, optional
            Only if the object still has this ETag.
        if_absent : bool
            Only if there is none.

        Raises
        ------
        ConditionFailedError
            Nothing was written. https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        condition: dict[str, Any] = {}
        if if_match is not None:
            condition["IfMatch"] = if_match
        elif if_absent:
            condition["IfNoneMatch"] = "*"
        with self._translated("write", key):
            response = self._client.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType=content_type, **condition
            )
        return response["ETag"]

    def replace(
        self, key: str, body: bytes, was: StoredObject | None, *, content_type: str = "application/octet-stream"
    ) -> str:
        """Write an object only if it still is what it was when it was read, None for absent; return its ETag.

        Raises
        ------
        ConditionFailedError
            Nothing was written.
        """
        return self.put(key, body, if_match=was.etag if was else None, if_absent=was is None, content_type=content_type)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Delete an object, with `if_match` only if it still has this ETag; a missing object is no error."""
        condition: dict[str, Any] = {"IfMatch": if_match} if if_match else {}
        with contextlib.suppress(ConditionFailedError), self._translated("delete", key):
            self._client.delete_object(Bucket=self.bucket, Key=key, **condition)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that start with `prefix`, in order."""
        return [item.key for item in self.listed(prefix)]

    def listed(self, prefix: str) -> Iterator[ListedObject]:
        """Yield the objects whose keys start with `prefix`, in the keys' order."""
        with self._translated("list", prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    yield ListedObject(item["Key"], item["ETag"], item["LastModified"])

    def folders(self, prefix: str) -> list[str]:
        """Return the folders whose keys start with `prefix`, each with the slash at its end."""
        with self._translated("list", prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix, Delimiter="/"
            )
            return [folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", [])]

    def head(self, key: str) -> ObjectHead | None:
        """Return an object's ETag and user metadata, None where there is no object."""
        with self._translated("read", key):
            found = _unless_absent(lambda: self._client.head_object(Bucket=self.bucket, Key=key))
            return ObjectHead(found["ETag"], dict(found["Metadata"]), found["ContentLength"]) if found else None

    def start_upload(self, key: str, *, content_type: str, metadata: dict[str, str]) -> str:
        """Start a multipart upload, whose parts nobody sees until it is completed; return its id."""
        with self._translated("write", key):
            response = self._client.create_multipart_upload(
                Bucket=self.bucket, Key=key, ContentType=content_type, Metadata=metadata, ChecksumAlgorithm="CRC32"
            )
        return response["UploadId"]

    def upload_part(self, key: str, upload_id: str, number: int, body: bytes, crc32: int) -> Part:
        """Upload one part. S3 compares it with `crc32` before it stores it.

        Raises
        ------
        UploadGoneError
            Somebody aborted the upload: the table was taken over.
        """
        checksum = base64.b64encode(crc32.to_bytes(4, "big")).decode("ascii")
        with self._translated("write", key):
            response = self._client.upload_part(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=body,
                ChecksumCRC32=checksum,
            )
        return Part(number, response["ETag"], checksum)

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part], size: int) -> None:
        """Make an upload visible: all of it, or nothing.

        Parameters
        ----------
        size : int
            Bytes; S3 refuses to assemble any other number.
        """
        with self._translated("write", key):
            self._client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                MpuObjectSize=size,
                MultipartUpload={
                    "Parts": [
                        {"PartNumber": part.number, "ETag": part.etag, "ChecksumCRC32": part.crc32} for part in parts
                    ]
                },
            )

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort an upload; a missing one is no error."""
        with contextlib.suppress(UploadGoneError), self._translated("delete", key):
            self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)

    def uploads(self, prefix: str) -> list[tuple[str, str]]:
        """Return (key, upload id) of the uploads under `prefix` that are neither completed nor aborted."""
        with self._translated("list", prefix):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
            return [
                (upload["Key"], upload["UploadId"])
                for page in pages
                for upload in page.get("Uploads", [])
                # Some stores ignore the prefix; another table's uploads must never be touched.
                if upload["Key"].startswith(prefix)
            ]

    @contextlib.contextmanager
    def _translated(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._error(verb, key, error) from error
        except ParamValidationError as error:
            raise StorageRefusedError(
                f"S3 cannot {verb} {key} in bucket {self.bucket}: no bucket, or no object, can have this name"
            ) from error
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
            raise StorageUnavailableError(
                f"S3 cannot {verb} {key} without credentials ({type(error).__name__}). {EXPIRED.remedy}"
            ) from error
        except (BotoCoreError, OSError) as error:
            raise StorageUnavailableError(
                f"S3 could not be reached to {verb} {key}: {type(error).__name__}. If this persists, look at the "
                "network: in a VPC, at the gateway endpoint."
            ) from error

    def _error(self, verb: str, key: str, error: ClientError) -> Exception:
        code = _code(error)
        if code in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
            return ConditionFailedError(key)
        if code == "NoSuchUpload":
            return UploadGoneError(key)
        if code in {"NoSuchKey", "404"} and verb in {"write", "delete"}:
            # If-Match on an object that was deleted meanwhile, perhaps by this request's own first attempt.
            return ConditionFailedError(key)
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        refusal = meaning(code, status)
        words = refusal.in_words(bucket=self.bucket, key=key, action=_ACTIONS[verb])
        did = "refused to" if refusal.error is StorageRefusedError else "did not"
        return refusal.error(f"S3 {did} {verb} {key} in bucket {self.bucket} ({code}): {words}")


def s3_client() -> S3Client:
    """Make a client with patient retries and bounded time-outs."""
    config = Config(
        retries={"mode": "standard", "max_attempts": 5}, connect_timeout=3, read_timeout=60, max_pool_connections=16
    )
    client: S3Client = bound_first_connection(boto3.client("s3", config=config))
    return client


def _unless_absent(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except ClientError as error:
        if _code(error) in {"NoSuchKey", "404", "NotFound"}:
            return None
        raise


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "Unknown"))
