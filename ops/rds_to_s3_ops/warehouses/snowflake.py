"""Snowflake: a file format, an external stage, COPY into a temporary table, and MERGE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rds_to_s3.bucket_keys import segment
from rds_to_s3_ops.warehouses.sql import (
    TableLoad,
    add_columns,
    create_table,
    definition,
    delete,
    merge,
    name,
    names,
    select,
    text,
    unused_name,
)
from rds_to_s3_ops.warehouses.types import WarehouseColumn

_MOST_FILES = 1000  # of FILES: https://docs.snowflake.com/en/user-guide/data-load-considerations-load


def statements(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return the statements."""
    return [
        f"CREATE STAGE IF NOT EXISTS {_stage(load)}\n"
        f"  URL = {text(f's3://{load.bucket}/{segment(load.table)}/')}\n  STORAGE_INTEGRATION = YOUR_INTEGRATION",
        # https://docs.snowflake.com/en/sql-reference/sql/alter-table
        *([create_table(load, columns), *add_columns(load, columns)] if load.files else []),
        *_deletes(load, load.deleted_by(columns)),
        *(_rows(load, columns) if load.files else []),
    ]


def _deletes(load: TableLoad, key: Sequence[WarehouseColumn]) -> list[str]:
    if not key:
        return []
    file_format, loaded = name(f"{load.table}_deletes"), _temporary_name(load, "deletes")
    rows = select(_csv_values(key), f"@{_stage(load)}/deletes/")
    return [
        f"CREATE OR REPLACE FILE FORMAT {file_format}\n{_csv_options('none')}",
        _temporary(loaded, map(definition, key)),
        *_copies(f"{loaded} ({names(load.deletes_key)})", rows, load.deletes, file_format),
        # https://docs.snowflake.com/en/sql-reference/sql/delete
        delete(load.table, load.deletes_key, f"{loaded} AS s", "s"),
    ]


def _rows(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    file_format, loaded = name(f"{load.table}_{load.format}"), _temporary_name(load, "load")
    if load.format == "csv":
        options, values = _csv_options(load.compression), _csv_values(columns)
    else:
        options, values = _parquet_options(), _parquet_values(columns)
    every, file_name = names(column.name for column in columns), name(unused_name("_file", columns))
    # A row may be in two files of a run: the later one counts.
    newest = (
        f"\n  QUALIFY ROW_NUMBER() OVER (PARTITION BY {names(load.key)} ORDER BY {file_name} DESC) = 1"
        if load.key
        else ""
    )
    copied = select([*values, "METADATA$FILENAME"], f"@{_stage(load)}/{load.format}/")
    return [
        # Replaced, because the table's compression may have changed.
        f"CREATE OR REPLACE FILE FORMAT {file_format}\n{options}",
        _temporary(loaded, [*map(definition, columns), f"{file_name} VARCHAR"]),
        *_copies(f"{loaded} ({every}, {file_name})", copied, load.files, file_format),
        merge(load, columns, select((name(column.name) for column in columns), loaded, newest)),
    ]


def _stage(load: TableLoad) -> str:
    return name(f"{load.table}_files")


def _temporary_name(load: TableLoad, what: str) -> str:
    # The name has the run: a temporary table hides another of the same name, which the session may also load:
    # https://docs.snowflake.com/en/user-guide/tables-temp-transient
    return name(f"{load.table}_{what}_{load.run_id}")


def _temporary(table: str, definitions: Iterable[str]) -> str:
    return f"CREATE OR REPLACE TEMPORARY TABLE {table} (\n  " + ",\n  ".join(definitions) + "\n)"


def _copies(into: str, rows: str, files: Sequence[str], file_format: str) -> list[str]:
    return [
        f"COPY INTO {into}\nFROM ({rows})\n"
        f"FILES = ({_listed(files[first : first + _MOST_FILES])})\n"
        f"FILE_FORMAT = (FORMAT_NAME = {text(file_format)})\nON_ERROR = ABORT_STATEMENT"
        for first in range(0, len(files), _MOST_FILES)
    ]


def _listed(files: Sequence[str]) -> str:
    # Relative to the stage's folder; a table's name has no slash in a key.
    return ",\n  ".join(text(file.rpartition("/")[2]) for file in files)


def _csv_options(compression: str) -> str:
    # EMPTY_FIELD_AS_NULL makes an empty field NULL; "" is the empty string, as fields may be enclosed. NULL_IF must
    # be empty, or the text \\N would be NULL; ESCAPE_UNENCLOSED_FIELD is the backslash by default:
    # https://docs.snowflake.com/en/sql-reference/sql/create-file-format
    # https://docs.snowflake.com/en/user-guide/data-unload-considerations
    return (
        f"  TYPE = CSV COMPRESSION = {compression.upper()} ENCODING = 'UTF8' SKIP_HEADER = 1\n"
        "  FIELD_DELIMITER = ',' RECORD_DELIMITER = '\\n' FIELD_OPTIONALLY_ENCLOSED_BY = '\"'\n"
        "  ESCAPE = NONE ESCAPE_UNENCLOSED_FIELD = NONE EMPTY_FIELD_AS_NULL = TRUE NULL_IF = ()\n"
        "  TRIM_SPACE = FALSE SKIP_BLANK_LINES = FALSE BINARY_FORMAT = HEX ERROR_ON_COLUMN_COUNT_MISMATCH = TRUE"
    )


def _parquet_options() -> str:
    # Without the logical types a timestamp would be a number; the same page, TYPE = PARQUET.
    return "  TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE NULL_IF = ()"


def _csv_values(columns: Sequence[WarehouseColumn]) -> list[str]:
    return [
        f"TO_BINARY(${number}, 'HEX')" if column.kind == "binary" else f"${number}"
        for number, column in enumerate(columns, 1)
    ]


def _parquet_values(columns: Sequence[WarehouseColumn]) -> list[str]:
    return [f"$1:{name(column.name)}::{column.type}" for column in columns]
