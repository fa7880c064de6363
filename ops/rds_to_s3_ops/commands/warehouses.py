"""The commands that bring a warehouse up to date: load it, and print the SQL that does."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rds_to_s3_ops.commands.common import (
    JsonOption,
    Session,
    StackOption,
    TablesOption,
    guarded,
    print_json,
    run_id_of,
)
from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.errors import InvalidInputError, NotFoundError
from rds_to_s3_ops.verify.wanted import Wanted
from rds_to_s3_ops.warehouses.deliveries import Delivery, TableHistory, histories
from rds_to_s3_ops.warehouses.script import scripts
from rds_to_s3_ops.warehouses.types import Names, Warehouse

if TYPE_CHECKING:
    from rds_to_s3_ops.load.warehouse import Warehouse as LoadedWarehouse

WarehouseOption = Annotated[
    Warehouse, typer.Option("--for", metavar="WAREHOUSE", help="snowflake, redshift, athena or duckdb.")
]
SettingsOption = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", help="A TOML file with any of the options below, by their names."),
]
DatabaseOption = Annotated[str | None, typer.Option("--database", metavar="NAME", help="The warehouse's database.")]
SchemaOption = Annotated[str | None, typer.Option("--schema", metavar="NAME", help="The warehouse's schema.")]
StageOption = Annotated[
    str | None,
    typer.Option("--stage", metavar="NAME", help="Snowflake: a stage over the bucket. By default one is created."),
]
IntegrationOption = Annotated[
    str | None, typer.Option("--integration", metavar="NAME", help="Snowflake: the storage integration of that stage.")
]
RoleOption = Annotated[
    str | None, typer.Option("--role", metavar="ARN", help="Redshift: the role that COPY reads the bucket with.")
]
LocationOption = Annotated[
    str | None,
    typer.Option("--location", metavar="URL", help="Athena: s3://.. for its tables and its lists of files."),
]
CaseOption = Annotated[
    str | None, typer.Option("--case", metavar="CASE", help="The case of names: keep (the default), lower or upper.")
]


@guarded
def load(
    *,
    warehouse: WarehouseOption,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="TARGET",
            help="The DuckDB file, which the first load creates, or a connection of Snowflake's connections.toml.",
        ),
    ] = None,
    table: TablesOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be loaded, and change nothing.")] = False,
    only_print: Annotated[bool, typer.Option("--print", help="Print the SQL instead, as `ddl` does.")] = False,
    settings: SettingsOption = None,
    database: DatabaseOption = None,
    schema: SchemaOption = None,
    stage: StageOption = None,
    integration: IntegrationOption = None,
    role: RoleOption = None,
    location: LocationOption = None,
    case: CaseOption = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a warehouse up to date with the bucket: each commit of a run that it does not have, in order, once.

    Reads every manifest, and what the warehouse has (its table _rds_to_s3_loads). Deletes come before rows, rows are
    merged by key, a table in full mode is replaced, rows without a key are appended. Each batch is one transaction, so
    it may be stopped and repeated at any time. Each file is compared with its manifest before it is loaded.
    """
    names = _names(settings, database, schema, stage, integration, role, location, case)
    session = Session.open(stack)
    bucket = session.bucket()
    found = _histories(bucket, table or [])
    if only_print and to is None:
        _print(
            warehouse, bucket, found, {name: each.pending(()) for name, each in found.items()}, names, as_json=as_json
        )
        return
    if to is None:
        raise InvalidInputError("no target given: use --to, or --print for the SQL")
    from rds_to_s3_ops.load.loader import Loader
    from rds_to_s3_ops.load.views import progress_line, results_json, results_lines

    opened = _open(warehouse, to, bucket, names, read_only=dry_run or only_print)
    try:
        loader = Loader(bucket.name, opened, lambda *done: typer.echo(progress_line(*done), err=True))
        if only_print:
            _print(warehouse, bucket, found, loader.pending(found), names, as_json=as_json)
            return
        results = loader.load(found, dry_run=dry_run)
    finally:
        opened.close()
    if as_json:
        print_json(results_json(warehouse, to, results))
    else:
        typer.echo("\n".join(results_lines(results)))
    if any(result.status == "FAILED" for result in results):
        raise typer.Exit(1)


@guarded
def print_ddl(
    *,
    table: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="May be a pattern. By default, every table.")
    ] = None,
    warehouse: WarehouseOption,
    everything: Annotated[
        bool, typer.Option("--all", help="Every commit that a table still needs, which is the default.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="RUN", help="Only the commits of this run and of later ones.")
    ] = None,
    settings: SettingsOption = None,
    database: DatabaseOption = None,
    schema: SchemaOption = None,
    stage: StageOption = None,
    integration: IntegrationOption = None,
    role: RoleOption = None,
    location: LocationOption = None,
    case: CaseOption = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the SQL that brings a warehouse up to date, for a first load as well as for every later one.

    The script applies what the warehouse does not have, in order, and records it in the same transaction. So it may be
    run again at any time. It needs only the commits since the last one with all rows. Comments list the values that the
    warehouse cannot store. `load --print` prints the same.
    """
    if everything and since is not None:
        raise InvalidInputError("--all and --since exclude each other: give one of them")
    names = _names(settings, database, schema, stage, integration, role, location, case)
    bucket = Session.open(stack).bucket()
    found = _histories(bucket, [table] if table else [])
    if since is None:
        commits = {name: history.pending(()) for name, history in found.items()}
    else:
        manifest = bucket.manifest(run_id_of(since))
        if manifest is None:
            raise NotFoundError(f"run {run_id_of(since)!r} has no manifest")
        commits = {name: each.since(manifest.run_id, manifest.started_at) for name, each in found.items()}
    _print(warehouse, bucket, found, commits, names, as_json=as_json)


def _print(
    warehouse: Warehouse,
    bucket: Bucket,
    found: dict[str, TableHistory],
    commits: dict[str, list[Delivery]],
    names: Names,
    *,
    as_json: bool,
) -> None:
    retyped = {name: history.retyped for name, history in found.items()}
    made = scripts(warehouse, bucket.name, dict(sorted(commits.items())), names, retyped)
    if as_json:
        print_json([{"table": each.table, "notes": each.notes, "statements": each.statements} for each in made])
    else:
        typer.echo("\n".join(each.text() for each in made), nl=False)


def _open(warehouse: Warehouse, to: str, bucket: Bucket, names: Names, *, read_only: bool) -> LoadedWarehouse:
    if warehouse == "duckdb":
        from rds_to_s3_ops.load.duckdb_warehouse import DuckDbWarehouse

        if names != Names():
            raise InvalidInputError(
                "a DuckDB file is loaded into its main schema, under the source's names: leave out the options for "
                "names, or use --print"
            )
        return DuckDbWarehouse(Path(to), bucket, read_only=read_only)
    if warehouse == "snowflake":
        from rds_to_s3_ops.load.snowflake_warehouse import SnowflakeWarehouse, connect

        return SnowflakeWarehouse(connect(to, names), bucket, names)
    raise InvalidInputError(f"--for {warehouse} is not loaded by this command: use --print, and run the SQL there")


def _histories(bucket: Bucket, tables: Iterable[str]) -> dict[str, TableHistory]:
    names = list(tables)
    wanted = Wanted(names) if names else None
    found = histories(bucket.every_manifest(), wanted)
    if wanted is not None:
        wanted.refuse_unknown()
    return found


def _names(settings: Path | None, *given: str | None) -> Names:
    """Return the options of a file and of the command line; the latter take precedence."""
    known = [field.name for field in fields(Names)]
    order = ("database", "schema", "stage", "integration", "role", "location", "case")
    values: dict[str, str] = {}
    if settings is not None:
        try:
            values = tomllib.loads(settings.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidInputError(f"--settings {settings}: {error}") from None
        if unknown := [name for name in values if name not in known]:
            raise InvalidInputError(f"--settings {settings}: {unknown[0]!r} is none of {', '.join(known)}")
        if wrong := [name for name, value in values.items() if not isinstance(value, str)]:
            raise InvalidInputError(f"--settings {settings}: {wrong[0]} must be a text in quotes")
    values |= {name: value for name, value in zip(order, given, strict=True) if value is not None}
    names = Names(**values)
    if names.case not in {"keep", "lower", "upper"}:
        raise InvalidInputError(f"--case {names.case}: use keep, lower or upper")
    return names
