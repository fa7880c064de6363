"""The columns of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["numeric", "temporal", "text", "binary"]


@dataclass(frozen=True)
class OutputColumn:
    """One column of a file.

    Attributes
    ----------
    column_type : str
        As ``information_schema.columns.column_type`` has it: ``bigint unsigned``, ``decimal(10,2)``, ``datetime(6)``.
    kind : {"numeric", "temporal", "text", "binary"}
        How the server sends the values: all but binary ones are UTF-8 text.
    """

    name: str
    column_type: str
    kind: Kind
    nullable: bool = True
