"""Writers that never rest, runs that are killed and overlap, and a comparison of every row at the end."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rds_to_s3.errors import RdsToS3Error
from rds_to_s3.plan.execution import parse_utc
from tests.integration.pipeline import Pipeline, entry
from tests.integration.world import FUTURE, HOT, World
from tests.integration.writers import Writers
from tests.support.csv_reading import read_csv
from tests.support.deaths import die_at, extract_in_child, iterate_in_child
from tests.support.ledger import (
    Row,
    expire_lease,
    in_sql,
    problems_with_leftovers,
    problems_with_manifests,
    problems_with_rows,
    table_rows,
)
from tests.support.warehouse import LoadedFile

LOADED_BEFORE = 0.4  # of the runs: the warehouse is loaded
UNDIVIDED = 0.3  # of the windows that readers share: the invocation dies that is to divide it
VERSIONS_OF_A_PHASE = 10**7
STEPS = 26  # about as many as an invocation has here, or a reader of a range that commits
FATES = (
    "dies, and is tried again",
    "dies, and is left",
    "is overtaken",
    "is left in peace",
    "commits, and its execution is stopped",
)


@dataclass
class Report:
    """What a session went through."""

    seed: int
    world: str = ""
    rows: int = 0
    versions: int = 0
    transactions: int = 0
    rolled_back: int = 0
    runs: int = 0
    kills: int = 0
    overlaps: int = 0
    skipped: int = 0
    stopped: int = 0
    refused: int = 0
    lost_by_the_original: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Write it in a line."""
        return (
            f"{self.world}, seed {self.seed}: {self.rows} rows, {self.versions} versions delivered, "
            f"{self.transactions} transactions ({self.rolled_back} rolled back), {self.runs} runs, {self.kills} kills, "
            f"{self.stopped} stopped, {self.overlaps} overlaps ({self.skipped} skipped), {self.refused} refused; lost "
            f"or stale: {len(self.problems)}, by the original algorithm: {self.lost_by_the_original}"
        )


class Original:
    """The Lambda that this project replaces: everything newer than the greatest timestamp seen so far."""

    def __init__(self, pipeline: Pipeline, table: str) -> None:
        self._pipeline = pipeline
        self._table = table
        self._last = "1970-01-01"
        self.rows: dict[Row, Row] = {}

    def run(self) -> None:
        """Extract once. Rows from the future are kept from it: the first would be the last that it ever extracts."""
        rows = table_rows(
            self._pipeline,
            self._table,
            where=f"(modifiedDate > '{self._last}' OR (modifiedDate IS NULL AND createdDate > '{self._last}')) "
            f"AND createdDate < '{FUTURE}'",
        )
        self.rows |= rows
        self._last = max([self._last, *(stamp for row in rows.values() for stamp in row[-2:] if stamp is not None)])

    def wrong(self, wanted: dict[Row, Row]) -> int:
        """Count the rows that it lost or holds in an old version."""
        return sum(self.rows.get(key) != row for key, row in wanted.items() if (row[-2] or "") < FUTURE)


class Chaos:
    """A session: writers and runs for some seconds, a quiet run, a comparison."""

    def __init__(self, world: World, seed: int, on_run: Callable[[Report], None] = lambda _: None) -> None:
        self.world = world
        self.pipeline = world.pipeline
        self.random = random.Random(seed)
        self.report = Report(seed, world.name)
        self._on_run = on_run
        self._manifests: list[dict[str, Any]] = []
        self._fates: list[str] = []
        self._late: dict[str, Any] | None = None
        self._folder = TemporaryDirectory()
        self._warehouse = LoadedFile(self.pipeline, Path(self._folder.name) / "chaos.duckdb")
        self._hot: dict[str, str] = {}  # what version the restless row had when a run was planned

    def run(self, seconds: float, *, ddl: bool, least_runs: int = 0) -> Report:
        """Go through it; the report lists what was wrong."""
        with self._folder, self.world.inhabited():
            self._play(seconds, ddl=ddl, least_runs=least_runs)
        return self.report

    def _play(self, seconds: float, *, ddl: bool, least_runs: int) -> None:
        world, pipeline, report = self.world, self.pipeline, self.report
        original = Original(pipeline, world.listed)
        began = time.monotonic()
        for phase, _ in enumerate(world.phases()):
            share = (phase + 1) / world.count_of_phases
            writers = Writers(world, report.seed, first_version=phase * VERSIONS_OF_A_PHASE, ddl=ddl)
            with writers.writing() as counts:
                while time.monotonic() < began + seconds * share or report.runs < least_runs * share:
                    self._one_run()
                    original.run()
                    self._on_run(report)
                    time.sleep(self.random.uniform(0, 1.0))
            report.transactions += counts["committed"]
            report.rolled_back += counts["rolled_back"]
        world.settle()
        expire_lease(pipeline, self.world.listed)
        quiet = pipeline.run()
        self._note(quiet)
        original.run()
        report.runs += 1
        wanted = table_rows(pipeline, self.world.listed, where=world.where)
        report.rows = len(wanted)
        report.versions = sum(item["totals"]["rows"] for item in self._manifests)
        report.lost_by_the_original = original.wrong(wanted)
        warnings = [text for item in self._manifests for text in entry(item, self.world.listed)["warnings"]]
        report.problems += [
            *(
                []
                if quiet["status"] == "SUCCEEDED"
                else [f"the quiet run failed: {entry(quiet, self.world.listed)['error']}"]
            ),
            *(each for each in self._problems_with_rows() if not world.excuses(each, warnings)),
            *self._problems_with_warehouse(wanted.values()),
            *problems_with_leftovers(pipeline, self.world.listed),
            *problems_with_manifests(pipeline, self.world.listed, self._manifests),
        ]

    def _problems_with_rows(self) -> list[str]:
        return problems_with_rows(
            self.pipeline, self.world.listed, where=self.world.where, as_written=self.world.as_written
        )

    def _problems_with_warehouse(self, rows: Iterable[Row]) -> list[str]:
        """Load what came since the last load, and compare every row."""
        problems = [f"load: {each.error}" for each in self._warehouse.load(self.world.listed).values() if each.error]
        return problems or self._warehouse.problems(self.world.listed, map(self.world.as_written, rows))

    def _one_run(self) -> None:
        pipeline, report = self.pipeline, self.report
        if self.random.random() < LOADED_BEFORE:
            self._warehouse.load(self.world.listed)
        if not self._fates:
            self._fates = self.random.sample(FATES, len(FATES))
        fate = self._fates.pop()
        late, self._late = self._late, None
        planned = self._plan()
        if planned is None:
            return
        execution, run_id = planned
        rival = None
        if "dies" in fate:
            self._kill(run_id)
            if "left" in fate:
                expire_lease(pipeline, self.world.listed)
                failed = {"table": self.world.listed, "status": "FAILED", "error": "Sandbox.Timedout"}
                self._note(pipeline.report(execution, results=[failed]))
                return
        elif "overtaken" in fate:
            rival = self._rival()
        result = pipeline.iterate(run_id, self.world.listed)
        if "stopped" in fate:
            report.stopped += 1
            self._late = execution if self.random.random() < 0.5 else None
            return
        manifest = pipeline.report(execution, results=[result])
        self._note(manifest)
        if rival is not None:
            self._end_of(*rival)
        self._look_at(manifest)
        if late is not None:
            # A redrive of the stopped run: what the run after it has reported, it does not.
            self._note(pipeline.report(late))

    def _look_at(self, manifest: dict[str, Any]) -> None:
        table, run_id = entry(manifest, self.world.listed), manifest["run_id"]
        if table["status"] == "FAILED":
            self._refused(run_id, table["error"]["type"], table["error"]["message"])
        elif table["status"] == "SKIPPED":
            self.report.skipped += 1
        elif self.world.hot_row_in_each_run:
            keys = [file["key"] for file in table["files"]]
            # It rests where its writer waits for a lock: then what it was at the plan has been delivered before.
            if not self._hot_versions(keys) and self._hot[run_id] not in self._hot_versions(
                self.pipeline.data_keys(self.world.listed)
            ):
                self.report.problems.append(f"the row that never rests is not in the files of run {run_id}")

    def _hot_versions(self, keys: list[str]) -> set[str | None]:
        rows = (row for key in keys for row in read_csv(self.pipeline.body(key)))
        return {row["version"] for row in rows if row["id"] == str(HOT)}

    def _refused(self, run_id: str, error: str, message: str) -> None:
        self.report.refused += 1
        if not self.world.may_fail_with(error):
            self.report.problems.append(f"run {run_id} failed: {error}: {message}")

    def _plan(self) -> tuple[dict[str, Any], str] | None:
        self.world.befall(self.report.runs)
        execution = self.pipeline.execution(f"chaos-{self.report.seed}-{self.report.runs}")
        self.report.runs += 1
        (self._hot[execution["Name"]],) = self.pipeline.database.rows(
            f"SELECT CAST(version AS CHAR) FROM {in_sql(self.world.listed)} WHERE id = {HOT}"
        )[0]
        try:
            return execution, self.pipeline.plan(execution)["run_id"]
        except RdsToS3Error as error:
            self._refused(execution["Name"], type(error).__name__, str(error))
            return None

    def _kill(self, run_id: str) -> None:
        """Let an invocation die; of a divided window, each reader of a range."""
        for number in self._readers(run_id) if self.world.is_divided else [None]:
            child = extract_in_child(
                self.pipeline, run_id, self.world.listed, die_at(self.random.randrange(STEPS)), number=number
            )
            _, status = os.waitpid(child, 0)
            self.report.kills += os.WIFSIGNALED(status)

    def _readers(self, run_id: str) -> list[int | None]:
        """Divide the window if that is possible, and return its ranges; sometimes leave the division to the doomed."""
        if self.random.random() < UNDIVIDED or self.pipeline.extract(run_id, self.world.listed) != "DIVIDED":
            return [None]
        ranges = self.pipeline.missing_ranges(self.world.listed)
        return [*self.random.sample(ranges, len(ranges))]

    def _rival(self) -> tuple[dict[str, Any], int] | None:
        planned = self._plan()
        if planned is None:
            return None
        execution, run_id = planned
        self.report.overlaps += 1
        return execution, iterate_in_child(self.pipeline, run_id, self.world.listed)

    def _end_of(self, execution: dict[str, Any], child: int) -> None:
        _, status = os.waitpid(child, 0)
        result = {"table": self.world.listed, "status": "SUCCEEDED"}
        if status:
            result = {"table": self.world.listed, "status": "FAILED", "error": "Runtime.ExitError"}
        manifest = self.pipeline.report(execution, results=[] if status == 0 else [result])
        self.report.skipped += entry(manifest, self.world.listed)["status"] == "SKIPPED"
        self._note(manifest)

    def _note(self, manifest: dict[str, Any]) -> None:
        assert parse_utc(manifest["started_at"])
        self._manifests.append(manifest)
