"""What actors do: the state machine's part around the real functions, a person, a lifecycle rule."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from rds_to_s3.bucket_keys import data_prefix, plan_key, watermark_key
from rds_to_s3.errors import RdsToS3Error
from rds_to_s3.extract.extract_table import run_extraction
from rds_to_s3.manifest.write_manifest import write_manifest
from rds_to_s3.plan.bound import Bound
from rds_to_s3.plan.execution import utc_text
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from tests.explorer.actor import Actor
from tests.explorer.choices import DiedError, Violation
from tests.explorer.source import TABLE, moment
from tests.explorer.world import ActorStore, World

Program = Callable[[World, Actor], None]
LAMBDA_SECONDS = 900.0
PAGE_SECONDS = 75.0
SHORT_LAMBDA_SECONDS = 100.0  # of a first invocation that reads only one page
MOST_INVOCATIONS = 6


def execution(world: World, run_id: str) -> dict[str, Any]:
    """Return what Step Functions says of a run."""
    started = world.notes[f"start of {run_id}"]
    return {"Name": run_id, "Id": f"arn:{run_id}", "StartTime": started, "RedriveCount": 0, "Input": {}}


def _running(world: World, run_id: str) -> dict[str, Any]:
    """Return what the plan says of other runs that are going on, in a release whose plans say it."""
    others = {actor.execution for actor in world.actors if actor.execution and not actor.done} - {run_id}
    return {"running": sorted(others)} if "running" in inspect.signature(PlannedRun.make).parameters else {}


def plan(world: World, actor: Actor, run_id: str) -> None:
    """Plan a run."""
    world.notes[f"start of {run_id}"] = utc_text(datetime.fromtimestamp(world.now + 0.5, UTC))
    number = world.plan()
    bound = Bound(
        until=world.bound(number),
        server_now=moment(number),
        server_utc=(moment(number) - datetime(1970, 1, 1)) / timedelta(seconds=1),
        until_utc=(world.bound(number) - datetime(1970, 1, 1)) / timedelta(seconds=1),
        clock_lead=None,
        decided_by="clock",
        settle_seconds=60.0,
        zone="+00:00",
        warnings=[],
    )
    planned = PlannedRun.make(
        run_id,
        world.now,
        "shop",
        bound,
        tables=[world.notes["spec"]],
        started_at=world.notes[f"start of {run_id}"],
        **_running(world, run_id),
    )
    ActorStore(world, actor).put(plan_key(run_id), planned.to_json())


def invoke(world: World, actor: Actor, run_id: str, *, first: bool) -> dict[str, Any]:
    """Run the extractor once, and return what the state machine learns."""
    actor.page_seconds = world.page_seconds if first else 0.0
    seconds = SHORT_LAMBDA_SECONDS if actor.page_seconds else LAMBDA_SECONDS
    try:
        outcome = run_extraction(
            run_id,
            TABLE,
            ActorStore(world, actor),
            lambda _: world.connect(),  # type: ignore[arg-type,return-value]
            time_left=lambda: seconds - actor.elapsed,
        )
    except RdsToS3Error as error:
        result = {"table": TABLE, "status": "FAILED", "error": type(error).__name__, "message": str(error)}
    except DiedError:
        result = {"table": TABLE, "status": "FAILED", "error": "Sandbox.Timedout", "message": "killed"}
    else:
        result = {"table": TABLE, "status": outcome.status}
    if world.trace is not None:
        said = result.get("message", "")
        world.trace.append(f"{actor.invocation} ends: {result['status']} {said}".rstrip())
    return result


def run(
    run_id: str, *, tries: int = 2, planned: bool = True, reports: bool = True, said: list[str] | None = None
) -> Program:
    """Return a run: plan, one invocation after the other, manifest.

    Parameters
    ----------
    tries : int
        How often the state machine calls an invocation that fails.
    planned : bool
        Whether it begins with the plan; if not, an earlier actor has made it.
    reports : bool
        Whether a manifest follows; if not, the execution is stopped.
    said : list of str, optional
        Is given how the table ended.
    """

    def program(world: World, actor: Actor) -> None:
        if planned:
            actor.begin(f"{run_id}.plan", faulty=False)
            plan(world, actor, run_id)
        result: dict[str, Any] = {}
        failed = 0
        for number in range(1, MOST_INVOCATIONS + 1):
            actor.begin(f"{actor.name}.{number}", failed)
            result = invoke(world, actor, run_id, first=number == 1)
            if result["status"] != "CONTINUE":
                failed += result["status"] == "FAILED"
                if result["status"] != "FAILED" or failed >= tries:
                    break
        else:
            world.fail(Violation("ends", f"run {run_id} does not end"))
        if said is not None:
            said.append(str(result["status"]))
        if reports:
            report(world, actor, run_id, result)

    return program


def one_invocation(run_id: str, *, planned: bool) -> Program:
    """Return a Lambda that the state machine takes for dead, perhaps too early."""
    return run(run_id, tries=1, planned=planned, reports=False)


def report(world: World, actor: Actor, run_id: str, result: dict[str, Any]) -> None:
    """Write a run's manifest, again if that fails."""
    for number in range(1, 4):
        actor.begin(f"{actor.name}.manifest.{number}", json.dumps(result, sort_keys=True))
        problems: list[BaseException] = []
        try:
            write_manifest(
                execution(world, run_id), {"results": [result]}, ActorStore(world, actor), on_problem=problems.append
            )
        except (RdsToS3Error, DiedError):
            continue
        return
    world.fail(Violation("ends", f"run {run_id} has no manifest"))


def rewind(text: str) -> Program:
    """Return a person who edits the watermark."""

    def program(world: World, actor: Actor) -> None:
        actor.begin("person", faulty=False)
        ActorStore(world, actor).put(watermark_key(TABLE, world.notes["spec"].format), text.encode())

    return program


def lifecycle(world: World, actor: Actor) -> None:
    """Abort the table's uploads, as a lifecycle rule does with abandoned ones."""
    actor.begin("lifecycle rule", faulty=False)
    store = ActorStore(world, actor)
    for key, upload_id in store.uploads(data_prefix(TABLE, world.notes["spec"].format)):
        store.abort_upload(key, upload_id)


def spec(**settings: Any) -> TableSpec:
    """Return the table's settings; files are small, so that a window has several."""
    return TableSpec.model_validate({"name": TABLE, "target_file_bytes": 100} | settings)
