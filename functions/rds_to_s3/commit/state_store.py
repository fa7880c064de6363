"""Reads and writes a table's state object, always conditionally."""

from __future__ import annotations

from pydantic import ValidationError

from rds_to_s3.bucket_keys import state_key
from rds_to_s3.commit.state import TableState
from rds_to_s3.errors import LeaseLostError, StateMalformedError
from rds_to_s3.s3.objects import ConditionFailedError, ObjectStore


def read_state(body: bytes, key: str) -> TableState:
    """Read a state.

    Raises
    ------
    StateMalformedError
    """
    try:
        return TableState.model_validate_json(body)
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"]) or "the document"
        raise StateMalformedError(
            f"{key} cannot be read ({where}: {detail['msg']}): a newer release wrote it, or somebody edited it. Deploy "
            "that release again, or bring back an earlier version of the object. Without it the table goes on from its "
            "watermark, but may deliver a few rows again."
        ) from None


class StateStore:
    """The state of one table.

    Attributes
    ----------
    state : TableState
        As last read or written.
    """

    def __init__(self, store: ObjectStore, table: str, file_format: str) -> None:
        self._store = store
        self._key = state_key(table, file_format)
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
        """Make sure that nobody has written the state since this invocation did.

        Raises
        ------
        LeaseLostError
        """
        stored = self._store.get(self._key)
        if stored is None or stored.etag != self._etag:
            raise LeaseLostError(f"another invocation took table {self.state.table!r} over")

    def save(self, state: TableState) -> None:
        """Write the state if nobody else has since it was read.

        Raises
        ------
        LeaseLostError
            Somebody has: whatever this invocation was about to do is not its to do any more.
        """
        body = state.model_dump_json().encode()
        try:
            self._etag = self._store.put(
                self._key, body, if_match=self._etag, if_absent=self._etag is None, content_type="application/json"
            )
        except ConditionFailedError:
            # A request that was repeated after its answer got lost meets its own work. Tokens make the content unique.
            stored = self._store.get(self._key)
            if stored is None or stored.body != body:
                raise LeaseLostError(
                    f"another invocation took table {state.table!r} over; nothing of this one became visible"
                ) from None
            self._etag = stored.etag
        self.state = state
