"""How columns are written: under which names, and masked how."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rds_to_s3.errors import ColumnNotFoundError, TableListError
from rds_to_s3.formats import OutputColumn
from rds_to_s3.mysql.catalogue.remedies import column_missing
from rds_to_s3.mysql.catalogue.schema import DeniedColumns, Table, TableColumn
from rds_to_s3.plan.lists.column_settings import MaskWay
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.rows.masked import HASH_CHARACTERS

HASH_TYPE = f"char({HASH_CHARACTERS})"


def masked_columns(table: Table, spec: TableSpec, *, denied: DeniedColumns) -> dict[str, MaskWay]:
    """Return how columns are masked, by their names in the table.

    Raises
    ------
    ColumnNotFoundError
        The table's own settings mask a column that it lacks: it may have another name now, and would be written.
    TableListError
        A column of the key is to be masked.
    """
    masked: dict[str, MaskWay] = {}
    for name, way in spec.mask.items():
        column = table.column(name)
        if column is not None:
            masked[column.name] = way
        elif "mask" in spec.own_keys and name not in denied:
            raise ColumnNotFoundError(column_missing(table, name, 'named in "mask" in the table list', denied))
    key = {name.lower() for name in (*table.key, *table.ordered_key)}
    if in_key := [name for name in masked if name.lower() in key]:
        raise TableListError(
            f"table {table.name!r} masks {in_key[0]!r}, a column of its key: a read is resumed by the key's values, "
            "and deletes and the proof find rows by them, so they are stored. Leave the column out of the files with "
            '"exclude_columns" instead; joins can use another column that is hashed in both tables'
        )
    return masked


def new_names(table: Table, spec: TableSpec, *, denied: DeniedColumns) -> dict[str, str]:
    """Return the names of renamed columns in the files, by their own in lower case.

    Raises
    ------
    ColumnNotFoundError
        The table's own settings rename a column that it lacks.
    TableListError
        A new name is that of another column.
    """
    names: dict[str, str] = {}
    for name, new in spec.rename.items():
        if (column := table.column(name)) is not None:
            names[column.name.lower()] = new
        elif "rename" in spec.own_keys:
            raise ColumnNotFoundError(column_missing(table, name, 'named in "rename" in the table list', denied))
    for name, new in names.items():
        other = table.column(new)
        if other is not None and other.name.lower() not in names:
            raise TableListError(
                f'table {table.name!r}: "rename" gives {json.dumps(name, ensure_ascii=False)} the name '
                f"{json.dumps(new, ensure_ascii=False)}, which another of its columns has"
            )
    return names


def output_column(column: TableColumn, names: Mapping[str, str], masked: Mapping[str, MaskWay]) -> OutputColumn:
    """Return a column as the formats want it."""
    name, way = names.get(column.name.lower(), column.name), masked.get(column.name)
    if way == "hash":
        return OutputColumn(name, HASH_TYPE, "text", column.nullable)
    return OutputColumn(name, column.column_type, column.kind, column.nullable or way == "null")


def as_stored(column: TableColumn, masked: Mapping[str, MaskWay]) -> dict[str, object]:
    """Return a column as the table's state has it: of a masked one, what is written. An ENUM's members are values."""
    written = output_column(column, {}, masked)
    return {"name": column.name, "type": written.column_type, "nullable": written.nullable}
