"""SELECTs as text: quoting, halves of a window, taking up again."""

from __future__ import annotations

import pytest

from rds_to_s3.mysql.select import Segment, SelectColumn, literal, quoted, select_page, window_segments

ID = SelectColumn("id", "bigint", "numeric")
CREATED = SelectColumn("createdDate", "datetime", "temporal")
MODIFIED = SelectColumn("modifiedDate", "datetime", "temporal")
AFTER = "2025-04-02 12:00:00.000000"


def test_identifiers_are_quoted() -> None:
    assert quoted("tick`tick") == "`tick``tick`"


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (b"-12.50", "numeric", "-12.50"),
        (b"1e-300", "numeric", "1e-300"),
        (b"it's", "text", "_utf8mb4 x'69742773'"),
        (b"\x00\xff", "binary", "x'00ff'"),
        (b"2025-01-01", "temporal", "_utf8mb4 x'323032352d30312d3031'"),
        (None, "text", "NULL"),
    ],
)
def test_values_become_literals_that_nothing_can_break_out_of(value: bytes | None, kind: str, expected: str) -> None:
    assert literal(value, kind) == expected


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        literal(b"1 OR 1=1", "numeric")


def segments(
    created_index: str | None,
    modified_index: str | None,
    key: tuple[SelectColumn, ...] = (ID,),
    after: str | None = AFTER,
) -> list[Segment]:
    return window_segments(
        created=CREATED,
        modified=MODIFIED,
        after=after,
        key=key,
        created_index=created_index,
        modified_index=modified_index,
    )


def test_a_first_load_goes_by_the_key() -> None:
    assert segments("c", "m", after=None) == [Segment("TRUE", (ID,))]


def test_a_window_is_read_in_two_halves_each_in_its_indexs_order() -> None:
    modified, created = segments("c", "m")
    assert (modified.order, modified.index) == ((MODIFIED, ID), "m")
    assert (created.order, created.index) == ((CREATED, ID), "c")
    assert "`modifiedDate` IS NULL" in created.condition
    assert "IS NULL" not in modified.condition


def test_without_both_indexes_the_window_is_one_scan_in_key_order() -> None:
    (scan,) = segments(None, "m")
    assert (scan.order, scan.index) == ((ID,), None)
    assert " OR " in scan.condition


def test_without_a_key_there_is_no_order_to_resume_in() -> None:
    assert all(segment.order == () for segment in segments("c", "m", key=()))


def test_a_page_says_where_it_goes_on() -> None:
    segment = segments("c", "m")[0]
    sql = select_page("orders", [ID, MODIFIED], segment, position=[b"2025-04-02 13:00:00", b"7"], rows=100)
    stamp = "_utf8mb4 x'323032352d30342d30322031333a30303a3030'"
    assert sql.startswith("SELECT `id`, `modifiedDate` FROM `orders` FORCE INDEX (`m`) WHERE `modifiedDate` > ")
    assert sql.endswith(
        f"AND `modifiedDate` >= {stamp} AND (`modifiedDate` > {stamp} OR (`modifiedDate` = {stamp} AND `id` > 7)) "
        "ORDER BY `modifiedDate`, `id` LIMIT 100"
    )


def test_a_float_is_read_with_all_its_digits() -> None:
    sql = select_page("t", [SelectColumn("f", "float", "numeric")], Segment("TRUE", ()), position=None, rows=None)
    assert sql == "SELECT CAST(`f` AS DOUBLE) AS `f` FROM `t` WHERE TRUE"
