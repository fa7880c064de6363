"""What a key of the bucket says comes out of it again, whatever the table's name."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from rds_to_s3.bucket_keys import LAST_PART, data_key, data_stem, part_of, partition_of, side_key, stem_of
from rds_to_s3_ops.verify.reading.stored_files import TableFile, table_file

STAMP = "20250402_120000"
# Every character that a key's own parts are made of, and some that it escapes.
NAMES = st.text("a_.0123partdcsv/%-=é ", min_size=1, max_size=64) | st.text(min_size=1, max_size=64)


@given(
    name=NAMES,
    part=st.integers(1, LAST_PART),
    extension=st.sampled_from(["csv", "csv.gz", "csv.zst"]),
    layout=st.sampled_from(["flat", "hive"]),
)
@example(name="archive_part2024.orders", part=3, extension="csv", layout="flat")
@example(name="a_part0007.csv", part=1, extension="csv.gz", layout="hive")
@example(name="dt=2024-01-01", part=2, extension="csv", layout="hive")
def test_a_files_part_window_and_day_are_those_it_was_named_with(
    name: str, part: int, extension: str, layout: str
) -> None:
    key = data_key(name, "csv", STAMP, part, extension, layout=layout)
    assert part_of(key) == part
    assert stem_of(key) == data_stem(name, "csv", STAMP, layout)
    assert partition_of(key) == ("2025-04-02" if layout == "hive" else None)
    assert table_file(name, "csv", key) == TableFile(STAMP, part, key)
    aside = side_key(name, "deletes", STAMP, part)
    assert part_of(aside) == part
    assert table_file(name, "deletes", aside) == TableFile(STAMP, part, aside)
