"""Snowflake: an external stage over the bucket, COPY into a temporary table, and MERGE in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rds_to_s3_ops.warehouses.batches import Source, Target
from rds_to_s3_ops.warehouses.redshift import long_decimal_notes
from rds_to_s3_ops.warehouses.sql import STAGE, Dialect, quoted, select, text
from rds_to_s3_ops.warehouses.types import WarehouseColumn, unused_name

MOST_FILES = 1000  # of FILES: https://docs.snowflake.com/en/user-guide/data-load-considerations-load
STAGE_NAME = "rds_to_s3"
PLACES = "_rds_to_s3_places"


class SnowflakeDialect(Dialect):
    """Snowflake's SQL."""

    warehouse = "snowflake"
    temporary = "TEMPORARY"
    types = {"TIMESTAMP": "TIMESTAMP_NTZ"}  # noqa: RUF012 - never changed

    @property
    def external_stage(self) -> str:
        """The stage over the bucket."""
        return f"{self.schema}{quoted(self.given.stage or STAGE_NAME)}"

    def setup(self) -> list[str]:
        """Return the statements before those of all tables."""
        made = [] if self.given.stage else [self.create_external_stage()]
        return [*made, *super().setup()]

    def create_external_stage(self) -> str:
        """Return the statement that creates the stage over the bucket."""
        integration = quoted(self.given.integration) if self.given.integration else "YOUR_INTEGRATION"
        return (
            f"CREATE STAGE IF NOT EXISTS {self.external_stage}\n  URL = {self.text(f's3://{self.bucket}/')}\n"
            f"  STORAGE_INTEGRATION = {integration}"
        )

    def retype(self, table: str, column: WarehouseColumn) -> list[str]:
        """Return the statement that gives a column another type: few types can be altered, so it replaces the table.

        https://docs.snowflake.com/en/sql-reference/sql/alter-table-column
        """
        name, target = self.name(column.name), self.table(table)
        return [
            f"CREATE OR REPLACE TABLE {target} COPY GRANTS AS\n"
            f"SELECT * REPLACE (CAST({name} AS {column.type}) AS {name})\nFROM {target}"
        ]

    def now(self) -> str:
        """Return the time of the statement, UTC."""
        return "SYSDATE()"

    def text(self, value: str) -> str:
        """Quote a string. A backslash escapes there.

        https://docs.snowflake.com/en/sql-reference/data-types-text
        """
        return text(value.replace("\\", "\\\\"))

    # --- stage ---

    def file_column(self, target: Target) -> str:
        """Return the stage's column with the name of the row's file."""
        return self.name(unused_name("_file", {name.lower() for name in target.names}))

    def create_stage(self, target: Target) -> list[str]:
        """Return the statements that create the stage, empty."""
        dropped, created = super().create_stage(target)
        return [dropped, f"{created.removesuffix(')').rstrip()},\n  {self.file_column(target)} VARCHAR\n)"]

    def stage_files(self, target: Target) -> list[str]:
        """Return the statements that stage all files: a COPY for those with the same columns, then their places."""
        sources = target.batch.sources
        statements = [self._copy(target, some) for some in _groups(sources)]
        # The folder is no part of the name: a stage may lead to a folder of the bucket.
        places = "\nUNION ALL ".join(
            f"SELECT {self.text(_base(source))} AS name, {source.sequence} AS sequence, {source.place} AS place"
            for source in sources
        )
        own, name = target.own, f"SPLIT_PART({quoted(STAGE)}.{self.file_column(target)}, '/', -1)"
        return [
            *statements,
            f"CREATE OR REPLACE TEMPORARY TABLE {quoted(PLACES)} AS\n{places}",
            f"UPDATE {quoted(STAGE)}\nSET {self.name(own.sequence)} = p.sequence, {self.name(own.place)} = p.place\n"
            f"FROM {quoted(PLACES)} AS p\nWHERE {name} = p.name",
        ]

    def _copy(self, target: Target, sources: Sequence[Source]) -> str:
        first = sources[0]
        columns = {column.name: column for column in target.columns}
        known = [(number, columns[name]) for number, name in enumerate(first.file.names, 1) if name in columns]
        is_csv = first.file.format == "csv"
        values = [_csv_value(column, number) if is_csv else self._parquet_value(column) for number, column in known]
        values += [str(first.gone).upper(), "METADATA$FILENAME"]
        into = f"{self.names([*(column.name for _, column in known), target.own.gone])}, {self.file_column(target)}"
        options = _csv_options(first.file.compression) if is_csv else _PARQUET
        folder, _, _ = first.file.key.rpartition("/")
        files = ",\n  ".join(self.text(_base(source)) for source in sources)
        return (
            f"COPY INTO {quoted(STAGE)} ({into})\nFROM ({select(values, f'@{self.external_stage}/{folder}/')})\n"
            f"FILES = ({files})\nFILE_FORMAT = (\n{options}\n)\n"
            # Snowflake skips a file that a table has loaded before; what is to be loaded is decided by us.
            "ON_ERROR = ABORT_STATEMENT FORCE = TRUE"
        )

    def _parquet_value(self, column: WarehouseColumn) -> str:
        return f"$1:{quoted(column.name)}::{column.type}"

    def notes(self, target: Target) -> list[str]:
        """Return notes for the operator."""
        has_parquet = any(source.file.format == "parquet" for source in target.batch.sources)
        return long_decimal_notes(target.columns) if has_parquet else []


def _groups(sources: Sequence[Source]) -> Iterator[list[Source]]:
    """Yield the sources in groups that one COPY reads."""
    ordered = sorted(sources, key=_alike)
    for _, group in groupby(ordered, key=_alike):
        some = list(group)
        for begin in range(0, len(some), MOST_FILES):
            yield some[begin : begin + MOST_FILES]


def _alike(source: Source) -> tuple[bool, str, str, tuple[str, ...]]:
    folder = source.file.key.rpartition("/")[0]
    return source.gone, folder, source.file.compression, source.file.names


def _base(source: Source) -> str:
    return source.file.key.rpartition("/")[2]


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


# Without the logical types a timestamp would be a number; the same page, TYPE = PARQUET.
_PARQUET = "  TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE NULL_IF = ()"


def _csv_value(column: WarehouseColumn, number: int) -> str:
    if column.kind == "binary":
        return f"TO_BINARY(${number}, 'HEX')"
    if column.is_calendar:
        return f"TRY_CAST(${number} AS {column.type})"
    return f"${number}"
