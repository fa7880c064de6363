"""DuckDB: reads the list of files from the manifest, and merges them with one statement."""

from __future__ import annotations

from collections.abc import Sequence

from rds_to_s3.bucket_keys import manifest_key
from rds_to_s3_ops.warehouses.sql import (
    TableLoad,
    add_columns,
    create_table,
    delete,
    merge,
    name,
    names,
    select,
    text,
    unused_name,
)
from rds_to_s3_ops.warehouses.types import WarehouseColumn

_LONGEST_LINE = 64 << 20
_TABLES = 'STRUCT("table" VARCHAR, files STRUCT("key" VARCHAR)[], deletes STRUCT("key" VARCHAR)[])[]'


def statements(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return the statements.

    ``source`` may be any copy of the bucket.
    """
    return [
        f"SET VARIABLE source = {text(f's3://{load.bucket}')}",
        # https://duckdb.org/docs/stable/sql/statements/alter_table
        *([create_table(load, columns), *add_columns(load, columns)] if load.files else []),
        *_deletes(load, load.deleted_by(columns)),
        *(_rows(load, columns) if load.files else []),
    ]


def _rows(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    # "filename" unless it is given another name: https://duckdb.org/docs/stable/data/multiple_files/overview
    file_name = unused_name("_file", columns)
    # A row may be in two files of a run: the later one counts.
    newest = (
        f"\n  QUALIFY row_number() OVER (PARTITION BY {names(load.key)} "
        f"ORDER BY list_position(getvariable('files'), {name(file_name)}) DESC) = 1"
        if load.key
        else ""
    )
    if load.format == "csv":
        options = f"filename = {text(file_name)}, compression = {text(load.compression)}"
        rows = _csv_rows("files", columns, options, newest)
    else:
        parquet = f"read_parquet(getvariable('files'), filename = {text(file_name)})"
        rows = select((name(column.name) for column in columns), parquet, newest)
    return [_set_files(load, "files"), merge(load, columns, rows)]


def _deletes(load: TableLoad, key: Sequence[WarehouseColumn]) -> list[str]:
    if not key:
        return []
    keys = _csv_rows("deletes", key, "compression = 'none'")
    # https://duckdb.org/docs/stable/sql/statements/delete
    return [_set_files(load, "deletes"), delete(load.table, load.deletes_key, f"({keys}) AS s", "s")]


def _set_files(load: TableLoad, kind: str) -> str:
    """Return the statement that sets the variable of this name to the manifest's files of that kind."""
    manifest = f"getvariable('source') || {text('/' + manifest_key(load.run_id))}"
    entries = select(["unnest(tables) AS entry"], f"read_json({manifest}, columns = {{tables: {text(_TABLES)}}})")
    files = select([f"unnest(entry.{kind}) AS file"], f'({entries})\n  WHERE entry."table" = {text(load.table)}')
    listed = select(["list(getvariable('source') || '/' || file.key)"], f"({files})")
    return f"SET VARIABLE {kind} = (\n{listed})"


def _csv_rows(variable: str, columns: Sequence[WarehouseColumn], options: str, then: str = "") -> str:
    # allow_quoted_nulls distinguishes "" from an empty field: https://duckdb.org/docs/stable/data/csv/overview
    types = ", ".join(
        f"{text(column.name)}: {text('VARCHAR' if column.kind == 'binary' else column.type)}" for column in columns
    )
    values = (
        f"unhex({name(column.name)}) AS {name(column.name)}" if column.kind == "binary" else name(column.name)
        for column in columns
    )
    return select(
        values,
        f"read_csv(getvariable('{variable}'), auto_detect = false, header = true, delim = ',', quote = '\"', "
        "escape = '\"', new_line = '\\n',\n    nullstr = '', allow_quoted_nulls = false, "
        f"max_line_size = {_LONGEST_LINE},\n    {options}, columns = {{{types}}})",
        then,
    )
