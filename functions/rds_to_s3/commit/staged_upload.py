"""Files being uploaded. They are invisible until the commit completes them.

A few threads upload parts while the next part is filled. The number of parts in flight is bounded, so a slow S3 slows
down the read instead of filling memory.
"""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self
from uuid import uuid4

from rds_to_s3.commit.state import StagedFile
from rds_to_s3.errors import LeaseLostError
from rds_to_s3.s3.objects import ObjectStore, Part, UploadGoneError

PART_BYTES = 8 * 1024 * 1024
PARTS_IN_FLIGHT = 3
MOST_PARTS = 9_000  # S3 takes 10,000
TOKEN = "rds-to-s3-upload"  # noqa: S105 - the name of a metadata field
_CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "gz": "application/gzip",
    "zst": "application/zstd",
    "parquet": "application/vnd.apache.parquet",
}


@dataclass
class Uploader:
    """The threads and the memory that all files of one table's read share.

    Parameters
    ----------
    part_bytes : int
        Memory in use is at most ``(PARTS_IN_FLIGHT + 2) * part_bytes``.
    """

    store: ObjectStore
    part_bytes: int = PART_BYTES

    def __post_init__(self) -> None:
        self._uploads = ThreadPoolExecutor(PARTS_IN_FLIGHT, "upload")
        # One thread: parts are hashed in their order.
        self._hashes = ThreadPoolExecutor(1, "hash")
        self._free = threading.BoundedSemaphore(PARTS_IN_FLIGHT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._uploads.shutdown(wait=True, cancel_futures=True)
        self._hashes.shutdown(wait=True, cancel_futures=True)

    def open(self, key: str, *, largest_bytes: int) -> OpenFile:
        """Start a file.

        Parameters
        ----------
        largest_bytes : int
            The expected size of the file. Parts grow with it, since S3 takes at most 10,000.
        """
        part_bytes = max(self.part_bytes, largest_bytes // MOST_PARTS)
        token = uuid4().hex
        content_type = _CONTENT_TYPES[key.rpartition(".")[2]]
        upload_id = self.store.start_upload(key, content_type=content_type, metadata={TOKEN: token})
        return OpenFile(self, key, upload_id, token, part_bytes)

    def submit_part(
        self, file: OpenFile, number: int, body: bytes, update: Callable[[bytes], None]
    ) -> tuple[Future[Part], Future[None]]:
        """Hash and upload a part in the background. Wait while too many parts are in flight."""
        self._free.acquire()
        hashed = self._hashes.submit(update, body)
        try:
            uploaded = self._uploads.submit(self._upload, file.key, file.upload_id, number, body)
        except BaseException:
            self._free.release()
            raise
        uploaded.add_done_callback(lambda _: self._free.release())
        return uploaded, hashed

    def _upload(self, key: str, upload_id: str, number: int, body: bytes) -> Part:
        return self.store.upload_part(key, upload_id, number, body, zlib.crc32(body))


class OpenFile:
    """One file being staged.

    Attributes
    ----------
    bytes : int
        Written so far.
    """

    def __init__(self, uploader: Uploader, key: str, upload_id: str, token: str, part_bytes: int) -> None:
        self.key = key
        self.upload_id = upload_id
        self.bytes = 0
        self._token = token
        self._uploader = uploader
        self._part_bytes = part_bytes
        self._pieces: list[memoryview] = []
        self._held = 0
        self._sha256 = hashlib.sha256()
        self._parts: list[Future[Part]] = []
        self._hashed: Future[None] | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes, which must not change afterwards. Wait only where S3 is slower.

        Raises
        ------
        LeaseLostError
            The upload was aborted by an invocation that took the table over.
        """
        view = memoryview(data).cast("B")
        self.bytes += len(view)
        while len(view) + self._held >= self._part_bytes:
            room = self._part_bytes - self._held
            self._pieces.append(view[:room])
            view = view[room:]
            self._flush()
        if view:
            self._pieces.append(view)
            self._held += len(view)

    def close(self, rows: int) -> StagedFile:
        """Upload what is left, wait for every part, and return what the commit needs to complete the file."""
        if self._held or not self._parts:
            self._flush()
        try:
            parts = [part.result() for part in self._parts]
        except UploadGoneError as error:
            raise _taken_over(self.key) from error
        if self._hashed:
            self._hashed.result()
        return StagedFile(
            key=self.key,
            upload_id=self.upload_id,
            token=self._token,
            parts=[part.as_dict() for part in parts],
            rows=rows,
            bytes=self.bytes,
            sha256=self._sha256.hexdigest(),
        )

    def abort(self) -> None:
        """Throw the file away.

        Safe when this invocation is frozen here: nobody else uses its upload, and no document names it before it is
        closed.
        """
        for part in self._parts:
            part.cancel()
        self._uploader.store.abort_upload(self.key, self.upload_id)

    def _flush(self) -> None:
        for part in self._parts:
            if part.done() and (error := part.exception()):
                raise _taken_over(self.key) if isinstance(error, UploadGoneError) else error
        # The only copy of a byte between the encoder and the socket.
        body = b"".join(self._pieces)
        self._pieces, self._held = [], 0
        uploaded, self._hashed = self._uploader.submit_part(self, len(self._parts) + 1, body, self._sha256.update)
        self._parts.append(uploaded)


def _taken_over(key: str) -> LeaseLostError:
    return LeaseLostError(f"the upload of {key} was aborted: another invocation took this table over")
