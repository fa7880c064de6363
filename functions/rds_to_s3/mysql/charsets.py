"""Finds text that the server cannot send as UTF-8: it puts ``?`` there, and says nothing.

A character set may leave bytes without a character (``sjis`` 8280, ``greek`` AE); ``ucs2`` knows no surrogate pairs.
https://dev.mysql.com/doc/refman/8.4/en/charset-connection.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment, quoted
from rds_to_s3.schema import TableColumn

# Every string in these has its UTF-8, and every UTF-8 leads back to it; MySQL's latin1 gives each of its 256 bytes a
# character.
ROUND_TRIP = {None, "utf8mb4", "utf8mb3", "utf8", "utf16", "utf16le", "utf32", "latin1", "ascii", "binary"}


def unsendable_text(
    connection: Connection, table: str, columns: Sequence[TableColumn], segments: Sequence[Segment]
) -> list[str]:
    """Count a window's values that arrive otherwise than they are; one sentence a column.

    The window is gone through once more for it, on the server, and only where a column has such a character set.

    Parameters
    ----------
    connection : Connection
        Inside the snapshot that the window is read in.
    table : str
    columns : sequence of TableColumn
        What the files hold.
    segments : sequence of Segment
        The window.
    """
    suspects = [column for column in columns if column.kind == "text" and column.character_set not in ROUND_TRIP]
    if not suspects:
        return []
    sums = ", ".join(f"COALESCE(SUM({_differs(column)}), 0) AS c{number}" for number, column in enumerate(suspects))
    found: Counter[str] = Counter()
    for segment in segments:
        row = connection.row(f"SELECT {sums} FROM {quoted(table)} WHERE {segment.condition}")  # noqa: S608 - ours
        found.update({column.name: int(row[f"c{number}"]) for number, column in enumerate(suspects)})
    return [
        f"{found[column.name]} values of `{column.name}` hold what its character set {column.character_set} gives no "
        "Unicode character: " + ("halves of surrogate pairs" if column.character_set == "ucs2" else "it arrives as ?")
        for column in suspects
        if found[column.name]
    ]


def _differs(column: TableColumn) -> str:
    name = quoted(column.name)
    sent = f"CONVERT({name} USING utf8mb4)"
    if column.character_set == "ucs2":
        return f"HEX({name}) REGEXP '^([0-9A-F]{{4}})*D[89A-F]'"
    # Not by converting back: some characters have two codes, one of which comes back as the other.
    return f"CHAR_LENGTH(REPLACE({sent}, '?', '')) < CHAR_LENGTH(REPLACE({name}, '?', ''))"
