"""CSV files as DuckDB reads them with our options."""

from __future__ import annotations

import errno
import gzip
import random
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from rds_to_s3.formats.csv import quoted
from rds_to_s3_ops.errors import VerificationError
from rds_to_s3_ops.verify.reading.duckdb_reading import csv_header, open_duckdb, read_csv, reading_errors


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_line_breaks_and_quotes_in_a_file_of_many_buffers_part_no_row(tmp_path: Path, ending: str) -> None:
    chance = random.Random(3)
    pieces = ["a", "\n", '"', ",", "b\n", '1,"2"\n']
    texts = ["".join(chance.choices(pieces, k=chance.randrange(1, 40))) for _ in range(5_000)]
    body = b"id,note\n" + b"".join(b"%d,%s\n" % (number, quoted(text.encode())) for number, text in enumerate(texts))
    path = tmp_path / "data"
    path.write_bytes(gzip.compress(body) if ending == "csv.gz" else body)
    # Buffers of 4 kB instead of 8 MB: DuckDB's threads would begin in the midst of some 70 of them.
    source = read_csv(path, f"orders.{ending}", csv_header(path, f"orders.{ending}"), 300, least_line_bytes=1_000)
    with open_duckdb(tmp_path, "200MB") as duck:
        rows = duck.execute(f"SELECT id, note FROM {source} ORDER BY id::INT").fetchall()
    assert rows == [(str(number), text) for number, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "orders needs more disk space, so set TMPDIR"),
        (OSError(errno.EIO, "odd"), "orders cannot be read: [Errno 5] odd"),
        (pa.ArrowMemoryError("malloc of size 9\nfailed"), "orders exceeds the memory limit, so raise --memory"),
        (pa.ArrowInvalid(""), "orders cannot be read: ArrowInvalid"),
        (duckdb.OutOfMemoryException("no"), "orders exceeds the memory limit"),
        (duckdb.IOException("no"), "orders cannot be read: no"),
    ],
)
def test_what_cannot_be_read_is_reported_in_one_line_with_what_to_do(error: Exception, told: str) -> None:
    with pytest.raises(VerificationError) as caught, reading_errors("orders"):
        raise error
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


def test_a_mistake_of_ours_stays_what_it_is() -> None:
    with pytest.raises(KeyError), reading_errors("orders"):
        raise KeyError("orders")
