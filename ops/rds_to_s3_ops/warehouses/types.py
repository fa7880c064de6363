"""The type of each warehouse that holds a MySQL column exactly, and the values it cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from rds_to_s3.commit.entries import ColumnEntry
from rds_to_s3.mysql.catalogue.schema import TableColumn
from rds_to_s3.rows.column_type import ColumnType
from rds_to_s3.rows.columns import Kind, OutputColumn

Warehouse = Literal["snowflake", "redshift", "athena", "duckdb"]
Choice = tuple[str, str | None]
"""A type, and the values it cannot hold."""

DECIMAL_DIGITS = 38  # of every warehouse here; MySQL has 65
_MEASURED = {"char", "varchar", "binary", "varbinary"}
_CALENDAR = {"date", "datetime", "timestamp"}


@dataclass(frozen=True)
class Names:
    """What the operator's warehouse calls things; the options of `load`.

    Attributes
    ----------
    case : {"keep", "lower", "upper"}
        The case of names in the warehouse.
    location : str
        For Athena: where its tables and its lists of files are, ``s3://..``.
    """

    database: str = ""
    schema: str = ""
    stage: str = ""
    integration: str = ""
    role: str = ""
    location: str = ""
    case: str = "keep"


@dataclass(frozen=True)
class WarehouseColumn:
    """One column of the loaded table.

    Attributes
    ----------
    name, mysql_type : str
    type : str
        The warehouse's type.
    kind : {"numeric", "temporal", "text", "binary"}
        Binary values are hexadecimal in CSV.
    nullable : bool
    remark : str or None
        The values that cannot be loaded, or not exactly.
    """

    name: str
    mysql_type: str
    type: str
    kind: Kind
    nullable: bool
    remark: str | None = None

    @property
    def is_calendar(self) -> bool:
        """Whether its values are dates."""
        return ColumnType.parse(self.mysql_type).name in _CALENDAR

    @property
    def is_long_decimal(self) -> bool:
        """Whether it is a DECIMAL with more digits than a warehouse's, and so is text there."""
        mysql = ColumnType.parse(self.mysql_type)
        return mysql.name == "decimal" and mysql.precision > DECIMAL_DIGITS

    @property
    def is_floating(self) -> bool:
        """Whether it is a FLOAT or DOUBLE."""
        return ColumnType.parse(self.mysql_type).name in {"float", "double"}

    def as_entry(self, mysql_type: str) -> ColumnEntry:
        """Return the column with another type, as a manifest has it."""
        return ColumnEntry(name=self.name, type=mysql_type, nullable=self.nullable)

    @property
    def has_text_form(self) -> bool:
        """Whether a wider type of the same kind writes each value in another form."""
        return ColumnType.parse(self.mysql_type).name in {"time", "bit"} or self.is_long_decimal

    @property
    def output_column(self) -> OutputColumn:
        """The column as the formats know it."""
        return OutputColumn(self.name, self.mysql_type, self.kind, self.nullable)


@dataclass(frozen=True)
class _Types:
    """A warehouse's types.

    Attributes
    ----------
    integer : callable
        Takes the number of bits and whether the type is unsigned.
    decimal : str
        A format for precision and scale.
    text, binary : callable
        Takes the length; None if MySQL's type has no relevant one.
    others : mapping
        By MySQL's name; ``{}`` is replaced by the digits of fractional seconds.
    """

    integer: Callable[[int, bool], str]
    decimal: str
    text: Callable[[int | None], Choice]
    binary: Callable[[int | None], Choice]
    others: Mapping[str, str]

    def choose(self, mysql: ColumnType, kind: Kind) -> Choice:
        if mysql.bits:
            return self.integer(mysql.bits, mysql.unsigned), None
        if mysql.name == "decimal":
            if mysql.precision > DECIMAL_DIGITS:
                return self.text(67)[0], f"more than {DECIMAL_DIGITS} digits, which no DECIMAL here has: text"
            return self.decimal.format(mysql.precision, mysql.scale), None
        if mysql.name in self.others:
            return self.others[mysql.name].format(mysql.length or 0), None
        length = mysql.length if mysql.name in _MEASURED else None
        return self.binary(length) if kind == "binary" else self.text(length)


def warehouse_column(warehouse: Warehouse, column: ColumnEntry) -> WarehouseColumn:
    """Return the type for a column of the manifest.

    Parameters
    ----------
    warehouse : {"snowflake", "redshift", "athena", "duckdb"}
    column : ColumnEntry
    """
    mysql = ColumnType.parse(column.type)
    kind = TableColumn(column.name, mysql.name, column.type, nullable=True).kind
    chosen, remark = _TYPES[warehouse].choose(mysql, kind)
    if mysql.name in _CALENDAR:
        remark = "an invalid date, such as 0000-00-00, becomes NULL"
    return WarehouseColumn(column.name, column.type, chosen, kind, column.nullable, remark)


def unused_name(wanted: str, taken: Iterable[str]) -> str:
    """Return a name that is not among those taken, ignoring case: not every warehouse distinguishes case."""
    while wanted.lower() in taken:
        wanted += "_"
    return wanted


def _fitting(*types: tuple[int, str]) -> Callable[[int, bool], str]:
    """Return the first type with enough bits; an unsigned number needs one more for the sign."""
    return lambda bits, unsigned: next(name for most, name in types if bits + unsigned <= most)


def _snowflake_integer(bits: int, unsigned: bool) -> str:
    return f"NUMBER({len(str(2 ** (bits - (not unsigned))))}, 0)"


def _duckdb_integer(bits: int, unsigned: bool) -> str:
    name = {8: "TINYINT", 16: "SMALLINT", 24: "INTEGER", 32: "INTEGER", 64: "BIGINT"}[bits]
    return ("U" if unsigned else "") + name


def _redshift_text(length: int | None) -> Choice:
    # In bytes, of which a character of MySQL's takes up to four:
    # https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html
    if length is not None and 4 * length < 65_535:
        return f"VARCHAR({max(4 * length, 1)})", None
    return "VARCHAR(65535)", "a value of more than 65,535 bytes stops the load"


def _redshift_binary(length: int | None) -> Choice:
    # https://docs.aws.amazon.com/redshift/latest/dg/r_VARBYTE_type.html
    if length is not None:
        return f"VARBYTE({max(length, 1)})", None
    return "VARBYTE(1024000)", "a value of more than 1,024,000 bytes stops the load"


_TYPES: dict[Warehouse, _Types] = {
    # https://docs.snowflake.com/en/sql-reference/intro-summary-data-types
    "snowflake": _Types(
        integer=_snowflake_integer,
        decimal="NUMBER({}, {})",
        text=lambda length: (f"VARCHAR({length})" if length else "VARCHAR", None),
        binary=lambda _: ("BINARY", None),
        others={
            "float": "FLOAT", "double": "FLOAT", "date": "DATE", "year": "NUMBER(4, 0)", "time": "VARCHAR(17)",
            "datetime": "TIMESTAMP_NTZ({})", "timestamp": "TIMESTAMP_NTZ({})",
        },
    ),
    # https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html
    "redshift": _Types(
        integer=_fitting((16, "SMALLINT"), (32, "INTEGER"), (64, "BIGINT"), (65, "DECIMAL(20, 0)")),
        decimal="DECIMAL({}, {})",
        text=_redshift_text,
        binary=_redshift_binary,
        others={
            "float": "DOUBLE PRECISION", "double": "DOUBLE PRECISION", "date": "DATE", "year": "SMALLINT",
            "time": "VARCHAR(17)", "datetime": "TIMESTAMP", "timestamp": "TIMESTAMP",
        },
    ),
    # Of an Iceberg table: https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-supported-data-types.html
    "athena": _Types(
        integer=_fitting((32, "int"), (64, "bigint"), (65, "decimal(20, 0)")),
        decimal="decimal({}, {})",
        text=lambda _: ("string", None),
        binary=lambda _: ("binary", None),
        others={
            "float": "double", "double": "double", "date": "date", "year": "int",
            "datetime": "timestamp", "timestamp": "timestamp",
        },
    ),
    # https://duckdb.org/docs/stable/sql/data_types/overview
    "duckdb": _Types(
        integer=_duckdb_integer,
        decimal="DECIMAL({}, {})",
        text=lambda _: ("VARCHAR", None),
        binary=lambda _: ("BLOB", None),
        others={
            "float": "DOUBLE", "double": "DOUBLE", "date": "DATE", "year": "SMALLINT",
            "datetime": "TIMESTAMP", "timestamp": "TIMESTAMP",
        },
    ),
}  # fmt: skip
