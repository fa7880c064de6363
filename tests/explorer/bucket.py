"""A bucket in memory whose content has a digest that is kept up to date: equal digests mean equal buckets."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from rds_to_s3.errors import StoredBytesError
from rds_to_s3.s3.objects import ConditionFailedError, ObjectHead, Part, StoredObject, UploadGoneError


def digest(*parts: object) -> int:
    """Return 64 bits that stand for the parts, the same in every process."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "big")


@lru_cache(maxsize=4096)
def etag_of(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


@dataclass(frozen=True)
class Item:
    """An object.

    Attributes
    ----------
    maker : str
        The invocation that wrote it.
    """

    body: bytes
    etag: str
    metadata: dict[str, str]
    maker: str
    digest: int


@dataclass
class Upload:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    metadata: dict[str, str]
    maker: str
    parts: dict[int, bytes] = field(default_factory=dict)

    def digest(self, upload_id: str) -> int:
        return digest(upload_id, self.key, [(number, etag_of(body)) for number, body in sorted(self.parts.items())])


@dataclass
class Bucket:
    """S3's promises: conditional writes, listings that are up to date, uploads that become visible in one moment."""

    objects: dict[str, Item] = field(default_factory=dict)
    started: dict[str, Upload] = field(default_factory=dict)
    digest: int = 0

    def copy(self) -> Bucket:
        """Return a bucket with the same content."""
        started = {name: Upload(u.key, u.metadata, u.maker, dict(u.parts)) for name, u in self.started.items()}
        return Bucket(dict(self.objects), started, self.digest)

    def apply(self, maker: str, unique: str, operation: str, arguments: dict[str, Any]) -> Any:
        """Carry out a request of `ObjectStore`; `unique` names what it makes."""
        if operation == "start_upload":
            upload = Upload(arguments["key"], dict(arguments["metadata"]), maker)
            self.started[unique] = upload
            self.digest ^= upload.digest(unique)
            return unique
        if operation == "put":
            return self._put(maker, **arguments)
        if operation == "complete_upload":
            return self._complete(maker, **arguments)
        return getattr(self, f"_{operation}")(**arguments)

    # --- requests ---

    def _get(self, key: str) -> StoredObject | None:
        item = self.objects.get(key)
        return None if item is None else StoredObject(item.body, item.etag)

    def _head(self, key: str) -> ObjectHead | None:
        item = self.objects.get(key)
        return None if item is None else ObjectHead(item.etag, dict(item.metadata))

    def _keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def _uploads(self, prefix: str) -> list[tuple[str, str]]:
        return sorted((upload.key, name) for name, upload in self.started.items() if upload.key.startswith(prefix))

    def _put(
        self,
        maker: str,
        key: str,
        body: bytes,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "",
    ) -> str:
        there = self.objects.get(key)
        if if_match is not None and (there is None or there.etag != if_match):
            raise ConditionFailedError(key)
        if if_match is None and if_absent and there is not None:
            raise ConditionFailedError(key)
        return self._write(key, bytes(body), {}, maker)

    def _delete(self, key: str, if_match: str | None = None) -> None:
        item = self.objects.get(key)
        if item is not None and if_match in {None, item.etag}:
            self.digest ^= item.digest
            del self.objects[key]

    def _upload_part(self, key: str, upload_id: str, number: int, body: bytes, crc32: int) -> Part:
        upload = self._upload(key, upload_id)
        content = bytes(body)
        if zlib.crc32(content) != crc32:
            raise StoredBytesError(key)
        self.digest ^= upload.digest(upload_id)
        upload.parts[number] = content
        self.digest ^= upload.digest(upload_id)
        return Part(number, etag_of(content), base64.b64encode(crc32.to_bytes(4, "big")).decode())

    def _complete(self, maker: str, key: str, upload_id: str, parts: Sequence[Part], size: int) -> None:
        upload = self._upload(key, upload_id)
        content = b"".join(upload.parts[part.number] for part in parts)
        if len(content) != size:
            raise StoredBytesError(key)
        self._abort_upload(key, upload_id)
        self._write(key, content, upload.metadata, upload.maker)

    def _abort_upload(self, key: str, upload_id: str) -> None:
        upload = self.started.pop(upload_id, None)
        if upload is not None:
            self.digest ^= upload.digest(upload_id)

    # --- what they share ---

    def _upload(self, key: str, upload_id: str) -> Upload:
        upload = self.started.get(upload_id)
        if upload is None or upload.key != key:
            raise UploadGoneError(key)
        return upload

    def _write(self, key: str, body: bytes, metadata: dict[str, str], maker: str) -> str:
        there = self.objects.get(key)
        item = Item(body, etag_of(body), metadata, maker, digest(key, etag_of(body), sorted(metadata.items())))
        self.digest ^= item.digest ^ (there.digest if there is not None else 0)
        self.objects[key] = item
        return item.etag
