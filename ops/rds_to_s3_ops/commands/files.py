"""The commands about the files in the bucket: are they what they should be, and how are they loaded."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from rds_to_s3_ops.commands.common import (
    JsonOption,
    OptionalRunArgument,
    Session,
    StackOption,
    guarded,
    print_json,
    run_id_of,
)
from rds_to_s3_ops.deployment.database import connected
from rds_to_s3_ops.errors import InvalidInputError
from rds_to_s3_ops.warehouses import Warehouse, ddl, load_statements
from rds_to_s3_ops.warehouses.loads import table_loads


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
    keys: Annotated[
        int | None, typer.Option("--keys", metavar="N", min=0, help="With --source: name so many keys of each kind.")
    ] = None,
    all_keys: Annotated[bool, typer.Option("--all-keys", help="With --source: name every key that differs.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read files again, and compare them with the manifest: rows, bytes, hash. By default those of the newest run.

    Files of these tables that no manifest names are named, with what to do. With --source, also compare all files of
    each table with the database, row by row. TMPDIR needs room for the digests of all rows and for one file. A row
    that the next run reads is pending, and no fault.
    """
    # pyarrow takes as long to import as all the rest, and no other command needs it.
    from rds_to_s3_ops.verify.reconciliation import SAMPLES  # noqa: PLC0415
    from rds_to_s3_ops.verify.unreported import unreported_files  # noqa: PLC0415
    from rds_to_s3_ops.verify.verification import (  # noqa: PLC0415
        compare_tables,
        listed_tables,
        manifests_for,
        verify_files,
    )
    from rds_to_s3_ops.verify.views import (  # noqa: PLC0415
        SHOWN,
        verification_lines,
    )

    if run_id is not None and table is not None:
        raise InvalidInputError("RUN and --table exclude each other: give one of them")
    session = Session.open(stack)
    bucket = session.bucket()
    manifests = manifests_for(bucket, run_id_of(run_id) if run_id else None, table)
    if table is not None:
        names = [table]
    else:
        manifests = list(manifests)
        names = [entry.table for entry in manifests[0].tables]
    specs = listed_tables(session.table_list().read(), names) if source else []
    result = verify_files(bucket, manifests, table)
    result.extra_is_fine = ignore_extra
    result.unreported = unreported_files(bucket, session.runs().running, names)
    samples = None if all_keys else SAMPLES if keys is None else keys
    result.tables = compare_tables(partial(connected, session.stack), bucket, specs, memory=memory, samples=samples)
    if as_json:
        print_json(result.as_json())
    else:
        shown = None if all_keys else SHOWN if keys is None else keys
        typer.echo("\n".join(verification_lines(result, shown)))
    if result.exit_code:
        raise typer.Exit(result.exit_code)


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
        str | None,
        typer.Option("--run", metavar="RUN", help="The run to load; by default the newest with rows or deletes."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="COLUMN", help="A column to merge by, where the table has no key; repeatable."),
    ] = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the SQL that loads a run's files into a warehouse: deletes what is gone, and merges the rest by key.

    File format, stage or external table with exact types, load, merge. What a warehouse cannot hold is in the comments.
    """
    session = Session.open(stack)
    loads = table_loads(session.bucket(), table, run_id_of(run_id) if run_id else None, key or [])
    if as_json:
        print_json([{"table": load.table, "statements": load_statements(warehouse, load)} for load in loads])
    else:
        typer.echo("\n".join(ddl(warehouse, load) for load in loads), nl=False)
