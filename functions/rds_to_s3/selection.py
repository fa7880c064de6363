"""Which columns of a table are read, which are written, and which tell its rows' age."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from rds_to_s3.checks.binding import BoundChecks, bind_checks
from rds_to_s3.errors import ColumnNotFoundError, ColumnTypeError, NoCursorColumnError
from rds_to_s3.formats import OutputColumn
from rds_to_s3.mysql.select import SelectColumn
from rds_to_s3.schema import Table, TableColumn
from rds_to_s3.table_list import TableSpec


@dataclass(frozen=True)
class Selection:
    """The columns of one table's read.

    Attributes
    ----------
    columns : list of TableColumn
        What the files hold, in their order.
    select : list of SelectColumn
        The same, and then what only the read needs: cursor and key columns that the files leave out. They are always
        there, whatever index the read uses, so that a row version's digest stays the same. Checked columns, too.
    output : list of OutputColumn
        `columns`, as the formats want them.
    created, modified : SelectColumn, optional
    stamp_columns : list of TableColumn
        Those that tell how fresh the table is: the cursor columns, also where the mode makes no use of them.
    own_order : bool
        Whether the table list fixes the columns and their order.
    checks : BoundChecks
    warnings : list of str
    """

    columns: list[TableColumn]
    select: list[SelectColumn]
    output: list[OutputColumn]
    created: SelectColumn | None
    modified: SelectColumn | None
    cursor_columns: list[TableColumn]
    stamp_columns: list[TableColumn] = field(default_factory=list)
    own_order: bool = False
    checks: BoundChecks = field(default_factory=BoundChecks)
    warnings: list[str] = field(default_factory=list)

    @property
    def cursor_positions(self) -> list[int]:
        """Where the modified and the created column stand in `select`, the one that counts first."""
        return [self.select.index(column) for column in (self.modified, self.created) if column is not None]

    @property
    def whole_days(self) -> bool:
        """Whether a cursor column is a DATE."""
        return any(column.data_type == "date" for column in self.cursor_columns)

    def column(self, name: str) -> SelectColumn:
        """Return a column of the select list."""
        return next(column for column in self.select if column.name == name)

    def key_columns(self, table: Table) -> list[SelectColumn]:
        """Return the columns that tell rows apart: they are read, whatever the files hold."""
        return [self.column(column.name) for name in table.key if (column := table.column(name))]

    def key_of(self, table: Table) -> list[str]:
        """Return the columns by which a reader of the files can tell rows apart; none where a part is not written."""
        by_name = {column.name.lower(): column.name for column in self.columns}
        names = [by_name.get(name.lower()) for name in table.key]
        return [name for name in names if name] if all(names) else []

    def index_name(self, table: Table, column: SelectColumn | None) -> str | None:
        """Return the index that has `column` in order."""
        index = table.index_on(column.name) if column else None
        return index.name if index else None


def select_columns(table: Table, spec: TableSpec) -> Selection:
    """Match a table's settings with its columns.

    Raises
    ------
    ColumnNotFoundError
        A column that the table list names for this table is not there.
    ColumnTypeError
        A cursor column holds no date.
    NoCursorColumnError
        The table has neither of the two columns, and is to be extracted incrementally, or checked for its age.
    """
    columns = _written(table, spec)
    cursors = {
        key: _cursor(table, spec, key) if spec.mode == "incremental" else None
        for key in ("modified_column", "created_column")
    }
    modified, created = cursors["modified_column"], cursors["created_column"]
    if spec.mode == "incremental" and modified is None and created is None:
        raise NoCursorColumnError(
            f"table {table.name!r} has neither a column {spec.created_column!r} nor {spec.modified_column!r}: name its "
            'created_column or modified_column in the table list, or set "mode": "full"'
        )
    if created is not None and modified is not None and created.name == modified.name:
        created = None
    checks = bind_checks(table, *spec.parsed_checks)
    stamps = [column for name in (spec.modified_column, spec.created_column) if name and (column := table.column(name))]
    if checks.table.max_age_seconds is not None and not any(column.is_cursor_type for column in stamps):
        raise NoCursorColumnError(f"max_age_seconds of table {table.name!r} needs a created_column or modified_column")
    needed = [column for column in (modified, created) if column is not None]
    for name in table.key:
        column = table.column(name)
        if column is not None:
            needed.append(column)
    needed += checks.columns
    written = {column.name for column in columns}
    hidden = [column for column in dict.fromkeys(needed) if column.name not in written]
    select = [SelectColumn(column.name, column.data_type, column.kind) for column in [*columns, *hidden]]
    by_name = {column.name: column for column in select}
    return Selection(
        columns=columns,
        select=select,
        output=[OutputColumn(column.name, column.column_type, column.kind, column.nullable) for column in columns],
        created=by_name[created.name] if created else None,
        modified=by_name[modified.name] if modified else None,
        cursor_columns=[column for column in (modified, created) if column is not None],
        stamp_columns=[column for column in stamps if column.is_cursor_type],
        own_order=spec.columns is not None,
        checks=checks,
        warnings=_warnings(table, [column for column in (modified, created) if column is not None]),
    )


def _written(table: Table, spec: TableSpec) -> list[TableColumn]:
    for key, names in (("columns", spec.columns), ("exclude_columns", spec.exclude_columns)):
        for name in names or ():
            if table.column(name) is None:
                raise ColumnNotFoundError(_not_found(table, name, f'named in "{key}"'))
    if spec.columns is not None:
        return [column for name in spec.columns if (column := table.column(name)) is not None]
    excluded = {name.lower() for name in spec.exclude_columns or ()}
    columns = [column for column in table.columns if column.name.lower() not in excluded]
    if not columns:
        raise ColumnNotFoundError(f'"exclude_columns" leaves no column of table {table.name!r} to extract')
    return columns


def _cursor(table: Table, spec: TableSpec, key: str) -> TableColumn | None:
    name = getattr(spec, key)
    if name is None:
        return None
    column = table.column(name)
    if column is None:
        if key in spec.own_keys:
            raise ColumnNotFoundError(_not_found(table, name, f"its {key}"))
        return None
    if not column.is_cursor_type:
        raise ColumnTypeError(
            f"the {key} {name!r} of table {table.name!r} is {column.column_type}; a watermark needs a DATE, "
            "DATETIME or TIMESTAMP"
        )
    return column


def _warnings(table: Table, cursors: Iterable[TableColumn]) -> list[str]:
    warnings = [
        f"column {column.name} has no index, so every run scans the whole table: "
        f"CREATE INDEX {table.name}_{column.name} ON {table.name} ({column.name})"
        for column in cursors
        if table.index_on(column.name) is None
    ]
    if not table.ordered_key:
        warnings.append(
            "the table has no primary key that a read can be taken up again by: it must be read in one invocation"
        )
    if table.engine.lower() != "innodb":
        warnings.append(
            f"the table's engine is {table.engine}, which has no snapshots: rows written during the read may show"
        )
    return warnings


def _not_found(table: Table, name: str, role: str) -> str:
    names = [column.name for column in table.columns]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names[:30])}."
    return f"table {table.name!r} has no column {name!r}, {role} in the table list; {hint}"
