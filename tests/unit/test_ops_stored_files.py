"""Counting a CSV file's rows without holding it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rds_to_s3.formats.csv import quoted
from rds_to_s3_ops.verify.reading.stored_files import CsvShape

VALUES = st.text(st.sampled_from('a,"\n\r'), max_size=6).map(str.encode)


@given(st.lists(st.lists(VALUES, min_size=2, max_size=2), max_size=8), st.integers(1, 7))
def test_rows_are_counted_whatever_is_in_quotes_and_wherever_a_piece_ends(rows: list[list[bytes]], size: int) -> None:
    lines = [b",".join(map(quoted, row)) for row in rows]
    body = b"".join(line + b"\n" for line in lines)
    shape = CsvShape()
    for start in range(0, len(body), size):
        shape.feed(body[start : start + size])
    assert (shape.lines, shape.is_whole) == (len(rows), True)
    assert shape.longest == max((len(line) + 1 for line in lines), default=0)


def test_a_file_that_was_cut_off_is_noticed() -> None:
    for body in (b"a\n1", b'a\n"1\n'):
        shape = CsvShape()
        shape.feed(body)
        assert not shape.is_whole
