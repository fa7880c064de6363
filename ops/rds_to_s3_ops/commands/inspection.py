"""The commands that look: at runs that were, at what a run would do, at what it depends on."""

from __future__ import annotations

from typing import Annotated

import typer

from rds_to_s3_ops.commands.common import (
    JsonOption,
    OptionalRunArgument,
    Session,
    StackOption,
    TablesOption,
    guarded,
    new_console,
    print_json,
    print_outcome,
    run_id_of,
)
from rds_to_s3_ops.deployment.aws import Aws
from rds_to_s3_ops.deployment.database import connected
from rds_to_s3_ops.errors import InvalidInputError, NotFoundError
from rds_to_s3_ops.inspection import views as inspection_views
from rds_to_s3_ops.inspection.doctor import examine
from rds_to_s3_ops.inspection.preview import preview_run
from rds_to_s3_ops.runs import views
from rds_to_s3_ops.runs.runs import Run
from rds_to_s3_ops.runs.story import condensed, tell


@guarded
def show(
    *,
    run_id: OptionalRunArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="List every table and every file.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a run did: by default the newest that has finished. With --json, its manifest.

    Of a run that is at work, also again, or that was stopped: how it stands, and its manifest from before.
    """
    session = Session.open(stack)
    bucket, runs = session.bucket(), session.runs()
    run_id = run_id_of(run_id) if run_id else None
    manifest = bucket.manifest(run_id) if run_id else bucket.latest_manifest()
    if manifest is not None:
        run_id = manifest.run_id
    if run_id is None:
        raise NotFoundError("no run has finished yet: start one with `rds-to-s3 run`")
    run: Run | None = None
    try:
        run = runs.describe(run_id)
    except NotFoundError:
        # Step Functions forgets a run after 90 days; its manifest stays.
        if manifest is None:
            raise
    print_outcome(session, run, manifest, everything=everything, as_json=as_json)


@guarded
def history(
    *,
    run_id: OptionalRunArgument = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help="How many runs at most.")
    ] = 20,
    everything: Annotated[bool, typer.Option("--all", help="With RUN: tell of every table, however many.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs, newest first; or tell what happened in one, state by state, its redrives included.

    Of more than 40 tables, those that failed, were tried again or continued are told, and the rest counted. With
    --json, always everything.
    """
    if everything and run_id is None:
        raise InvalidInputError("--all is for the history of one RUN: name it, or list more runs with --limit")
    session = Session.open(stack)
    if run_id is not None:
        _tell(session, run_id_of(run_id), everything=everything, as_json=as_json)
        return
    found = session.runs().recent(limit)
    manifests = session.bucket().manifests(run.run_id for run in found if not run.is_running)
    entries = [views.HistoryEntry(run, manifests.get(run.run_id)) for run in found]
    if as_json:
        print_json([entry.as_json() for entry in entries])
    else:
        new_console().print(views.history_view(entries))


@guarded
def plan(
    *,
    table: TablesOption = None,
    everything: Annotated[bool, typer.Option("--all", help="List every table, and the columns.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would read if it were started now: windows, indexes, estimates. Reads no rows.

    Connects to the database from here, with the stack's credentials. Numbers of rows are the server's own estimates.
    """
    session = Session.open(stack)
    listed = session.table_list().read().checked
    with connected(session.stack) as connection:
        preview = preview_run(connection, session.bucket(), session.stack, listed, table)
    if as_json:
        print_json(preview.as_json())
    else:
        new_console().print(inspection_views.preview_view(preview, everything=everything))
    if preview.failed:
        raise typer.Exit(1)


@guarded
def doctor(*, stack: StackOption = None, as_json: JsonOption = False) -> None:
    """Check everything that a run depends on, and say how to mend what is wrong.

    From the AWS credentials to the listed tables' indexes. Changes nothing. What only the functions can tell, inside
    their VPC, is skipped with that reason.
    """
    if not stack:
        raise InvalidInputError("which stack? name it with --stack, or set STACK_NAME")
    console = new_console()
    findings, condenser = [], inspection_views.Condenser()
    for finding in examine(Aws(), stack):
        findings.append(finding)
        if not as_json and condenser.shows(finding):
            console.print(inspection_views.finding_view(finding))
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        if (rest := condenser.rest_view()) is not None:
            console.print(rest)
        console.print(inspection_views.verdicts_view(findings))
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)


def _tell(session: Session, run_id: str, *, everything: bool, as_json: bool) -> None:
    runs = session.runs()
    runs.describe(run_id)
    lines = tell(runs.events(run_id, 0))
    if as_json:
        print_json([line.as_json() for line in lines])
    else:
        new_console().print(inspection_views.story_view(lines if everything else condensed(lines)))
