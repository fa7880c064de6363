"""Which columns of a table are read, which are written, and which tell its rows' age."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rds_to_s3.checks.binding import BoundChecks, bind_checks, checked_names
from rds_to_s3.commit.read_as import ReadAs
from rds_to_s3.errors import ColumnNotFoundError, ColumnTypeError, NoCursorColumnError
from rds_to_s3.extract.scope.index_order import ReadIndex, index_advice, read_index
from rds_to_s3.formats import OutputColumn
from rds_to_s3.mysql.catalogue.charsets import ROUND_TRIP
from rds_to_s3.mysql.catalogue.remedies import column_missing, grant_select, key_grant
from rds_to_s3.mysql.catalogue.schema import NONE_DENIED, DeniedColumns, Table, TableColumn
from rds_to_s3.mysql.select import SelectColumn
from rds_to_s3.plan.table_list import TableSpec


@dataclass(frozen=True)
class Selection:
    """The columns of one table's read.

    Attributes
    ----------
    columns : list of TableColumn
        What the files hold, in their order.
    select : list of SelectColumn
        The same, and then what only the read needs: cursor and key columns that the files leave out. They are always
        there, whatever index the read uses, so that a row version's digest stays the same. Checked columns, too. Last
        the key's own bytes, where its text may not come back to them.
    output : list of OutputColumn
        `columns`, as the formats want them.
    stamp_columns : list of TableColumn
        Those that tell how fresh the table is: the cursor columns, also where the mode makes no use of them.
    own_order : bool
        Whether the table list fixes the columns and their order.
    denied : DeniedColumns
        Columns that the settings name or a key has, and the user may not read.
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
    denied: DeniedColumns = NONE_DENIED
    warnings: list[str] = field(default_factory=list)

    @property
    def cursors(self) -> list[SelectColumn]:
        """The created and the modified column, whichever there are. A row's stamp is the later of the two."""
        return [column for column in (self.created, self.modified) if column is not None]

    @property
    def cursor_positions(self) -> list[int]:
        """Where these are in `select`."""
        return [self.select.index(column) for column in self.cursors]

    @property
    def whole_days(self) -> bool:
        """Whether a cursor column is a DATE."""
        return any(column.data_type == "date" for column in self.cursor_columns)

    def column(self, name: str) -> SelectColumn:
        """Return a column of the select list."""
        return next(column for column in self.select if column.name == name)

    def position_column(self, name: str) -> SelectColumn:
        """Return the column of the select list that a read is resumed after: the column's own bytes if need be."""
        return next(column for column in reversed(self.select) if column.name == name)

    def key_columns(self, table: Table) -> list[SelectColumn]:
        """Return the columns that tell rows apart: they are read, whatever the files hold."""
        return [self.column(column.name) for name in table.key if (column := table.column(name))]

    def key_of(self, table: Table) -> list[str]:
        """Return the columns by which a reader of the files can tell rows apart; none where a part is not written."""
        by_name = {column.name.lower(): column.name for column in self.columns}
        names = [by_name.get(name.lower()) for name in table.key]
        return [name for name in names if name] if all(names) else []

    @property
    def _read(self) -> set[str]:
        return {column.name for column in self.select}

    def index_of(self, table: Table, column: SelectColumn) -> ReadIndex | None:
        """Return the index that finds the rows of a window by a cursor column."""
        return read_index(table, column.name, self._read)

    def index_advice(self, table: Table) -> list[tuple[str, str, str]]:
        """Return each cursor column whose indexes give no order, what is wrong, and the statement that helps."""
        found = ((column.name, index_advice(table, column.name, self._read)) for column in self.cursor_columns)
        return [(name, *advice) for name, advice in found if advice is not None]


def select_columns(table: Table, spec: TableSpec, *, denied: DeniedColumns = NONE_DENIED) -> Selection:
    """Match a table's settings with its columns.

    Parameters
    ----------
    denied : DeniedColumns
        Columns that the settings name, and the user may not read.

    Raises
    ------
    ColumnNotFoundError
        A column that the table list names for this table is not there.
    ColumnTypeError
        A cursor column holds no date.
    NoCursorColumnError
        The table has neither of the two columns, and is to be extracted incrementally, or checked for its age.
    """
    columns = _written(table, spec, denied)
    modified, created = (_cursor(table, spec, key, denied) for key in ("modified_column", "created_column"))
    is_incremental = spec.mode == "incremental"
    if is_incremental and modified is None and created is None:
        raise NoCursorColumnError(
            f"table {table.name!r} has neither a column {spec.created_column!r} nor {spec.modified_column!r}: name its "
            f'created_column or modified_column in the table list, or set "mode": "full"'
            f"{_denied_hint(table, spec, denied)}"
        )
    if created is not None and modified is not None and created.name == modified.name:
        created = None
    checks = bind_checks(table, *spec.parsed_checks, denied=denied)
    stamps = [column for name in (spec.modified_column, spec.created_column) if name and (column := table.column(name))]
    if checks.table.max_age_seconds is not None and not any(column.is_cursor_type for column in stamps):
        raise NoCursorColumnError(
            f"max_age_seconds of table {table.name!r} needs a created_column or modified_column"
            f"{_denied_hint(table, spec, denied)}"
        )
    cursors = [column for column in (modified, created) if column is not None]
    key = [column for name in table.key if (column := table.column(name))]
    written = {column.name for column in columns}
    hidden = [column for column in dict.fromkeys([*cursors, *key, *checks.columns]) if column.name not in written]
    select = [SelectColumn(column.name, column.data_type, column.kind) for column in [*columns, *hidden]]
    by_name = {column.name: column for column in select}
    select += [
        SelectColumn(column.name, column.data_type, "text", own_bytes=column.character_set)
        for column in key
        if column.kind == "text" and column.character_set not in ROUND_TRIP
    ]
    selection = Selection(
        columns=columns,
        select=select,
        output=[OutputColumn(column.name, column.column_type, column.kind, column.nullable) for column in columns],
        created=by_name[created.name] if created else None,
        modified=by_name[modified.name] if modified else None,
        cursor_columns=cursors,
        stamp_columns=[column for column in stamps if column.is_cursor_type],
        own_order=spec.columns is not None,
        checks=checks,
        denied=denied,
    )
    warnings = [*(_cursor_warnings(table, spec, selection) if is_incremental else []), *_table_warnings(table, denied)]
    return replace(selection, warnings=warnings)


def _written(table: Table, spec: TableSpec, denied: DeniedColumns) -> list[TableColumn]:
    for key, names in (("columns", spec.columns), ("exclude_columns", spec.exclude_columns)):
        for name in names or ():
            # One that may not be read may be excluded: it is not going to be read.
            is_out = key == "exclude_columns" and name in denied
            if table.column(name) is None and not is_out:
                raise ColumnNotFoundError(column_missing(table, name, f'named in "{key}" in the table list', denied))
    if spec.columns is not None:
        return [column for name in spec.columns if (column := table.column(name)) is not None]
    excluded = {name.lower() for name in spec.exclude_columns or ()}
    columns = [column for column in table.columns if column.name.lower() not in excluded]
    if not columns:
        raise ColumnNotFoundError(f'"exclude_columns" leaves no column of table {table.name!r} to extract')
    return columns


def _cursor(table: Table, spec: TableSpec, key: str, denied: DeniedColumns) -> TableColumn | None:
    name = getattr(spec, key)
    if name is None:
        return None
    column = table.column(name)
    # A table in full remembers what it has delivered beyond the bound, if it has these: it may become incremental.
    is_needed = spec.mode == "incremental"
    if column is None:
        if key in spec.own_keys and is_needed:
            raise ColumnNotFoundError(column_missing(table, name, f"its {key} in the table list", denied))
        return None
    if not column.is_cursor_type:
        if not is_needed:
            return None
        raise ColumnTypeError(
            f"the {key} {name!r} of table {table.name!r} is {column.column_type}; a watermark needs a DATE, "
            "DATETIME or TIMESTAMP"
        )
    return column


def require_cursors(table: Table, spec: TableSpec, last: ReadAs | None, *, denied: DeniedColumns = NONE_DENIED) -> None:
    """Refuse a table that has lost a cursor column: what it shows from then on cannot be read by a window.

    Parameters
    ----------
    last : ReadAs or None
        How the last commit read the table.
    """
    if last is None or spec.mode != "incremental":
        return
    for key, name in (("modified_column", last.modified), ("created_column", last.created)):
        if name is None or getattr(spec, key) is None or table.column(name) is not None:
            continue
        if getattr(spec, key).lower() != name.lower():
            continue  # the table list names another one: somebody has decided
        raise NoCursorColumnError(
            f"table {table.name!r} was extracted by its {key} {name!r}, and has no such column now. Nothing was read. "
            f"Name the column that took its place as its {key} in the table list, or set "
            f'"{key}": null there if rows are to be extracted without it{_denied_hint(table, spec, denied)}'
        )


def wanted_columns(table: Table, spec: TableSpec) -> list[str]:
    """Return the columns that the table list names for a table, and those of its keys."""
    settings = [spec.modified_column, spec.created_column, *(spec.columns or ()), *(spec.exclude_columns or ())]
    keys = [name for index in table.indexes if index.unique and index.whole for name in index.columns]
    return [name for name in dict.fromkeys([*settings, *checked_names(*spec.parsed_checks), *keys]) if name is not None]


def _cursor_warnings(table: Table, spec: TableSpec, selection: Selection) -> list[str]:
    warnings = [f"{wrong}: {statement}" for _, wrong, statement in selection.index_advice(table)]
    if (unseen := unseen_changes(table, spec, selection)) is not None:
        warnings.append(". ".join(unseen))
    return warnings


def unseen_changes(table: Table, spec: TableSpec, selection: Selection) -> tuple[str, str] | None:
    """Return what is not extracted of a table without its modified column, and what helps; None if it has one."""
    cursors, denied = selection.cursor_columns, selection.denied
    named = {column.name.lower() for column in cursors}
    if spec.mode != "incremental" or spec.modified_column is None or spec.modified_column.lower() in named:
        return None
    return (
        f"the table is extracted by {cursors[0].name} alone, so changes of its rows are not extracted: it has no "
        f"column {spec.modified_column!r}",
        'Name its modified_column in the table list; or set "modified_column": null for this table if its rows never '
        f'change, or "mode": "full"{_denied_hint(table, spec, denied)}',
    )


def _table_warnings(table: Table, denied: DeniedColumns) -> list[str]:
    warnings = []
    if not table.ordered_key:
        told = "the table has no primary key by which a read can be resumed: it must be read in one invocation"
        grant = key_grant(table, denied)
        warnings.append(told if grant is None else f"{told}. The database user may not read its key: {grant}")
    if table.engine.lower() != "innodb":
        warnings.append(
            f"the table's engine is {table.engine}, which has no snapshots: the files may contain rows written during "
            "the read"
        )
    return warnings


def _denied_hint(table: Table, spec: TableSpec, denied: DeniedColumns) -> str:
    cursors = [name for name in (spec.modified_column, spec.created_column) if name is not None and name in denied]
    if not cursors:
        return ""
    return (
        f". The database user may not read {' and '.join(cursors)}, which the table has: "
        f"{grant_select(table, denied, cursors)}"
    )
