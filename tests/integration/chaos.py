"""Writers that never rest, runs that are killed and overlap, and a comparison of every row at the end."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pymysql

from rds_to_s3.execution import parse_utc
from tests.integration.pipeline import Pipeline, entry
from tests.support.deaths import die_at, extract_in_child, fork
from tests.support.ledger import (
    delivered_rows,
    expire_lease,
    problems_with_leftovers,
    problems_with_manifests,
    problems_with_rows,
    table_rows,
)

TABLE = "chaos"
HOT = 1
FUTURE = "2099-01-01"
STEPS = 26  # about as many as an invocation has here
FATES = ("dies, and is tried again", "dies, and is left", "is overtaken", "is left in peace")


@dataclass
class Report:
    """What a session went through."""

    seed: int
    rows: int = 0
    versions: int = 0
    transactions: int = 0
    rolled_back: int = 0
    runs: int = 0
    kills: int = 0
    overlaps: int = 0
    skipped: int = 0
    lost_by_the_original: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Write it in a line."""
        return (
            f"seed {self.seed}: {self.rows} rows, {self.versions} versions delivered, {self.transactions} transactions "
            f"({self.rolled_back} rolled back), {self.runs} runs, {self.kills} kills, {self.overlaps} overlaps "
            f"({self.skipped} skipped); lost or stale: {len(self.problems)}, by the original algorithm: "
            f"{self.lost_by_the_original}"
        )


class Original:
    """The Lambda that this project replaces: everything newer than the greatest timestamp seen so far."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._database = pipeline.database
        self._last = "1970-01-01"
        self.rows: dict[Any, tuple[Any, ...]] = {}

    def run(self) -> None:
        """Extract once. Rows from the future are kept from it: the first would be the last that it ever extracts."""
        rows = self._database.rows(
            f"SELECT CAST(id AS CHAR), note, CAST(version AS CHAR), CAST(createdDate AS CHAR), "
            f"CAST(modifiedDate AS CHAR) FROM {TABLE} WHERE (modifiedDate > '{self._last}' OR (modifiedDate IS NULL "
            f"AND createdDate > '{self._last}')) AND createdDate < '{FUTURE}'"
        )
        self.rows |= {row[:1]: row for row in rows}
        self._last = max([self._last, *(stamp for row in rows for stamp in row[3:] if stamp is not None)])

    def wrong(self, wanted: dict[Any, tuple[Any, ...]]) -> int:
        """Count the rows that it lost or holds in an old version."""
        return sum(self.rows.get(key) != row for key, row in wanted.items() if (row[3] or "") < FUTURE)


class Writers:
    """Sessions of an application, in a process of their own."""

    def __init__(self, pipeline: Pipeline, seed: int, *, ddl: bool) -> None:
        self._pipeline = pipeline
        self._seed = seed
        self._stop = threading.Event()
        self._versions = threading.Lock()
        self._version = 0
        self._counts: Counter[str] = Counter()
        self._kinds: list[Callable[[random.Random, Any], None]] = [
            *[self._short] * 4,
            *[self._long] * 4,
            self._bulk,
            self._hot,
            self._future,
            *([self._alter] if ddl else []),
        ]

    @contextmanager
    def writing(self) -> Iterator[Counter[str]]:
        """Let them write while the block runs; the counts are complete after it."""
        counts: Counter[str] = Counter()
        wait, go_home = os.pipe()
        told, tell = os.pipe()

        def work() -> None:
            os.close(go_home)
            threads = [threading.Thread(target=self._session, args=(number,)) for number in range(len(self._kinds))]
            for thread in threads:
                thread.start()
            os.read(wait, 1)
            self._stop.set()
            for thread in threads:
                thread.join()
            os.write(tell, json.dumps(self._counts).encode())

        child = fork(work)
        os.close(wait)
        os.close(tell)
        try:
            yield counts
        finally:
            os.close(go_home)
            with os.fdopen(told) as answer:
                counts.update(json.loads(answer.read() or "{}"))
            os.waitpid(child, 0)

    def _session(self, number: int) -> None:
        random_ = random.Random(f"{self._seed}/{number}")
        connection = self._pipeline.database.connect(autocommit=False)
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 5, lock_wait_timeout = 5")
        while not self._stop.is_set():
            try:
                self._kinds[number](random_, connection)
                rollback = number != self._kinds.index(self._hot) and random_.random() < 0.1
                connection.rollback() if rollback else connection.commit()
                self._counts["rolled_back" if rollback else "committed"] += 1
            except pymysql.err.MySQLError:  # deadlocks and lock waits are part of the weather
                with suppress(pymysql.err.MySQLError):
                    connection.rollback()
                self._counts["rolled_back"] += 1
        connection.close()

    # --- what a session does in one transaction ---

    def _short(self, random_: random.Random, connection: Any) -> None:
        self._statement(random_, connection)
        self._pause(random_.uniform(0, 0.1))

    def _long(self, random_: random.Random, connection: Any) -> None:
        for _ in range(random_.randint(1, 4)):
            self._statement(random_, connection)
            self._pause(random_.uniform(0, 1.2))

    def _bulk(self, random_: random.Random, connection: Any) -> None:
        rows = ", ".join(f"('bulk', {self._next()}, NOW())" for _ in range(random_.randint(50, 400)))
        self._run(connection, f"INSERT INTO {TABLE} (note, version, createdDate) VALUES {rows}")
        self._pause(random_.uniform(0, 1.5))

    def _hot(self, random_: random.Random, connection: Any) -> None:
        self._run(connection, f"UPDATE {TABLE} SET version = {self._next()}, modifiedDate = NOW() WHERE id = {HOT}")
        connection.commit()
        time.sleep(0.05)

    def _future(self, random_: random.Random, connection: Any) -> None:
        self._run(
            connection,
            f"INSERT INTO {TABLE} (note, version, createdDate) VALUES ('future', {self._next()}, '{FUTURE}')",
        )
        self._pause(random_.uniform(0.5, 1.5))

    def _alter(self, random_: random.Random, connection: Any) -> None:
        self._pause(random_.uniform(1.0, 3.0))
        self._run(connection, f"ALTER TABLE {TABLE} COMMENT = 'version {self._next()}'")

    def _statement(self, random_: random.Random, connection: Any) -> None:
        at = random_.randint(2, 400)
        several = f"id BETWEEN {at} AND {at + 20}"
        version = self._next()
        choice = random_.random()
        if choice < 0.45:
            sql = f"INSERT INTO {TABLE} (note, version, createdDate) VALUES ('single', {version}, NOW())"
        elif choice < 0.85:
            sql = f"UPDATE {TABLE} SET version = {version}, modifiedDate = NOW() WHERE id = {at}"
        elif choice < 0.95:
            sql = f"UPDATE {TABLE} SET version = version + {10**9}, modifiedDate = NOW(6) WHERE {several}"
        else:
            sql = f"UPDATE {TABLE} SET version = {version}, modifiedDate = NOW(), createdDate = NOW() WHERE id = {at}"
        self._run(connection, sql)

    def _next(self) -> int:
        with self._versions:
            self._version += 1
            return self._version

    def _run(self, connection: Any, sql: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    def _pause(self, seconds: float) -> None:
        self._stop.wait(seconds)


class Chaos:
    """A session: writers and runs for some seconds, a quiet run, a comparison."""

    def __init__(self, pipeline: Pipeline, seed: int, on_run: Callable[[Report], None] = lambda _: None) -> None:
        self.pipeline = pipeline
        self.random = random.Random(seed)
        self.report = Report(seed)
        self._on_run = on_run
        self._manifests: list[dict[str, Any]] = []
        self._fates: list[str] = []

    def run(self, seconds: float, *, ddl: bool) -> Report:
        """Go through it; what was wrong stands in the report's problems."""
        pipeline, report = self.pipeline, self.report
        pipeline.tables = [{"name": TABLE, "target_file_bytes": 20_000}]
        pipeline.database.execute(
            f"CREATE TABLE {TABLE} (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(20), version BIGINT, createdDate "
            "DATETIME NULL DEFAULT CURRENT_TIMESTAMP, modifiedDate DATETIME(3) NULL, KEY (createdDate), "
            "KEY (modifiedDate))",
            f"INSERT INTO {TABLE} (note, version) VALUES " + ", ".join(f"('seeded', -{n})" for n in range(1, 400)),
        )
        original = Original(pipeline)
        with Writers(pipeline, report.seed, ddl=ddl).writing() as counts:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                self._one_run()
                original.run()
                self._on_run(report)
                time.sleep(self.random.uniform(0, 1.0))
        report.transactions, report.rolled_back = counts["committed"], counts["rolled_back"]
        expire_lease(pipeline, TABLE)
        quiet = pipeline.run()
        self._manifests.append(quiet)
        original.run()
        report.runs += 1
        wanted = table_rows(pipeline, TABLE)
        report.rows = len(wanted)
        report.versions = sum(item["totals"]["rows"] for item in self._manifests)
        report.lost_by_the_original = original.wrong(wanted)
        report.problems += [
            *([] if quiet["status"] == "SUCCEEDED" else [f"the quiet run failed: {entry(quiet, TABLE)['error']}"]),
            *problems_with_rows(pipeline, TABLE),
            *problems_with_leftovers(pipeline, TABLE),
            *problems_with_manifests(pipeline, TABLE, self._manifests),
        ]
        return report

    def _one_run(self) -> None:
        pipeline, report = self.pipeline, self.report
        if not self._fates:
            self._fates = self.random.sample(FATES, len(FATES))
        fate = self._fates.pop()
        execution = pipeline.execution(f"chaos-{report.seed}-{report.runs}")
        run_id = pipeline.plan(execution)["run_id"]
        report.runs += 1
        rival = None
        if "dies" in fate:
            self._kill(run_id)
            if "left" in fate:
                expire_lease(pipeline, TABLE)
                failed = {"table": TABLE, "status": "FAILED", "error": "Sandbox.Timedout"}
                self._told(pipeline.report(execution, results=[failed]))
                return
        elif "overtaken" in fate:
            rival = self._rival()
        result = pipeline.iterate(run_id, TABLE)
        manifest = pipeline.report(execution, results=[result])
        self._told(manifest)
        if rival is not None:
            self._end_of(*rival)
        table = entry(manifest, TABLE)
        if table["status"] == "FAILED":
            report.problems.append(f"run {run_id} failed: {table['error']}")
        elif table["status"] == "SKIPPED":
            report.skipped += 1
        elif not any(row[0] == str(HOT) for row in delivered_rows(pipeline, [file["key"] for file in table["files"]])):
            report.problems.append(f"the row that never rests is not in the files of run {run_id}")

    def _kill(self, run_id: str) -> None:
        child = extract_in_child(self.pipeline, run_id, TABLE, die_at(self.random.randrange(STEPS)))
        _, status = os.waitpid(child, 0)
        self.report.kills += os.WIFSIGNALED(status)

    def _rival(self) -> tuple[dict[str, Any], int]:
        execution = self.pipeline.execution(f"chaos-{self.report.seed}-{self.report.runs}")
        run_id = self.pipeline.plan(execution)["run_id"]
        self.report.runs += 1
        self.report.overlaps += 1
        return execution, extract_in_child(self.pipeline, run_id, TABLE, lambda _: None)

    def _end_of(self, execution: dict[str, Any], child: int) -> None:
        _, status = os.waitpid(child, 0)
        result = {"table": TABLE, "status": "SUCCEEDED"}
        if status:
            result = {"table": TABLE, "status": "FAILED", "error": "Runtime.ExitError"}
        manifest = self.pipeline.report(execution, results=[] if status == 0 else [result])
        self.report.skipped += entry(manifest, TABLE)["status"] == "SKIPPED"
        self._told(manifest)

    def _told(self, manifest: dict[str, Any]) -> None:
        assert parse_utc(manifest["started_at"])
        self._manifests.append(manifest)
