"""Tables, columns and indexes as the database describes them. `rds_to_s3.mysql.catalogue.tables` reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import or_
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rds_to_s3.rows.columns import Kind  # brings numpy, which planning does not need

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
_NUMBERED_TYPES = {"enum", "set", "bit"}
# An ENUM sorts by its member's number but compares as text.
_UNORDERED_TYPES = {"enum", "set", "json", "float", "double"} | (_BINARY_TYPES - {"binary", "varbinary"})


@dataclass(frozen=True)
class TableColumn:
    """One column, as ``information_schema.columns`` has it.

    Attributes
    ----------
    data_type, column_type : str
        ``decimal`` and ``decimal(10,2)``, for example.
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
        """``binary``, ``temporal``, ``numeric`` or ``text``: how its values are written."""
        if self.data_type in _BINARY_TYPES or self.character_set == "binary":
            return "binary"
        if self.data_type in _TEMPORAL_TYPES:
            return "temporal"
        return "numeric" if self.data_type in _NUMERIC_TYPES else "text"

    @property
    def is_cursor_type(self) -> bool:
        """Whether a watermark can be kept on it."""
        return self.data_type in _CURSOR_TYPES

    @property
    def sorts_as_it_compares(self) -> bool:
        """Whether the values greater than one are those that come after it: a read can be resumed there.

        Not so a CHAR of MariaDB without PAD SPACE: InnoDB sorts it with its trailing spaces, and it compares without.
        """
        is_char_without_pad = self.data_type == "char" and "_nopad_" in (self.collation or "")
        return self.data_type not in _UNORDERED_TYPES and not is_char_without_pad

    @property
    def sorts_by_number(self) -> bool:
        """Whether the values sort by their numbers, and each number has a text of its own.

        An ENUM with the empty string as a member has it twice: it is also the text of an invalid value.
        """
        return self.data_type in _NUMBERED_TYPES and "''" not in self.column_type

    def as_dict(self) -> dict[str, Any]:
        """Return what the manifest's ``columns`` shows."""
        return {"name": self.name, "type": self.column_type, "nullable": self.nullable}


@dataclass(frozen=True)
class Index:
    """One index.

    Attributes
    ----------
    columns : tuple of str
        In index order; the empty string for an expression.
    whole : bool
        Whether no column is indexed only by a prefix, and none is an expression.
    whole_parts : int
        The number of columns before the first prefix or expression.
    ascending, descending : bool
        Whether all of its columns are. An index may be neither.
    unused : str or None
        Why a read cannot use it: it is ``invisible`` or ``ignored``, or has another type, such as ``HASH``.
    """

    name: str
    unique: bool
    columns: tuple[str, ...]
    whole: bool = True
    ascending: bool = True
    descending: bool = False
    unused: str | None = None
    whole_parts: int = 0

    @property
    def ordered_columns(self) -> tuple[str, ...]:
        """The columns before the first prefix or expression."""
        return self.columns if self.whole else self.columns[: self.whole_parts]


@dataclass(frozen=True)
class DeniedColumns:
    """Columns that a table has and the user may not read: the catalogue does not show them.

    Attributes
    ----------
    user : str
        As ``CURRENT_USER()`` has it.
    """

    names: tuple[str, ...] = ()
    user: str = ""

    def __contains__(self, name: object) -> bool:
        return str(name).lower() in {denied.lower() for denied in self.names}


NONE_DENIED = DeniedColumns()


@dataclass(frozen=True)
class Table:
    """One table or view.

    Attributes
    ----------
    indexes : tuple of Index
        The usable ones.
    estimated_rows : int
        The optimiser's estimate, as exact as the last ANALYZE.
    unused_indexes : tuple of Index
        The others.
    database : str
        Empty where it is not known.
    listed_as : str
        Its name in the table list.
    checks_ascii : bool
        Whether a text in ``ascii`` is ASCII: MariaDB stores any byte there, and sends it as ``?``.
    """

    name: str
    is_view: bool
    columns: tuple[TableColumn, ...]
    indexes: tuple[Index, ...] = field(default=())
    estimated_rows: int = 0
    average_row_bytes: int = 0
    engine: str = "InnoDB"
    unused_indexes: tuple[Index, ...] = ()
    database: str = ""
    listed_as: str = ""
    checks_ascii: bool = True

    def column(self, name: str) -> TableColumn | None:
        """Return the column of that name; MySQL's column names ignore case."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)

    def appended_to(self, index: Index) -> tuple[str, ...]:
        """Return the columns that the engine appends to an index: InnoDB those of the clustered index, others none.

        https://dev.mysql.com/doc/refman/8.4/en/innodb-index-types.html
        """
        clustered = self._clustered
        if self.engine.lower() != "innodb" or clustered is None or not (index.whole and clustered.ascending):
            return ()
        there = {name.lower() for name in index.columns}
        return tuple(name for name in clustered.ordered_columns if name.lower() not in there)

    @property
    def _clustered(self) -> Index | None:
        """The index in which the rows are stored: the primary key, or else the first unique one without NULLs."""
        for index in sorted(self.indexes, key=lambda index: index.name != "PRIMARY"):
            columns = [self.column(name) for name in index.columns]
            if index.unique and all(column and not column.nullable for column in columns):
                return index
        return None

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell rows apart: the primary key, or else a unique key without NULLs; or none."""
        if self.engine.lower() == "mrg_myisam":
            return ()  # unique in each of the tables that it merges only
        for index in sorted(self.indexes, key=lambda index: index.name != "PRIMARY"):
            columns = [self.column(name) for name in index.columns]
            if index.unique and index.whole and all(column and not column.nullable for column in columns):
                return index.columns
        return ()

    @property
    def ordered_key(self) -> tuple[str, ...]:
        """The key, if a read can be resumed in the order of its index; or none."""
        for index in sorted(self.indexes, key=lambda index: index.name != "PRIMARY"):
            if index.columns != self.key or not index.ascending:
                continue
            columns = [column for name in self.key if (column := self.column(name))]
            # A condition on a number finds no range in an index, so a column before it has to.
            numbers = [column.sorts_by_number and place > 0 for place, column in enumerate(columns)]
            if all(map(or_, numbers, (column.sorts_as_it_compares for column in columns))):
                return self.key
        return ()
