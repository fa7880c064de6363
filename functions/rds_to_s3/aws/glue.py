"""Tables and partitions in the Glue Data Catalog."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

MOST_PARTITIONS = 100  # https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html
_THERE = "AlreadyExistsException"


def files_table(table: str) -> str:
    """Return the name, in the catalogue, of the table over a table's files.

    Examples
    --------
    >>> files_table("Order-Items")
    'order_items_files'
    """
    # https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html
    return re.sub(r"[^a-z0-9_]", "_", f"{table.lower()}_files")


class CatalogueError(Exception):
    """Glue refused partitions."""


@dataclass(frozen=True)
class CatalogueTable:
    """A table of the catalogue.

    Attributes
    ----------
    name : str
        In the catalogue, which knows lower case only.
    partitioned_by : list of str
    storage : dict
        Its ``StorageDescriptor``: columns, location, formats, serde.
    parameters : dict
        Its table properties.
    """

    name: str
    partitioned_by: list[str]
    storage: dict[str, Any]
    parameters: dict[str, str]

    @property
    def columns(self) -> list[str]:
        """The names of its columns, without the partitions'."""
        return [column["Name"] for column in self.storage.get("Columns", [])]


class GlueDatabase:
    """One database of the catalogue."""

    def __init__(self, name: str, client: Any = None) -> None:
        self.name = name
        self._client = client or _client()

    def table(self, name: str) -> CatalogueTable | None:
        """Return a table; None where there is none."""
        try:
            found: Any = self._client.get_table(DatabaseName=self.name, Name=name)["Table"]
        except self._client.exceptions.EntityNotFoundException:
            return None
        keys = [key["Name"] for key in found.get("PartitionKeys", [])]
        return CatalogueTable(found["Name"], keys, found["StorageDescriptor"], found.get("Parameters", {}))

    def partitions(self, table: CatalogueTable) -> set[str]:
        """Return the values of all partitions of a table that is partitioned by one column."""
        pages = self._client.get_paginator("get_partitions").paginate(
            DatabaseName=self.name, TableName=table.name, ExcludeColumnSchema=True
        )
        return {partition["Values"][0] for page in pages for partition in page["Partitions"]}

    def add(self, table: CatalogueTable, locations: Mapping[str, str]) -> None:
        """Register partitions. One that is there already, since somebody else was faster, is fine.

        Parameters
        ----------
        locations : mapping
            The folder of each value.

        Raises
        ------
        CatalogueError
            Some of them were refused; the others are registered.
        """
        refused = []
        values = sorted(locations)
        for start in range(0, len(values), MOST_PARTITIONS):
            entries: Any = [
                {"Values": [value], "StorageDescriptor": {**table.storage, "Location": locations[value]}}
                for value in values[start : start + MOST_PARTITIONS]
            ]
            answer = self._client.batch_create_partition(
                DatabaseName=self.name, TableName=table.name, PartitionInputList=entries
            )
            refused += [
                (error["PartitionValues"][0], error["ErrorDetail"])
                for error in answer.get("Errors", [])
                if error["ErrorDetail"].get("ErrorCode") != _THERE
            ]
        if refused:
            value, detail = refused[0]
            raise CatalogueError(
                f"Glue refused {len(refused)} partitions of {self.name}.{table.name}, the first for {value}: "
                f"{detail.get('ErrorCode')}: {detail.get('ErrorMessage')}"
            )


def _client() -> Any:
    # Few tries: the next run registers what this one could not.
    bounds = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.client("glue", config=bounds)
