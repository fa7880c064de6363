"""A window has a bounded number of files, however small the table list wants them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rds_to_s3.extract.stages import files
from rds_to_s3.extract.stages.files import MANY_FILES, FileSeries, size_of_next

MIB = 1024**2


def number_of_files(target: int, total: int) -> int:
    written = number = 0
    while written < total:
        written += size_of_next(target, number)
        number += 1
    return number


@pytest.mark.parametrize("target", [1, 100, 20_000, MIB, 16 * MIB, 128 * MIB, 10 * 1024**3])
def test_the_number_of_files_is_bounded(target: int) -> None:
    assert number_of_files(target, 1024 * MIB) <= 2_100
    assert number_of_files(target, 1024**2 * MIB) <= 11_100


@pytest.mark.parametrize("target", [1, 4096, MIB, 128 * MIB])
def test_the_first_thousand_have_the_size_that_was_asked_for_and_none_is_smaller(target: int) -> None:
    sizes = [size_of_next(target, number) for number in range(20_000)]
    assert set(sizes[:MANY_FILES]) == {target}
    assert sizes == sorted(sizes)


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


@pytest.mark.parametrize("earlier", [0, 3])
def test_later_files_of_a_read_grow_also_in_its_next_invocation(earlier: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MANY_FILES", 4)
    monkeypatch.setattr(files, "LEAST_OF_MANY", 100)

    def encoders(*_: Any, **__: Any) -> Any:
        class Encoder:
            inexact: tuple[str, ...] = ()

            def write(self, _rows: Rows) -> None: ...

            def close(self) -> None: ...

        return Encoder()

    monkeypatch.setattr(files, "open_encoder", encoders)

    class Uploads:
        def open(self, _key: str, *, largest_bytes: int) -> Upload:
            return Upload()

    series = FileSeries(
        uploader=Uploads(),  # type: ignore[arg-type]
        key=lambda number, _: str(number),
        columns=[],
        file_format="csv",
        compression="none",
        target_bytes=10,
        next_part=lambda: 1,
        earlier=earlier,
    )
    series.write(Rows(70), lambda row: row)  # type: ignore[arg-type, return-value]
    rows_of: Iterator[int] = iter(series.finished)  # type: ignore[arg-type]
    assert list(rows_of) == [1] * (4 - earlier) + [10] * 4 + [20] * ((70 - 40 - (4 - earlier)) // 20)
