"""Athena: external tables over the listed files, and one MERGE into an Iceberg table.

Athena reads every file in a location. A folder of the layout `hive` is a partition, and the files of deletes have a
folder. In the layout `flat` the files are beside ``last_extract.txt``, so an external table has a list of files:
https://docs.aws.amazon.com/athena/latest/ug/tables-location-format.html

Athena has no transactions. Each statement is atomic; the record of a load is written last. A script that ended early is
run again: a MERGE that is repeated changes nothing, and rows without a key carry the number of their commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from rds_to_s3.bucket_keys import partition_of
from rds_to_s3_ops.warehouses.batches import Batch, Source, Target
from rds_to_s3_ops.warehouses.redshift import long_decimal_notes, retyped_notes
from rds_to_s3_ops.warehouses.sql import RECORD, Dialect, quoted, select, text
from rds_to_s3_ops.warehouses.types import WarehouseColumn, unused_name

# https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html
_CSV_NOTES = [
    "Athena's CSV reader does not tell NULL from the empty string (both become NULL), and allows no line breaks",
    "inside values: for a table with such text, set its format to parquet.",
]
# https://docs.aws.amazon.com/athena/latest/ug/data-types.html
_PARQUET_NOTES = ["Over files, Athena reads timestamps to the millisecond."]
# Hive's serde takes escapeChar '"' for a backslash. A character that no text has turns escaping off.
_CSV_SERDE = (
    "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'\n"
    "WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '\"', 'escapeChar' = '\\u0001')"
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
_TYPES = {"VARCHAR": "string", "BIGINT": "bigint", "TIMESTAMP": "timestamp"}
_COMMIT = "_rds_to_s3_commit"


@dataclass(frozen=True)
class _External:
    """An external table over files of the same columns."""

    name: str
    sources: list[Source]

    @property
    def is_csv(self) -> bool:
        return self.sources[0].file.format == "csv"

    @property
    def gone(self) -> bool:
        return self.sources[0].gone

    @property
    def names(self) -> tuple[str, ...]:
        return self.sources[0].file.names

    @property
    def days(self) -> dict[str, str]:
        """The folders of the layout `hive` with its files, by day; empty for files of the layout `flat`."""
        keys = [source.file.key for source in self.sources]
        return {day: f"{key.rpartition('/')[0]}/" for key in keys if (day := partition_of(key))}

    @property
    def folder(self) -> str | None:
        """The folder of all its files, and of no file that is not data; None where a list is needed."""
        if self.gone:
            return f"{self.sources[0].file.key.rpartition('/')[0]}/"
        return self.sources[0].file.key.partition("/dt=")[0] + "/" if self.days else None


class AthenaDialect(Dialect):
    """Athena's SQL: Hive's for tables, Trino's for rows."""

    warehouse = "athena"
    types = _TYPES

    def create_loads(self) -> str:
        """Return the statement that creates the table with what was applied."""
        fields = ",\n  ".join(f"{name} {self.type_of(kind)}" for name, kind in RECORD.items())
        return self._iceberg(f"{self._hive_schema}{tick('_rds_to_s3_loads')}", fields, "_rds_to_s3_loads")

    def create_table(self, table: str, columns: list[WarehouseColumn]) -> str:  # type: ignore[override]
        """Return the statement that creates a table."""
        fields = ",\n  ".join(f"{tick(self._case(column.name))} {column.type}" for column in columns)
        return self._iceberg(f"{self._hive_schema}{tick(self._case(table))}", fields, table)

    def script(self, target: Target) -> list[str]:
        """Return the statements that bring one table up to date, whatever of the batch it has."""
        batch = target.batch
        externals = list(self._externals(target))
        columns = [*target.columns]
        if not batch.key:
            columns.append(WarehouseColumn(_COMMIT, "bigint", "bigint", "numeric", nullable=True))
        return [
            self.create_table(batch.table, columns),
            *(statement for each in externals for statement in self._external(target, each)),
            *self._application(target, externals),
            *self._record(batch),
            *(_drop(f"{self._hive_schema}{tick(each.name)}") for each in externals),
        ]

    def notes(self, target: Target) -> list[str]:
        """Return notes for the operator, and the lists of files to write."""
        table = f"{self._hive_schema}{tick(self._case(target.batch.table))}"
        # No IF NOT EXISTS: https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-alter-table-add-columns.html
        notes = ["If the table lacks one of these columns, add it by hand first:"]
        notes += [
            f"  ALTER TABLE {table} ADD COLUMNS ({tick(self._case(column.name))} {column.type});"
            for column in target.columns
            if column.name not in target.batch.key
        ]
        notes += retyped_notes(target)
        externals = list(self._externals(target))
        rows = [each for each in externals if not each.gone]
        notes += _CSV_NOTES if any(each.is_csv for each in rows) else []
        if any(not each.is_csv for each in rows):
            notes += [*_PARQUET_NOTES, *long_decimal_notes(target.columns)]
        for each in externals:
            if each.folder is not None:
                continue
            notes.append(f"Write these lines to {self._lists(each)}files.txt:")
            notes += [f"  {self.url(source.file.key)}" for source in each.sources]
        return notes

    # --- external tables ---

    def _externals(self, target: Target) -> Iterator[_External]:
        def alike(source: Source) -> tuple[bool, str, bool, tuple[str, ...]]:
            return source.gone, source.file.format, partition_of(source.file.key) is not None, source.file.names

        # The commits in the name prevent a DROP of someone else's table.
        batch = target.batch
        stem = re.sub(r"\W", "_", batch.table.lower(), flags=re.ASCII)
        for number, (_, group) in enumerate(groupby(sorted(batch.sources, key=alike), key=alike), 1):
            yield _External(f"_rds_to_s3_{stem}_{batch.sequences[0]}_{batch.sequences[-1]}_{number}", list(group))

    def _external(self, target: Target, external: _External) -> list[str]:
        """Return the statements that create the table over its files, again if an earlier script did not end."""
        known = {column.name: column for column in target.columns}
        fields = []
        for name in external.names:
            column = known.get(name)
            declared = "string" if external.is_csv or column is None else _in_parquet(column)[0]
            fields.append(f"{tick(name)} {declared}")
        table = f"{self._hive_schema}{tick(external.name)}"
        properties = "\nTBLPROPERTIES ('skip.header.line.count' = '1')" if external.is_csv else ""
        if external.folder is not None:
            day = tick(unused_name("dt", {name.lower() for name in external.names}))
            partitioned = f"\nPARTITIONED BY ({day} string)" if external.days else ""
            folders = " ".join(
                f"PARTITION ({day} = {text(value)}) LOCATION {text(self.url(folder))}"
                for value, folder in external.days.items()
            )
            stored = f"{_CSV_SERDE}\nSTORED AS TEXTFILE" if external.is_csv else "STORED AS PARQUET"
            return [
                _drop(table),
                f"CREATE EXTERNAL TABLE {table} ({', '.join(fields)}){partitioned}\n{stored}\n"
                f"LOCATION {text(self.url(external.folder))}{properties}",
                *([f"ALTER TABLE {table} ADD {folders}"] if folders else []),
            ]
        return [
            _drop(table),
            f"CREATE EXTERNAL TABLE {table} ({', '.join(fields)})\n"
            f"{_CSV_SERDE if external.is_csv else _PARQUET_SERDE}\n"
            "STORED AS INPUTFORMAT 'org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat'\n"
            "OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'\n"
            f"LOCATION {text(self._lists(external))}{properties}",
        ]

    # --- rows ---

    def _application(self, target: Target, externals: list[_External]) -> list[str]:
        batch, table = target.batch, self.table(target.batch.table)
        statements = []
        if batch.is_whole:
            first = f"{self._pending(batch, [batch.sequences[0]])}"
            statements.append(f"DELETE FROM {table}\nWHERE EXISTS ({first})")
        if not externals:
            return statements
        own, key = target.own, batch.key
        staged = "\n  UNION ALL ".join(self._rows(target, each) for each in externals)
        if not key:
            into = self.names([*target.names, _COMMIT])
            values = [*map(self.name, target.names), self.name(own.sequence)]
            done = f"SELECT {quoted(_COMMIT)} FROM {table} WHERE {quoted(_COMMIT)} IS NOT NULL"
            rows = select(values, f"({staged}) AS r", f"\nWHERE {self.name(own.sequence)} NOT IN ({done})")
            return [*statements, f"INSERT INTO {table} ({into})\n{rows}"]
        rank = quoted(unused_name("_rank", {name.lower() for name in target.names}))
        ranking = f"ROW_NUMBER() OVER (PARTITION BY {self.names(key)} ORDER BY {self.name(own.place)} DESC) AS {rank}"
        ranked = select([*map(self.name, target.names), self.name(own.gone), ranking], f"({staged}) AS r")
        newest = select([*map(self.name, target.names), self.name(own.gone)], f"({ranked}) AS n", f"\nWHERE {rank} = 1")
        gone = f"s.{self.name(own.gone)}"
        return [
            *statements,
            "\n".join(
                [
                    f"MERGE INTO {table} AS t",
                    f"USING ({newest}) AS s",
                    f"ON {self.same('t', 's', key)}",
                    f"WHEN MATCHED AND {gone} THEN DELETE",
                    f"WHEN MATCHED THEN UPDATE SET {self.assignments(target)}",
                    f"WHEN NOT MATCHED AND NOT {gone} THEN INSERT ({self.names(target.names)}) "
                    f"VALUES ({self.names(target.names, 's.')})",
                ]
            ),
        ]

    def _rows(self, target: Target, external: _External) -> str:
        """Return the SELECT of the pending rows of an external table."""
        own, has = target.own, set(external.names)
        values = []
        for column in target.columns:
            name = self.name(column.name)
            if column.name not in has:
                values.append(f"CAST(NULL AS {_trino(column.type)}) AS {name}")
            else:
                value = _from_csv(column) if external.is_csv else _in_parquet(column)[1]
                values.append(f"{value} AS {name}")
        values += [
            f"f.sequence AS {self.name(own.sequence)}",
            f"f.place AS {self.name(own.place)}",
            f"{str(external.gone).lower()} AS {self.name(own.gone)}",
        ]
        listed = ", ".join(
            f"({text(self.url(each.file.key))}, {each.sequence}, {each.place})" for each in external.sources
        )
        batch = target.batch
        pending = self._pending(batch, batch.sequences)
        paths = sorted(self.url(each.file.key) for each in external.sources)
        # A folder has other files, too: Athena opens none beyond these.
        among = f'\n  AND e."$path" BETWEEN {text(paths[0])} AND {text(paths[-1])}' if external.folder else ""
        return select(
            values,
            f"{self.schema}{quoted(external.name)} AS e\n"
            f'  JOIN (VALUES {listed}) AS f (path, sequence, place) ON e."$path" = f.path\n'
            f"  WHERE f.sequence IN ({pending}){among}",
        )

    def _pending(self, batch: Batch, among: list[int]) -> str:
        commits = f"(VALUES {', '.join(map(str, batch.sequences))}) AS c (sequence)"
        condition = self.is_pending(batch, commits)
        wanted = "" if among == batch.sequences else f" AND sequence IN ({', '.join(map(str, among))})"
        return select(["sequence"], commits, f" WHERE {condition}{wanted}")

    def _record(self, batch: Batch) -> list[str]:
        listed = "\nUNION ALL ".join(self.listed(each) for each in batch.deliveries)
        pending = self._pending(batch, batch.sequences)
        fields = list(RECORD)[:-1]
        # Inserted where it is missing: a commit that was applied again has its record.
        there = f"SELECT sequence FROM {self.loads} WHERE table_name = {text(batch.table)}"
        return [
            f"INSERT INTO {self.loads} ({', '.join(RECORD)})\nSELECT {', '.join(fields)}, {self.now()}\n"
            f"FROM ({listed}) AS r\nWHERE sequence IN ({pending}) AND sequence NOT IN ({there})"
        ]

    def now(self) -> str:
        """Return the time of the statement, UTC."""
        return "CAST(CURRENT_TIMESTAMP AT TIME ZONE 'UTC' AS timestamp(6))"

    # --- names ---

    @property
    def _hive_schema(self) -> str:
        return f"{tick(self.given.schema)}." if self.given.schema else ""

    @property
    def schema(self) -> str:
        """What qualifies a table's name, with the dot."""
        return f"{quoted(self.given.schema)}." if self.given.schema else ""

    @property
    def _location(self) -> str:
        return (self.given.location or "s3://YOUR_BUCKET").rstrip("/")

    def _lists(self, external: _External) -> str:
        # A folder for each: Athena reads every file in it as a list.
        return f"{self._location}/lists/{external.name}/"

    def _iceberg(self, table: str, fields: str, folder: str) -> str:
        return (
            f"CREATE TABLE IF NOT EXISTS {table} (\n  {fields}\n)\nLOCATION {text(f'{self._location}/{folder}/')}\n"
            "TBLPROPERTIES ('table_type' = 'ICEBERG')"
        )


def _drop(table: str) -> str:
    # Of an external table, only the definition goes: https://docs.aws.amazon.com/athena/latest/ug/drop-table.html
    return f"DROP TABLE IF EXISTS {table}"


def _trino(kind: str) -> str:
    return {"timestamp": "timestamp(6)", "int": "integer", "string": "varchar", "binary": "varbinary"}.get(kind, kind)


def _from_csv(column: WarehouseColumn) -> str:
    """Return the expression that yields a column's values: each is text in the external table."""
    name = f"e.{quoted(column.name)}"
    value = f"NULLIF({name}, '')"
    if column.kind == "binary" or column.type == "string":
        value = value if column.nullable else name
        return f"FROM_HEX({value})" if column.kind == "binary" else value
    return f"{'TRY_' if column.is_calendar else ''}CAST({value} AS {_trino(column.type)})"


def _in_parquet(column: WarehouseColumn) -> tuple[str, str]:
    """Return a column's type in an external table over Parquet, and the expression that yields its values."""
    from rds_to_s3.formats.arrow_types import arrow_type  # noqa: PLC0415 - it brings pyarrow, which takes its time

    name = f"e.{quoted(column.name)}"
    if (read := _UNSIGNED.get((str(arrow_type(column.output_column)), column.type))) is None:
        return column.type, name
    declared, value = read
    return declared, value.format(name)


def tick(identifier: str) -> str:
    """Quote an identifier in Hive's DDL."""
    return "`" + identifier.replace("`", "``") + "`"
