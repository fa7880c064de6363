"""Redshift: COPY into a temporary table, file by file, and MERGE from it, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from rds_to_s3_ops.warehouses.sql import (
    HAND_NOTE,
    TableLoad,
    create_table,
    definition,
    delete,
    merge,
    name,
    names,
    select,
    text,
)
from rds_to_s3_ops.warehouses.types import WarehouseColumn

# An empty field is two delimiters in succession, and NULL in a VARCHAR only with EMPTYASNULL:
# https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-data-conversion.html
# VARBYTE is read as hexadecimal: https://docs.aws.amazon.com/redshift/latest/dg/r_VARBYTE_type.html
_CSV = "FORMAT AS CSV QUOTE AS '\"' IGNOREHEADER 1 EMPTYASNULL DATEFORMAT 'auto' TIMEFORMAT 'auto'"
CASE_NOTE = "Names keep their case only with: SET enable_case_sensitive_identifier TO true;"


def notes(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return notes for the operator."""
    from rds_to_s3.formats.arrow_types import arrow_type  # noqa: PLC0415 - it brings pyarrow, which takes its time

    notes = [CASE_NOTE, *([HAND_NOTE] if load.files else [])]
    # One column each, and no IF NOT EXISTS: https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE.html
    notes += [
        f"  ALTER TABLE {name(load.table)} ADD COLUMN {name(column.name)} {column.type};"
        for column in load.added(columns)
    ]
    unsigned = [column.name for column in columns if str(arrow_type(column.output_column)).startswith("uint")]
    if load.format == "parquet" and unsigned:
        # https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html
        notes.append(
            f"{', '.join(unsigned)}: unsigned in Parquet, which COPY may refuse; extract the table as CSV then"
        )
    return notes


def statements(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return the statements."""
    return [
        *([create_table(load, columns)] if load.files else []),
        "BEGIN",
        *_deletes(load, load.deleted_by(columns)),
        *(_rows(load, columns) if load.files else []),
        "COMMIT",
    ]


def _deletes(load: TableLoad, key: Sequence[WarehouseColumn]) -> list[str]:
    if not key:
        return []
    loaded = f"{load.table}_deletes"
    return [
        _temporary(loaded, key),
        *(_copy(loaded, load.deletes_key, f"s3://{load.bucket}/{file}", _CSV) for file in load.deletes),
        # https://docs.aws.amazon.com/redshift/latest/dg/r_DELETE.html
        delete(load.table, load.deletes_key, name(loaded), name(loaded)),
        f"DROP TABLE {name(loaded)}",
    ]


def _rows(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return the statements that load the rows, each key once, and merge them.

    Temporary tables hide others of the same name, and end with the transaction:
    https://docs.aws.amazon.com/redshift/latest/dg/r_search_path.html
    """
    loaded, single = f"{load.table}_load", f"{load.table}_file"
    every = [column.name for column in columns]
    first, *later = (f"s3://{load.bucket}/{file}" for file in load.files)
    options = _options(load)
    parts = [_temporary(loaded, columns), _copy(loaded, every, first, options)]
    if not load.key:
        parts += [_copy(loaded, every, file, options) for file in later]
    elif later:
        parts.append(_temporary(single, columns))
        for file in later:
            # A row may be in two files of a run: the later one counts. TRUNCATE would commit.
            parts += [
                _copy(single, every, file, options),
                delete(loaded, load.key, name(single), name(single)),
                f"INSERT INTO {name(loaded)} ({names(every)})\n{select(map(name, every), name(single))}",
                f"DELETE FROM {name(single)}",  # noqa: S608 - a quoted name
            ]
        parts.append(f"DROP TABLE {name(single)}")
    # The target has no alias, and the source is a table: https://docs.aws.amazon.com/redshift/latest/dg/r_MERGE.html
    rows = select(map(name, every), name(loaded))
    return [*parts, merge(load, columns, rows, alias="", table=loaded), f"DROP TABLE {name(loaded)}"]


def _temporary(table: str, columns: Sequence[WarehouseColumn]) -> str:
    return f"CREATE TEMP TABLE {name(table)} (\n  " + ",\n  ".join(definition(column) for column in columns) + "\n)"


def _copy(table: str, columns: Sequence[str], file: str, options: str) -> str:
    return f"COPY {name(table)} ({names(columns)})\nFROM {text(file)}\nIAM_ROLE DEFAULT\n{options}"


def _options(load: TableLoad) -> str:
    if load.format == "parquet":
        return "FORMAT AS PARQUET"
    return _CSV + (f" {load.compression.upper()}" if load.compression != "none" else "")
