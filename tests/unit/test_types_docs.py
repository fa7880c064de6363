"""docs/types.md against the code that writes the files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rds_to_s3.formats import OutputColumn
from rds_to_s3.formats.arrow_types import arrow_type
from rds_to_s3.mysql.catalogue.schema import TableColumn

PAGE = Path(__file__).parents[2] / "docs" / "types.md"
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split(" | ")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| `")
]
DOCUMENTED = [(mysql, csv, parquet) for types, csv, parquet in ROWS for mysql in re.findall(r"`([^`]+)`", types)]


def described(mysql: str) -> TableColumn:
    return TableColumn("c", re.split(r"\W", mysql)[0], mysql, nullable=True)


@pytest.mark.parametrize(("mysql", "csv", "parquet"), DOCUMENTED)
def test_a_documented_type_is_written_as_documented(mysql: str, csv: str, parquet: str) -> None:
    column = described(mysql)
    written = str(arrow_type(OutputColumn("c", mysql, column.kind)))
    stated = re.findall(r"`([^`]+)`", parquet)[0]
    assert re.sub(r"\(.*\)", "", written) == stated
    assert (column.kind == "binary") == csv.startswith("hexadecimal")
    assert (column.kind == "numeric") == csv.startswith("number")
    if stated.startswith("decimal"):
        assert re.findall(r"\d+", mysql) == re.findall(r"\d+", written.partition("(")[2])


def test_every_type_that_the_code_knows_is_documented() -> None:
    from rds_to_s3.mysql.catalogue import schema  # noqa: PLC0415

    documented = {described(mysql).data_type for mysql, _, _ in DOCUMENTED}
    known = schema._BINARY_TYPES | schema._TEMPORAL_TYPES | schema._NUMERIC_TYPES
    assert known - documented == set()
    assert len(DOCUMENTED) > 50
