"""Snowflake: a file format, an external stage, COPY into a temporary table, and MERGE."""

from __future__ import annotations

from collections.abc import Sequence

from rds_to_s3.table_state import data_prefix
from rds_to_s3_ops.warehouses.sql import (
    TableLoad,
    create_table,
    definition,
    merge,
    name,
    names,
    select,
    text,
    unused_name,
)
from rds_to_s3_ops.warehouses.types import WarehouseColumn


def statements(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return the statements."""
    file_format, stage, loaded = (name(f"{load.table}_{part}") for part in (load.format, "stage", "load"))
    prefix = data_prefix(load.table, load.format)
    options = _csv_options(load) if load.format == "csv" else _parquet_options()
    values = _csv_values(columns) if load.format == "csv" else _parquet_values(columns)
    files = ",\n  ".join(text(file.removeprefix(prefix)) for file in load.files)
    file_name = name(unused_name("_file", columns))
    # A row may be in two files of a run: the later one counts.
    newest = (
        f"\n  QUALIFY ROW_NUMBER() OVER (PARTITION BY {names(load.key)} ORDER BY {file_name} DESC) = 1"
        if load.key
        else ""
    )
    rows = select((name(column.name) for column in columns), loaded, newest)
    return [
        f"CREATE FILE FORMAT IF NOT EXISTS {file_format}\n{options}",
        f"CREATE STAGE IF NOT EXISTS {stage}\n  URL = {text(f's3://{load.bucket}/{prefix}')}\n"
        "  STORAGE_INTEGRATION = YOUR_INTEGRATION",
        create_table(load, columns),
        f"CREATE OR REPLACE TEMPORARY TABLE {loaded} (\n  "
        + ",\n  ".join([*(definition(column) for column in columns), f"{file_name} VARCHAR"])
        + "\n)",
        f"COPY INTO {loaded} ({names(column.name for column in columns)}, {file_name})\n"
        f"FROM ({select([*values, 'METADATA$FILENAME'], f'@{stage}')})\n"
        f"FILES = ({files})\nFILE_FORMAT = (FORMAT_NAME = {text(file_format)})\nON_ERROR = ABORT_STATEMENT",
        merge(load, columns, rows),
    ]


def _csv_options(load: TableLoad) -> str:
    # An empty field is NULL by EMPTY_FIELD_AS_NULL, and "" the empty string since fields may be enclosed. NULL_IF must
    # be empty, or the text \\N would be NULL; ESCAPE_UNENCLOSED_FIELD is the backslash unless told otherwise:
    # https://docs.snowflake.com/en/sql-reference/sql/create-file-format
    # https://docs.snowflake.com/en/user-guide/data-unload-considerations
    return (
        f"  TYPE = CSV COMPRESSION = {'GZIP' if load.is_gzipped else 'NONE'} ENCODING = 'UTF8' SKIP_HEADER = 1\n"
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
