"""The command line: options in, one call, output and exit code out."""

from __future__ import annotations

import functools
import inspect
import io
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.live import Live

from rds_to_s3_ops import inspection_views, views
from rds_to_s3_ops.aws import Aws
from rds_to_s3_ops.bucket import Bucket
from rds_to_s3_ops.database import connected
from rds_to_s3_ops.doctor import examine
from rds_to_s3_ops.documents import Manifest
from rds_to_s3_ops.errors import EXIT_CODES, CommandError, InvalidInputError, NotFoundError
from rds_to_s3_ops.preview import preview_run
from rds_to_s3_ops.progress import RunProgress
from rds_to_s3_ops.runs import Run, Runs
from rds_to_s3_ops.stack import Stack, find_stack
from rds_to_s3_ops.story import tell
from rds_to_s3_ops.table_list_parameter import TableListParameter
from rds_to_s3_ops.warehouses import Warehouse, ddl, load_statements
from rds_to_s3_ops.warehouses.loads import table_loads
from rds_to_s3_ops.watching import follow, wait
from rds_to_s3_ops.watermarks import parse_target, prepare_rewind

INTERRUPTED = 130
_PIPE_WIDTH = 200

StackOption = Annotated[
    str | None,
    typer.Option("--stack", envvar="STACK_NAME", metavar="NAME", help="The CloudFormation stack to work with."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the Python traceback of an error.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's id: its execution's name, or its ARN.")]
OptionalRunArgument = Annotated[
    str | None, typer.Argument(metavar="RUN", help="A run's id: its execution's name, or its ARN.")
]
WatchOption = Annotated[
    bool, typer.Option("--watch/--no-watch", help="Follow the run until it ends, or only start it and return.")
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait for the run's end and print only its result.")]

app = typer.Typer(
    name="rds-to-s3",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Run, watch and steer the extraction of an RDS MySQL database to S3. AWS is found as every AWS tool finds it: "
    "AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL.",
    epilog="\b\nExit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items()),
)
tables_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See and edit the table list; the next run obeys it, without a deploy.",
)
app.add_typer(tables_app, name="tables")


@dataclass(frozen=True)
class Session:
    """What every command works with: the stack, and the adapters to its parts."""

    aws: Aws
    stack: Stack

    @classmethod
    def open(cls, stack_name: str | None) -> Session:
        if not stack_name:
            raise InvalidInputError("which stack? name it with --stack, or set STACK_NAME")
        aws = Aws()
        return cls(aws, find_stack(aws.cloudformation(), stack_name))

    def runs(self) -> Runs:
        return Runs(self.aws.stepfunctions(), self.stack)

    def bucket(self) -> Bucket:
        return Bucket(self.aws.s3(), self.stack.bucket)

    def table_list(self) -> TableListParameter:
        return TableListParameter(self.aws.ssm(), self.stack.table_list_parameter)


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """End a command that fails with one line and its exit code; add ``--debug``, with which it shows the traceback."""

    @functools.wraps(command)
    def guard(*, debug: bool, **options: Any) -> None:
        try:
            command(**options)
        except CommandError as error:
            if debug:
                raise
            typer.echo(f"rds-to-s3: {error}", err=True)
            raise typer.Exit(error.exit_code) from None

    signature = inspect.signature(command, eval_str=True)
    debug = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=DebugOption)
    guard.__signature__ = signature.replace(parameters=[*signature.parameters.values(), debug])  # type: ignore[attr-defined]
    return guard


# --- runs ---------------------------------------------------------------------------------------------------------


@app.command()
@guarded
def run(
    *,
    table: Annotated[
        list[str] | None, typer.Option("--table", "-t", metavar="TABLE", help="Only this table; can be repeated.")
    ] = None,
    rerun_failed_of: Annotated[
        str | None, typer.Option("--rerun-failed-of", metavar="RUN", help="Only the tables that failed in that run.")
    ] = None,
    watch: WatchOption = True,
    wait_only: WaitOption = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a run, and follow it.

    Every listed table is extracted, or those that --table names.
    """
    if table and rerun_failed_of:
        raise InvalidInputError("--table and --rerun-failed-of exclude each other: give one of them")
    execution_input: dict[str, Any] = {}
    if table:
        execution_input = {"tables": list(dict.fromkeys(table))}
    elif rerun_failed_of:
        execution_input = {"rerun_failed_of": run_id_of(rerun_failed_of)}
    _start(Session.open(stack), execution_input, watch=watch, wait_only=wait_only, as_json=as_json)


@app.command()
@guarded
def rerun(
    *,
    run_id: RunArgument,
    watch: WatchOption = True,
    wait_only: WaitOption = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a new run of the tables that failed in another.

    The new run takes a window of its own, up to now. `redrive` lets the failed run itself go on, with its window.
    """
    session = Session.open(stack)
    run_id = run_id_of(run_id)
    manifest = session.bucket().manifest(run_id)
    if manifest is None:
        session.runs().describe(run_id)
        raise NotFoundError(f"run {run_id!r} has left no manifest, so it names no failed tables: start a new run")
    if not any(entry["status"] == "FAILED" for entry in manifest["tables"]):
        raise InvalidInputError(f"no table failed in run {run_id!r}: there is nothing to run again")
    _start(session, {"rerun_failed_of": run_id}, watch=watch, wait_only=wait_only, as_json=as_json)


@app.command()
@guarded
def redrive(
    *,
    run_id: RunArgument,
    watch: WatchOption = True,
    wait_only: WaitOption = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a failed run go on: its failed tables again, in its own window.

    Also takes up a run that was aborted or timed out, where it was stopped. Step Functions allows it for 14 days.
    """
    session = Session.open(stack)
    redriven = session.runs().redrive(run_id_of(run_id))
    _attend(session, redriven, watch=watch, wait_only=wait_only, as_json=as_json)


@app.command()
@guarded
def watch(
    *,
    run_id: OptionalRunArgument = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a run until it ends: by default the newest that is at work, or else the newest.

    Ctrl-C stops the watching, not the run. With --json, each change is one line.
    """
    session = Session.open(stack)
    if run_id is None:
        runs = session.runs()
        newest = runs.recent(1, "RUNNING") or runs.recent(1)
        if not newest:
            raise NotFoundError("no run yet: start one with `rds-to-s3 run`")
        run_id = newest[0].run_id
    _watch(session, run_id_of(run_id), as_json=as_json)


@app.command()
@guarded
def show(
    *,
    run_id: OptionalRunArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="List every table and every file.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a run did: by default the newest that has finished. With --json, its manifest."""
    session = Session.open(stack)
    if run_id is None:
        manifest = session.bucket().latest_manifest()
        if manifest is None:
            raise NotFoundError("no run has finished yet: start one with `rds-to-s3 run`")
        _show_manifest(session, manifest, everything=everything, as_json=as_json)
        return
    run_id = run_id_of(run_id)
    manifest = session.bucket().manifest(run_id)
    if manifest is not None:
        _show_manifest(session, manifest, everything=everything, as_json=as_json)
        return
    found = session.runs().describe(run_id)
    _print_json(views.run_json(found)) if as_json else _console().print(views.run_view(found))


@app.command()
@guarded
def history(
    *,
    run_id: OptionalRunArgument = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help="How many runs at most.")
    ] = 20,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs, newest first; or tell what happened in one, state by state, its redrives included."""
    session = Session.open(stack)
    if run_id is not None:
        _tell(session, run_id_of(run_id), as_json=as_json)
        return
    found = session.runs().recent(limit)
    manifests = session.bucket().manifests(run.run_id for run in found if not run.is_running)
    entries = [views.HistoryEntry(run, manifests.get(run.run_id)) for run in found]
    if as_json:
        _print_json([entry.as_json() for entry in entries])
    else:
        _console().print(views.history_view(entries))


# --- what would happen ---------------------------------------------------------------------------------------------


@app.command()
@guarded
def plan(
    *,
    table: Annotated[
        list[str] | None, typer.Option("--table", "-t", metavar="TABLE", help="Only this table; can be repeated.")
    ] = None,
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
        _print_json(preview.as_json())
    else:
        _console().print(inspection_views.preview_view(preview, everything=everything))
    if preview.failed:
        raise typer.Exit(1)


@app.command()
@guarded
def doctor(*, stack: StackOption = None, as_json: JsonOption = False) -> None:
    """Check everything that a run depends on, and say how to mend what is wrong.

    From the AWS credentials to the listed tables' indexes. Changes nothing. What only the functions can tell, inside
    their VPC, is skipped with that reason.
    """
    if not stack:
        raise InvalidInputError("which stack? name it with --stack, or set STACK_NAME")
    console = _console()
    findings, condenser = [], inspection_views.Condenser()
    for finding in examine(Aws(), stack):
        findings.append(finding)
        if not as_json and condenser.shows(finding):
            console.print(inspection_views.finding_view(finding))
    if as_json:
        _print_json([finding.as_json() for finding in findings])
    else:
        if (rest := condenser.rest_view()) is not None:
            console.print(rest)
        console.print(inspection_views.verdicts_view(findings))
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)


# --- what is there ------------------------------------------------------------------------------------------------


@app.command()
@guarded
def verify(
    *,
    run_id: OptionalRunArgument = None,
    table: Annotated[
        str | None, typer.Option("--table", "-t", metavar="TABLE", help="Every file of this table, whatever the run.")
    ] = None,
    source: Annotated[
        bool, typer.Option("--source", help="Compare the newest version of each row with the table in the database.")
    ] = False,
    ignore_extra: Annotated[
        bool, typer.Option("--ignore-extra", help="With --source: rows that only the files have are no fault.")
    ] = False,
    memory: Annotated[
        str, typer.Option("--memory", metavar="SIZE", help="With --source: how much memory DuckDB may take.")
    ] = "1GB",
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read files again, and compare them with the manifest: rows, bytes, hash. By default those of the newest run.

    With --source, also compare all files of each table with the database, row by row. TMPDIR needs room for the digests
    of all rows and for one file. A row that changed after the last window is pending, and no fault.
    """
    # pyarrow takes as long to import as all the rest, and no other command needs it.
    from rds_to_s3_ops.reconciliation import Reconciler  # noqa: PLC0415
    from rds_to_s3_ops.verification import listed_tables, manifests_for, verify_files  # noqa: PLC0415
    from rds_to_s3_ops.verification_views import verification_lines  # noqa: PLC0415

    if run_id is not None and table is not None:
        raise InvalidInputError("RUN and --table exclude each other: give one of them")
    session = Session.open(stack)
    bucket, s3 = session.bucket(), session.aws.s3()
    manifests = manifests_for(bucket, run_id_of(run_id) if run_id else None, table)
    names = [table] if table else [entry["table"] for entry in manifests[0]["tables"]]
    specs = listed_tables(session.table_list().read(), names) if source else []
    result = verify_files(bucket, s3, manifests, table)
    result.extra_is_fine = ignore_extra
    if specs:
        with connected(session.stack) as connection:
            reconciler = Reconciler(connection, bucket, s3, memory=memory)
            result.tables = [reconciler.reconcile(spec) for spec in specs]
    if as_json:
        _print_json(result.as_json())
    else:
        typer.echo("\n".join(verification_lines(result)))
    if not result.is_fine:
        raise typer.Exit(1)


@app.command("ddl")
@guarded
def print_ddl(
    *,
    table: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="By default, every table of the newest run.")
    ] = None,
    warehouse: Annotated[
        Warehouse, typer.Option("--for", metavar="WAREHOUSE", help="snowflake, redshift, athena or duckdb.")
    ],
    run_id: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="The run to load; by default the newest with files.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="COLUMN", help="A column to merge by, where the table has no key; repeatable."),
    ] = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the SQL that loads a run's files into a warehouse and merges them by key.

    File format, stage or external table with exact types, load, merge. What a warehouse cannot hold is in the comments.
    """
    session = Session.open(stack)
    loads = table_loads(session.bucket(), table, run_id_of(run_id) if run_id else None, key or [])
    if as_json:
        _print_json([{"table": load.table, "statements": load_statements(warehouse, load)} for load in loads])
    else:
        typer.echo("\n".join(ddl(warehouse, load) for load in loads), nl=False)


# --- watermarks ---------------------------------------------------------------------------------------------------


@app.command()
@guarded
def rewind(
    *,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A listed table.")],
    to: Annotated[
        str | None,
        typer.Argument(
            metavar="TIMESTAMP",
            help="'YYYY-MM-DD HH:MM:SS', or a date, in the database's own zone: rows stamped later are read again.",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Extract the whole table again.")] = False,
    forward: Annotated[
        bool, typer.Option("--forward", help="Allow a later timestamp than now, which leaves rows out for good.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the next run extract a table's rows again.

    Moves the table's watermark, if no run moves it at the same moment. Says what was and what will be, and asks.
    """
    if (to is None) == (not everything):
        raise InvalidInputError("where to? give a TIMESTAMP, or --all to extract the whole table again")
    target = parse_target(to) if to is not None else None
    session = Session.open(stack)
    bucket = session.bucket()
    change = prepare_rewind(bucket, session.table_list().read().checked, table, target)
    typer.echo("\n".join(change.explain()), err=True)
    if change.skips_rows and not forward:
        raise InvalidInputError("nothing was written: add --forward if rows shall be left out")
    if not yes:
        _confirm()
    change.apply(bucket)
    if as_json:
        _print_json(change.as_json())
    else:
        typer.echo(f"written; extract it now with: rds-to-s3 run --table {table}", err=True)


# --- the table list -----------------------------------------------------------------------------------------------


@tables_app.command("list")
@guarded
def list_tables(*, stack: StackOption = None, as_json: JsonOption = False) -> None:
    """Show the table list with every default filled in. With --json, the document as it is."""
    session = Session.open(stack)
    document = session.table_list().read()
    if as_json:
        _print_json(document.data)
    else:
        _console().print(views.table_list_view(document.checked, session.stack))


@tables_app.command("add")
@guarded
def add_table(
    *,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A table's name, or a pattern such as 'order*'.")],
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a default for this table, such as format=parquet; a value can be JSON; can be repeated.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Change a table that is listed already.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a table to the list, or change its settings.

    Whether the database has the table is seen by the next run.
    """
    settings = _settings(setting or [])
    parameter = Session.open(stack).table_list()
    document = parameter.read().with_table(table, settings, replace=replace)
    parameter.write(document)
    if as_json:
        _print_json(document.data)
    else:
        typer.echo(f"{table} is listed; extract it now with: rds-to-s3 run --table {table}", err=True)


@tables_app.command("remove")
@guarded
def remove_table(
    *,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A listed name or pattern.")],
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a table off the list.

    Its files and its watermark stay: listed again, it goes on where it stopped.
    """
    parameter = Session.open(stack).table_list()
    document = parameter.read().without_table(table)
    parameter.write(document)
    if as_json:
        _print_json(document.data)
    else:
        typer.echo(f"{table} is no longer listed; its files and its watermark stay", err=True)


# --- what the commands share --------------------------------------------------------------------------------------


def run_id_of(text: str) -> str:
    """Return the run id in an execution's name or ARN.

    Examples
    --------
    >>> run_id_of("arn:aws:states:eu-west-1:123456789012:execution:extract:run-1")
    'run-1'
    """
    return text.rsplit(":", 1)[-1]


def _start(session: Session, execution_input: dict[str, Any], *, watch: bool, wait_only: bool, as_json: bool) -> None:
    _attend(session, session.runs().start(execution_input), watch=watch, wait_only=wait_only, as_json=as_json)


def _attend(session: Session, started: Run, *, watch: bool, wait_only: bool, as_json: bool) -> None:
    if wait_only:
        _wait(session, started, as_json=as_json)
    elif watch:
        _watch(session, started.run_id, as_json=as_json)
    elif as_json:
        _print_json({"run_id": started.run_id, "execution_arn": session.stack.execution_arn(started.run_id)})
    else:
        typer.echo(started.run_id)


def _wait(session: Session, started: Run, *, as_json: bool) -> None:
    try:
        wait(session.runs(), started.run_id)
    except KeyboardInterrupt:
        _leave(started.run_id)
    _finish(session, started.run_id, as_json=as_json)


def _watch(session: Session, run_id: str, *, as_json: bool) -> None:
    looks = follow(session.runs(), session.bucket(), run_id)
    console = _console()
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
    with Live(console=console, auto_refresh=False, transient=True) as live:
        for progress in looks:
            live.update(views.progress_view(progress, height=max(3, console.height - 6)), refresh=True)


def _watch_as_lines(looks: Iterable[RunProgress]) -> None:
    before: RunProgress | None = None
    for progress in looks:
        for line in views.progress_lines(before, progress):
            typer.echo(line)
        before = progress


def _watch_as_json(looks: Iterable[RunProgress]) -> None:
    before: RunProgress | None = None
    for progress in looks:
        if before is None or views.progress_lines(before, progress):
            _print_json(views.progress_json(progress), indent=None)
        before = progress


def _finish(
    session: Session, run_id: str, *, as_json: bool, in_one_line: bool = False, already_shown: bool = False
) -> None:
    """Print how a run ended, and end with its exit code."""
    ended = session.runs().describe(run_id)
    manifest = session.bucket().manifest(run_id)
    if as_json:
        _print_json(manifest or views.run_json(ended), indent=None if in_one_line else 2)
    elif manifest is None or ended.status in {"ABORTED", "TIMED_OUT"}:
        _console().print(views.run_view(ended))
    else:
        if already_shown and not _console().is_terminal:
            typer.echo()
        _console().print(views.manifest_view(manifest, session.stack.bucket))
    raise typer.Exit(0 if ended.status == "SUCCEEDED" else 1)


def _leave(run_id: str) -> NoReturn:
    typer.echo(f"\nstopped watching; the run goes on. Come back with: rds-to-s3 watch {run_id}", err=True)
    raise typer.Exit(INTERRUPTED)


def _tell(session: Session, run_id: str, *, as_json: bool) -> None:
    runs = session.runs()
    runs.describe(run_id)
    lines = tell(runs.events(run_id, 0))
    if as_json:
        _print_json([line.as_json() for line in lines])
    else:
        _console().print(inspection_views.story_view(lines))


def _show_manifest(session: Session, manifest: Manifest, *, everything: bool, as_json: bool) -> None:
    if as_json:
        _print_json(manifest)
    else:
        _console().print(views.manifest_view(manifest, session.stack.bucket, everything=everything))


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise InvalidInputError("nothing was written: there is nobody to ask, so add --yes")
    if not typer.confirm("Write it?", err=True):
        typer.echo("nothing was written", err=True)
        raise typer.Exit(0)


def _settings(assignments: list[str]) -> dict[str, Any]:
    """Read ``--set`` options: a value that is JSON is taken as JSON, anything else as text."""
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise InvalidInputError(f"--set {assignment}: write KEY=VALUE, such as format=parquet")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return settings


def _console() -> Console:
    # Made at each use: it looks at the present stdout. A pipe has no width, and 80 columns would cut tables.
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else _PIPE_WIDTH
    return Console(width=width, highlight=False, soft_wrap=False)


def _print_json(data: object, indent: int | None = 2) -> None:
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    typer.echo(json.dumps(data, ensure_ascii=not utf8, indent=indent))


def main() -> None:
    """Run the command; the entry point ``rds-to-s3``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a table's name may be beyond what the terminal can show
    app()
