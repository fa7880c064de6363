"""Finds text that the server cannot send as UTF-8: it puts ``?`` there, and says nothing.

A character set may leave bytes without a character (``sjis`` 8280, ``greek`` AE); ``ucs2`` knows no surrogate pairs.
https://dev.mysql.com/doc/refman/8.4/en/charset-connection.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from rds_to_s3.mysql.catalogue.schema import TableColumn
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment, quoted

# Every string in these has its UTF-8, and every UTF-8 leads back to it; MySQL's latin1 gives each of its 256 bytes a
# character.
ROUND_TRIP = {None, "utf8mb4", "utf8mb3", "utf8", "utf16", "utf16le", "utf32", "latin1", "ascii", "binary"}


def unsendable_text(
    connection: Connection,
    table: str,
    columns: Sequence[TableColumn],
    key: Collection[str],
    segments: Sequence[Segment],
) -> list[str]:
    """Count a window's values that arrive otherwise than they are, and keys that may look alike; a sentence a column.

    The window is gone through once more for it, on the server, and only where a column has such a character set.

    Parameters
    ----------
    connection : Connection
        Inside the snapshot that the window is read in.
    columns : sequence of TableColumn
        What the files hold.
    key : collection of str
        Which of them tell rows apart.
    segments : sequence of Segment
        The window.
    """
    suspects = [column for column in columns if column.kind == "text" and column.character_set not in ROUND_TRIP]
    if not suspects:
        return []
    questions = [(column, _differs(column), _unsent(column)) for column in suspects]
    questions += [
        (column, _comes_back_otherwise(column), _ambiguous(column)) for column in suspects if column.name in key
    ]
    sums = ", ".join(f"COALESCE(SUM({asked}), 0) AS c{number}" for number, (_, asked, _) in enumerate(questions))
    found: Counter[int] = Counter()
    for segment in segments:
        row = connection.row(f"SELECT {sums} FROM {quoted(table)} WHERE {segment.condition}")  # noqa: S608 - ours
        found.update({number: int(row[f"c{number}"]) for number in range(len(questions))})
    return [f"{found[number]} {sentence}" for number, (_, _, sentence) in enumerate(questions) if found[number]]


def _unsent(column: TableColumn) -> str:
    arrives = "halves of surrogate pairs" if column.character_set == "ucs2" else "it arrives as ?"
    return (
        f"values of `{column.name}` hold what its character set {column.character_set} gives no Unicode character: "
        f"{arrives}"
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
    # Not by converting back: some characters have two codes, one of which comes back as the other.
    return f"CHAR_LENGTH(REPLACE({sent}, '?', '')) < CHAR_LENGTH(REPLACE({name}, '?', ''))"
