"""The state machine's work, done by one call: plan, extract each table with retries, manifest, gate.

The functions under test are the handlers' own; only Step Functions' part, a loop, is played here. The tier above drives
the real engine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

from rds_to_s3.bucket_keys import range_key
from rds_to_s3.commit.state_store import StateStore
from rds_to_s3.errors import PermanentError
from rds_to_s3.extract.extract_table import run_extraction
from rds_to_s3.gate import decide
from rds_to_s3.manifest.write_manifest import write_manifest
from rds_to_s3.mysql.connection import Connection, connect
from rds_to_s3.mysql.credentials import Credentials
from rds_to_s3.plan.execution import parse_utc
from rds_to_s3.plan.plan_run import plan_run, read_manifest
from rds_to_s3.reported.manifest import Manifest
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.settings import PlanSettings
from tests.integration.conftest import Database
from tests.support.csv_reading import read_csv
from tests.support.effects import EffectMemory, EffectStore, OnEffect
from tests.support.memory_store import MemoryStore
from tests.support.tls import trusting

Json = dict[str, Any]
Extract = Callable[[str, str], str]
ATTEMPTS = 4


@dataclass
class Pipeline:
    """One database, one bucket, one table list.

    Attributes
    ----------
    seconds : float
        What an invocation of the extractor has.
    endpoint : callable or None
        Opens connections instead of `connect`'s own way: to another server, or to one of several.
    running : list of str
        The other runs that are going when a run is planned.
    memory : ObjectStore or None
        Used instead of the bucket.
    readers : int
        How many ranges are read at once.
    """

    database: Database
    bucket: str
    s3_client: Any
    tables: list[Any] = field(default_factory=list)
    defaults: Json = field(default_factory=dict)
    seconds: float = 900.0
    settle_seconds: float = 2.0
    unobserved_settle_seconds: float = 900.0
    user: tuple[str, str] | None = None
    endpoint: Callable[[int], Connection] | None = None
    started: dict[str, str] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)
    memory: MemoryStore | None = None
    mask_key: bytes = b"a key of the tests"
    readers: int = 4

    @property
    def store(self) -> ObjectStore:
        return self.memory or ObjectStore(self.bucket, self.s3_client)

    def store_telling(self, on_effect: OnEffect) -> ObjectStore:
        """Return a store that calls `on_effect` around each request that changes the bucket."""
        if self.memory is not None:
            return EffectMemory(on_effect, self.memory)
        return EffectStore(self.bucket, self.s3_client, on_effect)

    def connect(self, read_seconds: int) -> Connection:
        """Connect as the extractor does, over verified TLS."""
        if self.endpoint is not None:
            return self.endpoint(read_seconds)
        server = self.database.server
        user, password = self.user or (server.user, server.password)
        credentials = Credentials(
            host=server.host, port=server.port, username=user, database=self.database.name, password=password
        )
        return connect(lambda _: credentials, trusting(server), read_seconds=read_seconds)

    # --- the state machine's steps ---

    def execution(self, run_id: str, redrives: int = 0, **given: Any) -> Json:
        return {
            "Id": f"arn:aws:states:us-east-1:000000000000:execution:test:{run_id}",
            "Name": run_id,
            "Input": given,
            "StartTime": self.started.setdefault(run_id, datetime.now(UTC).isoformat()),
            "RedriveCount": redrives,
        }

    def plan(self, execution: Json, **state: Any) -> Json:
        document = json.dumps({"defaults": self.defaults, "tables": self.tables})
        settings = PlanSettings(
            data_bucket=self.bucket,
            database_credentials="ssm:/unused",
            settle_seconds=self.settle_seconds,
            unobserved_settle_seconds=self.unobserved_settle_seconds,
        )
        known = {"table_list": {"document": document}, "running": {"names": [execution["Name"], *self.running]}}
        return plan_run(execution, {**known, **state}, settings, self.store, self.connect)

    def extract(self, run_id: str, table: str, on_effect: OnEffect | None = None, *, number: int | None = None) -> str:
        """Run one invocation of the extractor, on a range or on all of the table; return its status."""
        store = self.store if on_effect is None else self.store_telling(on_effect)
        deadline = time.monotonic() + self.seconds
        return run_extraction(
            run_id,
            table,
            store,
            self.connect,
            time_left=lambda: deadline - time.monotonic(),
            mask_key=lambda: self.mask_key,
            number=number,
        ).status

    def iterate(self, run_id: str, table: str, extract: Extract | None = None) -> Json:
        """Do what one iteration of the Map does, and if the table is divided, those of its ranges."""
        result = self.call_until_done(run_id, table, extract)
        if result["status"] != "DIVIDED":
            return result
        with ThreadPoolExecutor(self.readers) as readers:
            results = [*readers.map(partial(self.read_range, run_id, table), self.missing_ranges(table))]
        return max(results, key=lambda result: (result["status"] == "FAILED", result["status"] != "RANGE_READ"))

    def read_range(self, run_id: str, table: str, number: int) -> Json:
        """Do what the iteration of one range does."""
        return self.call_until_done(run_id, table, partial(self.extract, number=number))

    def missing_ranges(self, table: str) -> list[int]:
        """Return the ranges of a divided table that are not read to their end."""
        kinds = ("csv", "parquet")
        found = [(kind, StateStore(self.store, table, kind).load().staged) for kind in kinds]
        ((kind, division),) = [(kind, staged.division) for kind, staged in found if staged and staged.division]
        keys = [range_key(table, kind, division.token, n + 1) for n in range(division.ranges)]
        states = [StateStore(self.store, table, kind, key).load().staged for key in keys]
        return [number for number, each in enumerate(states, 1) if each is None or not each.done]

    def call_until_done(self, run_id: str, table: str, extract: Extract | None = None) -> Json:
        """Call again on CONTINUE, retry what may pass, catch the rest."""
        extract = extract or self.extract
        attempts = 0
        while True:
            try:
                status = extract(run_id, table)
            except Exception as error:
                attempts += 1
                if isinstance(error, PermanentError) or attempts == ATTEMPTS:
                    return {"table": table, "status": "FAILED", "error": type(error).__name__}
                continue
            if status != "CONTINUE":
                return {"table": table, "status": status}
            attempts = 0

    def run(self, run_id: str | None = None, extract: Extract | None = None, **given: Any) -> Json:
        """Do a whole run, and return its manifest."""
        execution = self.execution(run_id or f"run-{uuid4().hex[:8]}", **given)
        plan = self.plan(execution)
        results = [self.iterate(plan["run_id"], item["table"], extract) for item in plan["tables"]]
        return self.report(execution, plan=plan, results=results)

    def redrive(self, manifest: Json) -> Json:
        """Do what a redrive of a failed run does."""
        execution = self.execution(manifest["run_id"], redrives=manifest["redrives"] + 1)
        outcome = {
            "status": manifest["status"],
            "failed": [table["table"] for table in manifest["tables"] if table["status"] == "FAILED"],
            "redrives": manifest["redrives"],
            "manifest": f"runs/{manifest['run_id']}/manifest.json",
        }
        decision = decide(execution, outcome, Manifest.model_validate(manifest))
        plan = self.plan(execution, **decision)
        results = [self.iterate(plan["run_id"], item["table"]) for item in plan["tables"]]
        return self.report(execution, plan=plan, results=results)

    def report(self, execution: Json, **state: Any) -> Json:
        write_manifest(execution, state, self.store)
        manifest = read_manifest(self.store, execution["Name"])
        assert manifest is not None
        assert parse_utc(manifest["finished_at"]) >= parse_utc(manifest["started_at"])
        return manifest

    # --- what a reader of the bucket sees ---

    def keys(self, prefix: str = "") -> list[str]:
        return self.store.keys(prefix)

    def data_keys(self, table: str, file_format: str = "csv") -> list[str]:
        return [key for key in self.keys(f"{table}/{file_format}/") if not key.endswith("last_extract.txt")]

    def body(self, key: str) -> bytes:
        stored = self.store.get(key)
        assert stored is not None, key
        return stored.body

    def delivered(self, table: str, keys: list[str] | None = None) -> Iterator[dict[str, str | None]]:
        """Yield the rows of the table's CSV files, in the order of the files."""
        for key in self.data_keys(table) if keys is None else keys:
            yield from read_csv(self.body(key))

    def watermark(self, table: str) -> str | None:
        stored = self.store.get(f"{table}/csv/last_extract.txt")
        return stored.body.decode() if stored else None

    def set_watermark(self, table: str, text: str) -> None:
        self.store.put(f"{table}/csv/last_extract.txt", text.encode())


def entry(manifest: Json, table: str) -> Json:
    """Return a table's entry in a manifest."""
    return next(item for item in manifest["tables"] if item["table"] == table)
