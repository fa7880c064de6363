"""The command's access to the data bucket: small JSON documents and watermarks."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from rds_to_s3.bucket_keys import LATEST_MANIFEST_KEY, manifest_key, plan_key, state_key
from rds_to_s3.commit.entries import Document, TableEntry
from rds_to_s3.commit.state import TableState
from rds_to_s3.commit.state_store import read_state
from rds_to_s3.errors import StateMalformedError
from rds_to_s3.plan.execution import parse_utc
from rds_to_s3.reported.manifest import Manifest
from rds_to_s3.s3.objects import ConditionFailedError, ListedObject, ObjectStore, StoredObject
from rds_to_s3_ops.deployment.aws import aws_errors
from rds_to_s3_ops.errors import ConflictError, UnreadableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READERS = 12
AnyDocument = TypeVar("AnyDocument", bound=Document)


class PlannedTable(Document):
    """One table of a plan."""

    table: str
    format: str = "csv"


class Plan(Document):
    """``_state/runs/{run_id}/plan.json``, the part that the command needs."""

    until: str | None = None
    tables: list[PlannedTable]


@dataclass(frozen=True)
class StoredRecord:
    """A table's record of one run, and the time of its last write."""

    record: TableEntry
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
        self.store = ObjectStore(name, s3)
        self.name = name

    def manifest(self, run_id: str) -> Manifest | None:
        """Return a run's manifest; None if it does not exist yet."""
        return self._manifest(manifest_key(run_id))

    def latest_manifest(self) -> Manifest | None:
        """Return the newest finished run's manifest; None before the first run."""
        return self._manifest(LATEST_MANIFEST_KEY)

    def newest_manifest(self) -> Manifest | None:
        """Return the same if ``runs/latest.json`` is gone: of all manifests, that of the run that started last."""
        return self.latest_manifest() or next(self.newest_manifests(), None)

    def manifests(self, run_ids: Iterable[str]) -> dict[str, Manifest]:
        """Return the existing manifests of these runs."""
        wanted = list(run_ids)
        with ThreadPoolExecutor(_READERS) as readers:
            found = zip(wanted, readers.map(self.manifest, wanted), strict=True)
            return {run_id: manifest for run_id, manifest in found if manifest is not None}

    def plan(self, run_id: str) -> Plan | None:
        """Return a run's plan; None if it does not exist yet."""
        return self._document(plan_key(run_id), Plan)

    def table_records(self, run_id: str, known: Mapping[str, StoredRecord]) -> dict[str, StoredRecord]:
        """Return the records of a run's tables so far.

        Parameters
        ----------
        run_id : str
        known : mapping of str to StoredRecord
            An earlier answer: unchanged records are not read again.

        Returns
        -------
        dict of str to StoredRecord
            By object key.
        """
        prefix = f"_state/runs/{run_id}/tables/"
        stale = [item for item in self.listed(prefix) if item.key not in known or known[item.key].etag != item.etag]
        with ThreadPoolExecutor(_READERS) as readers:
            read = list(readers.map(lambda item: self._document(item.key, TableEntry), stale))
        fresh = {
            item.key: StoredRecord(record, item.written_at, item.etag)
            for item, record in zip(stale, read, strict=True)
            if record is not None
        }
        return {**known, **fresh}

    def every_manifest(self) -> Iterator[Manifest]:
        """Yield all manifests in the order of their writes. Only a few are in memory at a time."""
        keys = [key for _, key in self._manifest_keys()]
        with ThreadPoolExecutor(_READERS) as readers:
            for begin in range(0, len(keys), _READERS):
                for manifest in readers.map(self._manifest, keys[begin : begin + _READERS]):
                    if manifest is not None:
                        yield manifest

    def newest_manifests(self) -> Iterator[Manifest]:
        """Yield the manifests, newest start first. Each is read on demand.

        S3 lists the time of the write, which for a redriven run may be long after its start.
        """
        read: list[tuple[float, int, Manifest]] = []
        for number, (written, key) in enumerate(reversed(self._manifest_keys())):
            # Every manifest still to be read was written, and its run started, no later than this write.
            while read and -read[0][0] > written.timestamp():
                yield heapq.heappop(read)[2]
            if (found := self._manifest(key)) is not None:
                heapq.heappush(read, (-parse_utc(found.started_at).timestamp(), number, found))
        while read:
            yield heapq.heappop(read)[2]

    def _manifest_keys(self) -> list[tuple[datetime, str]]:
        listed = sorted((item.written_at, item.key) for item in self.listed("runs/"))
        return [(written, key) for written, key in listed if key.endswith("/manifest.json")]

    def table_state(self, table: str, file_format: str) -> TableState:
        """Return a table's state between runs; empty if the table was never extracted.

        Raises
        ------
        UnreadableError
            A newer version wrote it, or it is damaged. A run of this version would fail that table, too.
        """
        key = state_key(table, file_format)
        stored = self.read(key)
        if stored is None:
            return TableState(table=table, format=file_format)
        try:
            return read_state(stored.body, f"s3://{self.name}/{key}")
        except StateMalformedError as error:
            raise UnreadableError(str(error)) from None

    def read(self, key: str) -> StoredObject | None:
        """Return an object; None if it does not exist."""
        with aws_errors():
            return self.store.get(key)

    def listed(self, prefix: str) -> Iterator[ListedObject]:
        """Yield the objects with this prefix, in key order."""
        with aws_errors():
            yield from self.store.listed(prefix)

    def replace(self, key: str, body: bytes, was: StoredObject | None) -> None:
        """Write an object only if it has not changed.

        Raises
        ------
        ConflictError
            Someone wrote or deleted it in the meantime.
        """
        try:
            with aws_errors():
                self.store.replace(key, body, was, content_type="text/plain")
        except ConditionFailedError:
            raise ConflictError(
                f"{key} changed in the meantime, probably by a run; nothing was written: check it and repeat"
            ) from None

    def _manifest(self, key: str) -> Manifest | None:
        return self._document(key, Manifest)

    def _document(self, key: str, kind: type[AnyDocument]) -> AnyDocument | None:
        """Return a document; None if it does not exist."""
        stored = self.read(key)
        if stored is None:
            return None
        try:
            return kind.from_json(stored.body)
        except ValidationError as error:
            raise self._unreadable(key, _first_of(error)) from None
        except ValueError:
            raise self._unreadable(key, "it is not valid JSON") from None

    def _unreadable(self, key: str, why: str) -> UnreadableError:
        return UnreadableError(
            f"s3://{self.name}/{key} cannot be read: {why}. It is damaged, or a newer version wrote it: "
            "use the command of the deployed version"
        )


def _first_of(error: ValidationError) -> str:
    """Return the first error of a document; a wrong version comes first."""
    wrong = error.errors()
    of_version = [detail for detail in wrong if detail["loc"] == ("version",) and detail["type"] != "missing"]
    if of_version:
        return f"it has version {of_version[0]['input']}"
    place, kind, reason = wrong[0]["loc"], wrong[0]["type"], wrong[0]["msg"]
    if not place:
        return "it is not a JSON object"
    if len(place) == 1 and kind == "missing":
        return f"it has no {place[0]!r}"
    return f"its {'.'.join(map(str, place))} is not valid: {reason}"
