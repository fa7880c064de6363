"""A column's type, parsed from the catalogue's text."""

from __future__ import annotations

import pytest

from rds_to_s3.rows.column_type import ColumnType


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("int", ColumnType("int")),
        ("BIGINT(20) UNSIGNED", ColumnType("bigint", (20,), unsigned=True)),
        ("int(5) zerofill", ColumnType("int", (5,), unsigned=True, zerofill=True)),
        ("decimal(10, 2)", ColumnType("decimal", (10, 2))),
        ("timestamp(3) /* mariadb-5.3 */", ColumnType("timestamp", (3,))),
        ("enum('unsigned','a)','it''s','')", ColumnType("enum", (), ("unsigned", "a)", "it's", ""))),
        ("set('1','2') ", ColumnType("set", (), ("1", "2"))),
        ("", ColumnType("")),
        ("?", ColumnType("?")),
    ],
)
def test_a_type_is_parsed(text: str, parsed: ColumnType) -> None:
    assert ColumnType.parse(text) == parsed


def test_what_a_type_leaves_out_is_the_servers_default() -> None:
    assert [
        (kind.precision, kind.scale) for kind in map(ColumnType.parse, ("decimal", "decimal(5)", "decimal(5,1)"))
    ] == [
        (10, 0),
        (5, 0),
        (5, 1),
    ]
    assert [ColumnType.parse(text).length for text in ("datetime", "datetime(6)", "char(0)")] == [None, 6, 0]
    assert [ColumnType.parse(text).bits for text in ("mediumint(9)", "text")] == [24, None]
