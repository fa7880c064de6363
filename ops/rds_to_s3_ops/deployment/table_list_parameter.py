"""The table list in its SSM parameter: read it, change one table in it, write it back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rds_to_s3.errors import TableListError
from rds_to_s3.plan.table_list import TableList, parse_table_list
from rds_to_s3.wording import first_names
from rds_to_s3_ops.deployment.aws import aws_errors, error_code
from rds_to_s3_ops.errors import ConflictError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class TableListDocument:
    """The document as written, checked.

    Attributes
    ----------
    data : dict
        The JSON object, with everything that the operator wrote in it.
    checked : TableList
        What it means.
    version : int
        The parameter's; 0 for a document that is not stored.
    """

    data: dict[str, Any]
    checked: TableList
    version: int

    @classmethod
    def parse(cls, text: str, version: int = 0) -> TableListDocument:
        """Check a document.

        Raises
        ------
        InvalidInputError
            It is not a table list; the message names every place that is wrong.
        """
        try:
            checked = parse_table_list(text)
        except TableListError as error:
            raise InvalidInputError(str(error)) from None
        return cls(json.loads(text), checked, version)

    def with_table(self, name: str, settings: dict[str, Any], *, replace: bool) -> TableListDocument:
        """Return the document with one more table.

        Parameters
        ----------
        name : str
            A table's name or a pattern.
        settings : dict
            The keys that it overrides; empty for the defaults.
        replace : bool
            Whether a table that is listed already gives way, in its place; otherwise it is an error.

        Raises
        ------
        InvalidInputError
            A setting is unknown or not valid, or names another table.
        """
        if "name" in settings:
            raise InvalidInputError(f"name is no setting: the table to list is {name!r}, as TABLE says")
        entry: Any = {"name": name, **settings} if settings else name
        entries = list(self.data["tables"])
        listed = [_name(existing) for existing in entries]
        if name not in listed:
            entries.append(entry)
        elif replace:
            entries[listed.index(name)] = entry
        else:
            raise InvalidInputError(f"table {name!r} is listed already: add --replace to change its settings")
        return self.parse(json.dumps({**self.data, "tables": entries}), self.version)

    def without_table(self, name: str) -> TableListDocument:
        """Return the document without a table."""
        entries = [entry for entry in self.data["tables"] if _name(entry) != name]
        if len(entries) == len(self.data["tables"]):
            raise NotFoundError(f"table {name!r} is not listed; listed are: {first_names(map(_name, entries))}")
        return self.parse(json.dumps({**self.data, "tables": entries}), self.version)

    def written(self) -> str:
        """Return the document with one line for each table, as a person would write it."""
        text = "{" + "".join(f"\n {_json(key)}: {_json(value)}," for key, value in self.data.items() if key != "tables")
        tables = ",\n".join(f"  {_json(entry)}" for entry in self.data["tables"])
        return f'{text}\n "tables": [\n{tables}\n ]}}\n'


class TableListParameter:
    """The SSM parameter that holds the table list."""

    def __init__(self, ssm: SSMClient, name: str) -> None:
        self._ssm = ssm
        self.name = name

    def read(self) -> TableListDocument:
        """Return the document as it is now."""
        with aws_errors():
            try:
                parameter = self._ssm.get_parameter(Name=self.name)["Parameter"]
            except ClientError as error:
                if error_code(error) != "ParameterNotFound":
                    raise
                raise NotFoundError(f"the table list's parameter {self.name!r} is missing: deploy again") from None
        return TableListDocument.parse(parameter["Value"], parameter["Version"])

    def write(self, document: TableListDocument) -> None:
        """Replace the document.

        Raises
        ------
        ConflictError
            Somebody else wrote it since `document` was read.
        """
        # Parameter Store has no conditional write: look once more just before, so that only a moment is left.
        if self.read().version != document.version:
            raise ConflictError("the table list was edited meanwhile; nothing was written: repeat the command")
        with aws_errors():
            # Past 4 KiB only the advanced tier will do, and from there is no way back.
            self._ssm.put_parameter(
                Name=self.name, Value=document.written(), Type="String", Overwrite=True, Tier="Intelligent-Tiering"
            )


def _name(entry: Any) -> str:
    return str(entry["name"]) if isinstance(entry, dict) else str(entry)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
