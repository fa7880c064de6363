"""``last_extract.txt`` in the bucket: read before a window, moved after it."""

from __future__ import annotations

from rds_to_s3.commit.state import Commit
from rds_to_s3.errors import StorageUnavailableError, WatermarkMalformedError
from rds_to_s3.s3.objects import ConditionFailedError, ObjectStore
from rds_to_s3.timestamps import Watermark

TRIES = 5


def read_watermark(store: ObjectStore, key: str) -> tuple[Watermark | None, str | None]:
    """Return the watermark and the ETag of the object that holds it.

    Raises
    ------
    WatermarkMalformedError
    """
    stored = store.get(key)
    if stored is None:
        return None, None
    try:
        return Watermark.parse(stored.body), stored.etag
    except ValueError as error:
        raise WatermarkMalformedError(
            f"s3://{store.bucket}/{key} {error}. Write a timestamp such as 2025-04-02 12:00:00 into it, or delete it "
            "to extract everything."
        ) from None


def move_watermark(store: ObjectStore, key: str, commit: Commit) -> str | None:
    """Write the watermark if it is what the read began with; an operator's edit meanwhile wins, and is returned."""
    body = commit.watermark.encode()
    before = commit.watermark_before
    for _ in range(TRIES):
        try:
            store.put(key, body, if_match=before, if_absent=before is None, content_type="text/plain")
        except ConditionFailedError:
            current = store.get(key)
            if current is not None and current.body == body:
                return None
            if (current.etag if current is not None else None) != before:
                return (
                    f"{key} was edited while this window was extracted; it stays as edited, and the next run begins "
                    "there"
                )
            # S3 answers so, too, while another request for the same key is under way.
            continue
        return None
    raise StorageUnavailableError(f"S3 kept refusing to write {key}, though nobody has changed it")
