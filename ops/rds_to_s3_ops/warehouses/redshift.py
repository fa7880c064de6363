"""Redshift: COPY into a temporary table and MERGE, file by file, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from rds_to_s3_ops.warehouses.sql import TableLoad, create_table, definition, merge, name, names, select, text
from rds_to_s3_ops.warehouses.types import WarehouseColumn

CASE_NOTE = "Names keep their case only with: SET enable_case_sensitive_identifier TO true;"


def notes(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return what a person should know."""
    from rds_to_s3.formats.arrow_types import arrow_type  # noqa: PLC0415 - it brings pyarrow, which takes its time

    unsigned = [column.name for column in columns if str(arrow_type(column.output_column)).startswith("uint")]
    if load.format == "parquet" and unsigned:
        # https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html
        return [
            CASE_NOTE,
            f"{', '.join(unsigned)}: unsigned in Parquet, which COPY may refuse; extract the table as CSV then",
        ]
    return [CASE_NOTE]


def statements(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return the statements."""
    loaded = name(f"{load.table}_load")
    every = names(column.name for column in columns)
    parts = [
        create_table(load, columns),
        f"CREATE TEMP TABLE {loaded} (\n  " + ",\n  ".join(definition(column) for column in columns) + "\n)",
        "BEGIN",
    ]
    rows = select((name(column.name) for column in columns), loaded)
    for file in load.files:
        # A row may be in two files of a run, and MERGE takes each key once. TRUNCATE would commit.
        parts += [
            f"DELETE FROM {loaded}",  # noqa: S608 - a quoted name
            f"COPY {loaded} ({every})\nFROM {text(f's3://{load.bucket}/{file}')}\nIAM_ROLE DEFAULT\n{_options(load)}",
            # The target has no alias: https://docs.aws.amazon.com/redshift/latest/dg/r_MERGE.html
            merge(load, columns, rows, alias=""),
        ]
    return [*parts, "COMMIT"]


def _options(load: TableLoad) -> str:
    if load.format == "parquet":
        return "FORMAT AS PARQUET"
    # An empty field is two delimiters in succession, and NULL in a VARCHAR only with EMPTYASNULL:
    # https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-data-conversion.html
    # VARBYTE is read as hexadecimal: https://docs.aws.amazon.com/redshift/latest/dg/r_VARBYTE_type.html
    options = "FORMAT AS CSV QUOTE AS '\"' IGNOREHEADER 1 EMPTYASNULL DATEFORMAT 'auto' TIMEFORMAT 'auto'"
    return options + (" GZIP" if load.is_gzipped else "")
