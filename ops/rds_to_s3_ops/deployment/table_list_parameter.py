"""Reads and writes the table list, in its SSM parameter or in the object that the parameter points to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rds_to_s3.errors import InputError, TableListError
from rds_to_s3.plan.lists.patterns import is_pattern
from rds_to_s3.plan.lists.stored_list import FROM, in_parameter, key_of, parse_stored_list, pointer_of
from rds_to_s3.plan.table_list import TableList, parse_table_list, select_tables
from rds_to_s3.s3.objects import ConditionFailedError, StoredObject
from rds_to_s3.wording import did_you_mean, first_names
from rds_to_s3_ops.deployment.aws import aws_errors, error_code
from rds_to_s3_ops.errors import ConflictError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

    from rds_to_s3_ops.deployment.bucket import Bucket

PARAMETER_BYTES = (
    8 * 1024
)  # https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
DEFAULT_KEY = "table-list.json"


@dataclass(frozen=True)
class TableListDocument:
    """The document as written, checked.

    Attributes
    ----------
    data : dict
        The JSON object as the operator wrote it.
    checked : TableList
        The validated list.
    version : int
        The parameter's version; 0 for a document that is not stored.
    url : str or None
        Of the object that has the list; None where the parameter has it.
    stored : StoredObject or None
        That object, as it was read.
    """

    data: dict[str, Any]
    checked: TableList
    version: int
    url: str | None = None
    stored: StoredObject | None = None

    @classmethod
    def parse(cls, text: str, version: int = 0, *, with_places: bool = True) -> TableListDocument:
        """Check a document.

        Raises
        ------
        InvalidInputError
            It is not a table list; the message lists every error.
        """
        try:
            checked = parse_table_list(text, with_places=with_places)
        except TableListError as error:
            raise InvalidInputError(str(error)) from None
        return cls(json.loads(text), checked, version)

    def _changed(self, **members: Any) -> TableListDocument:
        data = {key: value for key, value in {**self.data, **members}.items() if value or key == "tables"}
        return replace(self.parse(json.dumps(data), self.version, with_places=False), url=self.url, stored=self.stored)

    def with_table(
        self, name: str, settings: dict[str, Any], unset: Sequence[str] = (), *, replaces: bool
    ) -> TableListDocument:
        """Return the document with one more table, or with other settings of a listed one.

        Parameters
        ----------
        name : str
            A table's name or a pattern.
        settings : dict
            The keys that it overrides; empty for the defaults.
        unset : sequence of str
            Keys of its own that it loses, so that the defaults apply.
        replaces : bool
            Whether to change a table that is already listed, at its position. Its other settings stay. Otherwise that
            is an error.

        Raises
        ------
        InvalidInputError
            A setting is unknown, not valid, or the name of another table; or a key to unset is not there.
        """
        if "name" in settings or "name" in unset:
            raise InvalidInputError(f"name is not a setting: the table to list is {name!r}, as TABLE says")
        entries = list(self.data["tables"])
        listed = [_name(existing) for existing in entries]
        if name in listed and not replaces:
            raise InvalidInputError(f"table {name!r} is already listed: add --replace to change its settings")
        place = listed.index(name) if name in listed else len(entries)
        before = entries[place] if place < len(entries) and isinstance(entries[place], dict) else {}
        own = _merged(
            {key: value for key, value in before.items() if key != "name"}, settings, unset, f"table {name!r}"
        )
        entries[place : place + 1] = [{"name": name, **own} if own else name]
        return self._changed(tables=entries)

    def with_defaults(self, settings: dict[str, Any], unset: Sequence[str] = ()) -> TableListDocument:
        """Return the document with other defaults; those that are not named stay."""
        return self._changed(defaults=_merged(self.data.get("defaults", {}), settings, unset, "defaults"))

    def with_excluded(self, names: Sequence[str]) -> TableListDocument:
        """Return the document with more names or patterns that no pattern brings in."""
        excluded = list(self.data.get("exclude", []))
        for name in names:
            if name in excluded:
                raise InvalidInputError(f"{name!r} is already excluded")
            if name in map(_name, self.data["tables"]):
                raise InvalidInputError(
                    f"{name!r} is listed, and what is listed by name is extracted: rds-to-s3 tables remove {name}"
                )
            excluded.append(name)
        return self._changed(exclude=excluded)

    def without_excluded(self, names: Sequence[str]) -> TableListDocument:
        """Return the document with fewer of them."""
        excluded = list(self.data.get("exclude", []))
        for name in names:
            if name not in excluded:
                raise NotFoundError(f"{name!r} is not excluded; excluded are: {first_names(excluded) or 'none'}")
            excluded.remove(name)
        return self._changed(exclude=excluded)

    def own_settings(self, name: str) -> dict[str, Any] | None:
        """Return a listed table's own settings; None if it is not listed."""
        for entry in self.data["tables"]:
            if _name(entry) == name:
                return {key: value for key, value in entry.items() if key != "name"} if isinstance(entry, dict) else {}
        return None

    def without_table(self, name: str) -> TableListDocument:
        """Return the document without a table."""
        entries = [entry for entry in self.data["tables"] if _name(entry) != name]
        if len(entries) == len(self.data["tables"]):
            known = [_name(entry) for entry in entries]
            raise NotFoundError(
                f"table {name!r} is not listed{did_you_mean(name, known)}; listed are: {first_names(known)}"
            )
        return self._changed(tables=entries)

    def written(self) -> str:
        """Return the document as text, with one line for each table."""
        text = "{" + "".join(f"\n {_json(key)}: {_json(value)}," for key, value in self.data.items() if key != "tables")
        tables = ",\n".join(f"  {_json(entry)}" for entry in self.data["tables"])
        return f'{text}\n "tables": [\n{tables}\n ]}}\n'


class TableListParameter:
    """The SSM parameter with the table list, or with the place of the object that has it.

    Parameters
    ----------
    ssm : SSMClient
    name : str
    bucket : Bucket
        The data bucket.
    """

    def __init__(self, ssm: SSMClient, name: str, bucket: Bucket) -> None:
        self._ssm = ssm
        self._bucket = bucket
        self.name = name

    def read(self) -> TableListDocument:
        """Return the current document."""
        text, version = self._value()
        try:
            with in_parameter(self.name):
                if (url := pointer_of(text)) is None:
                    return TableListDocument(json.loads(text), parse_table_list(text), version)
            stored = self._bucket.read(key_of(url, self._bucket.name))
            checked = parse_stored_list(stored, url, self._bucket.name)
        except TableListError as error:
            raise InvalidInputError(str(error)) from None
        assert stored is not None  # noqa: S101 - refused above
        return TableListDocument(json.loads(stored.body), checked, version, url, stored)

    def write(self, document: TableListDocument) -> None:
        """Replace the document, where it is.

        Raises
        ------
        ConflictError
            Someone else wrote it since `document` was read.
        InvalidInputError
            It is too long for a parameter.
        """
        if document.url is not None:
            self._write_object(document, document.url, document.stored)
            return
        text = document.written()
        if len(text.encode()) > PARAMETER_BYTES:
            raise InvalidInputError(
                f"the table list would have {len(text.encode()):,} bytes, and a parameter holds {PARAMETER_BYTES:,}; "
                "nothing was written: move it into the bucket with `rds-to-s3 tables move`, and repeat"
            )
        self._write_parameter(text, document.version)

    def move(self, key: str) -> str:
        """Move the list into an object of the data bucket, and return its URL.

        Raises
        ------
        InvalidInputError
            It is in the bucket already, or cannot be at this key.
        ConflictError
            There is an object at the key, or someone else wrote the list in the meantime.
        """
        document, url = self.read(), f"s3://{self._bucket.name}/{key}"
        if document.url is not None:
            raise InvalidInputError(f"the table list is at {document.url} already")
        try:
            parse_stored_list(StoredObject(document.written().encode(), ""), url, self._bucket.name)
        except TableListError as error:
            raise InvalidInputError(str(error)) from None
        self._write_object(document, url, None)
        self._write_parameter(json.dumps({FROM: url}), document.version)
        return url

    def _value(self) -> tuple[str, int]:
        with aws_errors():
            try:
                parameter = self._ssm.get_parameter(Name=self.name)["Parameter"]
            except ClientError as error:
                if error_code(error) != "ParameterNotFound":
                    raise
                raise NotFoundError(
                    f"the table list's parameter {self.name!r} is missing: write the list there, with aws ssm "
                    f"put-parameter --name {self.name} --type String --value file://list.json"
                ) from None
        return parameter["Value"], parameter["Version"]

    def _write_object(self, document: TableListDocument, url: str, was: StoredObject | None) -> None:
        try:
            with aws_errors():
                self._bucket.store.replace(
                    key_of(url, self._bucket.name), document.written().encode(), was, content_type="application/json"
                )
        except ConditionFailedError:
            changed = "was edited in the meantime" if was else "is there already"
            raise ConflictError(f"{url} {changed}; nothing was written: look at it, and repeat the command") from None

    def _write_parameter(self, text: str, version: int) -> None:
        # Parameter Store has no conditional write: read again just before, so that the race is short.
        if self._value()[1] != version:
            raise ConflictError("the table list was edited in the meantime; nothing was written: repeat the command")
        with aws_errors():
            # Over 4 KiB needs the advanced tier, and a parameter cannot return to the standard tier.
            self._ssm.put_parameter(
                Name=self.name, Value=text, Type="String", Overwrite=True, Tier="Intelligent-Tiering"
            )


def refuse_unlisted(listed: TableList, names: Sequence[str]) -> None:
    """Refuse names that a run would refuse, before an execution is started.

    Only the database knows what a pattern in the list brings in. A name that such a pattern may bring in passes here.

    Raises
    ------
    NotFoundError
        A name is not listed, or a pattern matches nothing listed.
    """
    try:
        if not listed.needs_catalogue():
            select_tables(listed.resolve([]), names)
            return
        possible = [name for name in names if not is_pattern(name)]
        select_tables(listed.resolve(possible), possible)
    except InputError as error:
        raise NotFoundError(str(error)) from None


def _merged(before: dict[str, Any], settings: dict[str, Any], unset: Sequence[str], whose: str) -> dict[str, Any]:
    for key in unset:
        if key in settings:
            raise InvalidInputError(f"{key} is both set and unset: give one of them")
        if key not in before:
            raise InvalidInputError(f"{whose}: {key} is not set; set are: {first_names(before) or 'none'}")
    return {key: value for key, value in {**before, **settings}.items() if key not in unset}


def _name(entry: Any) -> str:
    return str(entry["name"]) if isinstance(entry, dict) else str(entry)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
