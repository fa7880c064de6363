"""A MySQL column's type, parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TYPE = re.compile(r"(\w+)\s*(?:\(((?:'[^']*'|[^')])*)\))?(.*)", re.DOTALL)
_MEMBER = re.compile(r"'((?:[^']|'')*)'")
_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "integer": 32, "bigint": 64}


@dataclass(frozen=True)
class ColumnType:
    """What ``information_schema.columns.column_type`` says.

    Attributes
    ----------
    name : str
        In lower case; of a text that is no type, all of it.
    numbers : tuple of int
        Those in parentheses.
    members : tuple of str
        Of an ENUM or a SET.
    unsigned : bool
        Also of a ZEROFILL column.
    """

    name: str
    numbers: tuple[int, ...] = ()
    members: tuple[str, ...] = ()
    unsigned: bool = False
    zerofill: bool = False

    @classmethod
    def parse(cls, text: str) -> ColumnType:
        """Parse a type.

        Examples
        --------
        >>> ColumnType.parse("decimal(10,2) unsigned").scale
        2
        >>> ColumnType.parse("enum('x','it''s')").members
        ('x', "it's")
        """
        match = _TYPE.fullmatch(text.strip())
        if match is None:
            return cls(text.lower())
        name, arguments, attributes = match[1].lower(), match[2] or "", match[3].lower()
        zerofill = "zerofill" in attributes
        unsigned = zerofill or "unsigned" in attributes
        if name in {"enum", "set"}:
            members = tuple(member.replace("''", "'") for member in _MEMBER.findall(arguments))
            return cls(name, (), members, unsigned, zerofill)
        return cls(name, tuple(map(int, re.findall(r"\d+", arguments))), (), unsigned, zerofill)

    @property
    def bits(self) -> int | None:
        """Of an integer; None of another type."""
        return _INTEGER_BITS.get(self.name)

    @property
    def length(self) -> int | None:
        """The number in parentheses: characters, bytes or bits; of a temporal type, digits of the seconds' fraction."""
        return self.numbers[0] if self.numbers else None

    @property
    def precision(self) -> int:
        """Digits of a DECIMAL."""
        return (*self.numbers, 10)[0]

    @property
    def scale(self) -> int:
        """Digits of a DECIMAL after the point."""
        return self.numbers[1] if len(self.numbers) > 1 else 0
