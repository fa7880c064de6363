"""The order of an index, by what the catalogue says of it; the integration tier asks the servers for the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rds_to_s3.commit.read_as import Position
from rds_to_s3.extract.page_reader import WindowRead
from rds_to_s3.extract.scope.index_order import ReadIndex, index_advice, read_index
from rds_to_s3.mysql.catalogue.remedies import create_index
from rds_to_s3.mysql.catalogue.schema import Index, Table, TableColumn
from rds_to_s3.mysql.select import Segment, SelectColumn
from rds_to_s3.rows.block import Block

PRIMARY = Index("PRIMARY", True, ("id",))


def table(*indexes: Index, name: str = "t", status_nullable: bool = False) -> Table:
    columns = (
        TableColumn("id", "int", "int", False),
        TableColumn("status", "int", "int", status_nullable),
        TableColumn("at", "datetime", "datetime", True),
    )
    return Table(name, False, columns, (PRIMARY, *indexes))


BY_STATUS = Index("by_status", False, ("at", "status"))
READ = {"id", "status", "at"}


def test_of_two_indexes_that_have_the_order_the_shorter_is_taken() -> None:
    both = table(BY_STATUS, Index("by_date", False, ("at",)))
    assert read_index(both, "AT", READ) == ReadIndex("by_date", ("at", "id"))


def test_an_index_with_the_order_is_taken_before_a_shorter_one_without() -> None:
    both = table(Index("down", False, ("at",), ascending=False), BY_STATUS)
    assert read_index(both, "at", READ) == ReadIndex("by_status", ("at", "status", "id"))


def test_a_column_that_may_be_null_is_in_no_order() -> None:
    assert read_index(table(BY_STATUS, status_nullable=True), "at", READ) == ReadIndex("by_status", None)


def test_a_column_that_the_read_does_not_select_is_in_no_order_since_it_would_change_every_digest() -> None:
    assert read_index(table(BY_STATUS), "at", {"id", "at"}) == ReadIndex("by_status", None)


def test_the_advice_takes_a_name_of_64_characters_that_no_index_has() -> None:
    taken = "T" * 64
    long = table(Index(taken, False, ("status",)), name="t" * 64)
    advice = index_advice(long, "at", READ)
    assert advice is not None
    name = advice[1].split("`")[1]
    assert (len(name), name) == (64, "t" * 62 + "_2")
    assert create_index(table(name="a b"), ["x`y"]) == "CREATE INDEX `a b_x``y` ON `a b` (`x``y`)"


def test_a_position_never_holds_a_null() -> None:
    """To resume after one would find nothing: ``> NULL`` is true of no row."""
    null_row = np.frombuffer(b"\x01\x00\x00\x00\xfb", np.uint8)
    block = Block.decode(null_row, np.array([0]), 5, 1)
    column = SelectColumn("status", "int", "numeric")
    part: Any = SimpleNamespace()
    read = WindowRead(
        connection=part, table="t", columns=[column], segments=[Segment("TRUE", (column,))], stages=[],
        pace=part, position=Position(), stop_at=0.0, on_page=lambda: None,
    )  # fmt: skip
    with pytest.raises(AssertionError, match="status"):
        read._position(block, [0], 0)
