"""Athena's tables over the files themselves, in the layout `hive`: nothing is loaded, and no list of files is written.

A partition's folder holds data files only, which is why the layout `flat` needs lists: ``last_extract.txt`` is beside
its files, and Athena reads every file in a location.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from rds_to_s3.aws.glue import files_table
from rds_to_s3.bucket_keys import data_prefix, partition_of
from rds_to_s3.manifest.partitions import PARTITIONED_BY as PARTITION
from rds_to_s3.manifest.partitions import SINCE
from rds_to_s3.mysql.catalogue.schema import TableColumn
from rds_to_s3.rows.column_type import ColumnType
from rds_to_s3_ops.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from rds_to_s3.commit.entries import ColumnEntry, TableEntry
    from rds_to_s3.reported.manifest import Manifest
    from rds_to_s3_ops.deployment.bucket import Bucket

MOST_DIGITS = 38
# Every field is text. The escape is a character that no file has; with a quote there, backslashes would be lost.
# https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html
_CSV = (
    "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'\n"
    "WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '\"', 'escapeChar' = '\\u0001')\nSTORED AS TEXTFILE"
)
_CSV_NOTES = (
    "Athena reads NULL and the empty string of CSV alike, and no line break inside a value: then use parquet.",
    "It reads CSV by position: for a table whose columns may change, use parquet.",
)
_PARQUET_NOTES = ("Athena reads timestamps to the millisecond.",)


@dataclass(frozen=True)
class HiveTable:
    """A table's files in the layout `hive`.

    Attributes
    ----------
    entry : TableEntry
        The newest with such files.
    bucket : str
    others_until : str
        The last day that has CSV files with other columns, which Athena would read by position; empty for none.
    """

    entry: TableEntry
    bucket: str
    others_until: str = ""


def hive_tables(bucket: Bucket, table: str | None) -> list[HiveTable]:
    """Return each table of the newest run, or one table, that has files in the layout `hive`. Reads every manifest.

    Raises
    ------
    NotFoundError
        There is none.
    """
    newest = bucket.latest_manifest()
    if newest is None:
        raise NotFoundError("no run has finished yet")
    wanted = [table] if table else [entry.table for entry in newest.tables]
    found = _found(bucket.newest_manifests(), bucket.name, wanted)
    if not found:
        what = f"table {table!r} has no files" if table else f"no table of the newest run, {newest.run_id}, has files"
        raise NotFoundError(
            f'{what} in the layout "hive", which partitions need: rds-to-s3 tables add {table or "TABLE"} '
            f"--set layout=hive, and run{'' if table else '. For a table of another run: rds-to-s3 catalogue TABLE'}"
        )
    return [found[name] for name in wanted if name in found]


def _found(manifests: Iterable[Manifest], bucket: str, wanted: Sequence[str]) -> dict[str, HiveTable]:
    found: dict[str, HiveTable] = {}
    for manifest in manifests:
        for entry in manifest.tables:
            days = {day: file.columns or entry.names for file in entry.files if (day := partition_of(file.key))}
            if entry.table not in wanted or not days:
                continue
            newest = found.setdefault(entry.table, HiveTable(entry, bucket))
            now = newest.entry.names
            # Columns that were added at the end are NULL in earlier files.
            others = [day for day, names in days.items() if names != now[: len(names)]]
            if entry.format == newest.entry.format == "csv" and others:
                found[entry.table] = replace(newest, others_until=max([newest.others_until, *others]))
    return found


def statements(table: HiveTable) -> list[str]:
    """Return the statements for a table: the table over its files, and the view of its rows as they are now.

    Raises
    ------
    InvalidInputError
        A column has the partitions' name.
    """
    entry = table.entry
    if PARTITION in (name.lower() for name in entry.names):
        raise InvalidInputError(
            f"table {entry.table!r} has a column {PARTITION}, which is the name of the partitions: give it "
            "another with rename, or leave it out with exclude_columns"
        )
    view = _view(entry)
    return [_table(table), *([view] if view else [])]


def notes(table: HiveTable) -> list[str]:
    """Return what the reader of these statements must know."""
    entry, bucket = table.entry, table.bucket
    name = files_table(entry.table)
    found = [
        f"{entry.table} for athena: a table over s3://{bucket}/{data_prefix(entry.table, entry.format)}, a partition a "
        "day.",
        f"Each run registers new days if the stack has GlueDatabase. Without it: MSCK REPAIR TABLE {_tick(name)};",
    ]
    found += _CSV_NOTES if entry.format == "csv" else _PARQUET_NOTES
    if table.others_until:
        found.append(
            f"Files up to dt={table.others_until} have other columns and are not in this table. From the next day on, "
            f"rds-to-s3 rewind {entry.table} --all delivers their rows again."
        )
    found += [
        f"{column.name}: {MOST_DIGITS} digits are the most that Athena reads from Parquet; extract the table as CSV"
        for column in entry.columns
        if entry.format == "parquet" and _is_too_long(column)
    ]
    if entry.mode == "full":
        found.append(
            "Only the newest run's files count, and an empty one has no row to show it: load the table instead."
        )
    elif _tracks_deletes(entry):
        found.append("Deletes are tracked, and no view can order them among the rows: load the table instead.")
    elif not entry.key:
        found.append("The table has no key, or its files lack it: every version of a row is a row.")
    return found


def script(table: HiveTable) -> str:
    """Return the statements as a script, with the notes in comments."""
    comments = "".join(f"-- {note}\n" for note in notes(table))
    return comments + "\n" + "\n\n".join(f"{statement};" for statement in statements(table)) + "\n"


def _table(table: HiveTable) -> str:
    entry, is_csv = table.entry, table.entry.format == "csv"
    fields = ",\n  ".join(
        f"{_tick(column.name)} {'string' if is_csv else _stored(column)[0]}" for column in entry.columns
    )
    location = f"s3://{table.bucket}/{data_prefix(entry.table, entry.format)}".replace("'", "''")
    since = date.fromisoformat(table.others_until) + timedelta(days=1) if table.others_until else None
    properties = ["'skip.header.line.count' = '1'"] * is_csv + [f"'{SINCE}' = '{since}'"] * bool(since)
    listed = f"\nTBLPROPERTIES ({', '.join(properties)})" if properties else ""
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS {_tick(files_table(entry.table))} (\n  {fields}\n)\n"
        f"PARTITIONED BY ({_tick(PARTITION)} string)\n"
        f"{_CSV if is_csv else 'STORED AS PARQUET'}\nLOCATION '{location}'{listed}"
    )


def _view(entry: TableEntry) -> str | None:
    """Return the view of each row's newest version; None where files alone do not say which that is."""
    if entry.mode == "full" or _tracks_deletes(entry) or not entry.key:
        return None
    table = files_table(entry.table)
    read = _text if entry.format == "csv" else lambda column: _stored(column)[1]
    values = ",\n  ".join(f"{read(column)} AS {_quoted(column.name)}" for column in entry.columns)
    columns = ", ".join(_quoted(column.name) for column in entry.columns)
    # The window's end is in the name of a file, and a later part has the later version.
    key = ", ".join(_quoted(name) for name in entry.key)
    rank = f'row_number() OVER (PARTITION BY {key} ORDER BY "$path" DESC)'
    newest = _quoted(_unused("_newest", entry.names))
    return (
        f"CREATE OR REPLACE VIEW {_quoted(table.removesuffix('_files'))} AS\n"
        f"SELECT {columns} FROM (SELECT\n  {values},\n  {rank} AS {newest}\nFROM {_quoted(table)}) WHERE {newest} = 1"
    )


def _tracks_deletes(entry: TableEntry) -> bool:
    """Return whether deletes are tracked, also where this run has found none: other runs have."""
    return entry.has("deleted_rows") or bool(entry.deletes)


def _text(column: ColumnEntry) -> str:
    """Return the expression that yields a column's values from text."""
    mysql, value = ColumnType.parse(column.type), f"NULLIF({_quoted(column.name)}, '')"
    if _kind(column) == "binary":
        return f"FROM_HEX({_quoted(column.name) if not column.nullable else value})"
    if mysql.bits:
        return f"CAST({value} AS {'decimal(20, 0)' if mysql.bits == 64 and mysql.unsigned else 'bigint'})"
    if mysql.name == "decimal" and mysql.precision <= MOST_DIGITS:
        return f"CAST({value} AS decimal({mysql.precision}, {mysql.scale}))"
    if kind := {"year": "integer", "float": "double", "double": "double"}.get(mysql.name):
        return f"CAST({value} AS {kind})"
    if kind := {"date": "date", "datetime": "timestamp(6)", "timestamp": "timestamp(6)"}.get(mysql.name):
        return f"TRY_CAST({value} AS {kind})"  # a zero date becomes NULL, as in Parquet
    return value if column.nullable else _quoted(column.name)


def _stored(column: ColumnEntry) -> tuple[str, str]:
    """Return a column's type in Parquet, as Athena knows it, and the expression that yields its values.

    Athena has no unsigned numbers and reads those of 32 and 64 bits as signed ones.
    https://docs.aws.amazon.com/athena/latest/ug/data-types.html
    """
    mysql, name = ColumnType.parse(column.type), _quoted(column.name)
    if _kind(column) == "binary":
        return "binary", name
    if mysql.bits == 64 and mysql.unsigned:
        lifted = f"IF({name} < 0, DECIMAL '18446744073709551616', DECIMAL '0')"
        return "bigint", f"CAST(CAST({name} AS decimal(20, 0)) + {lifted} AS decimal(20, 0))"
    if mysql.bits == 32 and mysql.unsigned:
        return "int", f"CAST({name} AS bigint) + IF({name} < 0, 4294967296, 0)"
    if mysql.bits:
        return "bigint" if mysql.bits == 64 else "int", name
    if mysql.name == "decimal":
        return f"decimal({min(mysql.precision, MOST_DIGITS)}, {mysql.scale})", name
    plain = {"year": "int", "float": "double", "double": "double", "date": "date"}
    calendar = {"datetime": "timestamp", "timestamp": "timestamp"}
    return (plain | calendar).get(mysql.name, "string"), name


def _is_too_long(column: ColumnEntry) -> bool:
    mysql = ColumnType.parse(column.type)
    return mysql.name == "decimal" and mysql.precision > MOST_DIGITS


def _kind(column: ColumnEntry) -> str:
    return TableColumn(column.name, ColumnType.parse(column.type).name, column.type, nullable=True).kind


def _unused(wanted: str, names: Sequence[str]) -> str:
    taken = {name.lower() for name in names}
    while wanted in taken:
        wanted += "_"
    return wanted


def _tick(identifier: str) -> str:
    """Quote an identifier in Hive's DDL."""
    return "`" + identifier.replace("`", "``") + "`"


def _quoted(identifier: str) -> str:
    """Quote an identifier in Trino's SQL."""
    return '"' + identifier.replace('"', '""') + '"'
