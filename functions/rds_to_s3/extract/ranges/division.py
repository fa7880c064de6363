"""Whether a read is shared by several readers, and how it is divided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from rds_to_s3.bucket_keys import LAST_PART
from rds_to_s3.commit.read_as import Division, Position
from rds_to_s3.extract.ranges.cuts import CutFinder, Stretch, chosen_cuts
from rds_to_s3.extract.scope.prepared_read import PreparedRead
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment, not_beyond
from rds_to_s3.plan.table_list import TableSpec

LEAST_BYTES = 32 * 1024 * 1024
FEWEST_ROWS = 1_000  # of a table that is looked at although its statistics say that it is small
BYTES_OF_A_READER = 128 * 1024 * 1024  # where the number is left to us
MOST_READERS = 8
FEWEST_PARTS = 100
PARTS_SPARE = 4  # so many times the files that a range is expected to have
_SEARCHED = 'the search for places to divide it took too long, as where few rows fulfil its "where"'


def divide(
    connection: Connection,
    table: Table,
    spec: TableSpec,
    prepared: PreparedRead,
    *,
    token: str,
    next_part: Callable[[], int],
    most: int,
) -> tuple[Division | None, list[str]]:
    """Divide a read among its readers.

    Parameters
    ----------
    connection : Connection
        Inside a snapshot of the table.
    token : str
        Of the invocation that divides.
    next_part : callable
        Returns the first part number that is free.
    most : int
        How many readers the table may have in this run: `rds_to_s3.plan.lists.limits.readers_that_fit`.

    Returns
    -------
    division : Division or None
        None where one reader reads all of it.
    warnings : list of str
        Why a number of readers that the table list gives is not kept.
    """
    if spec.readers == 1 or is_small(connection, table, prepared):
        return None, []
    stretches = _stretches(table, prepared)
    if isinstance(stretches, str):
        return None, [stretches] if spec.readers != "auto" else []
    wanted = MOST_READERS if spec.readers == "auto" else spec.readers
    warnings = [_crowded(wanted, most)] if wanted > most and spec.readers != "auto" else []
    if most <= 1:
        return None, warnings
    finder = CutFinder(connection, table, prepared.selection.select)
    pieces = finder.pieces(stretches, min(wanted, most), least_divided(spec))
    size = sum(piece.bytes for piece in pieces)
    readers = min(readers_for(spec, size), most)
    cuts = finder.in_order(stretches, chosen_cuts(pieces, readers, len(prepared.segments)))
    if not cuts:
        is_late = finder.out_of_time and spec.readers != "auto"
        return None, [*warnings, f"one reader reads this table: {_SEARCHED}"] if is_late else []
    first = next_part()
    parts = numbers_of_a_range(first, len(cuts) + 1, int(size / spec.target_file_bytes))
    if parts < FEWEST_PARTS // 2:
        return None, [*warnings, "one reader reads this table: few part numbers of this window's end are left"]
    rows = sum(piece.rows for piece in pieces)
    return Division(
        token=token, cuts=cuts, first_part=first, parts=parts, rows=round(rows), bytes=round(size)
    ), warnings


def numbers_of_a_range(first: int, ranges: int, files: int) -> int:
    """Return how many part numbers each range has; some are left for the files of what is healed after them."""
    wanted = -(-PARTS_SPARE * (files // ranges + 1) // FEWEST_PARTS) * FEWEST_PARTS
    return min(wanted, (LAST_PART + 1 - first - FEWEST_PARTS) // ranges)


def least_bytes(size: int, ranges: int, parts: int) -> int:
    """Return how large the files of a range are at least, so that the expected ones need a quarter of its numbers."""
    return PARTS_SPARE * size // (ranges * parts)


def is_small(connection: Connection, table: Table, prepared: PreparedRead) -> bool:
    """Whether one reader reads a table, since it is small.

    InnoDB counts rows at once, but the bytes only when it computes its statistics, up to ten seconds later: of a table
    that has just been filled each row seems to have almost none. So a few rows are looked at, too.
    """
    if table.estimated_rows * table.average_row_bytes >= LEAST_BYTES:
        return False
    if table.estimated_rows < FEWEST_ROWS:
        return True
    row_bytes = CutFinder(connection, table, prepared.selection.select).first_rows_bytes()
    return table.estimated_rows * row_bytes < LEAST_BYTES


def why_one(table: Table, prepared: PreparedRead) -> str:
    """Return why a large table is read by one although more readers would share it; empty if nothing is against it."""
    stretches = _stretches(table, prepared)
    return stretches if isinstance(stretches, str) else ""


def _crowded(wanted: int, most: int) -> str:
    readers = "one reader reads" if most <= 1 else f"{most} readers share"
    return (
        f"{readers} this table instead of {wanted}: one execution has 25,000 events and 256 KiB of state for all "
        "tables and ranges. Divide the tables among several executions"
    )


def readers_for(spec: TableSpec, size: float) -> int:
    """Return how many readers a read of so many bytes has."""
    if size < least_divided(spec):
        return 1
    if spec.readers != "auto":
        return spec.readers
    return min(int(size // BYTES_OF_A_READER), MOST_READERS)


def least_divided(spec: TableSpec) -> int:
    """Return how many bytes the smallest read has that more than one reader shares."""
    return max(2 * BYTES_OF_A_READER, LEAST_BYTES) if spec.readers == "auto" else LEAST_BYTES


def in_range(segments: Sequence[Segment], division: Division, number: int) -> tuple[list[Segment], Position]:
    """Return the segments of one range, counted from 1, and the position where it begins."""
    begin, end = [*pairwise([Position(), *division.cuts, Position(segment=len(segments))])][number - 1]
    if end.values is None:
        return [*segments[: end.segment]], begin
    last = segments[end.segment]
    limit = not_beyond(last.order, [bytes.fromhex(value) for value in end.values])
    return [*segments[: end.segment], replace(last, condition=f"({last.condition}) AND {limit}")], begin


def _only_as_a_whole(prepared: PreparedRead) -> str:
    if prepared.selection.checks.unique:
        return "a check for unique values needs all rows of a window"
    if not prepared.segments:
        return "mode compare compares all of it with what was delivered, in one pass"
    if not all(segment.order for segment in prepared.segments):
        return "it has no key by which a read can be resumed"
    return ""


def _stretches(table: Table, prepared: PreparedRead) -> list[Stretch] | str:
    """Return the parts of a read in which it can be divided, or why it is read by one."""
    if whole := _only_as_a_whole(prepared):
        return f"one reader reads this table: {whole}"
    window = prepared.window
    if window.read_from is None or prepared.is_whole:
        index = next((index.name for index in table.indexes if index.columns == table.ordered_key), None)
        if index is None or len(prepared.segments) != 1:
            return "one reader reads this table: its key has no index"
        return [Stretch(0, prepared.segments[0], index)]
    settled = dict(
        zip(
            (column.name for column in prepared.selection.cursors),
            prepared.marks.each(prepared.selection, window.remember_from),
            strict=True,
        )
    )
    stretches = []
    for number, segment in enumerate(prepared.segments):
        if segment.index is None:
            return "one reader reads this window: a cursor column has no index, so each reader would scan the table"
        stretches.append(Stretch(number, segment, segment.index, settled[segment.order[0].name]))
    return stretches
