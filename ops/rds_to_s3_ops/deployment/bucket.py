"""The data bucket as the command uses it: small JSON documents and watermarks."""

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


class Plan(Document):
    """``_state/runs/{run_id}/plan.json``, as far as the command needs it."""

    until: str | None = None
    tables: list[PlannedTable]


@dataclass(frozen=True)
class StoredRecord:
    """A table's record of one run, and when it was last written."""

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
        """Return a run's manifest; None while it is not written."""
        return self._manifest(manifest_key(run_id))

    def latest_manifest(self) -> Manifest | None:
        """Return the newest finished run's manifest; None before the first run."""
        return self._manifest(LATEST_MANIFEST_KEY)

    def manifests(self, run_ids: Iterable[str]) -> dict[str, Manifest]:
        """Return the manifests of those runs that have one."""
        wanted = list(run_ids)
        with ThreadPoolExecutor(_READERS) as readers:
            found = zip(wanted, readers.map(self.manifest, wanted), strict=True)
            return {run_id: manifest for run_id, manifest in found if manifest is not None}

    def plan(self, run_id: str) -> Plan | None:
        """Return a run's plan; None while it is not made."""
        return self._document(plan_key(run_id), Plan)

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
        """Yield all manifests, the one that was written first before the others. A few are in memory at a time."""
        keys = [key for _, key in self._manifest_keys()]
        with ThreadPoolExecutor(_READERS) as readers:
            for begin in range(0, len(keys), _READERS):
                for manifest in readers.map(self._manifest, keys[begin : begin + _READERS]):
                    if manifest is not None:
                        yield manifest

    def newest_manifests(self) -> Iterator[Manifest]:
        """Yield the manifests, of the run that started last first; each is read when it is asked for.

        They are listed by when they were written, which for a run that was redriven says little of when it started.
        """
        read: list[tuple[float, int, Manifest]] = []
        for number, (written, key) in enumerate(reversed(self._manifest_keys())):
            # Whatever is still to be read was written, and so started, no later than this one was written.
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
        """Return what is known of a table between runs; a table that was never extracted has an empty state.

        Raises
        ------
        UnreadableError
            A newer version wrote it, or it is damaged. A run of this version fails that table, too.
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
        """Return an object; None where there is none."""
        with aws_errors():
            return self.store.get(key)

    def listed(self, prefix: str) -> Iterator[ListedObject]:
        """Yield the objects whose keys start with `prefix`, in the keys' order."""
        with aws_errors():
            yield from self.store.listed(prefix)

    def replace(self, key: str, body: bytes, was: StoredObject | None) -> None:
        """Write an object only if it still is what it was.

        Raises
        ------
        ConflictError
            It is not: somebody wrote or deleted it meanwhile.
        """
        try:
            with aws_errors():
                self.store.replace(key, body, was, content_type="text/plain")
        except ConditionFailedError:
            raise ConflictError(
                f"{key} changed meanwhile, probably by a run; nothing was written: look again and repeat"
            ) from None

    def _manifest(self, key: str) -> Manifest | None:
        return self._document(key, Manifest)

    def _document(self, key: str, kind: type[AnyDocument]) -> AnyDocument | None:
        """Return a document; None where there is none."""
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
            "take the command from the version that is deployed"
        )


def _first_of(error: ValidationError) -> str:
    """Return what is wrong with a document: its version, or else the first of all that is."""
    wrong = error.errors()
    of_version = [detail for detail in wrong if detail["loc"] == ("version",) and detail["type"] != "missing"]
    if of_version:
        return f"it has version {of_version[0]['input']}"
    place, kind, told = wrong[0]["loc"], wrong[0]["type"], wrong[0]["msg"]
    if not place:
        return "it is no JSON object"
    if len(place) == 1 and kind == "missing":
        return f"it has no {place[0]!r}"
    return f"its {'.'.join(map(str, place))} is not what it should be: {told}"
