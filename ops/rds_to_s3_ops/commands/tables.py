"""The commands that change the next run: a table's watermark, and the table list."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rds_to_s3_ops.commands.common import (
    JsonOption,
    Session,
    StackOption,
    completed_tables,
    guarded,
    print_json,
    print_view,
)
from rds_to_s3_ops.errors import CommandError, InvalidInputError

if TYPE_CHECKING:
    from rds_to_s3.plan.table_list import TableList

CATALOGUE_SECONDS = 60


@guarded
def rewind(
    *,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A listed table.", autocompletion=completed_tables)],
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
    from rds_to_s3_ops.deployment.watermarks import parse_target, prepare_rewind

    if to is not None and everything:
        raise InvalidInputError("TIMESTAMP and --all exclude each other: give one of them")
    if to is None and not everything:
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
        typer.echo(f"written; extract it now with: rds-to-s3 run --table {shlex.quote(table)}", err=True)


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
    from rds_to_s3_ops.screen.table_list import table_list_view

    session = Session.open(stack)
    document = session.table_list().read()
    if as_json:
        print_json(document.data)
        return
    specs = None
    if document.checked.needs_catalogue():
        specs = document.checked.resolve(_existing(session, document.checked))
    place = document.url or f"SSM parameter {session.stack.table_list_parameter}"
    print_view(table_list_view(document.checked, place, specs, everything=everything))


def _existing(session: Session, listed: TableList) -> list[str]:
    """Return the tables of the database, or of the newest run."""
    from rds_to_s3.plan.lists.databases import existing_tables
    from rds_to_s3_ops.deployment.database import connected, database_name

    try:
        with connected(session.stack, read_seconds=CATALOGUE_SECONDS) as connection:
            return existing_tables(connection, database_name(connection), listed)
    except CommandError as error:
        manifest = session.bucket().newest_manifest()
        known = "no run has finished yet" if manifest is None else f"tables as of run {manifest.run_id}"
        typer.echo(f"{known}: the database cannot be asked from here ({error})", err=True)
        return [table.table for table in manifest.tables] if manifest is not None else []


SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a default for this table, such as format=parquet. A value can be JSON. Repeatable.",
    ),
]
UnsetOption = Annotated[
    list[str] | None,
    typer.Option("--unset", metavar="KEY", help="Remove a setting, so that the default applies. Repeatable."),
]
ListedArgument = Annotated[
    str, typer.Argument(metavar="TABLE", help="A listed name or pattern.", autocompletion=completed_tables)
]


@guarded
def add_table(
    *,
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="A table's name, or a pattern such as 'order*'.", autocompletion=completed_tables
        ),
    ],
    setting: SetOption = None,
    unset: UnsetOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Change a table that is already listed. Its other settings stay.")
    ] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a table to the list, or change its settings.

    Shows the settings before and after. Does not check that the database has the table; `plan` does.
    """
    settings = _settings(setting or [], "--set")
    parameter = Session.open(stack).table_list()
    before = parameter.read()
    after = before.with_table(table, settings, unset or [], replaces=replace or bool(unset))
    parameter.write(after)
    _print_change(table, before.own_settings(table), after.own_settings(table))
    if as_json:
        print_json(after.data)
    else:
        typer.echo(f"{table} is listed; extract it now with: rds-to-s3 run --table {shlex.quote(table)}", err=True)


@guarded
def set_default(
    *,
    setting: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="A default, such as format=parquet. A value can be JSON. Repeatable."),
    ] = None,
    unset: UnsetOption = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change the settings of all tables that do not have their own.

    Shows the defaults before and after. The defaults that are not named stay.
    """
    if not setting and not unset:
        raise InvalidInputError("nothing to change: give KEY=VALUE, or --unset KEY")
    parameter = Session.open(stack).table_list()
    before = parameter.read()
    after = before.with_defaults(_settings(setting or [], "tables set-default"), unset or [])
    parameter.write(after)
    _print_change("defaults", before.data.get("defaults", {}), after.data.get("defaults", {}))
    if as_json:
        print_json(after.data)


@guarded
def exclude_tables(
    *,
    table: Annotated[
        list[str], typer.Argument(metavar="TABLE", help="A table's name, or a pattern such as '*_tmp'. Repeatable.")
    ],
    remove: Annotated[bool, typer.Option("--remove", help="Do not exclude it any longer.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave out tables that a pattern in the list would bring in.

    Their files and their watermarks stay. A table that is listed by name is extracted in any case.
    """
    parameter = Session.open(stack).table_list()
    before = parameter.read()
    after = before.without_excluded(table) if remove else before.with_excluded(table)
    parameter.write(after)
    _print_change("exclude", before.data.get("exclude", []), after.data.get("exclude", []))
    if as_json:
        print_json(after.data)


@guarded
def remove_table(
    *,
    table: ListedArgument,
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

    The parameter then points to it. The other `tables` commands edit the object, with a conditional write.
    """
    from rds_to_s3_ops.deployment.table_list_parameter import DEFAULT_KEY

    session = Session.open(stack)
    readable = session.stack.parameters.get("TableListKey")
    if key and readable and key != readable:
        raise InvalidInputError(
            f"PlanRun may read {readable!r} and nothing else: leave out --key, or deploy with TableListKey={key} first"
        )
    url = session.table_list().move(key or readable or DEFAULT_KEY)
    typer.echo(f"the table list is at {url} now; the parameter points to it", err=True)


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise InvalidInputError("nothing was written: stdin is not a terminal, so add --yes")
    if not typer.confirm("Write it?", err=True):
        typer.echo("nothing was written", err=True)
        raise typer.Exit(0)


def _print_change(name: str, before: object, after: object) -> None:
    for moment, value in (("before", before), ("after ", after)):
        shown = "not listed" if value is None else json.dumps(value, ensure_ascii=False)
        typer.echo(f"{name} {moment}: {shown}", err=True)


def _settings(assignments: list[str], option: str) -> dict[str, Any]:
    """Parse assignments: a value that is valid JSON is JSON, anything else is text."""
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise InvalidInputError(f"{option} {assignment}: write KEY=VALUE, such as format=parquet")
        if key in settings:
            raise InvalidInputError(f"{option} {key} is given twice")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return settings
