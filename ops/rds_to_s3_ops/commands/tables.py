"""The commands that change the next run: a table's watermark, and the table list."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from rds_to_s3.mysql.catalogue.tables import table_names
from rds_to_s3_ops.commands.common import JsonOption, Session, StackOption, guarded, print_json, print_view
from rds_to_s3_ops.deployment.database import connected, database_name
from rds_to_s3_ops.deployment.table_list_parameter import DEFAULT_KEY
from rds_to_s3_ops.deployment.watermarks import parse_target, prepare_rewind
from rds_to_s3_ops.errors import CommandError, InvalidInputError
from rds_to_s3_ops.screen.table_list import table_list_view

CATALOGUE_SECONDS = 60


@guarded
def rewind(
    *,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A listed table.")],
    to: Annotated[
        str | None,
        typer.Argument(
            metavar="TIMESTAMP",
            help="'YYYY-MM-DD HH:MM:SS' or a date, in the database's time zone. Rows stamped later are read again.",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Extract the whole table again.")] = False,
    forward: Annotated[
        bool,
        typer.Option(
            "--forward", help="Allow a timestamp after the watermark. The rows in between are never extracted."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move a table's watermark back, so that the next run extracts its rows again.

    Prints the old and the new watermark, and asks. Writes nothing if a run has moved the watermark in the meantime.
    """
    if (to is None) == (not everything):
        raise InvalidInputError("no target given: give a TIMESTAMP, or --all to extract the whole table again")
    target = parse_target(to) if to is not None else None
    session = Session.open(stack)
    bucket = session.bucket()
    change = prepare_rewind(bucket, session.table_list().read().checked, table, target)
    typer.echo("\n".join(change.explain()), err=True)
    if change.skips_rows and not forward:
        raise InvalidInputError("nothing was written: add --forward to skip these rows")
    if not yes:
        _confirm()
    change.apply(bucket)
    if as_json:
        print_json(change.as_json())
    else:
        typer.echo(f"written; extract it now with: rds-to-s3 run --table {table}", err=True)


@guarded
def list_tables(
    *,
    everything: Annotated[bool, typer.Option("--all", help="List every entry.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the table list with every default filled in, and what each table ends up with that a pattern brings in.

    The tables are those of the database; if it cannot be reached from here, those of the newest finished run. A
    table's own settings are under its name. Of more than 40 entries, or tables, 40 are shown, starting with those that
    have their own settings; the rest are counted. With --json, print the document unchanged.
    """
    session = Session.open(stack)
    document = session.table_list().read()
    if as_json:
        print_json(document.data)
        return
    specs = None
    if document.checked.needs_catalogue():
        specs = document.checked.resolve(_existing(session))
    place = document.url or f"SSM parameter {session.stack.table_list_parameter}"
    print_view(table_list_view(document.checked, place, specs, everything=everything))


def _existing(session: Session) -> list[str]:
    """Return the tables of the database, or of the newest run."""
    try:
        with connected(session.stack, read_seconds=CATALOGUE_SECONDS) as connection:
            return table_names(connection, database_name(connection))
    except CommandError as error:
        manifest = session.bucket().latest_manifest()
        known = "no run has finished yet" if manifest is None else f"tables as of run {manifest.run_id}"
        typer.echo(f"{known}: the database cannot be asked from here ({error})", err=True)
        return [table.table for table in manifest.tables] if manifest is not None else []


@guarded
def add_table(
    *,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A table's name, or a pattern such as 'order*'.")],
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a default for this table, such as format=parquet. A value can be JSON. Repeatable.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Change a table that is already listed.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a table to the list, or change its settings.

    Does not check that the database has the table; `plan` does.
    """
    settings = _settings(setting or [])
    parameter = Session.open(stack).table_list()
    document = parameter.read().with_table(table, settings, replaces=replace)
    parameter.write(document)
    if as_json:
        print_json(document.data)
    else:
        typer.echo(f"{table} is listed; extract it now with: rds-to-s3 run --table {table}", err=True)


@guarded
def remove_table(
    *,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A listed name or pattern.")],
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a table from the list.

    Its files and its watermark stay. If you add it again, it continues at that watermark.
    """
    parameter = Session.open(stack).table_list()
    document = parameter.read().without_table(table)
    parameter.write(document)
    if as_json:
        print_json(document.data)
    else:
        typer.echo(f"{table} is no longer listed; its files and its watermark stay", err=True)


@guarded
def move_list(
    *,
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="The object's key; the stack's TableListKey.")] = "",
    stack: StackOption = None,
) -> None:
    """Move the table list into an object of the data bucket, where it may have any length.

    The parameter then points to it. `tables add` and `tables remove` edit the object, with a conditional write.
    """
    session = Session.open(stack)
    url = session.table_list().move(key or session.stack.parameters.get("TableListKey") or DEFAULT_KEY)
    typer.echo(f"the table list is at {url} now; the parameter points to it", err=True)


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise InvalidInputError("nothing was written: stdin is not a terminal, so add --yes")
    if not typer.confirm("Write it?", err=True):
        typer.echo("nothing was written", err=True)
        raise typer.Exit(0)


def _settings(assignments: list[str]) -> dict[str, Any]:
    """Parse ``--set`` options: a value that is valid JSON is JSON, anything else is text."""
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise InvalidInputError(f"--set {assignment}: write KEY=VALUE, such as format=parquet")
        if key in settings:
            raise InvalidInputError(f"--set {key} is given twice")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return settings
