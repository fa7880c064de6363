"""Groups commits that one transaction of a warehouse applies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rds_to_s3_ops.warehouses.deliveries import DeliveredFile, Delivery
from rds_to_s3_ops.warehouses.types import Warehouse, WarehouseColumn, unused_name, warehouse_column

if TYPE_CHECKING:
    from rds_to_s3.commit.entries import ColumnEntry

MOST_BYTES = 256 << 20
MOST_FILES = 1000


@dataclass(frozen=True)
class Source:
    """A file of a batch.

    Attributes
    ----------
    place : int
        The order of the files: of two versions of a row, the one in the later file is the newer.
    gone : bool
        Whether it has keys of deleted rows.
    """

    file: DeliveredFile
    sequence: int
    place: int
    gone: bool


@dataclass(frozen=True)
class Batch:
    """Commits of one table that follow each other, and whose columns have the same types."""

    deliveries: tuple[Delivery, ...]

    @property
    def table(self) -> str:
        """The table's name."""
        return self.deliveries[0].table

    @property
    def key(self) -> tuple[str, ...]:
        """The columns to merge by; empty if rows are appended."""
        return self.deliveries[-1].key

    @property
    def is_whole(self) -> bool:
        """Whether it replaces everything before it."""
        return self.deliveries[0].is_whole

    @property
    def sequences(self) -> list[int]:
        """The numbers of its commits."""
        return [each.sequence for each in self.deliveries]

    @property
    def columns(self) -> list[ColumnEntry]:
        """The columns of all its files, those of the newest first."""
        found: dict[str, ColumnEntry] = {}
        for delivery in reversed(self.deliveries):
            for column in delivery.columns:
                found.setdefault(column.name, column)
        return list(found.values())

    @property
    def sources(self) -> list[Source]:
        """Its files in the order of their application: of each commit first the deletes, then the rows."""
        listed = [
            (file, each.sequence, gone)
            for each in self.deliveries
            for files, gone in ((each.deletes, True), (each.files, False))
            for file in files
        ]
        return [Source(file, sequence, place, gone) for place, (file, sequence, gone) in enumerate(listed)]

    def columns_for(self, warehouse: Warehouse) -> list[WarehouseColumn]:
        """Return the warehouse's columns."""
        return [warehouse_column(warehouse, column) for column in self.columns]


@dataclass(frozen=True)
class StageColumns:
    """The names of the stage's own columns, which no column of the table has.

    Attributes
    ----------
    sequence : str
        The commit of the row.
    place : str
        The file of the row, in the order of the files.
    gone : str
        Whether the row is the key of a deleted one.
    """

    sequence: str
    place: str
    gone: str

    @classmethod
    def beside(cls, columns: Iterable[WarehouseColumn]) -> StageColumns:
        """Return names that none of the columns has."""
        taken = {column.name.lower() for column in columns}
        return cls(*(unused_name(wanted, taken) for wanted in ("_sequence", "_place", "_gone")))


@dataclass(frozen=True)
class Target:
    """The table that a batch is loaded into.

    Attributes
    ----------
    columns : sequence of WarehouseColumn
        Those of the batch.
    others : sequence of str
        Columns of the loaded table that the batch does not have: its rows are NULL there.
    retyped : collection of str
        Columns that had another type before.
    """

    batch: Batch
    columns: Sequence[WarehouseColumn]
    others: Sequence[str] = ()
    retyped: Collection[str] = ()
    own: StageColumns = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "own", StageColumns.beside(self.columns))

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]


def batches(
    pending: Sequence[Delivery], *, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES
) -> Iterator[Batch]:
    """Yield batches of commits of one table, in order. A commit is never divided."""
    group: list[Delivery] = []
    types: dict[str, str] = {}
    for delivery in pending:
        own = {column.name: column.type for column in delivery.columns}
        together = [*group, delivery]
        if group and (
            delivery.is_whole
            or any(types.get(name, kind) != kind for name, kind in own.items())
            or sum(each.bytes for each in together) > most_bytes
            or sum(len(each.files) + len(each.deletes) for each in together) > most_files
        ):
            yield Batch(tuple(group))
            group, types = [], {}
        group.append(delivery)
        types |= own
    if group:
        yield Batch(tuple(group))
