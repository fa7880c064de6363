"""SELECTs as text: quoting, halves of a window, taking up again."""

from __future__ import annotations

import pytest

from rds_to_s3.mysql.select import Cursor, Segment, SelectColumn, literal, quoted, select_page, window_segments

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
    ],
)
def test_values_become_literals_that_nothing_can_break_out_of(value: bytes, kind: str, expected: str) -> None:
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
    cursors = [Cursor(CREATED, after, created_index), Cursor(MODIFIED, after, modified_index)] if after else []
    return window_segments(cursors, key)


def test_a_first_load_goes_by_the_key() -> None:
    assert segments("c", "m", after=None) == [Segment("TRUE", (ID,))]


def test_a_window_is_read_in_two_halves_each_in_its_indexs_order() -> None:
    created, modified = segments("c", "m")
    assert (modified.order, modified.index) == ((MODIFIED, ID), "m")
    assert (created.order, created.index) == ((CREATED, ID), "c")
    assert created.condition.startswith("`createdDate` > ")
    assert created.condition.endswith(f"AND ({modified.condition}) IS NOT TRUE")


def test_no_condition_asks_whether_a_column_is_null() -> None:
    """Of a zero date in a NOT NULL column, the answer depends on the plan."""
    both = [*segments("c", "m"), *segments(None, "m"), *segments("c", None)]
    assert all("IS NULL" not in segment.condition for segment in both)


def test_a_key_whose_text_may_come_back_as_other_bytes_is_compared_by_its_own() -> None:
    code = SelectColumn("code", "varchar", "text", own_bytes="cp932")
    sql = select_page("t", [ID, code], Segment("TRUE", (code,)), position=[b"\xed\x40"], rows=5)
    assert sql == (
        "SELECT `id`, CAST(`code` AS BINARY) FROM `t` WHERE TRUE AND `code` > _cp932 x'ed40' ORDER BY `code` LIMIT 5"
    )


def test_without_both_indexes_the_window_is_one_scan_in_key_order() -> None:
    (scan,) = segments(None, "m")
    assert (scan.order, scan.index) == ((ID,), None)
    assert " OR " in scan.condition


def test_without_a_key_there_is_no_order_to_resume_in() -> None:
    assert all(segment.order == () for segment in segments("c", "m", key=()))


def test_a_page_says_where_it_continues() -> None:
    segment = segments("c", "m")[1]
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
