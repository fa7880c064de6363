"""Tables, columns and indexes as the database describes them. `rds_to_s3.mysql.catalogue.tables` reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rds_to_s3.rows.columns import Kind  # brings numpy, which planning does without

_BINARY_TYPES = {
    *("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit", "vector"),
    *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"),
    *("geometrycollection", "geomcollection"),
}
_TEMPORAL_TYPES = {"date", "datetime", "timestamp", "time", "year"}
_NUMERIC_TYPES = {
    *("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double"),
}
_CURSOR_TYPES = {"date", "datetime", "timestamp"}
# An ENUM sorts by its member's number but compares as text; a key that holds one gives no order to resume in.
_UNORDERED_TYPES = {"enum", "set", "json", "float", "double"} | (_BINARY_TYPES - {"binary", "varbinary"})


@dataclass(frozen=True)
class TableColumn:
    """One column, as ``information_schema.columns`` has it.

    Attributes
    ----------
    data_type, column_type : str
        ``decimal`` and ``decimal(10,2)``, for example.
    nullable : bool
    fraction_digits : int
        Of a temporal type's seconds.
    collation : str or None
        The order of its texts.
    """

    name: str
    data_type: str
    column_type: str
    nullable: bool
    fraction_digits: int = 0
    character_set: str | None = None
    collation: str | None = None

    @property
    def kind(self) -> Kind:
        """``binary``, ``temporal``, ``numeric`` or ``text``: how its values are framed."""
        if self.data_type in _BINARY_TYPES or self.character_set == "binary":
            return "binary"
        if self.data_type in _TEMPORAL_TYPES:
            return "temporal"
        return "numeric" if self.data_type in _NUMERIC_TYPES else "text"

    @property
    def is_cursor_type(self) -> bool:
        """Whether a watermark can be kept on it."""
        return self.data_type in _CURSOR_TYPES

    def as_dict(self) -> dict[str, Any]:
        """Return what the manifest's ``columns`` shows."""
        return {"name": self.name, "type": self.column_type, "nullable": self.nullable}


@dataclass(frozen=True)
class Index:
    """One index.

    Attributes
    ----------
    columns : tuple of str
        In index order; an expression's place holds the empty string.
    whole : bool
        No column is indexed by a prefix only, none is an expression.
    """

    name: str
    unique: bool
    columns: tuple[str, ...]
    whole: bool = True
    ascending: bool = True


@dataclass(frozen=True)
class Table:
    """One table or view.

    Attributes
    ----------
    estimated_rows : int
        The optimiser's guess, as good as its last ANALYZE.
    """

    name: str
    is_view: bool
    columns: tuple[TableColumn, ...]
    indexes: tuple[Index, ...] = field(default=())
    estimated_rows: int = 0
    average_row_bytes: int = 0
    engine: str = "InnoDB"

    def column(self, name: str) -> TableColumn | None:
        """Return the column of that name; MySQL's column names ignore case."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)

    def index_on(self, column: str) -> Index | None:
        """Return an index that is ordered by `column` first, if there is one."""
        leading = [
            index
            for index in self.indexes
            if index.whole and index.ascending and index.columns[0].lower() == column.lower()
        ]
        # The one-column index is ordered by (column, primary key): what a resumable read wants.
        return min(leading, key=lambda index: len(index.columns), default=None)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell rows apart: the primary key, or else a unique key without NULLs; or none."""
        for index in sorted(self.indexes, key=lambda index: index.name != "PRIMARY"):
            columns = [self.column(name) for name in index.columns]
            if index.unique and index.whole and all(column and not column.nullable for column in columns):
                return index.columns
        return ()

    @property
    def ordered_key(self) -> tuple[str, ...]:
        """The key, if its index gives an order that a read can be taken up again in; or none."""
        for index in sorted(self.indexes, key=lambda index: index.name != "PRIMARY"):
            if index.columns != self.key or not index.ascending:
                continue
            if all((column := self.column(name)) and column.data_type not in _UNORDERED_TYPES for name in self.key):
                return self.key
        return ()
