"""Athena: an external table over the run's files, and MERGE into an Iceberg table.

The files are beside ``last_extract.txt``, and Athena reads every file in a location. So the external table uses a
list of files: https://docs.aws.amazon.com/athena/latest/ug/tables-location-format.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rds_to_s3_ops.warehouses.sql import (
    HAND_NOTE,
    TableLoad,
    merge,
    merge_deletes,
    name,
    names,
    select,
    text,
    unused_name,
)
from rds_to_s3_ops.warehouses.types import WarehouseColumn

# https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html
_CSV_NOTES = [
    "Athena's CSV reader does not tell NULL from the empty string (both become NULL), and allows no line breaks",
    "inside values: for a table with such text, set its format to parquet.",
]
# https://docs.aws.amazon.com/athena/latest/ug/data-types.html
_PARQUET_NOTES = ["Over files, Athena reads timestamps to the millisecond."]
_CSV_SERDE = (
    "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'\n"
    "WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '\"', 'escapeChar' = '\"')"
)
_PARQUET_SERDE = "ROW FORMAT SERDE 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'"
# Unsigned numbers of 32 and 64 bits are INT32 and INT64, and read as signed ones of that width, for a column of Parquet
# is read as no other type: https://github.com/apache/parquet-format/blob/master/LogicalTypes.md,
# https://docs.aws.amazon.com/athena/latest/ug/updates-changing-column-type.html
_UNSIGNED = {
    ("uint32", "bigint"): ("int", "CAST({0} AS bigint) + IF({0} < 0, 4294967296, 0)"),
    # The sum of two decimals has a digit more than they: https://trino.io/docs/current/functions/decimal.html
    ("uint64", "decimal(20, 0)"): (
        "bigint",
        "CAST(CAST({0} AS decimal(20, 0)) + IF({0} < 0, DECIMAL '18446744073709551616', DECIMAL '0')"
        " AS decimal(20, 0))",
    ),
}


def notes(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return notes for the operator, and the lists of files to write."""
    notes: list[str] = []
    if load.files:
        notes.append(HAND_NOTE)
        # No IF NOT EXISTS: https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-alter-table-add-columns.html
        if added := ", ".join(f"{tick(column.name)} {column.type}" for column in load.added(columns)):
            notes.append(f"  ALTER TABLE {tick(load.table)} ADD COLUMNS ({added});")
        notes += _CSV_NOTES if load.format == "csv" else _PARQUET_NOTES
    for what, files in (("deletes", load.deletes if load.deleted_by(columns) else ()), ("load", load.files)):
        if files:
            notes.append(f"Write these lines to {_location(load, what)}files.txt:")
            notes += [f"  s3://{load.bucket}/{file}" for file in files]
    return notes


def statements(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return the statements."""
    return [
        *([_create_table(load, columns)] if load.files else []),
        *_deletes(load, load.deleted_by(columns)),
        *(_rows(load, columns) if load.files else []),
    ]


def _create_table(load: TableLoad, columns: Sequence[WarehouseColumn]) -> str:
    fields = ",\n  ".join(f"{tick(column.name)} {column.type}" for column in columns)
    return (
        f"CREATE TABLE IF NOT EXISTS {tick(load.table)} (\n  {fields}\n)\n"
        f"LOCATION 's3://YOUR_BUCKET/{load.table}/'\nTBLPROPERTIES ('table_type' = 'ICEBERG')"
    )


def _deletes(load: TableLoad, key: Sequence[WarehouseColumn]) -> list[str]:
    if not key:
        return []
    loaded = _external_name(load, "deletes")
    fields = [f"{tick(column.name)} string" for column in key]
    keys = select([f"DISTINCT {_from_csv(key[0])[1]}", *(_from_csv(column)[1] for column in key[1:])], name(loaded))
    return [
        *_external(load, "deletes", fields, is_csv=True),
        merge_deletes(load, keys),
        _drop(loaded),
    ]


def _rows(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    loaded, is_csv = _external_name(load, "load"), load.format == "csv"
    read = [_from_csv(column) if is_csv else _from_parquet(column) for column in columns]
    values = [value for _, value in read]
    rows = select(values, name(loaded))
    if load.key:
        # A row may be in two files of a run: the later one counts.
        rank = name(unused_name("_rank", columns))
        ranking = f'ROW_NUMBER() OVER (PARTITION BY {names(load.key)} ORDER BY "$path" DESC) AS {rank}'
        ranked = select([*values, ranking], name(loaded))
        rows = select((name(column.name) for column in columns), f"({ranked}) AS r", f" WHERE {rank} = 1")
    fields = [f"{tick(column.name)} {declared}" for column, (declared, _) in zip(columns, read, strict=True)]
    return [
        *_external(load, "load", fields, is_csv=is_csv),
        merge(load, columns, rows),
        _drop(loaded),
    ]


def _external(load: TableLoad, what: str, fields: Sequence[str], *, is_csv: bool) -> list[str]:
    """Return the statements that create the table over a list of files, again if an earlier script did not finish."""
    table = _external_name(load, what)
    properties = "\nTBLPROPERTIES ('skip.header.line.count' = '1')" if is_csv else ""
    return [
        _drop(table),
        f"CREATE EXTERNAL TABLE {tick(table)} ({', '.join(fields)})\n{_CSV_SERDE if is_csv else _PARQUET_SERDE}\n"
        "STORED AS INPUTFORMAT 'org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat'\n"
        "OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'\n"
        f"LOCATION {text(_location(load, what))}{properties}",
    ]


def _external_name(load: TableLoad, what: str) -> str:
    # The run in the name prevents a DROP of someone else's table.
    return f"{load.table}_{what}_{re.sub(r'[^A-Za-z0-9]', '_', load.run_id)}"


def _drop(table: str) -> str:
    # Of an external table, only the definition goes: https://docs.aws.amazon.com/athena/latest/ug/drop-table.html
    return f"DROP TABLE IF EXISTS {tick(table)}"


def _location(load: TableLoad, what: str) -> str:
    # A folder for each run: Athena reads every file in it as a list.
    return f"s3://YOUR_BUCKET/{load.table}_{what}/{load.run_id}/"


def _from_csv(column: WarehouseColumn) -> tuple[str, str]:
    """Return a column's type in the external table, and the expression that yields its values."""
    value = f"NULLIF({name(column.name)}, '')"
    if column.kind == "binary" or column.type == "string":
        value = value if column.nullable else name(column.name)
        value = f"FROM_HEX({value})" if column.kind == "binary" else value
    else:
        kind = {"timestamp": "timestamp(6)", "int": "integer"}.get(column.type, column.type)
        value = f"CAST({value} AS {kind})"
    return "string", f"{value} AS {name(column.name)}"


def _from_parquet(column: WarehouseColumn) -> tuple[str, str]:
    """Return the same for Parquet."""
    from rds_to_s3.formats.arrow_types import arrow_type  # noqa: PLC0415 - it brings pyarrow, which takes its time

    quoted = name(column.name)
    if (read := _UNSIGNED.get((str(arrow_type(column.output_column)), column.type))) is None:
        return column.type, quoted
    declared, value = read
    return declared, f"{value.format(quoted)} AS {quoted}"


def tick(identifier: str) -> str:
    """Quote an identifier in Hive's DDL."""
    return "`" + identifier.replace("`", "``") + "`"
