"""A window has a bounded number of files, however small the table list wants them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rds_to_s3.bucket_keys import LAST_PART, data_key
from rds_to_s3.errors import CannotResumeError
from rds_to_s3.extract.ranges.division import FEWEST_PARTS, LEAST_BYTES, least_bytes, numbers_of_a_range
from rds_to_s3.extract.stages import files
from rds_to_s3.extract.stages.files import LARGEST_OF_MANY, MANY_FILES, FileSeries, size_of_next

MIB = 1024**2


def number_of_files(target: int, total: int, numbers: int = LAST_PART) -> int:
    written = number = 0
    while written < total:
        assert number < numbers, "no number is left"
        written += size_of_next(target, number, left=numbers - number, numbers=numbers)
        number += 1
    return number


@pytest.mark.parametrize("target", [1, 100, 20_000, MIB, 16 * MIB, 128 * MIB, 10 * 1024**3])
def test_the_number_of_files_is_bounded(target: int) -> None:
    assert number_of_files(target, 1024 * MIB) <= 2_100
    assert number_of_files(target, 1024**2 * MIB) <= LAST_PART


@pytest.mark.parametrize("target", [1, 4096, MIB, 128 * MIB])
def test_the_first_thousand_have_the_size_that_was_asked_for_and_none_is_smaller(target: int) -> None:
    sizes = [size_of_next(target, number) for number in range(20_000)]
    assert set(sizes[:MANY_FILES]) == {target}
    assert sizes == sorted(sizes)


@given(
    first=st.integers(1, LAST_PART),
    ranges=st.integers(2, 40),
    size=st.integers(LEAST_BYTES, 4 * 1024**4),
    target=st.integers(1, 10 * 1024**3),
    times=st.floats(0.1, 20),
)
def test_a_range_has_numbers_for_twenty_times_the_rows_that_were_estimated_and_none_has_five_digits(
    first: int, ranges: int, size: int, target: int, times: float
) -> None:
    parts = numbers_of_a_range(first, ranges, size // target)
    assert first + ranges * parts <= LAST_PART + 1
    if parts < FEWEST_PARTS // 2:
        return  # one reader reads it
    estimate = size // ranges
    most = parts * LARGEST_OF_MANY // 4  # a file never has more than 8 GiB
    number_of_files(max(target, least_bytes(size, ranges, parts)), min(int(estimate * times), most), parts)


@given(st.lists(st.integers(1, LAST_PART), unique=True))
def test_the_order_of_a_windows_keys_is_that_of_its_numbers(numbers: list[int]) -> None:
    keys = {data_key("t", "csv", "20250402_120000", number, "csv"): number for number in numbers}
    assert [keys[key] for key in sorted(keys)] == sorted(numbers)


class Rows:
    """So many rows of ten bytes."""

    def __init__(self, rows: int) -> None:
        self.rows, self.payload_bytes = rows, 10 * rows

    def slice(self, start: int, stop: int) -> Rows:
        return Rows(stop - start)

    def rows_within(self, size: int) -> int:
        return size // 10


class Upload:
    """A file that counts."""

    bytes = 0

    def write(self, _: Any) -> None: ...

    def close(self, rows: int | None = None) -> int:
        return rows or 0


class Uploads:
    """An S3 that takes any file."""

    def open(self, _key: str, *, largest_bytes: int) -> Upload:
        return Upload()


class Encoder:
    """Writes nothing."""

    inexact: tuple[str, ...] = ()

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def write(self, _rows: Rows) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Return a function that writes rows and returns how many each file has; a file is to have one."""
    monkeypatch.setattr(files, "MANY_FILES", 4)
    monkeypatch.setattr(files, "LEAST_OF_MANY", 100)
    monkeypatch.setattr(files, "open_encoder", Encoder)

    def write(rows: int, **members: Any) -> list[int]:
        series = FileSeries(
            uploader=Uploads(),  # type: ignore[arg-type]
            key=lambda number, _: str(number),
            columns=[],
            file_format="csv",
            compression="none",
            target_bytes=10,
            next_part=lambda: 1,
            **members,
        )
        series.write(Rows(rows), lambda row: row)  # type: ignore[arg-type, return-value]
        return [*series.finished]  # type: ignore[list-item]

    return write


@pytest.mark.parametrize("earlier", [0, 3])
def test_later_files_of_a_read_grow_also_in_its_next_invocation(written: Any, earlier: int) -> None:
    assert written(70, earlier=earlier) == [1] * (4 - earlier) + [10] * 4 + [20] * ((70 - 40 - (4 - earlier)) // 20)


def test_files_grow_where_numbers_become_few_and_no_number_of_the_next_range_is_used(written: Any) -> None:
    assert written(22, numbers=range(1, 5)) == [1, 1, 4, 16]
    with pytest.raises(CannotResumeError, match="no part number after 4: raise target_file_bytes"):
        written(23, numbers=range(1, 5))
