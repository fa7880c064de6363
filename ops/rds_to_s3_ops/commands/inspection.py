"""The commands that only read: past runs, the plan of the next run, and what a run depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rds_to_s3_ops.commands.common import (
    JsonOption,
    OptionalRunArgument,
    Session,
    StackOption,
    TablesOption,
    guarded,
    print_json,
    print_outcome,
    print_view,
    run_id_of,
)
from rds_to_s3_ops.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from rds_to_s3_ops.runs.runs import Run


@guarded
def show(
    *,
    run_id: OptionalRunArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="List every table and every file.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the result of a run, by default the newest finished run. With --json, print its manifest.

    For a run that is running, redriven or stopped: its status, how far its tables are read while it is running, and the
    last manifest it wrote.
    """
    session = Session.open(stack)
    bucket, runs = session.bucket(), session.runs()
    run_id = run_id_of(run_id) if run_id is not None else None
    manifest = bucket.manifest(run_id) if run_id else bucket.newest_manifest()
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
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help="The maximum number of runs.")
    ] = 20,
    everything: Annotated[bool, typer.Option("--all", help="With RUN: list every table, and name them all.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs, newest first. With RUN, list the events of that run state by state, including redrives.

    If a run has more than 40 tables, only those that failed, were retried or continued are listed; the rest are
    counted. --json always lists everything.
    """
    from rds_to_s3_ops.runs import views

    if everything and run_id is None:
        raise InvalidInputError("--all needs a RUN; to list more runs, use --limit")
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
        print_view(views.history_view(entries))


@guarded
def plan(
    *,
    table: TablesOption = None,
    everything: Annotated[bool, typer.Option("--all", help="List every table, and the columns.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would read if it started now: windows, indexes, estimates. Reads no rows.

    Connects to the database from this machine, with the stack's credentials. Row counts are the server's estimates.
    """
    from rds_to_s3_ops.deployment.database import connected
    from rds_to_s3_ops.inspection.preview import preview_run
    from rds_to_s3_ops.inspection.views import preview_view

    session = Session.open(stack)
    listed = session.table_list().read().checked
    with connected(session.stack) as connection:
        preview = preview_run(connection, session.bucket(), session.stack, listed, table)
    if as_json:
        print_json(preview.as_json())
    else:
        print_view(preview_view(preview, everything=everything))
    if preview.failed:
        raise typer.Exit(1)


@guarded
def doctor(*, stack: StackOption = None, as_json: JsonOption = False) -> None:
    """Check everything that a run depends on, and print how to fix each problem.

    Checks from the AWS credentials to the indexes of the listed tables. Changes nothing. A check that only works inside
    the functions' VPC is skipped, with that reason.
    """
    from rds_to_s3_ops.deployment.aws import Aws
    from rds_to_s3_ops.inspection import views
    from rds_to_s3_ops.inspection.doctor import examine
    from rds_to_s3_ops.inspection.local_system import is_local, local_remedy

    if not stack:
        raise InvalidInputError("no stack given: use --stack, or set STACK_NAME")
    findings, condenser = [], views.Condenser()
    for found in examine(Aws(), stack):
        finding = local_remedy(found) if is_local() else found
        findings.append(finding)
        if not as_json and condenser.shows(finding):
            print_view(views.finding_view(finding))
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        if (rest := condenser.rest_view()) is not None:
            print_view(rest)
        print_view(views.verdicts_view(findings))
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)


def _tell(session: Session, run_id: str, *, everything: bool, as_json: bool) -> None:
    from rds_to_s3_ops.inspection.views import story_view
    from rds_to_s3_ops.runs.story import condensed, tell

    runs = session.runs()
    runs.describe(run_id)
    lines = tell(runs.events(run_id, 0), everything=everything)
    if as_json:
        print_json([line.as_json() for line in lines])
    else:
        print_view(story_view(lines if everything else condensed(lines)))
