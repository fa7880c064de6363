"""DuckDB: reads files by their columns' names; the text of CSV is converted by its own casts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rds_to_s3_ops.warehouses.batches import Source, Target
from rds_to_s3_ops.warehouses.sql import STAGE, Dialect, quoted, select, text
from rds_to_s3_ops.warehouses.types import DECIMAL_DIGITS, WarehouseColumn

LINE_BYTES = 2 << 20


class DuckDbDialect(Dialect):
    """DuckDB's SQL."""

    warehouse = "duckdb"

    def retype(self, table: str, column: WarehouseColumn) -> list[str]:
        """Return the statement that gives a column another type."""
        # https://duckdb.org/docs/stable/sql/statements/alter_table
        name = self.name(column.name)
        return [f"ALTER TABLE {self.table(table)} ALTER COLUMN {name} SET DATA TYPE {column.type}"]

    def retype_emptied(self, table: str, column: WarehouseColumn) -> list[str]:
        """Return the same for a table that was emptied: DuckDB converts the rows that the transaction has deleted."""
        return [f"{statement} USING NULL" for statement in self.retype(table, column)]

    def now(self) -> str:
        """Return the time of the transaction, UTC."""
        return "now() AT TIME ZONE 'UTC'"

    def stage_files(self, target: Target) -> list[str]:
        """Return the statements that stage all files of a batch. ``httpfs`` reads them from S3."""
        return [
            self.stage_file(target, source, self.rows_of(source), lossy=source.file.format == "csv")
            for source in target.batch.sources
        ]

    def rows_of(self, source: Source) -> str:
        """Return a file in the bucket as a table function."""
        url = self.url(source.file.key)
        if source.file.format == "csv":
            return read_csv(url, source.file.names, compression=source.file.compression)
        return read_parquet(url)

    def notes(self, target: Target) -> list[str]:
        """Return notes for the operator."""
        if not any(file.file.format == "parquet" for file in target.batch.sources):
            return []
        return [
            f"{column.name}: DuckDB reads more than {DECIMAL_DIGITS} digits from Parquet rounded; `load` does not"
            for column in target.columns
            if column.is_long_decimal
        ]

    def stage_file(self, target: Target, source: Source, rows: str, *, lossy: bool = False) -> str:
        """Return the statement that stages one file.

        Parameters
        ----------
        rows : str
            The file as a table function or a view.
        lossy : bool
            Whether dates that do not exist become NULL. Otherwise the statement fails.
        """
        own, names = target.own, set(source.file.names)
        columns = [column for column in target.columns if column.name in names]
        values = [self.value(column, source.file.format, lossy=lossy) for column in columns]
        values += [str(source.sequence), str(source.place), str(source.gone).upper()]
        into = self.names([*(column.name for column in columns), own.sequence, own.place, own.gone])
        return f"INSERT INTO {quoted(STAGE)} ({into})\n{select(values, rows)}"

    def value(self, column: WarehouseColumn, file_format: str, *, lossy: bool) -> str:
        """Return the expression of a column's value in a file."""
        name = self.name(column.name)
        if file_format == "csv" and column.kind == "binary":
            return f"unhex({name})"
        if column.type == "VARCHAR" and file_format == "csv":
            return name
        return f"{'TRY_' if lossy and column.is_calendar else ''}CAST({name} AS {column.type})"

    def lost_dates(self, columns: Sequence[WarehouseColumn], rows: str) -> str:
        """Return the query that counts the dates of a file that do not exist, by column."""
        lost = [
            f"count(*) FILTER ({self.name(column.name)} IS NOT NULL AND "
            f"TRY_CAST({self.name(column.name)} AS {column.type}) IS NULL)"
            for column in columns
        ]
        return select(lost, rows)


def read_csv(
    file: str, names: Iterable[str], *, compression: str, longest_row: int = 0, least_line_bytes: int = LINE_BYTES
) -> str:
    """Return the table function that reads a CSV file as text: an empty field is NULL, and ``""`` the empty string.

    Parameters
    ----------
    file : str
        A path or URL.
    compression : {"none", "gzip", "zstd"}
    longest_row, least_line_bytes : int
        DuckDB's buffer has four times the larger of the two.
    """
    columns = ", ".join(f"{text(name)}: 'VARCHAR'" for name in names)
    longest = max(longest_row + 2, least_line_bytes)
    # allow_quoted_nulls distinguishes "" from an empty field: https://duckdb.org/docs/stable/data/csv/overview
    # parallel: threads would start at buffer edges, and take a line break inside quotes for the end of a row.
    return (
        f"read_csv({text(file)}, auto_detect = false, header = true, columns = {{{columns}}}, delim = ',', "
        f"quote = '\"', escape = '\"', new_line = '\\n', nullstr = '', allow_quoted_nulls = false, "
        f"compression = '{compression}', max_line_size = {longest}, "
        f"buffer_size = {4 * longest}, parallel = false, hive_partitioning = false)"
    )


def read_parquet(file: str) -> str:
    """Return the table function that reads a Parquet file."""
    # The folder of the layout `hive` would become a column, in place of one that the table has.
    return f"read_parquet({text(file)}, hive_partitioning = false)"
