"""DuckDB: the files are taken from the manifest itself, and merged by one statement."""

from __future__ import annotations

from collections.abc import Sequence

from rds_to_s3.table_state import manifest_key
from rds_to_s3_ops.warehouses.sql import TableLoad, create_table, merge, name, names, select, text, unused_name
from rds_to_s3_ops.warehouses.types import WarehouseColumn

_LONGEST_LINE = 64 << 20
_TABLES = 'STRUCT("table" VARCHAR, files STRUCT("key" VARCHAR)[])[]'


def statements(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return the statements.

    ``source`` may be any place that holds a copy of the bucket.
    """
    manifest = f"getvariable('source') || {text('/' + manifest_key(load.run_id))}"
    entries = select(["unnest(tables) AS entry"], f"read_json({manifest}, columns = {{tables: {text(_TABLES)}}})")
    files = select(["unnest(entry.files) AS file"], f'({entries})\n  WHERE entry."table" = {text(load.table)}')
    listed = select(["list(getvariable('source') || '/' || file.key)"], f"({files})")
    is_csv = load.format == "csv"
    values = [
        f"unhex({name(column.name)}) AS {name(column.name)}"
        if is_csv and column.kind == "binary"
        else name(column.name)
        for column in columns
    ]
    # "filename" unless it is given another name: https://duckdb.org/docs/stable/data/multiple_files/overview
    file_name = unused_name("_file", columns)
    # A row may be in two files of a run: the later one counts.
    newest = (
        f"\n  QUALIFY row_number() OVER (PARTITION BY {names(load.key)} "
        f"ORDER BY list_position(getvariable('files'), {name(file_name)}) DESC) = 1"
        if load.key
        else ""
    )
    parquet = f"read_parquet(getvariable('files'), filename = {text(file_name)})"
    rows = select(values, _csv(load, columns, file_name) if is_csv else parquet, newest)
    return [
        f"SET VARIABLE source = {text(f's3://{load.bucket}')}",
        create_table(load, columns),
        f"SET VARIABLE files = (\n{listed})",
        merge(load, columns, rows),
    ]


def _csv(load: TableLoad, columns: Sequence[WarehouseColumn], file_name: str) -> str:
    # allow_quoted_nulls tells "" from nothing: https://duckdb.org/docs/stable/data/csv/overview
    types = ", ".join(
        f"{text(column.name)}: {text('VARCHAR' if column.kind == 'binary' else column.type)}" for column in columns
    )
    return (
        "read_csv(getvariable('files'), auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"', "
        "new_line = '\\n',\n    nullstr = '', allow_quoted_nulls = false, "
        f"filename = {text(file_name)}, max_line_size = {_LONGEST_LINE},\n"
        f"    compression = '{'gzip' if load.is_gzipped else 'none'}', columns = {{{types}}})"
    )
