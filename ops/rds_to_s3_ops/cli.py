"""The command line: the commands in the order of ``--help``, and the entry point."""

from __future__ import annotations

import io
import sys

import typer

from rds_to_s3_ops.commands import files, inspection, runs, tables
from rds_to_s3_ops.errors import EXIT_CODES

app = typer.Typer(
    name="rds-to-s3",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Run, watch and control the extraction of an RDS MySQL database to S3. AWS is configured as for the AWS CLI: "
    "AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL.",
    epilog="\b\nExit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items()),
)
tables_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Show and edit the table list. The next run uses it; no deploy is needed.",
)
app.add_typer(tables_app, name="tables")

_COMMANDS = {
    "run": runs.run,
    "rerun": runs.rerun,
    "redrive": runs.redrive,
    "watch": runs.watch,
    "show": inspection.show,
    "history": inspection.history,
    "plan": inspection.plan,
    "doctor": inspection.doctor,
    "verify": files.verify,
    "ddl": files.print_ddl,
    "rewind": tables.rewind,
}
_TABLES_COMMANDS = {
    "list": tables.list_tables,
    "add": tables.add_table,
    "remove": tables.remove_table,
    "move": tables.move_list,
}

for name, command in _COMMANDS.items():
    app.command(name)(command)
for name, command in _TABLES_COMMANDS.items():
    tables_app.command(name)(command)


def main() -> None:
    """Run the command; the entry point ``rds-to-s3``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a table's name may be beyond what the terminal can show
    app()
