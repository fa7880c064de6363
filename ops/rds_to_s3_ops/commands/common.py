"""What the commands share: common options, access to the stack, output, error handling."""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rds_to_s3_ops.errors import CommandError, InvalidInputError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from rds_to_s3.reported.manifest import Manifest
    from rds_to_s3_ops.deployment.aws import Aws
    from rds_to_s3_ops.deployment.bucket import Bucket
    from rds_to_s3_ops.deployment.stack import Stack
    from rds_to_s3_ops.deployment.table_list_parameter import TableListParameter
    from rds_to_s3_ops.runs.runs import Run, Runs

_PIPE_WIDTH = 200
_RUNS_OFFERED = 30


def completed_tables(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the listed tables, and those of the newest run that a pattern has brought in."""

    def names(session: Session) -> list[str]:
        listed = session.table_list().read().checked
        manifest = session.bucket().latest_manifest() if listed.needs_catalogue() else None
        known = [spec.name for spec in listed.tables if not spec.is_pattern]
        return (
            list(dict.fromkeys([*known, *(table.table for table in manifest.tables if manifest)]))
            if manifest
            else known
        )

    return _completed(context, incomplete, names)


def completed_runs(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the newest runs."""
    return _completed(context, incomplete, lambda session: [run.run_id for run in session.runs().recent(_RUNS_OFFERED)])


def _completed(context: typer.Context, incomplete: str, names: Callable[[Session], list[str]]) -> list[str]:
    stack = context.params.get("stack") or os.environ.get("STACK_NAME")
    try:
        return [name for name in names(Session.open(stack)) if name.startswith(incomplete)]
    except Exception:
        return []


StackOption = Annotated[
    str | None,
    typer.Option("--stack", envvar="STACK_NAME", metavar="NAME", help="The CloudFormation stack to work with."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the Python traceback of an error.")]
RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's id: the execution's name or ARN.", autocompletion=completed_runs),
]
OptionalRunArgument = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="A run's id: the execution's name or ARN.", autocompletion=completed_runs),
]
TablesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--table",
        "-t",
        metavar="TABLE",
        help="Only this table. May be a pattern such as 'order*'. Repeatable.",
        autocompletion=completed_tables,
    ),
]


@dataclass(frozen=True)
class Session:
    """The stack and the adapters to its parts."""

    aws: Aws
    stack: Stack

    @classmethod
    def open(cls, stack_name: str | None) -> Session:
        if not stack_name:
            raise InvalidInputError("no stack given: use --stack, or set STACK_NAME")
        from rds_to_s3_ops.deployment.aws import Aws
        from rds_to_s3_ops.deployment.stack import find_stack

        aws = Aws()
        return cls(aws, find_stack(aws.cloudformation(), stack_name))

    def runs(self) -> Runs:
        from rds_to_s3_ops.runs.runs import Runs

        return Runs(self.aws.stepfunctions(), self.stack)

    def bucket(self) -> Bucket:
        from rds_to_s3_ops.deployment.bucket import Bucket

        return Bucket(self.aws.s3(), self.stack.bucket)

    def table_list(self) -> TableListParameter:
        from rds_to_s3_ops.deployment.table_list_parameter import TableListParameter

        return TableListParameter(self.aws.ssm(), self.stack.table_list_parameter, self.bucket())


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Print one line and exit with the error's code if a command fails. Adds ``--debug``, which shows the traceback."""

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


def run_id_of(text: str) -> str:
    """Return the run id in an execution's name or ARN.

    Raises
    ------
    InvalidInputError
        It is empty, as an unset variable of a script is: that does not mean every table, or the newest run.

    Examples
    --------
    >>> run_id_of("arn:aws:states:eu-west-1:123456789012:execution:extract:run-1")
    'run-1'
    """
    if not (run_id := text.rsplit(":", 1)[-1]):
        raise InvalidInputError("the run's id is empty: give an execution's name or ARN")
    return run_id


def new_console() -> Console:
    from rich.console import Console

    # Created at each use, because it reads the current stdout. A pipe has no width, and 80 columns would cut tables.
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else _PIPE_WIDTH
    return Console(width=width, highlight=False, soft_wrap=False)


def print_view(view: RenderableType) -> None:
    """Print a view. Nothing is cut: what is too wide for the terminal continues on its next line."""
    new_console().print(view, crop=False)


def print_json(data: object, indent: int | None = 2) -> None:
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    typer.echo(json.dumps(data, ensure_ascii=not utf8, indent=indent))


def print_outcome(
    session: Session,
    run: Run | None,
    manifest: Manifest | None,
    *,
    everything: bool = False,
    as_json: bool,
    indent: int | None = 2,
) -> None:
    """Print a run's result or current state, with or without a manifest. JSON is one document."""
    from rds_to_s3_ops.runs import result_views
    from rds_to_s3_ops.runs.watching import look

    progress = None if run is None or not run.is_running else look(session.runs(), session.bucket(), run.run_id)
    if as_json:
        print_json(result_views.outcome_json(run, manifest, progress), indent=indent)
    else:
        print_view(
            result_views.outcome_view(run, manifest, session.stack.bucket, everything=everything, progress=progress)
        )
