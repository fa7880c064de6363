"""What is delivered ahead of the bound comes once, whatever is updated, and is remembered only once it is in a file."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rds_to_s3.extract.stages.tail import DIGEST_BYTES, TailFilter, pack, unpack
from rds_to_s3.rows import Block

Row = tuple[str, str | None, str | None]  # key, modified, created
BOUND = "2025-04-02 12:00:00.000000"
CURSOR = (1, 2)


def block(rows: list[Row]) -> Block:
    """Write rows as the server sends them."""
    data = bytearray()
    packets = []
    for row in rows:
        body = b"".join(b"\xfb" if value is None else bytes([len(value)]) + value.encode() for value in row)
        packets.append(len(data))
        data += len(body).to_bytes(3, "little") + b"\0" + body
    return Block.decode(np.frombuffer(bytes(data), np.uint8), np.array(packets, np.int64), len(data), 3)


def kept(tail: TailFilter, rows: list[Row]) -> list[Row]:
    mask = tail.new_rows(block(rows))
    return rows if mask is None else [row for row, keep in zip(rows, mask.tolist(), strict=True) if keep]


def after(tail: TailFilter, bound: str = BOUND) -> TailFilter:
    """Return the next run's filter."""
    return TailFilter(CURSOR, [bound] * 2, unpack(pack(tail.digests)), [text.decode() for text in tail.latest])


def test_rows_up_to_the_bound_are_delivered_and_forgotten() -> None:
    tail = TailFilter(CURSOR, [BOUND] * 2)
    rows: list[Row] = [("1", None, "2025-04-02 12:00:00"), ("2", "2025-04-02 11:59:59.999", "0000-00-00 00:00:00")]
    assert kept(tail, rows) == rows
    assert tail.digests == []


def test_rows_beyond_it_are_delivered_once_however_often_they_are_read() -> None:
    rows: list[Row] = [
        ("1", None, "2025-04-02 12:00:01"),
        ("2", "2099-01-01", None),
        ("3", None, "2025-04-02 12:00:00"),
    ]
    first = TailFilter(CURSOR, [BOUND] * 2)
    assert kept(first, rows) == rows
    second = after(first)
    assert kept(second, rows) == [rows[2]]
    assert second.left_out == 2
    assert kept(after(second), rows) == [rows[2]]


def test_a_new_version_of_a_row_that_was_delivered_is_delivered() -> None:
    first = TailFilter(CURSOR, [BOUND] * 2)
    kept(first, [("1", "2025-04-02 12:00:01", None)])
    changed: list[Row] = [("1", "2025-04-02 12:00:02", None)]
    assert kept(after(first), changed) == changed


def test_equal_rows_of_a_table_without_a_key_are_counted() -> None:
    row: Row = ("1", None, "2025-04-02 12:00:01")
    first = TailFilter(CURSOR, [BOUND] * 2)
    kept(first, [row, row])
    assert kept(after(first), [row, row, row]) == [row]


def test_only_digests_of_rows_in_finished_files_are_kept_at_a_checkpoint() -> None:
    delivered = TailFilter(CURSOR, [BOUND] * 2)
    old: Row = ("2", None, "2025-04-02 12:00:05")
    kept(delivered, [old])
    tail = after(delivered)
    kept(tail, [("1", None, "2025-04-02 12:00:01"), old, ("3", None, "2025-04-02 12:00:03")])
    kept(tail, [("4", None, "2025-04-02 11:00:00"), ("5", None, "2025-04-02 12:00:04")])
    # Written: 1, 3, 4, 5; what was left out is with the row that follows it.
    assert [len(tail.digests_of(rows)) for rows in (0, 1, 2, 3, 4, None)] == [0, 1, 3, 3, 4, 4]


def test_packing_keeps_counts_and_no_order() -> None:
    digests = [bytes([n]) * DIGEST_BYTES for n in (3, 1, 3, 2)]
    assert unpack(pack(digests)) == Counter(digests)
    assert pack(digests) == pack(reversed(digests))


STAMPS = [None, "0000-00-00 00:00:00", "2025-04-02 11:59:59", "2025-04-02 12:00:00", "2025-04-02 12:00:00.5"]
STAMPS += ["2025-04-02 12:00:01", "2025-04-02", "2025-04-03", "2099-12-31 23:59:59.999999"]
ROWS = st.tuples(st.sampled_from(["1", "2", "3"]), st.sampled_from(STAMPS), st.sampled_from(STAMPS))


def stamp(row: Row) -> str:
    """Return the later of the two: a modified column that means *never* has a stamp of its own, too."""
    return max(row[1] or "", row[2] or "")


def test_each_column_has_a_bound_of_its_own() -> None:
    """A TIMESTAMP shows the server's zone, and a DATETIME that of the application."""
    tail = TailFilter(CURSOR, ["2025-04-02 07:00:00.000000", BOUND])
    rows: list[Row] = [
        ("1", "2025-04-02 07:00:01", "2025-04-02 11:00:00"),
        ("2", "2025-04-02 06:59:59", "2025-04-02 12:00:01"),
        ("3", "2025-04-02 07:00:00", "2025-04-02 12:00:00"),
    ]
    assert kept(tail, rows) == rows
    assert len(tail.digests) == 2


def test_digests_of_which_the_latest_is_not_known_are_looked_up_for_every_row() -> None:
    first = TailFilter(CURSOR, [BOUND] * 2)
    row: Row = ("1", None, "2025-04-02 12:00:01")
    kept(first, [row])
    assert kept(TailFilter(CURSOR, [BOUND] * 2, unpack(pack(first.digests))), [row]) == []


@given(st.lists(st.lists(ROWS, max_size=6, unique_by=lambda row: row[0]), min_size=1, max_size=6), st.integers(1, 4))
def test_over_many_runs_no_version_comes_twice_and_none_is_left_out(tables: list[list[Row]], size: int) -> None:
    """Each run reads the whole table beyond the same bound, as runs do while a transaction holds it back."""
    tail: TailFilter | None = None
    for number, table in enumerate(tables):
        reader = after(tail) if tail else TailFilter(CURSOR, [BOUND] * 2)
        # A run reads what the one before read up to the bound no more.
        read = [row for row in table if number == 0 or stamp(row) > BOUND]
        got = [row for start in range(0, len(read), size) for row in kept(reader, read[start : start + size])]
        before = {row for row in tables[number - 1] if stamp(row) > BOUND} if number else set()
        assert got == [row for row in read if row not in before]
        tail = reader
