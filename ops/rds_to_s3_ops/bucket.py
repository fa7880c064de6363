"""The data bucket as the command uses it: small JSON documents and watermarks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from rds_to_s3_ops.aws import aws_errors, error_code
from rds_to_s3_ops.documents import Manifest, Plan, TableRecord
from rds_to_s3_ops.errors import AwsError, ConflictError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READERS = 12


@dataclass(frozen=True)
class StoredText:
    """An object's content with the ETag that a conditional write needs."""

    body: bytes
    etag: str


@dataclass(frozen=True)
class StoredRecord:
    """A table's record of one run, and when it was last written."""

    record: TableRecord
    written_at: datetime
    etag: str


class Bucket:
    """The data bucket.

    Parameters
    ----------
    s3 : S3Client
    name : str
    """

    def __init__(self, s3: S3Client, name: str) -> None:
        self._s3 = s3
        self.name = name

    def manifest(self, run_id: str) -> Manifest | None:
        """Return a run's manifest; None while it is not written."""
        return cast("Manifest | None", self._json(f"runs/{run_id}/manifest.json"))

    def latest_manifest(self) -> Manifest | None:
        """Return the newest finished run's manifest; None before the first run."""
        return cast("Manifest | None", self._json("runs/latest.json"))

    def manifests(self, run_ids: Iterable[str]) -> dict[str, Manifest]:
        """Return the manifests of those runs that have one."""
        wanted = list(run_ids)
        with ThreadPoolExecutor(_READERS) as readers:
            found = zip(wanted, readers.map(self.manifest, wanted), strict=True)
            return {run_id: manifest for run_id, manifest in found if manifest is not None}

    def plan(self, run_id: str) -> Plan | None:
        """Return a run's plan; None while it is not made."""
        return cast("Plan | None", self._json(f"_state/runs/{run_id}/plan.json"))

    def table_records(self, run_id: str, known: Mapping[str, StoredRecord]) -> dict[str, StoredRecord]:
        """Return the records that a run's tables have left so far.

        Parameters
        ----------
        run_id : str
        known : mapping of str to StoredRecord
            An earlier answer: what has not changed since is not read again.

        Returns
        -------
        dict of str to StoredRecord
            By object key.
        """
        prefix = f"_state/runs/{run_id}/tables/"
        with aws_errors():
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            listed = [item for page in pages for item in page.get("Contents", [])]
        stale = [item for item in listed if item["Key"] not in known or known[item["Key"]].etag != item["ETag"]]
        with ThreadPoolExecutor(_READERS) as readers:
            read = list(readers.map(lambda item: self._json(item["Key"]), stale))
        fresh = {
            item["Key"]: StoredRecord(cast("TableRecord", data), item["LastModified"], item["ETag"])
            for item, data in zip(stale, read, strict=True)
            if data is not None
        }
        return {**known, **fresh}

    def every_manifest(self) -> list[Manifest]:
        """Return all manifests, oldest first."""
        with ThreadPoolExecutor(_READERS) as readers:
            found = list(readers.map(self._json, self._manifest_keys()))
        return sorted((manifest for manifest in found if manifest), key=lambda manifest: str(manifest["started_at"]))

    def newest_manifests(self) -> Iterator[Manifest]:
        """Yield the manifests, the one written last first; each is read when it is asked for."""
        for key in reversed(self._manifest_keys()):
            if (found := self._json(key)) is not None:
                yield found

    def _manifest_keys(self) -> list[str]:
        with aws_errors():
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix="runs/")
            listed = [(item["LastModified"], item["Key"]) for page in pages for item in page.get("Contents", [])]
        return [key for _, key in sorted(listed) if key.endswith("/manifest.json")]

    def document(self, key: str) -> dict[str, Any] | None:
        """Return a JSON object; None where there is none."""
        return cast("dict[str, Any] | None", self._json(key))

    def read(self, key: str) -> StoredText | None:
        """Return an object; None where there is none."""
        with aws_errors():
            try:
                answer = self._s3.get_object(Bucket=self.name, Key=key)
                return StoredText(answer["Body"].read(), answer["ETag"])
            except ClientError as error:
                if error_code(error) in {"NoSuchKey", "404"}:
                    return None
                raise

    def replace(self, key: str, body: bytes, was: StoredText | None) -> None:
        """Write an object only if it still is what it was.

        Raises
        ------
        ConflictError
            It is not: somebody wrote or deleted it meanwhile.
        """
        with aws_errors():
            try:
                if was is None:
                    self._s3.put_object(Bucket=self.name, Key=key, Body=body, IfNoneMatch="*")
                else:
                    self._s3.put_object(Bucket=self.name, Key=key, Body=body, IfMatch=was.etag)
            except ClientError as error:
                # 404: If-Match on a key that was deleted; 409: another conditional write to it is under way.
                if error_code(error) not in {
                    "PreconditionFailed",
                    "412",
                    "NoSuchKey",
                    "404",
                    "ConditionalRequestConflict",
                }:
                    raise
                raise ConflictError(
                    f"{key} changed meanwhile, probably by a run; nothing was written: look again and repeat"
                ) from None

    def _json(self, key: str) -> Any:
        stored = self.read(key)
        if stored is None:
            return None
        try:
            return json.loads(stored.body)
        except ValueError:
            raise AwsError(f"s3://{self.name}/{key} is not valid JSON") from None
