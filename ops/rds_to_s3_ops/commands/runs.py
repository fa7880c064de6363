"""The commands that start runs and follow them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from rds_to_s3_ops.commands.common import (
    JsonOption,
    OptionalRunArgument,
    RunArgument,
    Session,
    StackOption,
    TablesOption,
    guarded,
    new_console,
    print_json,
    print_outcome,
    run_id_of,
)
from rds_to_s3_ops.errors import AwsError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from rich.console import Console

    from rds_to_s3_ops.runs.progress import RunProgress
    from rds_to_s3_ops.runs.runs import Run

INTERRUPTED = 130

WatchOption = Annotated[
    bool, typer.Option("--watch/--no-watch", help="Follow the run until it ends, or start it and return at once.")
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until the run ends, and print only its result.")]


@guarded
def run(
    *,
    table: TablesOption = None,
    rerun_failed_of: Annotated[
        str | None, typer.Option("--rerun-failed-of", metavar="RUN", help="Only the tables that failed in that run.")
    ] = None,
    watch: WatchOption = True,
    wait_only: WaitOption = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a run, and follow it.

    Extracts every listed table, or only those given with --table. A name that is not listed is refused at once.
    """
    if table and rerun_failed_of is not None:
        raise InvalidInputError("--table and --rerun-failed-of exclude each other: give one of them")
    execution_input: dict[str, Any] = {}
    if table:
        execution_input = {"tables": list(dict.fromkeys(table))}
    elif rerun_failed_of is not None:
        execution_input = {"rerun_failed_of": run_id_of(rerun_failed_of)}
    session = Session.open(stack)
    if table:
        _refuse_unlisted(session, table)
    _start(session, execution_input, watch=watch, wait_only=wait_only, as_json=as_json)


@guarded
def rerun(
    *,
    run_id: RunArgument,
    watch: WatchOption = True,
    wait_only: WaitOption = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a new run of the tables that failed in another run.

    The new run has its own window, up to now. `redrive` continues the failed run itself, with its window.
    """
    session = Session.open(stack)
    run_id = run_id_of(run_id)
    manifest = session.bucket().manifest(run_id)
    if manifest is None:
        session.runs().describe(run_id)
        raise NotFoundError(f"run {run_id!r} has no manifest, so its failed tables are unknown: start a new run")
    if not manifest.failed:
        raise InvalidInputError(f"no table failed in run {run_id!r}: there is nothing to run again")
    _start(session, {"rerun_failed_of": run_id}, watch=watch, wait_only=wait_only, as_json=as_json)


@guarded
def redrive(
    *,
    run_id: RunArgument,
    watch: WatchOption = True,
    wait_only: WaitOption = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Continue a failed run: extract its failed tables again, in the same window.

    Also resumes a run that was aborted or timed out. Step Functions allows a redrive for 14 days, and while the run's
    history has fewer than 24,999 events.
    """
    session = Session.open(stack)
    redriven = session.runs().redrive(run_id_of(run_id))
    _attend(session, redriven, watch=watch, wait_only=wait_only, as_json=as_json)


@guarded
def watch(
    *,
    run_id: OptionalRunArgument = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a run until it ends, by default the newest running one, or else the newest.

    Ctrl-C stops the output, not the run. With --json, each change is one line.
    """
    session = Session.open(stack)
    if run_id is None:
        runs = session.runs()
        newest = runs.recent(1, "RUNNING") or runs.recent(1)
        if not newest:
            raise NotFoundError("no run yet: start one with `rds-to-s3 run`")
        run_id = newest[0].run_id
    _watch(session, run_id_of(run_id), as_json=as_json)


def _refuse_unlisted(session: Session, names: list[str]) -> None:
    from rds_to_s3_ops.deployment.table_list_parameter import refuse_unlisted

    try:
        listed = session.table_list().read().checked
    except AwsError:
        return  # the execution reads the list itself, and refuses what is not in it
    refuse_unlisted(listed, names)


def _start(session: Session, execution_input: dict[str, Any], *, watch: bool, wait_only: bool, as_json: bool) -> None:
    _attend(session, session.runs().start(execution_input), watch=watch, wait_only=wait_only, as_json=as_json)


def _attend(session: Session, started: Run, *, watch: bool, wait_only: bool, as_json: bool) -> None:
    if wait_only:
        _wait(session, started, as_json=as_json)
    elif watch:
        _watch(session, started.run_id, as_json=as_json)
    elif as_json:
        print_json({"run_id": started.run_id, "execution_arn": session.stack.execution_arn(started.run_id)})
    else:
        typer.echo(started.run_id)


def _wait(session: Session, started: Run, *, as_json: bool) -> None:
    from rds_to_s3_ops.runs.watching import wait

    try:
        wait(session.runs(), started.run_id)
    except KeyboardInterrupt:
        _leave(started.run_id)
    _finish(session, started.run_id, as_json=as_json)


def _watch(session: Session, run_id: str, *, as_json: bool) -> None:
    from rds_to_s3_ops.runs.watching import follow

    concurrency = session.stack.parameters.get("MaxConcurrency", "")
    looks = follow(
        session.runs(), session.bucket(), run_id, concurrency=int(concurrency) if concurrency.isdigit() else 5
    )
    console = new_console()
    try:
        if as_json:
            _watch_as_json(looks)
        elif console.is_terminal:
            _watch_live(looks, console)
        else:
            _watch_as_lines(looks)
    except KeyboardInterrupt:
        _leave(run_id)
    _finish(session, run_id, as_json=as_json, in_one_line=as_json, already_shown=True)


def _watch_live(looks: Iterable[RunProgress], console: Console) -> None:
    from rich.live import Live

    from rds_to_s3_ops.runs.progress_views import ProgressView

    with Live(console=console, auto_refresh=False, transient=True) as live:
        for progress in looks:
            live.update(ProgressView(progress), refresh=True)


def _watch_as_lines(looks: Iterable[RunProgress]) -> None:
    from rds_to_s3_ops.runs.progress_views import progress_lines

    before: RunProgress | None = None
    for progress in looks:
        for line in progress_lines(before, progress):
            typer.echo(line)
        before = progress


def _watch_as_json(looks: Iterable[RunProgress]) -> None:
    from rds_to_s3_ops.runs.progress_views import progress_json, progress_lines

    before: RunProgress | None = None
    for progress in looks:
        if before is None or progress_lines(before, progress):
            print_json(progress_json(progress), indent=None)
        before = progress


def _finish(
    session: Session, run_id: str, *, as_json: bool, in_one_line: bool = False, already_shown: bool = False
) -> None:
    """Print a run's result, and exit with its exit code."""
    ended = session.runs().describe(run_id)
    manifest = session.bucket().manifest(run_id)
    if already_shown and not as_json and not new_console().is_terminal:
        typer.echo()
    print_outcome(session, ended, manifest, as_json=as_json, indent=None if in_one_line else 2)
    raise typer.Exit(0 if ended.status == "SUCCEEDED" else 1)


def _leave(run_id: str) -> NoReturn:
    typer.echo(f"\nstopped watching; the run continues. To follow it again: rds-to-s3 watch {run_id}", err=True)
    raise typer.Exit(INTERRUPTED)
