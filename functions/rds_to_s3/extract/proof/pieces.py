"""Reads a table in the order of its key, a piece at a time, for the comparison with its ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rds_to_s3.commit.read_as import Position
from rds_to_s3.errors import RowCountError
from rds_to_s3.extract.proof.entries import Entries
from rds_to_s3.extract.proof.recording import BLOCK_BYTES, MOST_ROWS
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.stages.stage import Stage
from rds_to_s3.extract.stages.tail import STAMP_WIDTH
from rds_to_s3.formats import Rows
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment, SelectColumn, not_beyond, select_page
from rds_to_s3.mysql.wire.result_set import query
from rds_to_s3.rows.keys import digests_of, keys_of

FEWEST_ROWS, FIRST_ROWS = 100, 1_000  # of a statement


@dataclass(frozen=True)
class Piece:
    """Rows that one statement returns.

    Attributes
    ----------
    last : list of str or None
        The key of the last of them; None where there is none.
    ends : bool
        Whether they reach the end of the range.
    """

    sql: str
    entries: Entries
    beyond: NDArray[np.bool_]
    bytes: int
    last: list[str] | None
    ends: bool


@dataclass(frozen=True)
class PieceReader:
    """The reads of one table in a snapshot.

    Parameters
    ----------
    key : sequence of SelectColumn
        The columns of the key's order.
    identity : sequence of SelectColumn
        Those that the ledger knows a row by.
    bounds : sequence of str or None
        Where the next read begins, for each cursor column; None where no read follows.
    ahead : Stage or None
        Where no read follows: remembers the rows beyond where one would begin.
    """

    connection: Connection
    table: str
    selection: Selection
    key: Sequence[SelectColumn]
    identity: Sequence[SelectColumn]
    bounds: Sequence[str] | None
    ahead: Stage | None

    @property
    def identity_positions(self) -> list[int]:
        """Where the columns are that the ledger knows a row by."""
        return self.selection.positions(self.identity)

    def pieces(self, after: list[str] | None, up_to: list[str] | None, rows: int) -> Iterator[Piece]:
        """Read a range of keys: so many rows by the first statement, and then about `BLOCK_BYTES` by each."""
        condition = "TRUE"
        if up_to is not None:
            condition = not_beyond(self.key, [bytes.fromhex(value) for value in up_to])
        segment = Segment(self.selection.accepting(condition), tuple(self.key))
        while True:
            position = None if after is None else [bytes.fromhex(value) for value in after]
            rows = min(max(rows, FEWEST_ROWS), MOST_ROWS)
            sql = select_page(self.table, self.selection.select, segment, position=position, rows=rows)
            piece = self._piece(sql, rows)
            yield piece
            if piece.ends:
                return
            after = piece.last
            rows = min(BLOCK_BYTES * len(piece.entries) // max(piece.bytes, 1), 16 * rows)

    def rows(self, sql: str) -> Iterator[Rows]:
        """Yield the rows of a statement.

        Raises
        ------
        RowCountError
            The server sent another number of rows.
        """
        read = 0
        with query(self.connection, sql, table=self.table) as result:
            for block in result:
                read += block.rows
                if block.rows:
                    yield self.selection.as_written(block)
        sent = int(self.connection.row("SELECT FOUND_ROWS() AS sent")["sent"])
        if sent != read:
            raise RowCountError(f"the server sent {sent} rows of table {self.table!r}, and {read} were read")

    def _piece(self, sql: str, most: int) -> Piece:
        columns, positions = len(self.selection.output), self.identity_positions
        order = self.selection.positions(self.key)
        parts: list[Entries] = []
        beyond: list[NDArray[np.bool_]] = []
        size, last = 0, None
        for rows in self.rows(sql):
            parts.append(Entries(keys_of(rows, positions), digests_of(rows, columns)))
            beyond.append(self._beyond(rows))
            if self.ahead is not None:
                self.ahead.take(rows, nowhere)
            size += rows.payload_bytes
            last = [(rows.value(rows.rows - 1, position) or b"").hex() for position in order]
        entries = Entries.joined(parts)
        later = np.concatenate(beyond) if beyond else np.zeros(0, np.bool_)
        return Piece(sql, entries, later, size, last, len(entries) < most)

    def _beyond(self, rows: Rows) -> NDArray[np.bool_]:
        beyond = np.zeros(rows.rows, np.bool_)
        if self.bounds is None:
            return beyond
        for position, bound in zip(self.selection.cursor_positions, self.bounds, strict=True):
            beyond |= rows.texts(position, STAMP_WIDTH) > bound.encode()
        return beyond


def nowhere(_rows: Rows, _row: int) -> Position:
    """Return a position for rows that no read is resumed after."""
    return Position()
