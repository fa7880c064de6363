"""The two objects of a table that are written conditionally: its state and its watermark."""

from __future__ import annotations

from pydantic import ValidationError

from rds_to_s3.bucket_keys import state_key
from rds_to_s3.commit.state import Commit, TableState
from rds_to_s3.errors import LeaseLostError, StateMalformedError, StorageUnavailableError, WatermarkMalformedError
from rds_to_s3.s3.objects import ConditionFailedError, ObjectStore
from rds_to_s3.timestamps import Watermark


def read_state(body: bytes, key: str) -> TableState:
    """Read a state. Raise StateMalformedError where this release cannot read it."""
    try:
        return TableState.model_validate_json(body)
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"]) or "the document"
        raise StateMalformedError(
            f"{key} cannot be read ({where}: {detail['msg']}): a newer release wrote it, or somebody edited it. Deploy "
            "that release again, or restore an earlier version of the object. Without it the table continues from its "
            "watermark, but may deliver a few rows again."
        ) from None


class StateStore:
    """The state of one table, or of one range of it.

    Parameters
    ----------
    key : str, optional
        Of the object, if it is not the table's own.

    Attributes
    ----------
    state : TableState
        As last read or written.
    """

    def __init__(self, store: ObjectStore, table: str, file_format: str, key: str | None = None) -> None:
        self._store = store
        self._key = key or state_key(table, file_format)
        self._etag: str | None = None
        self.state = TableState(table=table, format=file_format)

    def load(self) -> TableState:
        """Read the state; a table that was never extracted has an empty one."""
        stored = self._store.get(self._key)
        if stored is None:
            self._etag = None
            self.state = TableState(table=self.state.table, format=self.state.format)
        else:
            self._etag = stored.etag
            self.state = read_state(stored.body, f"s3://{self._store.bucket}/{self._key}")
        return self.state

    def confirm(self) -> None:
        """Raise LeaseLostError if somebody else has written the state since this invocation did."""
        stored = self._store.get(self._key)
        if stored is None or stored.etag != self._etag:
            raise LeaseLostError(f"another invocation took table {self.state.table!r} over")

    def save(self, state: TableState) -> None:
        """Write the state if nobody else has written it since it was read.

        Raises
        ------
        LeaseLostError
            Somebody has. This invocation must not act on the table any more.
        """
        body = state.model_dump_json().encode()
        try:
            self._etag = self._store.put(
                self._key, body, if_match=self._etag, if_absent=self._etag is None, content_type="application/json"
            )
        except ConditionFailedError:
            # A request that is repeated after a lost answer finds its own write. Tokens make the content unique.
            stored = self._store.get(self._key)
            if stored is None or stored.body != body:
                raise LeaseLostError(
                    f"another invocation took table {state.table!r} over; nothing of this one became visible"
                ) from None
            self._etag = stored.etag
        self.state = state


WATERMARK_TRIES = 5


def read_watermark(store: ObjectStore, key: str) -> tuple[Watermark | None, str | None]:
    """Return the watermark and the ETag of the object that holds it."""
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
    """Write the watermark if it is unchanged since the read began. An operator's edit wins, and is returned."""
    body = commit.watermark.encode()
    before = commit.watermark_before
    for _ in range(WATERMARK_TRIES):
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
            # S3 gives this answer also while another request for the same key is in flight.
            continue
        return None
    raise StorageUnavailableError(f"S3 repeatedly refused to write {key}, though nobody has changed it")
