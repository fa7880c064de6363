"""A bucket in memory, and invocations that commit to it and die."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import Any

from rds_to_s3.commit.staged_upload import TOKEN
from rds_to_s3.commit.state import Commit, StagedFile
from rds_to_s3.commit.table_commit import TableCommit
from tests.support.effects import EffectMemory
from tests.support.manifests import entry

KEY = "orders/csv/orders_data_20250402_120000.csv"
MARK = "orders/csv/last_extract.txt"


class Died(BaseException):
    """The process is gone."""


@dataclass
class Bucket:
    """A bucket, a clock, and invocations on them."""

    store: EffectMemory = field(default_factory=EffectMemory)
    now: float = 1000.0
    die_at: str | None = None

    def __post_init__(self) -> None:
        self.store.on_effect = self._die

    def invocation(self, run_id: str, planned_at: float = 1.0, *, lasts: float | None = 60.0) -> TableCommit:
        """Start one; with `lasts`, let it take the lease."""
        commit = TableCommit(
            self.store,
            "orders",
            "csv",
            run_id=run_id,
            planned_at=planned_at,
            clock=lambda: self.now,
        )
        if lasts is not None:
            assert commit.acquire(lasts) is None
        return commit

    def _die(self, name: str) -> None:
        if name == self.die_at:
            self.die_at = None
            raise Died

    def staged(self, key: str = KEY, body: bytes = b"id\n1\n", token: str = "file") -> StagedFile:
        upload = self.store.start_upload(key, content_type="text/csv", metadata={TOKEN: token})
        part = self.store.upload_part(key, upload, 1, body, zlib.crc32(body))
        return StagedFile(
            key=key, upload_id=upload, token=token, parts=[part.as_dict()], rows=1, bytes=len(body), sha256="0"
        )

    def decision(self, by: TableCommit, *files: StagedFile, mark: str = "2025-04-02 12:00:00", **given: Any) -> Commit:
        _, etag = by.read_watermark()
        return Commit(
            run_id=by.run_id,
            token=by.token,
            planned_at=by.planned_at,
            server_utc=0.0,
            watermark=mark,
            watermark_before=etag,
            read_from=None,
            files=list(files),
            record=entry("orders", files=[file.as_manifest() for file in files]),
            previous=by.state.commit.model_copy(update={"previous": None}).model_dump() if by.state.commit else None,
            **given,
        )

    def commit(self, by: TableCommit, *files: StagedFile, **given: Any) -> Commit:
        decision = self.decision(by, *files, **given)
        by.decide(decision)
        applied = by.apply(decision, release=True)
        assert applied is not None
        return applied

    @property
    def visible(self) -> list[str]:
        return [key for key in self.store.keys("orders/csv/") if key != MARK]

    @property
    def watermark(self) -> str | None:
        return self.store.objects[MARK][0].decode() if MARK in self.store.objects else None

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.store.objects["_state/tables/orders/csv.json"][0])
        return state
