"""A bucket in memory, with S3's promises about conditional writes and multipart uploads."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from threading import RLock

from rds_to_s3.errors import StoredBytesError
from rds_to_s3.s3.objects import ConditionFailedError, ObjectHead, ObjectStore, Part, StoredObject, UploadGoneError


@dataclass
class _Upload:
    key: str
    metadata: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


class MemoryStore(ObjectStore):
    """An `ObjectStore` without a network. Several threads may use it: readers of one table do.

    Attributes
    ----------
    objects : dict
        Key to content and user metadata.
    """

    def __init__(self) -> None:
        self.bucket = "memory"
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self._started: dict[str, _Upload] = {}
        self._ids = count(1)
        self._lock = RLock()  # a conditional write is one step

    def get(self, key: str) -> StoredObject | None:
        if (there := self.objects.get(key)) is None:
            return None
        return StoredObject(there[0], _etag(there[0]))

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/octet-stream",
    ) -> str:
        with self._lock:
            there = self.get(key) if if_match is not None or if_absent else None
            if if_match is not None and (there is None or there.etag != if_match):
                raise ConditionFailedError(key)
            if if_match is None and if_absent and there is not None:
                raise ConditionFailedError(key)
            self.objects[key] = (body, {})
        return _etag(body)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        with self._lock:
            there = self.get(key)
            if there is not None and if_match in {None, there.etag}:
                del self.objects[key]

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in list(self.objects) if key.startswith(prefix))

    def folders(self, prefix: str) -> list[str]:
        rests = {key.removeprefix(prefix) for key in list(self.objects) if key.startswith(prefix)}
        return sorted({prefix + rest.partition("/")[0] + "/" for rest in rests if "/" in rest})

    def head(self, key: str) -> ObjectHead | None:
        if key not in self.objects:
            return None
        body, metadata = self.objects[key]
        return ObjectHead(_etag(body), metadata, len(body))

    def start_upload(self, key: str, *, content_type: str, metadata: dict[str, str]) -> str:
        upload_id = f"upload-{next(self._ids)}"
        self._started[upload_id] = _Upload(key, metadata)
        return upload_id

    def upload_part(self, key: str, upload_id: str, number: int, body: bytes, crc32: int) -> Part:
        if upload_id not in self._started:
            raise UploadGoneError(key)
        content = bytes(body)
        if zlib.crc32(content) != crc32:
            raise StoredBytesError(key)
        self._started[upload_id].parts[number] = content
        return Part(number, _etag(content), base64.b64encode(crc32.to_bytes(4, "big")).decode())

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part], size: int) -> None:
        upload = self._started.pop(upload_id, None)
        if upload is None:
            raise UploadGoneError(key)
        body = b"".join(upload.parts[part.number] for part in parts)
        assert len(body) == size
        self.objects[key] = (body, upload.metadata)

    def abort_upload(self, key: str, upload_id: str) -> None:
        self._started.pop(upload_id, None)

    def uploads(self, prefix: str) -> list[tuple[str, str]]:
        return [(upload.key, number) for number, upload in list(self._started.items()) if upload.key.startswith(prefix)]


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
