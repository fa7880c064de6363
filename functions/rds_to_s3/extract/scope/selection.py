"""The columns of a table: which are read, which are written, and which are its rows' timestamps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rds_to_s3.checks.binding import BoundChecks, bind_checks, checked_names
from rds_to_s3.checks.expressions import column_names, parse_expression
from rds_to_s3.checks.in_sql import where_in_sql
from rds_to_s3.commit.read_as import ReadAs
from rds_to_s3.errors import ColumnNotFoundError, ColumnTypeError, NoCursorColumnError
from rds_to_s3.extract.scope.index_order import ReadIndex, index_advice, read_index
from rds_to_s3.extract.scope.written import masked_columns, new_names, output_column
from rds_to_s3.formats import OutputColumn, Rows
from rds_to_s3.mysql.catalogue.charsets import round_trips
from rds_to_s3.mysql.catalogue.remedies import column_missing, grant_select, key_grant
from rds_to_s3.mysql.catalogue.schema import NONE_DENIED, DeniedColumns, Table, TableColumn
from rds_to_s3.mysql.select import SelectColumn
from rds_to_s3.plan.lists.column_settings import MaskWay
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.rows.masked import Masks


@dataclass(frozen=True)
class Selection:
    """The columns of one table's read.

    Attributes
    ----------
    columns : list of TableColumn
        What the files hold, in their order.
    select : list of SelectColumn
        The same, and then the columns that only the read needs: cursor, key and checked columns that the files leave
        out. They are always selected, with any index, so that a row version's digest stays the same. Last come the
        key's own bytes, where its text does not convert back to them.
    output : list of OutputColumn
        `columns`, as the formats want them.
    stamp_columns : list of TableColumn
        The columns that show how fresh the table is: the cursor columns, also in a mode that does not use them.
    own_order : bool
        Whether the table list fixes the columns and their order.
    where : str or None
        The rows to extract, in SQL; None for all.
    where_text : str or None
        The same as the table list has it.
    names : mapping
        The names of renamed columns in the files, by their own in lower case.
    masked : mapping
        How columns are masked, by their names in the table.
    masks : Masks or None
        Hashes the columns that are masked so, once the key is known.
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
    where: str | None = None
    where_text: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    masked: Mapping[str, MaskWay] = field(default_factory=dict)
    masks: Masks | None = None
    checks: BoundChecks = field(default_factory=BoundChecks)
    denied: DeniedColumns = NONE_DENIED
    warnings: list[str] = field(default_factory=list)

    @property
    def cursors(self) -> list[SelectColumn]:
        """The created and the modified column, those that exist. A row's stamp is the later of the two."""
        return [column for column in (self.created, self.modified) if column is not None]

    def name_of(self, column: str) -> str:
        """Return a column's name in the files."""
        return self.names.get(column.lower(), column)

    @property
    def is_hashed(self) -> bool:
        """Whether a column is hashed, so that rows cannot be written without the key."""
        return "hash" in self.masked.values()

    def with_mask_key(self, key: Callable[[], bytes]) -> Selection:
        """Return the selection with the key of its hashes, which is fetched only if there are any."""
        if not self.is_hashed:
            return self
        hashed = {
            place: column.kind == "binary"
            for place, column in enumerate(self.select)
            if self.masked.get(column.name) == "hash"
        }
        return replace(self, masks=Masks(hashed, key()))

    def as_written(self, rows: Rows) -> Rows:
        """Return rows as the server sent them with their columns masked."""
        if self.masks is not None:
            return self.masks.apply(rows)
        if self.is_hashed:
            raise RuntimeError("rows of masked columns were read without the key of the masks")
        return rows

    def accepting(self, condition: str = "TRUE") -> str:
        """Return an SQL condition for the rows to extract that fulfil another one."""
        return condition if self.where is None else f"({condition}) AND {self.where}"

    @property
    def cursor_positions(self) -> list[int]:
        """Their positions in `select`."""
        return [self.select.index(column) for column in self.cursors]

    @property
    def whole_days(self) -> bool:
        """Whether a cursor column is a DATE."""
        return any(column.data_type == "date" for column in self.cursor_columns)

    def column(self, name: str) -> SelectColumn:
        """Return a column of the select list."""
        return next(column for column in self.select if column.name == name)

    def positions(self, columns: Sequence[SelectColumn]) -> list[int]:
        """Return where columns are in the select list."""
        return [self.select.index(column) for column in columns]

    def position_column(self, name: str) -> SelectColumn:
        """Return the column of the select list for a position: the column itself, or its bytes."""
        return next(column for column in reversed(self.select) if column.name == name)

    def key_columns(self, table: Table) -> list[SelectColumn]:
        """Return the key's columns. They are always read, also where the files leave them out."""
        return [self.column(column.name) for name in table.key if (column := table.column(name))]

    def identity(self, table: Table) -> list[SelectColumn]:
        """Return the columns whose values tell rows apart: the key's, or the bytes of a text that is ambiguous."""
        keys = [(self.column(column.name), self.position_column(column.name)) for column in self.key_columns(table)]
        return [exact if exact.own_bytes else column for column, exact in keys]

    def key_of(self, table: Table) -> list[str]:
        """Return the key's columns, or none where the files lack one of them."""
        by_name = {column.name.lower(): column.name for column in self.columns}
        names = [by_name.get(name.lower()) for name in table.key]
        return [self.name_of(name) for name in names if name] if all(names) else []

    @property
    def _read(self) -> set[str]:
        # Not the masked ones: a position in an index with one would have its value.
        return {column.name for column in self.select if column.name not in self.masked}

    def index_of(self, table: Table, column: SelectColumn) -> ReadIndex | None:
        """Return the index for the rows of a window by a cursor column."""
        return read_index(table, column.name, self._read)

    def index_advice(self, table: Table) -> list[tuple[str, str, str]]:
        """Return each cursor column without an index for its order, what is wrong, and the statement that helps."""
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
        The table has neither of the two columns, and its mode or its check of age needs one.
    """
    columns = _written(table, spec, denied)
    masked = masked_columns(table, spec, denied=denied)
    names = new_names(table, spec, denied=denied)
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
    checks = bind_checks(table, *spec.parsed_checks, denied=denied, shown=lambda name: names.get(name.lower(), name))
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
    select = [
        SelectColumn(column.name, column.data_type, column.kind, is_null=masked.get(column.name) == "null")
        for column in [*columns, *hidden]
    ]
    by_name = {column.name: column for column in select}
    select += [
        SelectColumn(column.name, column.data_type, "text", own_bytes=column.character_set)
        for column in key
        if column.kind == "text" and not round_trips(table, column)
    ]
    ordered = [column for name in table.ordered_key if (column := table.column(name))]
    select += [
        SelectColumn(column.name, column.data_type, "numeric", by_number=True)
        for column in ordered
        if column.sorts_by_number
    ]
    selection = Selection(
        columns=columns,
        select=select,
        output=[output_column(column, names, masked) for column in columns],
        created=by_name[created.name] if created else None,
        modified=by_name[modified.name] if modified else None,
        cursor_columns=cursors,
        stamp_columns=[column for column in stamps if column.is_cursor_type],
        own_order=spec.columns is not None,
        where=where_in_sql(table, spec.where, denied=denied) if spec.where is not None else None,
        where_text=spec.where,
        names=names,
        masked=masked,
        checks=checks,
        denied=denied,
    )
    warnings = [*(_cursor_warnings(table, spec, selection) if is_incremental else []), *_table_warnings(table, denied)]
    return replace(selection, warnings=warnings)


def _written(table: Table, spec: TableSpec, denied: DeniedColumns) -> list[TableColumn]:
    for key, names in (("columns", spec.columns), ("exclude_columns", spec.exclude_columns)):
        for name in names or ():
            # A column that may not be read may be excluded: it will not be read.
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
    # A table in full mode records the rows delivered beyond the bound, if it has these: it may become incremental.
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
    """Refuse a table that has lost a cursor column: a window cannot find its changes from then on.

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
    settings += [*spec.mask, *spec.rename]
    keys = [name for index in table.indexes if index.unique and index.whole for name in index.columns]
    filters = column_names(parse_expression(spec.where)) if spec.where is not None else ()
    named = [*settings, *checked_names(*spec.parsed_checks), *filters, *keys]
    return [name for name in dict.fromkeys(named) if name is not None]


def _cursor_warnings(table: Table, spec: TableSpec, selection: Selection) -> list[str]:
    warnings = [f"{wrong}: {statement}" for _, wrong, statement in selection.index_advice(table)]
    if (unseen := unseen_changes(table, spec, selection)) is not None:
        warnings.append(". ".join(unseen))
    return warnings


def unseen_changes(table: Table, spec: TableSpec, selection: Selection) -> tuple[str, str] | None:
    """Return what is not extracted of a table without its modified column, and what helps, or None."""
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
        types = ", ".join(f"{column.name} {column.column_type}" for name in table.key if (column := table.column(name)))
        key = (
            f"key in whose order a read can be resumed ({types})" if types else "primary key by which to resume a read"
        )
        warning = f"the table has no {key}: it must be read in one invocation, and is not proved"
        grant = key_grant(table, denied)
        warnings.append(warning if grant is None else f"{warning}. The database user may not read its key: {grant}")
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
