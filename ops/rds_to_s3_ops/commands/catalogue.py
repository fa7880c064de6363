"""The command for engines that read the files where they are."""

from __future__ import annotations

from typing import Annotated

import typer

from rds_to_s3_ops.catalogue.athena_files import hive_tables, notes, script, statements
from rds_to_s3_ops.commands.common import JsonOption, Session, StackOption, guarded, print_json


@guarded
def print_catalogue(
    *,
    table: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="By default, every table of the newest run.")
    ] = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print Athena's DDL for tables over the files themselves, with a partition for each day (layout hive).

    A table TABLE_files has every version of each row. A view TABLE has the newest version, where the files alone say
    which that is. Nothing is copied, and no list of files is needed. Each run registers new days in the Glue Data
    Catalog, if the stack has GlueDatabase.
    """
    found = hive_tables(Session.open(stack).bucket(), table)
    if as_json:
        print_json(
            [{"table": each.entry.table, "statements": statements(each), "notes": notes(each)} for each in found]
        )
    else:
        typer.echo("\n".join(script(each) for each in found), nl=False)
