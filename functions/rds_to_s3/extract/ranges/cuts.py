"""Finds where a large read is divided: rows between which the bytes are about equal.

Nothing is scanned. The server estimates how many rows lie between two keys by a few pages of the index (a dive, which
EXPLAIN shows), and a few rows there tell their size. The heaviest piece is split again, at keys that exist, until all
pieces are small beside a range.

An estimate of rows counts pages, and takes the rows in each from the first ones
(``btr_estimate_n_rows_in_range`` in InnoDB). Times the bytes of those first rows it is a measure of pages, and so of
bytes. Beyond a few pages it is twice what is there, and never more than half of the table. Long values are on
pages of their own, which no estimate counts: so the last rows of a piece are looked at, too.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from rds_to_s3.commit.read_as import Position
from rds_to_s3.errors import ReadInterruptedError
from rds_to_s3.extract.ranges.between import values_between
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.catalogue.snapshot import limited_statements
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment, SelectColumn, beyond, compared, literal_of, not_beyond, quoted
from rds_to_s3.mysql.wire.result_set import ResultSet, query

MOST_SECONDS = 5.0
FINER = 8  # pieces of a range
MOST_PIECES = 600
SAMPLE_ROWS, SAMPLE_BYTES = 30, 512 * 1024
MOST_STEPPED = 500_000  # rows that are counted to find the middle of a piece, where its values do not tell
COUNTED_BYTES = 128 * 1024  # of an index: ten pages, most of them full. InnoDB counts the rows in so few
ESTIMATED_TWICE = 2
MOST_MISSED = 8.0  # a read may have so many times its first estimate: half of it, halved again, and an error of two
ENTRY_OVERHEAD = 13  # bytes
LONGEST_ENTRY = 8_126  # bytes: half a page. Most of a longer row is on pages outside of the index, which no dive sees
MOST_LEFT = 0.9  # of a piece that is split, for its largest part

Key = list[bytes]


@dataclass(frozen=True)
class Stretch:
    """A part of the read that one index has in order.

    Attributes
    ----------
    number : int
        Of the segment.
    index : str
        The index.
    until : str or None
        The last value of the first column that is settled: rows behind it may move.
    """

    number: int
    segment: Segment
    index: str
    until: str | None = None


@dataclass(frozen=True)
class _Piece:
    """The rows after one key up to another.

    Attributes
    ----------
    estimate : float
        Of its rows, as the server says.
    entry_bytes : float
        Of a row in the index.
    is_whole : bool
        Whether it cannot be split any more.
    """

    stretch: Stretch
    low: Key
    high: Key
    estimate: float
    row_bytes: float
    entry_bytes: float
    is_whole: bool = False

    @property
    def rows(self) -> float:
        """About how many rows it has."""
        is_counted = self.estimate * self.entry_bytes <= COUNTED_BYTES
        return self.estimate if is_counted else self.estimate / ESTIMATED_TWICE

    @property
    def bytes(self) -> float:
        """About how many bytes these have."""
        return self.rows * self.row_bytes


class CutFinder:
    """The search for the cuts of one read.

    Parameters
    ----------
    connection : Connection
        Inside the snapshot of whoever divides.
    columns : sequence of SelectColumn
        What is read.

    Attributes
    ----------
    out_of_time : bool
        Whether the search ended early.
    """

    out_of_time = False

    def __init__(self, connection: Connection, table: Table, columns: Sequence[SelectColumn]) -> None:
        self._connection = connection
        self._table = table.name
        self._columns = columns
        self._sample = max(1, min(SAMPLE_ROWS, SAMPLE_BYTES // max(table.average_row_bytes, 1)))
        self._average_row_bytes = table.average_row_bytes
        self._until = math.inf
        self._character_sets = {column.name: column.character_set for column in table.columns}

    def first_rows_bytes(self) -> float:
        """Return about how many bytes a row has, by a few of the table's."""
        names = ", ".join(column.expression for column in self._columns)
        return self._mean_bytes(f"SELECT {names} FROM {quoted(self._table)} LIMIT {self._sample}")  # noqa: S608

    def pieces(self, stretches: Sequence[Stretch], ranges: int, least_bytes: float) -> list[_Piece]:
        """Split a read into pieces that are small beside one of so many ranges; not one of fewer bytes than `least`."""
        pieces: list[_Piece] = []
        self._until = time.monotonic() + MOST_SECONDS
        try:
            # Where few rows fulfil a table's `where`, one statement may scan all of it.
            with limited_statements(self._connection, MOST_SECONDS):
                self._search(stretches, ranges, least_bytes, pieces)
        except ReadInterruptedError:
            if not self._connection.open:
                raise
            self.out_of_time = True
        self._until = math.inf
        return pieces

    def _search(self, stretches: Sequence[Stretch], ranges: int, least_bytes: float, pieces: list[_Piece]) -> None:
        for stretch in stretches:
            pieces += self._whole(stretch)
        # Its first rows may be smaller than others.
        most = sum(piece.rows * max(piece.row_bytes, self._average_row_bytes) for piece in pieces) * MOST_MISSED
        if most < least_bytes:
            return
        while len(pieces) < MOST_PIECES:
            heaviest = max(
                (piece for piece in pieces if not piece.is_whole), key=lambda piece: piece.bytes, default=None
            )
            if heaviest is None or heaviest.bytes <= sum(piece.bytes for piece in pieces) / (ranges * FINER):
                break
            place = pieces.index(heaviest)
            pieces[place : place + 1] = self._split(heaviest)

    def _whole(self, stretch: Stretch) -> list[_Piece]:
        condition = stretch.segment.condition
        if stretch.until is not None:
            first = stretch.segment.order[0]
            condition += f" AND {quoted(first.name)} <= {literal_of(first, stretch.until.encode())}"
        low, high = self._key(stretch, condition), self._key(stretch, condition, last=True)
        return [self._weighed(stretch, low, high)] if low is not None and high is not None and low != high else []

    # --- one piece ---

    def _weighed(self, stretch: Stretch, low: Key, high: Key) -> _Piece:
        order = stretch.segment.order
        condition = f"{stretch.segment.condition} AND {beyond(order, low)} AND {not_beyond(order, high)}"
        # Not FORCE INDEX: then MySQL does not look, and says 1.
        explained = self._connection.rows(
            f"EXPLAIN {'EXTENDED' if self._connection.is_mariadb else 'FORMAT=TRADITIONAL'} SELECT 1 "  # noqa: S608
            f"FROM {quoted(self._table)} USE INDEX ({quoted(stretch.index)}) WHERE {condition}"
        )
        row_bytes = self._row_bytes(stretch, condition)
        is_row = stretch.segment.index is None  # the key's index has the rows themselves
        last_bytes = self._row_bytes(stretch, condition, last=True)
        if last_bytes > LONGEST_ENTRY:
            row_bytes = (row_bytes + last_bytes) / 2  # it may begin with small rows
        entry_bytes = row_bytes if is_row else ENTRY_OVERHEAD + sum(map(len, low))
        return _Piece(stretch, low, high, float(explained[0]["rows"] or 1), row_bytes, entry_bytes)

    def _row_bytes(self, stretch: Stretch, condition: str, *, last: bool = False) -> float:
        return self._mean_bytes(self._select(self._columns, stretch, condition, rows=self._sample, last=last))

    def _mean_bytes(self, sql: str) -> float:
        with self._query(sql) as blocks:
            sizes = [(block.rows, block.payload_bytes) for block in blocks]
        rows = sum(rows for rows, _ in sizes)
        return sum(size for _, size in sizes) / rows if rows else 1.0

    def _split(self, piece: _Piece) -> list[_Piece]:
        order, stretch = piece.stretch.segment.order, piece.stretch
        column = next(place for place, (low, high) in enumerate(zip(piece.low, piece.high, strict=True)) if low != high)
        keys: list[Key] = [piece.low]
        inside = f"{stretch.segment.condition} AND {not_beyond(order, piece.high)}"
        inside += "".join(
            " AND {} = {}".format(*compared(each, value))
            for each, value in zip(order[:column], piece.low[:column], strict=True)
        )
        wanted = values_between(order[column], piece.low[column], piece.high[column])
        for value in self._comparable(order[column], wanted):
            name, literal = compared(order[column], value)
            after = f"{inside} AND {beyond(order, keys[-1])}"
            found = []
            if column + 1 < len(order):
                found.append(self._key(stretch, f"{after} AND {name} < {literal}", last=True))
            found.append(self._key(stretch, f"{after} AND {name} >= {literal}"))
            keys += [key for key in found if key is not None and key not in (piece.low, piece.high)]
        parts = [self._weighed(stretch, low, high) for low, high in pairwise([*keys, piece.high])]
        largest = max(parts, key=lambda part: part.estimate)
        if largest.estimate > MOST_LEFT * piece.estimate:
            # The values between the two did not divide it.
            middle = self._middle(largest, inside)
            place = parts.index(largest)
            parts[place : place + 1] = (
                [replace(largest, is_whole=True)]
                if middle is None
                else [self._weighed(stretch, largest.low, middle), self._weighed(stretch, middle, largest.high)]
            )
        return parts

    def _middle(self, piece: _Piece, inside: str) -> Key | None:
        """Return the key in the middle of a piece, by counting its rows."""
        skipped = int(piece.rows / 2)
        if not 0 < skipped <= MOST_STEPPED:
            return None
        order = piece.stretch.segment.order
        # Up to its end: it may have fewer rows than were skipped.
        within = f"{inside} AND {beyond(order, piece.low)} AND {not_beyond(order, piece.high)}"
        key = self._key(piece.stretch, within, skipped=skipped)
        return key if key not in (None, piece.high) else None

    def in_order(self, stretches: Sequence[Stretch], cuts: Sequence[Position]) -> list[Position]:
        """Leave out cuts that the server does not find after the one before.

        Each cut is a row of this snapshot. So a range that ends with one and has no row would overlap the next one:
        its rows would be read twice.
        """
        found: list[Position] = []
        for cut in cuts:
            before = found[-1] if found else Position()
            if cut.values is None or cut.segment != before.segment or before.values is None:
                found.append(cut)
                continue
            stretch = next(stretch for stretch in stretches if stretch.number == cut.segment)
            low, high = ([bytes.fromhex(value) for value in each.values or ()] for each in (before, cut))
            order = stretch.segment.order
            if self._key(stretch, f"{beyond(order, low)} AND {not_beyond(order, high)}") is not None:
                found.append(cut)
        return found

    # --- statements ---

    def _comparable(self, column: SelectColumn, values: Sequence[bytes]) -> list[bytes]:
        """Leave out texts that the column's character set does not have: the server refuses to compare with them."""
        character_set = self._character_sets[column.name]
        if column.kind != "text" or character_set == "utf8mb4" or not values:
            return list(values)
        back = "CAST(CONVERT(x'{0}' USING {1}) AS BINARY)"
        if column.own_bytes is None:
            back = "CAST(CONVERT(CONVERT(_utf8mb4 x'{0}' USING {1}) USING utf8mb4) AS BINARY)"
        tests = ", ".join(
            f"{back.format(value.hex(), character_set)} = x'{value.hex()}' AS v{number}"
            for number, value in enumerate(values)
        )
        row = self._connection.row(f"SELECT {tests}")
        return [value for number, value in enumerate(values) if row[f"v{number}"]]

    def _key(self, stretch: Stretch, condition: str, *, last: bool = False, skipped: int = 0) -> Key | None:
        order = stretch.segment.order
        sql = self._select(order, stretch, condition, rows=1, last=last, skipped=skipped)
        with self._query(sql) as blocks:
            keys = [[block.value(0, place) for place in range(len(order))] for block in blocks if block.rows]
        if not keys or None in keys[0]:
            return None
        return [value for value in keys[0] if value is not None]

    def _query(self, sql: str) -> ResultSet:
        if time.monotonic() > self._until:
            raise ReadInterruptedError(f"the search for the ranges of table {self._table!r} has taken too long")
        return query(self._connection, sql, table=self._table)

    def _select(
        self,
        columns: Sequence[SelectColumn],
        stretch: Stretch,
        condition: str,
        *,
        rows: int,
        last: bool = False,
        skipped: int = 0,
    ) -> str:
        order = ", ".join(quoted(column.name) + " DESC" * last for column in stretch.segment.order)
        return (
            f"SELECT {', '.join(column.expression for column in columns)} FROM {quoted(self._table)} "  # noqa: S608
            f"FORCE INDEX ({quoted(stretch.index)}) WHERE {condition} ORDER BY {order} LIMIT {rows} OFFSET {skipped}"
        )


def chosen_cuts(pieces: Sequence[_Piece], ranges: int, segments: int) -> list[Position]:
    """Return the last row of each range but the last one: ends of pieces that divide the bytes evenly.

    Parameters
    ----------
    ranges : int
        How many are wanted. There are fewer where the read has not enough different keys.
    segments : int
        How many segments the read has.
    """
    ends = list(accumulate(piece.bytes for piece in pieces))
    cuts: list[Position] = []
    for number in range(1, ranges):
        wanted = ends[-1] * number / ranges if ends else 0
        place = bisect_left(ends, wanted)
        if place > 0 and wanted - ends[place - 1] < ends[min(place, len(ends) - 1)] - wanted:
            place -= 1
        if place >= len(pieces):
            continue
        cut = _end_of(pieces, place)
        if cut is not None and cut not in cuts and cut.segment < segments:
            cuts.append(cut)
    return cuts


def _end_of(pieces: Sequence[_Piece], place: int) -> Position | None:
    piece = pieces[place]
    if place + 1 == len(pieces):
        return None
    if pieces[place + 1].stretch is not piece.stretch:
        return Position(segment=piece.stretch.number + 1)
    return Position(segment=piece.stretch.number, values=[value.hex() for value in piece.high])
