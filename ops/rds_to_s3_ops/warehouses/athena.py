"""Athena: an external table over the run's files, and MERGE into an Iceberg table.

The files lie beside ``last_extract.txt``, and Athena reads whatever lies in a location, so the external table is over a
list of files: https://docs.aws.amazon.com/athena/latest/ug/tables-location-format.html
"""

from __future__ import annotations

from collections.abc import Sequence

from rds_to_s3_ops.warehouses.sql import TableLoad, merge, name, names, select, unused_name
from rds_to_s3_ops.warehouses.types import WarehouseColumn

# https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html
_CSV_NOTES = [
    "Athena's reader of CSV does not tell NULL from the empty string (both become NULL here), and knows no line breaks",
    "inside values: for a table with such text, set its format to parquet.",
]
# https://docs.aws.amazon.com/athena/latest/ug/data-types.html
_PARQUET_NOTES = ["Over files, Athena reads timestamps to the millisecond, and Parquet's unsigned numbers as signed."]
_CSV_SERDE = (
    "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'\n"
    "WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '\"', 'escapeChar' = '\"')"
)
_PARQUET_SERDE = "ROW FORMAT SERDE 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'"


def notes(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:  # noqa: ARG001 - as the others have it
    """Return what a person should know, and the list of files that is to be written."""
    return [
        *(_CSV_NOTES if load.format == "csv" else _PARQUET_NOTES),
        f"Write these lines to s3://YOUR_BUCKET/{load.table}_load/files.txt:",
        *(f"  s3://{load.bucket}/{file}" for file in load.files),
    ]


def statements(load: TableLoad, columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return the statements."""
    is_csv, loaded = load.format == "csv", f"{load.table}_load"
    fields = ", ".join(f"{tick(column.name)} {'string' if is_csv else column.type}" for column in columns)
    values = [f"{_from_text(column)} AS {name(column.name)}" if is_csv else name(column.name) for column in columns]
    rows = select(values, name(loaded))
    if load.key:
        # A row may be in two files of a run: the later one counts.
        rank = name(unused_name("_rank", columns))
        ranking = f'ROW_NUMBER() OVER (PARTITION BY {names(load.key)} ORDER BY "$path" DESC) AS {rank}'
        ranked = select([*values, ranking], name(loaded))
        rows = select((name(column.name) for column in columns), f"({ranked}) AS r", f" WHERE {rank} = 1")
    properties = "\nTBLPROPERTIES ('skip.header.line.count' = '1')" if is_csv else ""
    target = ",\n  ".join(f"{tick(column.name)} {column.type}" for column in columns)
    return [
        f"CREATE EXTERNAL TABLE {tick(loaded)} ({fields})\n{_CSV_SERDE if is_csv else _PARQUET_SERDE}\n"
        "STORED AS INPUTFORMAT 'org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat'\n"
        "OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'\n"
        f"LOCATION 's3://YOUR_BUCKET/{loaded}/'{properties}",
        f"CREATE TABLE IF NOT EXISTS {tick(load.table)} (\n  {target}\n)\n"
        f"LOCATION 's3://YOUR_BUCKET/{load.table}/'\nTBLPROPERTIES ('table_type' = 'ICEBERG')",
        merge(load, columns, rows),
    ]


def _from_text(column: WarehouseColumn) -> str:
    value = f"NULLIF({name(column.name)}, '')"
    if column.kind == "binary":
        return f"FROM_HEX({value})"
    if column.type == "string":
        return value
    kind = {"timestamp": "timestamp(6)", "int": "integer"}.get(column.type, column.type)
    return f"CAST({value} AS {kind})"


def tick(identifier: str) -> str:
    """Quote an identifier in Hive's DDL."""
    return "`" + identifier.replace("`", "``") + "`"
