"""Reads and writes the table list in its SSM parameter."""

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
        The JSON object as the operator wrote it.
    checked : TableList
        The validated list.
    version : int
        The parameter's version; 0 for a document that is not stored.
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
            It is not a table list; the message lists every error.
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
            Whether to replace a table that is already listed, at its position; otherwise that is an error.

        Raises
        ------
        InvalidInputError
            A setting is unknown, not valid, or the name of another table.
        """
        if "name" in settings:
            raise InvalidInputError(f"name is not a setting: the table to list is {name!r}, as TABLE says")
        entry: Any = {"name": name, **settings} if settings else name
        entries = list(self.data["tables"])
        listed = [_name(existing) for existing in entries]
        if name not in listed:
            entries.append(entry)
        elif replace:
            entries[listed.index(name)] = entry
        else:
            raise InvalidInputError(f"table {name!r} is already listed: add --replace to change its settings")
        return self.parse(json.dumps({**self.data, "tables": entries}), self.version)

    def without_table(self, name: str) -> TableListDocument:
        """Return the document without a table."""
        entries = [entry for entry in self.data["tables"] if _name(entry) != name]
        if len(entries) == len(self.data["tables"]):
            raise NotFoundError(f"table {name!r} is not listed; listed are: {first_names(map(_name, entries))}")
        return self.parse(json.dumps({**self.data, "tables": entries}), self.version)

    def written(self) -> str:
        """Return the document as text, with one line for each table."""
        text = "{" + "".join(f"\n {_json(key)}: {_json(value)}," for key, value in self.data.items() if key != "tables")
        tables = ",\n".join(f"  {_json(entry)}" for entry in self.data["tables"])
        return f'{text}\n "tables": [\n{tables}\n ]}}\n'


class TableListParameter:
    """The SSM parameter with the table list."""

    def __init__(self, ssm: SSMClient, name: str) -> None:
        self._ssm = ssm
        self.name = name

    def read(self) -> TableListDocument:
        """Return the current document."""
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
            Someone else wrote it since `document` was read.
        """
        # Parameter Store has no conditional write: read again just before, so that the race is short.
        if self.read().version != document.version:
            raise ConflictError("the table list was edited in the meantime; nothing was written: repeat the command")
        with aws_errors():
            # Over 4 KiB needs the advanced tier, and a parameter cannot return to the standard tier.
            self._ssm.put_parameter(
                Name=self.name, Value=document.written(), Type="String", Overwrite=True, Tier="Intelligent-Tiering"
            )


def _name(entry: Any) -> str:
    return str(entry["name"]) if isinstance(entry, dict) else str(entry)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
