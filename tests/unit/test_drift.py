from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rds_to_s3.extract.scope.drift import compare_types, concerning, find_drift


def columns(text: str) -> list[dict[str, Any]]:
    """Read ``name type, name type NULL``."""
    made = []
    for part in text.split("; "):
        name, _, kind = part.partition(" ")
        made.append({"name": name, "type": kind.removesuffix(" NULL"), "nullable": kind.endswith(" NULL")})
    return made


RENAMED = (
    "column note is gone, and column remark of the same type is in its place: it was renamed, or dropped and "
    "another one added"
)
BASE = "id int; note varchar(20) NULL; total decimal(10,2)"


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (BASE, []),
        (BASE + "; more text NULL", ["column more text was added"]),
        ("id int; total decimal(10,2)", ["column note varchar(20) was dropped"]),
        ("id int; remark varchar(20) NULL; total decimal(10,2)", [RENAMED]),
        (
            "id int; remark text NULL; total decimal(10,2)",
            ["column note varchar(20) was dropped", "column remark text was added"],
        ),
        (
            "id int; remark varchar(20) NULL; extra int; total decimal(10,2)",
            [RENAMED, "column extra int was added"],
        ),
        (
            "first int; id int; remark varchar(20) NULL; total decimal(10,2)",
            [RENAMED, "column first int was added"],
        ),
        ("id bigint; note varchar(20) NULL; total decimal(10,2)", ["column id was widened from int to bigint"]),
        (
            "id int; note varchar(10) NULL; total decimal(10,2)",
            ["column note was narrowed from varchar(20) to varchar(10)"],
        ),
        ("id int; note varchar(20); total decimal(10,2)", ["column note was NULL and is NOT NULL"]),
        (
            "id int; remark varchar(20); total decimal(10,2)",
            [RENAMED, "column remark was NULL and is NOT NULL"],
        ),
        (
            "note varchar(20) NULL; id int; total decimal(10,2)",
            ["the columns have another order: note, id, total"],
        ),
    ],
)
def test_drift_is_reported_as_what_it_is(after: str, told: list[str]) -> None:
    assert [change.sentence() for change in find_drift(columns(BASE), columns(after))] == told


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("int", "int(11)", None),
        ("int(10) unsigned", "int unsigned", None),
        ("int", "bigint", "widened"),
        ("tinyint unsigned", "smallint", "widened"),
        ("int", "int unsigned", "retyped"),
        ("smallint unsigned", "int unsigned", "widened"),
        ("bigint", "int", "narrowed"),
        ("int(5) unsigned zerofill", "int(6) unsigned zerofill", "retyped"),
        ("decimal(10,2)", "decimal(12,2)", "widened"),
        ("decimal(10,2)", "decimal(10,4)", "retyped"),
        ("decimal(10,2)", "decimal(12,4)", "widened"),
        ("decimal(10,2)", "decimal(9,2)", "narrowed"),
        ("decimal(10,2) unsigned", "decimal(10,2)", "widened"),
        ("float", "double", "widened"),
        ("double unsigned", "double", "widened"),
        ("varchar(20000)", "text", "widened"),
        ("varchar(20000)", "varchar(30000)", "widened"),
        ("varchar(65535)", "varchar(20000)", "narrowed"),
        ("varchar(65535)", "text", "widened"),
        ("year(4)", "year", None),
        ("geometrycollection", "geomcollection", None),
        ("double", "float", "narrowed"),
        ("varchar(20)", "text", "widened"),
        ("text", "varchar(20)", "narrowed"),
        ("varchar(64)", "tinytext", "narrowed"),
        ("char(10)", "varchar(10)", "retyped"),
        ("varbinary(8)", "blob", "widened"),
        ("varchar(20)", "varbinary(20)", "retyped"),
        ("datetime", "datetime(6)", "widened"),
        ("datetime", "timestamp", "retyped"),
        ("date", "datetime", "retyped"),
        ("enum('a','b')", "enum('a','b','c')", "widened"),
        ("enum('a','b''),(')", "enum('a')", "narrowed"),
        ("enum('a','b')", "enum('b','a')", "retyped"),
        ("enum('a')", "set('a')", "retyped"),
        ("bit(1)", "bit(8)", "widened"),
        ("json", "longtext", "retyped"),
        ("geometry", "point", "retyped"),
    ],
)
def test_types_are_compared_by_what_they_hold(before: str, after: str, kind: str | None) -> None:
    assert compare_types(before, after) == kind


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.lists(st.sampled_from("abcdef"), unique=True))
def test_every_column_is_accounted_for_once(before: list[str], after: list[str]) -> None:
    """Adding, dropping and renaming as reported turns the old set of names into the new one."""

    def made(names: list[str]) -> list[dict[str, Any]]:
        return [{"name": name, "type": "int" if name < "d" else "text", "nullable": True} for name in names]

    changes = find_drift(made(before), made(after))
    names = set(before)
    for change in changes:
        if change.change == "renamed":
            assert change.before in names
            names = names - {str(change.before)} | {str(change.after)}
    names -= {change.column for change in changes if change.change == "dropped"}
    names |= {change.column for change in changes if change.change == "added"}
    assert names == set(after)


def test_columns_that_no_file_has_may_change_as_they_like() -> None:
    changes = find_drift(columns(BASE), columns("id int; total decimal(12,2); more text"))
    assert [change.column for change in concerning(changes, {"id", "note"}, {"id"})] == ["note"]
