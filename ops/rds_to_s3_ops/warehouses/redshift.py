"""Redshift: COPY file by file into temporary tables, and MERGE, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from rds_to_s3_ops.warehouses.batches import Source, Target
from rds_to_s3_ops.warehouses.sql import FILE, STAGE, Dialect, quoted, select, text
from rds_to_s3_ops.warehouses.types import DECIMAL_DIGITS, WarehouseColumn

# An empty field is NULL in a VARCHAR only with EMPTYASNULL, and NULL AS is \N unless it is given:
# https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-data-conversion.html
# ACCEPTANYDATE loads an invalid date as NULL: the same page. VARBYTE is read as hexadecimal:
# https://docs.aws.amazon.com/redshift/latest/dg/r_VARBYTE_type.html
_CSV = "FORMAT AS CSV QUOTE AS '\"' IGNOREHEADER 1 EMPTYASNULL ACCEPTANYDATE DATEFORMAT 'auto' TIMEFORMAT 'auto'"
NULL_NOTE = (
    "EMPTYASNULL: an empty field is NULL. By public reports a quoted one, which is the empty string, is NULL, too; "
    "only a cluster can tell. For a table with both, set its format to parquet."
)
CASE_NOTE = "Names keep their case only with: SET enable_case_sensitive_identifier TO true;"


class RedshiftDialect(Dialect):
    """Redshift's SQL."""

    warehouse = "redshift"
    types = {"VARCHAR": "VARCHAR(65535)"}  # noqa: RUF012 - never changed

    def text(self, value: str) -> str:
        """Quote a string. A backslash escapes there.

        https://docs.aws.amazon.com/redshift/latest/dg/r_patternmatching_condition_like.html
        """
        return text(value.replace("\\", "\\\\"))

    def definitions(self, target: Target) -> list[str]:
        """Return the statement that creates a table. There is no ADD COLUMN IF NOT EXISTS: see `notes`."""
        return [self.create_table(target.batch.table, target.columns)]

    def stage_files(self, target: Target) -> list[str]:
        """Return the statements that stage all files: each is copied by its own columns, and then gets its place."""
        statements: list[str] = []
        before: tuple[str, ...] | None = None
        columns = {column.name: column for column in target.columns}
        for source in target.batch.sources:
            names = source.file.names
            fields = ", ".join(f"{self.name(name)} {_type_in_file(columns.get(name))}" for name in names)
            if names != before:
                statements += [f"DROP TABLE IF EXISTS {quoted(FILE)}", f"CREATE TEMP TABLE {quoted(FILE)} ({fields})"]
            before = names
            statements += [self._copy(source), self._into_stage(target, source, columns)]
            # TRUNCATE would commit.
            statements.append(f"DELETE FROM {quoted(FILE)}")
        return statements

    def _copy(self, source: Source) -> str:
        file = source.file
        packed = f" {file.compression.upper()}" if file.compression != "none" else ""
        options = "FORMAT AS PARQUET" if file.format == "parquet" else _CSV + packed
        role = self.text(self.given.role) if self.given.role else "DEFAULT"
        return (
            f"COPY {quoted(FILE)} ({self.names(file.names)})\nFROM {self.text(self.url(file.key))}\nIAM_ROLE {role}\n"
            f"{options}"
        )

    def _into_stage(self, target: Target, source: Source, columns: dict[str, WarehouseColumn]) -> str:
        known = [name for name in source.file.names if name in columns]
        own = target.own
        values = [*map(self.name, known), str(source.sequence), str(source.place), str(source.gone).upper()]
        into = self.names([*known, own.sequence, own.place, own.gone])
        return f"INSERT INTO {quoted(STAGE)} ({into})\n{select(values, quoted(FILE))}"

    def merge(self, target: Target) -> list[str]:
        """Return the statements that delete, update and insert by key. Its MERGE has no conditions.

        https://docs.aws.amazon.com/redshift/latest/dg/r_MERGE.html
        """
        table, stage = self.table(target.batch.table), quoted(STAGE)
        gone = self.name(target.own.gone)
        return [
            f"DELETE FROM {table}\nUSING {stage}\nWHERE {self.same(table, stage, target.batch.key)} AND {stage}.{gone}",
            f"DELETE FROM {stage}\nWHERE {gone}",
            "\n".join(
                [
                    f"MERGE INTO {table}",
                    f"USING {stage} AS s",
                    f"ON {self.same(table, 's', target.batch.key)}",
                    f"WHEN MATCHED THEN UPDATE SET {self.assignments(target)}",
                    f"WHEN NOT MATCHED THEN INSERT ({self.names(target.names)}) "
                    f"VALUES ({self.names(target.names, 's.')})",
                ]
            ),
        ]

    def notes(self, target: Target) -> list[str]:
        """Return notes for the operator."""
        from rds_to_s3.formats.arrow_types import arrow_type  # noqa: PLC0415 - it brings pyarrow, which takes its time

        table = self.table(target.batch.table)
        notes = [CASE_NOTE] if self.given.case == "keep" else []
        formats = {source.file.format for source in target.batch.sources}
        if "csv" in formats:
            notes.append(NULL_NOTE)
        notes.append("If the table lacks one of these columns, add it by hand first:")
        # One column each, and no IF NOT EXISTS: https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE.html
        notes += [
            f"  ALTER TABLE {table} ADD COLUMN {self.name(column.name)} {column.type};"
            for column in target.columns
            if column.name not in target.batch.key
        ]
        notes += retyped_notes(target)
        if "parquet" in formats:
            # https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html
            unsigned = [each.name for each in target.columns if str(arrow_type(each.output_column)).startswith("uint")]
            if unsigned:
                notes.append(
                    f"{', '.join(unsigned)}: unsigned in Parquet, which COPY may refuse; extract the table as CSV then"
                )
            notes += long_decimal_notes(target.columns)
        return notes


def long_decimal_notes(columns: Sequence[WarehouseColumn]) -> list[str]:
    """Return a note for each DECIMAL that a warehouse cannot read from Parquet."""
    return [
        f"{column.name}: more than {DECIMAL_DIGITS} digits are not to be read from Parquet here; extract the table "
        "as CSV"
        for column in columns
        if column.is_long_decimal
    ]


def retyped_notes(target: Target) -> list[str]:
    """Return a note for each column whose type an existing table may have to follow."""
    return [
        f"{column.name}: its type has changed, and is {column.type} now; give an older table this type by hand first"
        for column in target.columns
        if column.name in target.retyped
    ]


def _type_in_file(column: WarehouseColumn | None) -> str:
    # A column that no commit has the type of is read, and left out.
    return column.type if column is not None else "VARCHAR(65535)"
