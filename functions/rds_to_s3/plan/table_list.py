"""The table list: the JSON document an operator edits, checked before anything is read.

``docs/table-list.md`` describes the document. One message lists everything that is wrong with it, by key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from rds_to_s3.checks.expressions import parse_expression
from rds_to_s3.checks.vocabulary import ColumnChecks, TableChecks, parse_checks
from rds_to_s3.errors import InputError, TableListError
from rds_to_s3.plan.lists.column_settings import MaskWay, refuse_masks, refuse_renames
from rds_to_s3.plan.lists.patterns import DOT, QualifiedName, is_pattern, most_specific, selects
from rds_to_s3.plan.lists.places import with_place
from rds_to_s3.plan.lists.strict_json import NO_TEXT, has_unpaired_surrogate, loads_strictly
from rds_to_s3.plan.zones import zone_named
from rds_to_s3.wording import first_names, nearest

Name = Annotated[str, StringConstraints(min_length=1, max_length=64, strict=True)]
TableName = Annotated[str, StringConstraints(min_length=1, max_length=129, strict=True)]
"""Of a table of the default database, or ``schema.table``."""
Format = Literal["csv", "parquet"]
Layout = Literal["flat", "hive"]
Compression = Literal["none", "gzip", "zstd", "snappy"]

DEFAULT_TARGET_FILE_BYTES = 128 * 1024 * 1024
MOST_READERS = 40
PROVE_BYTES = 32 * 1024 * 1024
LONGEST_LOOKBACK_SECONDS = 100 * 366 * 86_400


def _known_zone(name: str) -> str:
    zone_named(name)
    return name


def _condition(text: str) -> str:
    parse_expression(text)
    return text


class _Settings(BaseModel):
    """The keys of ``defaults`` and of a table's object."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    created_column: Name | None = "createdDate"
    modified_column: Name | None = "modifiedDate"
    mode: Literal["incremental", "full", "compare"] = "incremental"
    columns: list[Name] | None = None
    exclude_columns: list[Name] | None = None
    format: Format = "csv"
    compression: Compression | None = None
    layout: Layout = "flat"
    target_file_bytes: Annotated[int, Field(ge=1)] = DEFAULT_TARGET_FILE_BYTES
    lookback_seconds: Annotated[int, Field(ge=0, le=LONGEST_LOOKBACK_SECONDS)] = 0
    prove_bytes: Annotated[int, Field(ge=0)] = PROVE_BYTES
    readers: Annotated[int, Field(ge=1, le=MOST_READERS)] | Literal["auto"] = "auto"
    time_zone: Annotated[str, AfterValidator(_known_zone)] | None = None
    where: Annotated[str, AfterValidator(_condition)] | None = None
    mask: dict[Name, MaskWay] = Field(default_factory=dict)
    rename: dict[Name, Name] = Field(default_factory=dict)
    checks: dict[str, Any] = Field(default_factory=dict)
    on_violation: Literal["fail", "quarantine", "warn"] = "fail"
    on_drift: Literal["evolve", "fail"] = "evolve"
    deletes: Literal["ignore", "track"] = "ignore"


class TableSpec(_Settings):
    """One table's settings with every default filled in.

    Attributes
    ----------
    name : str
        The table's name exactly as MySQL has it.
    compression : {"none", "gzip", "zstd", "snappy"}
        Resolved: CSV defaults to ``none``, Parquet to ``snappy``.
    own_keys : list of str
        The keys in the table's object, without the defaults. A cursor column that only the defaults name may be missing
        in the table; one that the table's object names may not.
    pattern : str or None
        The pattern that selected the table; None where the list has the table's name.
    database : str or None
        The table's database; None for the default one, that of the credentials.
    """

    name: TableName
    own_keys: list[str] = Field(default_factory=list)
    pattern: str | None = None
    database: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_compression(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("compression") is None:
            return {**data, "compression": "snappy" if data.get("format") == "parquet" else "none"}
        return data

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.format == "csv" and self.compression == "snappy":
            raise ValueError('compression "snappy" is for Parquet; CSV takes "none", "gzip" or "zstd"')
        if self.format == "parquet" and self.compression == "zstd":
            raise ValueError('compression "zstd" is for CSV; Parquet takes "snappy", "gzip" or "none"')
        if self.columns is not None and self.exclude_columns is not None:
            raise ValueError('"columns" and "exclude_columns" exclude each other: name one of them')
        for key, names in (
            ("columns", self.columns),
            ("exclude_columns", self.exclude_columns),
            ("checks", list(self.checks)),
            ("mask", list(self.mask)),
            ("rename", list(self.rename)),
        ):
            _refuse_repeats(key, names or [])
        if self.columns is not None and not self.columns:
            raise ValueError('"columns" is empty: leave it out to extract every column')
        if self.mode == "incremental" and self.created_column is None and self.modified_column is None:
            raise ValueError(
                "created_column and modified_column are both null: name one of them, or set "
                '"mode": "compare" to read the whole table in every run and extract what differs, or "mode": "full" to '
                "extract all of it"
            )
        parse_checks(self.checks)
        refuse_masks(self.mask, (self.created_column, self.modified_column), self.where, self.checks)
        refuse_renames(self.rename, self.columns)
        return self

    @property
    def is_pattern(self) -> bool:
        """Whether the name has glob characters (it may still be a table's literal name)."""
        return is_pattern(self.name)

    @property
    def bare_name(self) -> str:
        """The table's name in its database."""
        return self.name if self.database is None else self.name.removeprefix(f"{self.database}{DOT}")

    @property
    def existing_name(self) -> str:
        """The name as patterns are matched with it."""
        return self.name if self.database is None else QualifiedName(self.database, self.bare_name)

    @property
    def parsed_checks(self) -> tuple[dict[str, ColumnChecks], TableChecks]:
        """The checks as objects: those of columns by column name, and the table's own."""
        return parse_checks(self.checks)


class TableList(BaseModel):
    """The whole document.

    Attributes
    ----------
    defaults : dict
        Settings that every table starts from, as written.
    tables : list of TableSpec
        In the document's order; a name may be a glob pattern.
    exclude : list of str
        Names or patterns that a pattern in `tables` does not select.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    defaults: dict[str, Any] = Field(default_factory=dict)
    tables: list[TableSpec]
    exclude: list[TableName] = Field(default_factory=list)

    def resolve(self, existing: Iterable[str]) -> list[TableSpec]:
        """Replace patterns by the tables that they match.

        Parameters
        ----------
        existing : iterable of str
            The base tables of the database.

        Returns
        -------
        list of TableSpec
            One per table. A literal name is kept even if no such table exists: only that table then fails, with a
            message. Any other table has the entry with the most specific pattern that selects it, unless it is
            excluded.
        """
        by_name = {str(name): name for name in existing}
        known = set(by_name)
        names = sorted(by_name.values())
        excluded = {name for name in names if any(selects(listed, name, known) for listed in self.exclude)}
        literal = {spec.name for spec in self.tables if not spec.is_pattern or spec.name in known}
        patterns = [spec.name for spec in self.tables if spec.name not in literal]
        taken: dict[str, list[str]] = {}
        for name in names:
            if name not in literal and name not in excluded and (pattern := most_specific(name, patterns)) is not None:
                taken.setdefault(pattern, []).append(name)
        resolved: list[TableSpec] = []
        for spec in self.tables:
            if spec.name in literal:
                resolved.append(spec.model_copy(update={"database": _database_of(spec.name, by_name)}))
            else:
                resolved += [
                    spec.model_copy(
                        update={"name": str(name), "pattern": spec.name, "database": _database_of(name, by_name)}
                    )
                    for name in taken.get(spec.name, [])
                ]
        return resolved

    def idle(self, resolved: Iterable[str]) -> list[str]:
        """Return warnings about patterns that match none of the resolved tables."""
        names = set(resolved)
        if not self.tables:
            return ["the table list is empty: nothing is extracted"]
        return [
            f"the pattern {json.dumps(spec.name, ensure_ascii=False)} in the table list brings in no table"
            for spec in self.tables
            if spec.is_pattern and not any(selects(spec.name, name, names) for name in names)
        ]

    def needs_catalogue(self) -> bool:
        """Whether a name is a pattern, or may be of another database, so that only the server knows the tables."""
        return any(spec.is_pattern or DOT in spec.name for spec in self.tables)

    def names_databases(self) -> bool:
        """Whether a listed name may be of a table of another database than the default one."""
        return any(DOT in spec.name for spec in self.tables)


def _database_of(name: str, existing: Mapping[str, str]) -> str | None:
    """Return the database of a table; None for the default one. A table that is not there is taken by its first dot."""
    found = existing.get(name, name)
    if isinstance(found, QualifiedName):
        return found.schema
    schema, dot, table = name.partition(DOT)
    return schema if dot and table and schema and name not in existing else None


def select_tables(listed: Sequence[TableSpec], names: Sequence[str]) -> list[TableSpec]:
    """Pick the tables that an execution's input names.

    Parameters
    ----------
    listed : sequence of TableSpec
        What the table list resolves to.
    names : sequence of str
        Names and patterns in the input; a table that they name twice is extracted once.

    Raises
    ------
    InputError
        A name is not listed, or a pattern matches no listed table. Raised before any table is read.
    """
    by_name = {spec.name: spec for spec in listed}
    chosen: dict[str, TableSpec] = {}
    for name in dict.fromkeys(names):
        found = [spec for spec in listed if selects(name, spec.existing_name, by_name)]
        if not found:
            quoted = json.dumps(name, ensure_ascii=False)
            what = (
                f"has the pattern {quoted}, which matches no table in"
                if is_pattern(name)
                else f"names {quoted}, not in"
            )
            raise InputError(
                f"the input {what} the table list{_did_you_mean(name, by_name)}. "
                f"Listed: {first_names(by_name)}. Add the table to the list, or correct the input."
            )
        chosen |= {spec.name: spec for spec in found}
    return list(chosen.values())


def parse_table_list(document: str, *, with_places: bool = True) -> TableList:
    """Check a table list.

    Parameters
    ----------
    document : str
        The JSON text of the SSM parameter.

    with_places : bool
        Whether an error says at which line and column of the document it is.

    Raises
    ------
    TableListError
        Not JSON, an unknown key, a wrong type, a table listed twice, settings that contradict each other. The message
        names every place that is wrong.

    Examples
    --------
    >>> parse_table_list('{"tables": ["location"]}').tables[0].created_column
    'createdDate'
    """
    try:
        data = loads_strictly(document)
    except ValueError as error:
        raise TableListError(f"the table list is not valid JSON: {error}") from None
    if has_unpaired_surrogate(data):
        raise TableListError(f"the table list {NO_TEXT}")
    if not isinstance(data, dict):
        raise TableListError('the table list must be a JSON object like {"tables": ["orders"]}')
    if "tables" not in data:
        raise TableListError('the table list has no key "tables"')
    problems = _unknown_keys(data, {"defaults", "tables", "exclude"}, "")
    defaults = data.get("defaults", {})
    if not isinstance(defaults, dict):
        raise TableListError('the table list: "defaults" must be an object')
    problems += _unknown_keys(defaults, _Settings.model_fields, "defaults")
    tables = data["tables"]
    if not isinstance(tables, list):
        raise TableListError('the table list: "tables" must be an array of names or objects')

    specs, wrong = _parse_tables(tables, defaults)
    problems += wrong
    exclude = data.get("exclude", [])
    try:
        result = TableList.model_validate({"defaults": defaults, "tables": specs, "exclude": exclude})
    except ValidationError as error:
        problems += _explain(error, "")
    if problems:
        distinct = dict.fromkeys(problems)
        raise TableListError(
            "the table list: " + "; ".join(with_place(each, document) if with_places else each for each in distinct)
        )
    return result


def _parse_tables(tables: Sequence[Any], defaults: Mapping[str, Any]) -> tuple[list[TableSpec], list[str]]:
    specs: list[TableSpec] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    for index, entry in enumerate(tables):
        table: Any = {"name": entry} if isinstance(entry, str) else entry
        where = f"tables[{index}]"
        if not isinstance(table, dict):
            problems.append(f"{where} must be a table's name or an object, not {json.dumps(entry)}")
            continue
        if isinstance(table.get("name"), str):
            where += f" ({json.dumps(table['name'], ensure_ascii=False)})"
        if unknown := _unknown_keys(table, {"name", *_Settings.model_fields}, where):
            problems += unknown
            continue
        try:
            spec = TableSpec.model_validate({**_known(defaults), **table, "own_keys": sorted(table)})
        except ValidationError as error:
            problems += _explain(error, where)
            continue
        if spec.name in seen:
            problems.append(f"{where} is listed twice: first as tables[{seen[spec.name]}]")
        seen.setdefault(spec.name, index)
        specs.append(spec)
    return specs, problems


def _known(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out unknown defaults: they are reported once, not once per table."""
    return {key: value for key, value in defaults.items() if key in _Settings.model_fields}


def _refuse_repeats(key: str, names: Sequence[str]) -> None:
    """Refuse a column that is named twice. MySQL's column names ignore case: `id` and `ID` are one column."""
    seen: dict[str, str] = {}
    for name in names:
        if (first := seen.get(name.lower())) is not None:
            again = "" if first == name else f", first as {json.dumps(first, ensure_ascii=False)}: case does not count"
            raise ValueError(f'"{key}" names {json.dumps(name, ensure_ascii=False)} twice{again}')
        seen[name.lower()] = name


def _unknown_keys(data: Mapping[str, Any], known: Iterable[str], where: str) -> list[str]:
    prefix = f"{where}: " if where else ""
    return [
        f"{prefix}unknown key {json.dumps(key, ensure_ascii=False)}{_did_you_mean(key, known)}"
        for key in data
        if key not in set(known)
    ]


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = nearest(name, known)
    return f" (did you mean {json.dumps(close, ensure_ascii=False)}?)" if close else ""


def _explain(error: ValidationError, where: str) -> list[str]:
    problems = []
    for detail in error.errors():
        path = ".".join(str(part) for part in detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        if path.startswith("readers."):  # of both kinds of value, each for itself
            path, message = "readers", f'must be a number from 1 to {MOST_READERS}, or "auto"'
        value = "" if not detail["loc"] or isinstance(detail["input"], dict) else f", not {detail['input']!r}"
        problems.append(": ".join(part for part in (where, path, f"{message}{value}") if part))
    return problems
