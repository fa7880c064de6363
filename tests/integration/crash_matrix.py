"""Kills the extractor at every effect on the bucket, and looks at what becomes of its table.

Each scenario prepares tables in the same situation, one for each step and way out. An invocation that nobody disturbs
tells the steps; then one after the other is killed at one of them. Either the state machine's retry of the same run
follows, or none does and a later run finds the table.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rds_to_s3.bucket_keys import key_run_key, seen_key, tail_key
from rds_to_s3.extract import page_reader
from rds_to_s3.extract.ranges import cuts, division
from tests.integration.pipeline import Pipeline, entry
from tests.support.deaths import extract_and_die, extract_in_child
from tests.support.ledger import (
    expire_lease,
    problems_with_leftovers,
    problems_with_manifests,
    problems_with_rows,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "crash-matrix.md"
ROWS = 24
WAYS = ("retry", "later run")
HEAD = """# Crash matrix

Written by `make crash-matrix` from what `tests/integration/test_crash_matrix.py` ran; `make test` runs half of it again
and compares. The extractor's process was killed with SIGKILL before and after each request that changes the bucket;
where a kind of request comes several times, at the first and at the last. Then either the state machine's retry of the
same run followed, or none did, and a later run found the table when the lease had expired: the last two columns show
the table's status in the manifests. After each of them every row was compared: the newest version of each key in the
files is the table's, no version is in two files, no upload, lease, progress or digest is left over, and every visible
file is in exactly one manifest, with its rows, bytes and SHA-256."""


@dataclass
class Case:
    """One table: where its extractor dies, what happens then, and what came of it."""

    table: str
    nth: int
    step: str
    way: str
    visible: str = ""
    outcome: str = ""
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scenario:
    """A situation in which an invocation dies.

    Attributes
    ----------
    before : callable
        Brings one table there, after the run has been planned.
    pages : int, optional
        How many of them an invocation reads before it hands over.
    since, until : str, optional
        The part of the invocation that differs from the first scenario's.
    settings : dict
        Of its tables.
    divided : str, optional
        The range that the invocation reads, of a first load that is divided: ``first``, before the others are read,
        or ``last``, after them. ``none``: it divides.
    """

    name: str
    title: str
    before: Callable[[Pipeline, str, str], None]
    pages: int | None = None
    since: str | None = None
    until: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    divided: str = ""

    def range_of(self, pipeline: Pipeline, table: str) -> int | None:
        """Return the number of the range that is read when the invocation dies."""
        return pipeline.missing_ranges(table)[0] if self.divided in {"first", "last"} else None

    def moments(self, steps: Sequence[str]) -> list[tuple[int, str]]:
        """Return the steps to die at: where each comes first, and where it comes last."""
        first = steps.index(self.since) if self.since else 0
        last = steps.index(self.until) if self.until else len(steps)
        return [(nth, name) for nth, name in first_and_last(steps) if first <= nth <= last]


def nothing(pipeline: Pipeline, run_id: str, table: str) -> None:
    """Leave the table as the run before left it."""


def strays(pipeline: Pipeline, run_id: str, table: str) -> None:
    """Leave an upload, digests, keys and values of an invocation that died long ago."""
    pipeline.store.start_upload(f"{table}/csv/{table}_data_20200101_000000.csv", content_type="text/csv", metadata={})
    for key in (
        tail_key(table, "csv", "dead"),
        key_run_key(table, "csv", "dead", 1),
        seen_key(table, "csv", "dead", 1),
    ):
        pipeline.store.put(key, b"x" * 16)


def decided(pipeline: Pipeline, run_id: str, table: str) -> None:
    """Let an earlier invocation die right after the commit point."""
    extract_and_die(pipeline, run_id, table, "after decision")


def uploads_lost(pipeline: Pipeline, run_id: str, table: str) -> None:
    """Let an earlier invocation die after its first file became visible, and a lifecycle rule abort the others."""
    decided(pipeline, run_id, table)
    commit = json.loads(pipeline.body(f"_state/tables/{table}/csv.json"))["commit"]
    for file in commit["files"][1:]:
        pipeline.store.abort_upload(file["key"], file["upload_id"])


def divided(pipeline: Pipeline, run_id: str, table: str) -> None:
    """Let an earlier invocation divide the window."""
    assert pipeline.extract(run_id, table) == "DIVIDED"


def all_but_one(pipeline: Pipeline, run_id: str, table: str) -> None:
    """Let others read all ranges of the window but the second."""
    divided(pipeline, run_id, table)
    for number in pipeline.missing_ranges(table):
        if number != 2:
            assert pipeline.read_range(run_id, table, number)["status"] == "RANGE_READ"


SCENARIOS = (
    Scenario("window", "A window of several files, with digests and leftovers of the past", strays),
    Scenario("hand-over", "A read that hands over to its next invocation", nothing, pages=2, since="before part"),
    Scenario("recovery", "An invocation that finds a decision not carried out", decided),
    Scenario("undo", "An invocation that finds the uploads of a decision gone", uploads_lost, until="after undo"),
    Scenario(
        "deletes",
        "A window with rows deleted, and deletes tracked",
        nothing,
        since="before keys",
        until="after decision",
        settings={"deletes": "track"},
    ),
    Scenario(
        "division", "A window that several readers are to share", nothing, settings={"readers": 3}, divided="none"
    ),
    Scenario(
        "range",
        "The first range of a window that several readers share",
        divided,
        settings={"readers": 2},
        divided="first",
    ),
    Scenario(
        "range-hand-over",
        "A range that hands over to its next invocation",
        divided,
        pages=1,
        since="before part",
        settings={"readers": 2},
        divided="first",
    ),
    Scenario(
        "last-range",
        "The last range, whose reader commits the window",
        all_but_one,
        since="before range read",
        settings={"readers": 2, "deletes": "track"},
        divided="last",
    ),
)


def recorded(pipeline: Pipeline, run_id: str, table: str, number: int | None) -> list[str]:
    """Return the steps of an invocation that nobody disturbs."""
    reader, writer = os.pipe()

    def tell(step: str) -> None:
        os.write(writer, f"{step}\n".encode())

    child = extract_in_child(pipeline, run_id, table, tell, number=number)
    os.close(writer)
    with os.fdopen(reader) as told:
        steps = told.read().splitlines()
    _, status = os.waitpid(child, 0)
    assert status == 0, (table, steps)
    return steps


@contextmanager
def dividing(scenario: Scenario) -> Iterator[None]:
    """Let windows of any size be divided, after a short search."""
    least = 1 if scenario.divided else division.LEAST_BYTES
    with patch.object(division, "LEAST_BYTES", least), patch.object(cuts, "FINER", 2):
        yield


@contextmanager
def hurried(pages: int | None) -> Iterator[None]:
    """Let pages have a third of the table's rows, and an invocation end after so many of them."""
    if pages is None:
        yield
        return
    most, run_page = page_reader.MOST_ROWS, page_reader.WindowRead._page

    def page(self: Any, segment: Any) -> None:
        run_page(self, segment)
        self.pages = getattr(self, "pages", 0) + 1
        if self.pages >= pages:
            self.stop_at, self.pace.seconds = 0.0, 1e12

    page_reader.MOST_ROWS, page_reader.WindowRead._page = ROWS // 3, page  # type: ignore[method-assign]
    try:
        yield
    finally:
        page_reader.MOST_ROWS, page_reader.WindowRead._page = most, run_page  # type: ignore[method-assign]


class Matrix:
    """All scenarios on one database and bucket."""

    def __init__(self, pipeline: Pipeline, *, both_ways: bool) -> None:
        self.pipeline = pipeline
        self.both_ways = both_ways
        self.cases: dict[str, list[Case]] = {}
        self.steps: set[str] = set()

    def play(self, scenario: Scenario) -> list[Case]:
        """Run a scenario's cases; each says what was wrong with it."""
        name = scenario.name.replace("-", "_")
        with hurried(scenario.pages), dividing(scenario):
            control = self._prepare([f"{name}_control"], scenario)
            plan = self._planned(control)
            scenario.before(self.pipeline, plan, control[0])
            steps = recorded(self.pipeline, plan, control[0], scenario.range_of(self.pipeline, control[0]))
            self.steps |= set(steps)
            # Nothing happens between the step after one effect and the step before the next: where time is short, the
            # one is left to the retry and the other to a later run.
            cases = [
                Case(f"{name}_{nth}_{way[0]}", nth, step, way)
                for number, (nth, step) in enumerate(scenario.moments(steps))
                for way in (WAYS if self.both_ways else WAYS[number % 2 :][:1])
            ]
            self._run(scenario, cases)
        self.cases[scenario.name] = cases
        return cases

    def _run(self, scenario: Scenario, cases: Sequence[Case]) -> None:
        pipeline = self.pipeline
        self._prepare([case.table for case in cases], scenario)
        before = {case.table: set(pipeline.data_keys(case.table)) for case in cases}
        doomed = self._planned([case.table for case in cases])
        results = []
        frozen: dict[str, bytes] = {}
        for case in cases:
            scenario.before(pipeline, doomed, case.table)
            number = scenario.range_of(pipeline, case.table)
            extract_and_die(pipeline, doomed, case.table, case.nth, number=number)
            case.visible = self._visible(case, before[case.table], frozen)
            if case.way == "retry":
                # The state machine calls the same range again; the others are read after it.
                again = pipeline.read_range(doomed, case.table, number) if number is not None else None
                is_over = again is not None and again["status"] != "RANGE_READ"
                results.append(again if again is not None and is_over else pipeline.iterate(doomed, case.table))
            else:
                expire_lease(pipeline, case.table)
                results.append({"table": case.table, "status": "FAILED", "error": "Sandbox.Timedout"})
        killed = pipeline.report(pipeline.execution(doomed), results=results)
        later = pipeline.run()
        for case in cases:
            manifests = [self.first, killed, later]
            case.outcome = self._outcome(case, killed, later)
            case.problems += [
                *problems_with_rows(pipeline, case.table),
                *problems_with_leftovers(pipeline, case.table),
                *problems_with_manifests(pipeline, case.table, manifests),
            ]
            if case.way == "retry" and entry(later, case.table)["rows"]:
                case.problems.append("the run after the retry found rows again")
        if scenario.name != "undo":
            for key, body in frozen.items():
                stored = pipeline.store.get(key)
                if stored is None or stored.body != body:
                    next(c for c in cases if key.startswith(f"{c.table}/")).problems.append(
                        f"{key} was visible, and changed"
                    )

    def _visible(self, case: Case, before: set[str], frozen: dict[str, bytes]) -> str:
        """Say what a reader sees of the window right after the death."""
        pipeline, table = self.pipeline, case.table
        new = [key for key in pipeline.data_keys(table) if key not in before]
        state = pipeline.store.get(f"_state/tables/{table}/csv.json")
        commit = (json.loads(state.body)["commit"] if state else None) or {
            "files": [],
            "watermark": "",
            "previous": None,
        }
        named = {file["key"]: file for file in commit["files"]}
        for key in new:
            frozen[key] = pipeline.body(key)
            if key not in named or len(frozen[key]) != named[key]["bytes"]:
                case.problems.append(f"{key} is visible, and not as a commit names it")
        watermark = ", watermark moved" if pipeline.watermark(table) == commit["watermark"] and new else ""
        if not new:
            return "nothing"
        if (commit["previous"] or {}).get("watermark") == commit["watermark"]:
            return "?"  # two runs within one second: the text cannot tell whether it was written again
        return f"{'every file' if len(new) == len(named) else 'some of the files'}{watermark}"

    def _outcome(self, case: Case, killed: dict[str, Any], later: dict[str, Any]) -> str:
        own, next_one = entry(killed, case.table), entry(later, case.table)
        if case.way == "retry":
            return str(own["status"])
        told = f"{own['status']}, then {next_one['status']}"
        return told + (
            " with the dead run's files" if any("could report" in text for text in next_one["warnings"]) else ""
        )

    def _prepare(self, tables: list[str], scenario: Scenario) -> list[str]:
        """Make tables, extract them once (unless a first load is to be divided), and change them."""
        pipeline = self.pipeline
        pipeline.tables = [{"name": table, "target_file_bytes": 400, **scenario.settings} for table in tables]
        for table in tables:
            pipeline.database.execute(
                f"CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(60), createdDate DATETIME "
                "DEFAULT NOW(), modifiedDate DATETIME, KEY (createdDate), KEY (modifiedDate))",
                f"INSERT INTO {table} (note, createdDate) VALUES "
                + ", ".join(f"('{n}', NOW() - INTERVAL {n % 7} SECOND)" for n in range(ROWS))
                + ", ('long ago', '2020-01-01'), ('long ago, too', '2020-01-01')",
            )
        self.first: dict[str, Any] = {"tables": []} if scenario.divided else pipeline.run()
        for table in tables:
            pipeline.database.execute(
                f"UPDATE {table} SET note = CONCAT(note, ' modified'), modifiedDate = NOW() WHERE id % 3 = 0",
                f"INSERT INTO {table} (note) VALUES " + ", ".join(f"('new {n}')" for n in range(ROWS // 2)),
                f"INSERT INTO {table} (note, createdDate) VALUES ('from the future', '2099-01-01')",
                f"DELETE FROM {table} WHERE id % 7 = 1",
                f"UPDATE {table} SET note = CONCAT(note, ', and changed') WHERE createdDate = '2020-01-01'",
            )
        return tables

    def _planned(self, tables: list[str]) -> str:
        execution = self.pipeline.execution(f"doomed-{tables[0]}")
        return str(self.pipeline.plan(execution)["run_id"])

    def table(self, scenario: Scenario) -> list[str]:
        """Write one scenario's cases down: where it died, what a reader saw, and how both ways ended."""
        lines: dict[str, list[str]] = {}
        for case in self.cases[scenario.name]:
            cells = lines.setdefault(case.step, [case.step, case.visible, "?", "?"])
            cells[2 + WAYS.index(case.way)] = case.outcome if not case.problems else f"BROKEN: {case.problems[0]}"
        return [f"| {' | '.join(cells)} |" for cells in lines.values()]

    def document(self) -> str:
        """Write the matrix down."""
        lines = [HEAD]
        for scenario in SCENARIOS:
            lines += [f"\n## {scenario.title}\n", "| killed | a reader then sees | retry | a later run instead |"]
            lines += ["| --- | --- | --- | --- |", *self.table(scenario)]
        return "\n".join(lines) + "\n"


def first_and_last(steps: Sequence[str]) -> list[tuple[int, str]]:
    """Pick each step where it comes first and where it comes last."""
    counts = Counter(steps)
    picked = []
    seen: Counter[str] = Counter()
    for nth, step in enumerate(steps):
        seen[step] += 1
        if seen[step] == 1:
            picked.append((nth, step if counts[step] == 1 else f"{step} (first)"))
        elif seen[step] == counts[step]:
            picked.append((nth, f"{step} (last)"))
    assert all(a < b for a, b in pairwise(nth for nth, _ in picked))
    return picked
