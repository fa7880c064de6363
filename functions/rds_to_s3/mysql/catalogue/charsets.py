"""Finds text that the server cannot send as UTF-8: it sends ``?`` without a warning.

A character set may leave bytes without a character (``sjis`` 8280, ``greek`` AE); ``ucs2`` knows no surrogate pairs.
https://dev.mysql.com/doc/refman/8.4/en/charset-connection.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rds_to_s3.mysql.catalogue.schema import Table, TableColumn
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment, quoted

# Every string in these has its UTF-8, and every UTF-8 leads back to it; MySQL's latin1 gives each of its 256 bytes a
# character.
_ROUND_TRIP = {None, "utf8mb4", "utf8mb3", "utf8", "utf16", "utf16le", "utf32", "latin1", "ascii", "binary"}


def round_trips(table: Table, column: TableColumn) -> bool:
    """Return whether a column's values come back to the same bytes from the text that the server sends."""
    return column.character_set in _ROUND_TRIP and (table.checks_ascii or column.character_set != "ascii")


def unsendable_text(
    connection: Connection, table: Table, columns: Sequence[TableColumn], segments: Sequence[Segment]
) -> list[str]:
    """Count a window's values that arrive changed, and keys that may become equal; one sentence per column.

    The server scans the window once more for it, only where a column has such a character set.

    Parameters
    ----------
    connection : Connection
        Inside the snapshot that the window is read in.
    table : Table
    columns : sequence of TableColumn
        What the files hold.
    segments : sequence of Segment
        The window.
    """
    suspects = [column for column in columns if column.kind == "text" and not round_trips(table, column)]
    if not suspects:
        return []
    questions = [(column, _differs(column), _unsent(column)) for column in suspects]
    questions += [
        (column, _comes_back_otherwise(column), _ambiguous(column)) for column in suspects if column.name in table.key
    ]
    sums = ", ".join(f"COALESCE(SUM({asked}), 0) AS c{number}" for number, (_, asked, _) in enumerate(questions))
    found: Counter[int] = Counter()
    for segment in segments:
        row = connection.row(f"SELECT {sums} FROM {quoted(table.name)} WHERE {segment.condition}")  # noqa: S608 - ours
        found.update({number: int(row[f"c{number}"]) for number in range(len(questions))})
    return [f"{found[number]} {sentence}" for number, (_, _, sentence) in enumerate(questions) if found[number]]


def _unsent(column: TableColumn) -> str:
    arrives = "halves of surrogate pairs" if column.character_set == "ucs2" else "they arrive as ?"
    return (
        f"values of `{column.name}` have codes without a Unicode character in its character set "
        f"{column.character_set}: {arrives}"
    )


def _ambiguous(column: TableColumn) -> str:
    return (
        f"keys in `{column.name}` hold characters that {column.character_set} has more than one code for: keys that "
        "differ in the table may be equal in the files"
    )


def _comes_back_otherwise(column: TableColumn) -> str:
    name = quoted(column.name)
    back = f"CONVERT(CONVERT({name} USING utf8mb4) USING {column.character_set})"
    return f"CAST({back} AS BINARY) <> CAST({name} AS BINARY)"


def _differs(column: TableColumn) -> str:
    name = quoted(column.name)
    sent = f"CONVERT({name} USING utf8mb4)"
    if column.character_set == "ucs2":
        return f"HEX({name}) REGEXP '^([0-9A-F]{{4}})*D[89A-F]'"
    # Not by converting back: some characters have two codes, and one of them converts back to the other.
    return f"CHAR_LENGTH(REPLACE({sent}, '?', '')) < CHAR_LENGTH(REPLACE({name}, '?', ''))"
