"""Registers the folders of the layout `hive` as partitions, so that engines find them through the catalogue.

Every run compares all folders with all partitions. So it also registers what an earlier run could not, what a stopped
run left, and everything once a table in the catalogue is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from rds_to_s3.aws.glue import CatalogueTable, files_table
from rds_to_s3.bucket_keys import data_prefix, partition_of
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.s3.side_by_side import side_by_side

PARTITIONED_BY = "dt"
SINCE = "rds_to_s3.since"
"""The table property with the first day whose files have the table's columns, where files before have others."""


class Catalogue(Protocol):
    """What `rds_to_s3.aws.glue.GlueDatabase` does."""

    name: str

    def table(self, name: str) -> CatalogueTable | None:
        """Return a table; None where there is none."""

    def partitions(self, table: CatalogueTable) -> set[str]:
        """Return the values of a table's partitions."""

    def add(self, table: CatalogueTable, locations: Mapping[str, str]) -> None:
        """Register partitions by value, with their folders."""


def register_partitions(
    specs: Sequence[TableSpec],
    columns: Mapping[str, Sequence[str]],
    store: ObjectStore,
    catalogue: Catalogue,
    seconds: float,
) -> list[str]:
    """Register the folders that are no partitions yet, of each table with the layout `hive`.

    No error of a table stops another's, and none is raised.

    Parameters
    ----------
    columns : mapping
        The columns of the files that this run has written, by table.

    Returns
    -------
    list of str
        What could not be registered, why, and what to do.
    """
    hive = [spec for spec in specs if spec.layout == "hive"]

    def register(spec: TableSpec) -> str:
        try:
            return _register(spec, columns.get(spec.name, []), store, catalogue)
        except Exception as error:  # any: a run does not fail for its catalogue
            return f"table {spec.name!r}: {type(error).__name__}: {error}"

    answers = side_by_side(register, hive, seconds).answers
    problems = [answer for answer in answers if answer]
    if left := answers.count(None):
        problems.append(f"there was no time for {left} more tables; the next run registers their partitions")
    return problems


def _register(spec: TableSpec, columns: Sequence[str], store: ObjectStore, catalogue: Catalogue) -> str:
    """Register one table's folders; return the problem, empty where there is none."""
    prefix = data_prefix(spec.name, spec.format)
    folders = {day: folder for folder in store.folders(f"{prefix}dt=") if (day := partition_of(f"{folder}file"))}
    if not folders:
        return ""
    name, advice = files_table(spec.name), f"Create it with `rds-to-s3 catalogue {spec.name}`."
    table = catalogue.table(name)
    if table is None:
        return f"table {spec.name!r}: the database {catalogue.name} of the catalogue has no table {name}. {advice}"
    if table.partitioned_by != [PARTITIONED_BY]:
        by = ", ".join(table.partitioned_by) or "nothing"
        return f"table {spec.name!r}: {catalogue.name}.{name} is partitioned by {by} instead of dt. Drop it. {advice}"
    wanted, location = f"s3://{store.bucket}/{prefix}", str(table.storage.get("Location", ""))
    if location.rstrip("/") != wanted.rstrip("/"):
        return f"table {spec.name!r}: {catalogue.name}.{name} reads {location}, and its files are in {wanted}. {advice}"
    since = table.parameters.get(SINCE, "")
    missing = {day for day in folders if day >= since} - catalogue.partitions(table)
    catalogue.add(table, {day: f"s3://{store.bucket}/{folders[day]}" for day in missing})
    return _other_columns(spec, columns, table, f"{catalogue.name}.{name}")


def _other_columns(spec: TableSpec, columns: Sequence[str], table: CatalogueTable, name: str) -> str:
    """Return the problem of files whose columns a table of the catalogue does not have."""
    known, present = [column.lower() for column in table.columns], [column.lower() for column in columns]
    new = [column for column in columns if column.lower() not in known]
    if spec.format == "csv" and columns and present[: len(known)] != known:
        return (
            f"table {spec.name!r}: {name} has other columns than the files of this run, and CSV is read by position: "
            f"its values are in wrong columns. Drop it and create it anew with `rds-to-s3 catalogue {spec.name}`."
        )
    if new:
        return (
            f"table {spec.name!r}: {name} lacks the column{'s' * (len(new) > 1)} {', '.join(new)}. Drop it and create "
            f"it anew with `rds-to-s3 catalogue {spec.name}`; the next run registers its partitions."
        )
    return ""
