"""The command line: the commands in the order of ``--help``, and the entry point."""

from __future__ import annotations

import io
import sys
import textwrap
from typing import Annotated

import typer

from rds_to_s3_ops import VERSION
from rds_to_s3_ops.errors import EXIT_CODES
from rds_to_s3_ops.lazy import Command, lazy_group

COMMANDS = {
    "run": Command("runs", "run", "Start a run, and follow it."),
    "rerun": Command("runs", "rerun", "Start a new run of the tables that failed in another run."),
    "redrive": Command(
        "runs", "redrive", "Continue a failed run: extract its failed tables again, in the same window."
    ),
    "watch": Command(
        "runs", "watch", "Follow a run until it ends, by default the newest running one, or else the newest."
    ),
    "show": Command("inspection", "show", "Show the result of a run, by default the newest finished run."),
    "history": Command("inspection", "history", "List the runs, newest first."),
    "plan": Command("inspection", "plan", "Show what a run would read if it started now: windows, indexes, estimates."),
    "doctor": Command(
        "inspection", "doctor", "Check everything that a run depends on, and print how to fix each problem."
    ),
    "verify": Command("files", "verify", "Compare files with their manifest: rows, bytes and hash."),
    "load": Command(
        "warehouses",
        "load",
        "Bring a warehouse up to date with the bucket: each commit of a run that it does not have, in order, once.",
    ),
    "ddl": Command(
        "warehouses",
        "print_ddl",
        "Print the SQL that brings a warehouse up to date, for a first load as well as for every later one.",
    ),
    "catalogue": Command(
        "catalogue",
        "print_catalogue",
        "Print Athena's DDL for tables over the files themselves, with a partition for each day (layout hive).",
    ),
    "rewind": Command(
        "tables", "rewind", "Move a table's watermark back, so that the next run extracts its rows again."
    ),
}
TABLES_COMMANDS = {
    "list": Command(
        "tables",
        "list_tables",
        "Show the table list with every default filled in, and what each table ends up with that a pattern brings in.",
    ),
    "add": Command("tables", "add_table", "Add a table to the list, or change its settings."),
    "set-default": Command("tables", "set_default", "Change the settings of all tables that do not have their own."),
    "exclude": Command("tables", "exclude_tables", "Leave out tables that a pattern in the list would bring in."),
    "remove": Command("tables", "remove_table", "Remove a table from the list."),
    "move": Command(
        "tables", "move_list", "Move the table list into an object of the data bucket, where it may have any length."
    ),
}


def _exit_code(entry: tuple[int, str]) -> str:
    code, meaning = entry
    return textwrap.fill(meaning, 72, initial_indent=f"  {code:<4} ", subsequent_indent=" " * 7)


app = typer.Typer(
    name="rds-to-s3",
    cls=lazy_group(COMMANDS),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Run, watch and control the extraction of an RDS MySQL database to S3. AWS is configured as for the AWS CLI: "
    "AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL.",
    epilog="\b\nExit codes:\n" + "\n".join(map(_exit_code, EXIT_CODES.items())),
)
tables_app = typer.Typer(
    cls=lazy_group(TABLES_COMMANDS),
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Show and edit the table list. The next run uses it; no deploy is needed.",
)
app.add_typer(tables_app, name="tables")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rds-to-s3 {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version of the command."),
    ] = False,
) -> None:
    """Take the options before the command."""


@tables_app.callback()
def _tables_options() -> None:
    """Take none."""


def main() -> None:
    """Run the command; the entry point ``rds-to-s3``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a table's name may be beyond what the terminal can show
    app()
