"""The command for the files in the bucket: verify them."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from rds_to_s3.aws.mask_key import MaskKey
from rds_to_s3_ops.commands.common import (
    JsonOption,
    OptionalRunArgument,
    Session,
    StackOption,
    completed_tables,
    guarded,
    print_json,
    run_id_of,
)
from rds_to_s3_ops.errors import InvalidInputError


@guarded
def verify(
    *,
    run_id: OptionalRunArgument = None,
    table: Annotated[
        list[str] | None,
        typer.Option(
            "--table",
            "-t",
            metavar="TABLE",
            help="Every file of this table, from all runs. May be a pattern. Repeatable.",
            autocompletion=completed_tables,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every file of every listed table.")] = False,
    source: Annotated[
        bool, typer.Option("--source", help="Compare the newest version of each row with the database.")
    ] = False,
    ignore_extra: Annotated[
        bool, typer.Option("--ignore-extra", help="With --source: ignore rows that only the files have.")
    ] = False,
    memory: Annotated[
        str, typer.Option("--memory", metavar="SIZE", help="With --source: the memory limit of DuckDB.")
    ] = "1GB",
    keys: Annotated[
        int | None, typer.Option("--keys", metavar="N", min=0, help="With --source: list at most N keys of each kind.")
    ] = None,
    all_keys: Annotated[bool, typer.Option("--all-keys", help="With --source: list every key that differs.")] = False,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare files with their manifest: rows, bytes and hash. By default the files of the newest run.

    Lists files of these tables that are in no manifest, and says what to do. With --source, also compares all files of
    each table with the database, row by row. TMPDIR must have space for the digests of all rows and for one file. A
    row that the next window will read is pending, which is not an error. A proof may deliver others before.
    """
    from rds_to_s3_ops.deployment.database import connected
    from rds_to_s3_ops.verify.reconciliation import SAMPLES
    from rds_to_s3_ops.verify.remedies import extract_again, left_out
    from rds_to_s3_ops.verify.unreported import unreported_files
    from rds_to_s3_ops.verify.verification import (
        compare_tables,
        listed_tables,
        manifests_for,
        verify_files,
    )
    from rds_to_s3_ops.verify.views import (
        SHOWN,
        verification_lines,
    )
    from rds_to_s3_ops.verify.wanted import Wanted

    if sum(map(bool, (run_id, table, everything))) > 1:
        raise InvalidInputError("RUN, --table and --all exclude each other: give one of them")
    session = Session.open(stack)
    bucket, document = session.bucket(), session.table_list().read()
    wanted = Wanted(table or [], document.checked if everything else None) if table or everything else None
    manifests = manifests_for(bucket, run_id_of(run_id) if run_id is not None else None, wanted)
    if wanted is None:
        [manifest] = manifests
        names = [entry.table for entry in manifest.tables]
        specs = listed_tables(document, names) if source else []
        result = verify_files(bucket, [manifest], None)
        result.left_out = left_out(manifest, document.checked, chosen=run_id is not None)
    else:
        result = verify_files(bucket, manifests, wanted)
        names = wanted.found
        specs = listed_tables(document, names) if source else []
    result.again = extract_again(bucket, result.broken)
    result.extra_is_fine = ignore_extra
    result.unreported = unreported_files(bucket, session.runs().running, names)
    samples = None if all_keys else SAMPLES if keys is None else keys
    key = MaskKey(session.stack.parameters.get("MaskKeySecret", ""), session.aws.client)
    result.tables = compare_tables(
        partial(connected, session.stack), bucket, specs, memory=memory, samples=samples, mask_key=key.get
    )
    if as_json:
        print_json(result.as_json())
    else:
        shown = None if all_keys else SHOWN if keys is None else keys
        typer.echo("\n".join(verification_lines(result, shown)))
    if result.exit_code:
        raise typer.Exit(result.exit_code)
