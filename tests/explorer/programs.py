"""What actors do: the state machine's part around the real functions, an operator, a lifecycle rule."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from rds_to_s3.bucket_keys import data_prefix, plan_key, watermark_key
from rds_to_s3.errors import RdsToS3Error
from rds_to_s3.extract.extract_table import run_extraction
from rds_to_s3.manifest.write_manifest import write_manifest
from rds_to_s3.plan.bound import Bound
from rds_to_s3.plan.execution import utc_text
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from tests.explorer.actor import Actor, Effect, Program
from tests.explorer.choices import Violation
from tests.explorer.source import TABLE, moment
from tests.explorer.worker import Invocation, Worker
from tests.explorer.world import DIED, World

LAMBDA_SECONDS = 900.0
PAGE_SECONDS = 75.0
SHORT_LAMBDA_SECONDS = 100.0  # of a first invocation that reads only one page
MOST_INVOCATIONS = 6
Steps = Generator[Invocation | Effect, Any, None]


def plan(run_id: str) -> Effect:
    """Return the planning of a run."""

    def do(world: World, actor: Actor) -> None:
        world.starts[run_id] = utc_text(datetime.fromtimestamp(world.now + 0.5, UTC))
        number = world.plan()
        others = {each.player.execution for each in world.actors if each.player.execution and not each.done}
        body = _plan(
            run_id,
            world.now,
            number,
            world.bound(number),
            world.rules.spec.model_dump_json(),
            world.starts[run_id],
            tuple(sorted(others - {run_id})),
        )
        world.put(actor, plan_key(run_id), body)

    return Effect(f"{run_id}.plan", do)


@lru_cache(maxsize=4096)
def _plan(
    run_id: str,
    planned_at: float,
    number: int,
    until: datetime,
    table: str,
    started_at: str,
    running: tuple[str, ...],
) -> bytes:
    bound = Bound(
        until=until,
        server_now=moment(number),
        server_utc=(moment(number) - datetime(1970, 1, 1)) / timedelta(seconds=1),
        until_utc=(until - datetime(1970, 1, 1)) / timedelta(seconds=1),
        clock_lead=None,
        decided_by="clock",
        settle_seconds=60.0,
        zone="+00:00",
        warnings=[],
    )
    tables = [TableSpec.model_validate_json(table)]
    return PlannedRun.make(
        run_id, planned_at, "shop", bound, tables=tables, started_at=started_at, running=running
    ).to_json()


def extract(name: str, run_id: str, failed: int, page_seconds: float, number: int | None = None) -> Invocation:
    """Return one invocation of the extractor; it comes to what the state machine learns.

    Parameters
    ----------
    number : int, optional
        The range that it reads.
    failed : int
        How many have failed before.
    page_seconds : float
        How long the database takes for a page, if the invocation has only time for one.
    """

    def work(worker: Worker) -> dict[str, Any]:
        worker.page_seconds = page_seconds
        seconds = SHORT_LAMBDA_SECONDS if page_seconds else LAMBDA_SECONDS
        try:
            outcome = run_extraction(
                run_id,
                TABLE,
                worker.store,
                lambda _: worker.connect(),  # type: ignore[arg-type,return-value]
                time_left=lambda: seconds - worker.elapsed,
                number=number,
            )
        except RdsToS3Error as error:
            return {"table": TABLE, "status": "FAILED", "error": type(error).__name__, "message": str(error)}
        return {"table": TABLE, "status": outcome.status, "ranges": list(outcome.ranges)}

    return Invocation(name, work, (failed, page_seconds, number))


def run(run_id: str, *, tries: int = 2, planned: bool = True, reports: bool = True) -> Program:
    """Return a run: plan, one invocation after the other, manifest.

    Parameters
    ----------
    tries : int
        How often the state machine calls an invocation that fails.
    planned : bool
        Whether it begins with the plan; if not, an earlier actor has made it.
    reports : bool
        Whether a manifest follows; if not, the execution is stopped.
    """

    def program(world: World, name: str) -> Steps:
        if planned:
            yield plan(run_id)
        result = yield from _called(world, name, run_id, tries)
        if result["status"] == "DIVIDED":
            results = []
            for number in result["ranges"]:
                results.append((yield from _called(world, f"{name}.range{number}", run_id, tries, number)))
            failures = [each for each in results if each["status"] == "FAILED"]
            committed = [each for each in results if each["status"] != "RANGE_READ"]
            result = [*failures, *committed, *results][0]
        if reports:
            yield from report(world, name, run_id, result)

    return program


def _called(
    world: World, name: str, run_id: str, tries: int, number: int | None = None
) -> Generator[Invocation | Effect, Any, dict[str, Any]]:
    """Call an invocation again, as the state machine does, until it has ended or failed too often."""
    failed = 0
    for call in range(1, MOST_INVOCATIONS + 1):
        page_seconds = world.page_seconds if call == 1 else 0.0
        result: Any = yield extract(f"{name}.{call}", run_id, failed, page_seconds, number)
        if result == DIED:
            result = {"table": TABLE, "status": "FAILED", "error": "Sandbox.Timedout", "message": "killed"}
        if result["status"] != "CONTINUE":
            failed += result["status"] == "FAILED"
            if result["status"] != "FAILED" or failed >= tries:
                return dict(result)
    raise Violation("ends", f"run {run_id} does not end")


def one_range(run_id: str, number: int) -> Program:
    """Return a Lambda that reads a range beside the others, and that the state machine takes for dead, perhaps."""

    def program(world: World, name: str) -> Steps:
        yield extract(f"{name}.1", run_id, 0, world.page_seconds, number)

    return program


def one_invocation(run_id: str, *, planned: bool) -> Program:
    """Return a Lambda that the state machine takes for dead, perhaps too early."""
    return run(run_id, tries=1, planned=planned, reports=False)


def report(world: World, name: str, run_id: str, result: dict[str, Any]) -> Steps:
    """Write a run's manifest, again if that fails."""
    started = world.starts[run_id]

    def work(worker: Worker) -> bool:
        execution = {"Name": run_id, "Id": f"arn:{run_id}", "StartTime": started, "RedriveCount": 0, "Input": {}}
        try:
            write_manifest(execution, {"results": [dict(result)]}, worker.store)
        except RdsToS3Error:
            return False
        return True

    for number in range(1, 4):
        known = (json.dumps(result, sort_keys=True), started)
        if (yield Invocation(f"{name}.manifest.{number}", work, known)) is True:
            return
    raise Violation("ends", f"run {run_id} has no manifest")


def rewind(text: str) -> Program:
    """Return an operator who edits the watermark."""

    def program(world: World, name: str) -> Steps:
        key = watermark_key(TABLE, world.rules.spec.format)
        yield Invocation(name, lambda worker: worker.store.put(key, text.encode()), faulty=False)

    return program


def lifecycle(world: World, name: str) -> Steps:
    """Abort the table's uploads, as a lifecycle rule does with abandoned ones."""
    prefix = data_prefix(TABLE, world.rules.spec.format)

    def work(worker: Worker) -> None:
        for key, upload_id in worker.store.uploads(prefix):
            worker.store.abort_upload(key, upload_id)

    yield Invocation(name, work, faulty=False)


def spec(**settings: Any) -> TableSpec:
    """Return the table's settings; files are small, so that a window has several."""
    return TableSpec.model_validate({"name": TABLE, "target_file_bytes": 100, "prove_bytes": 0} | settings)
