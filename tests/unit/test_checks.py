"""Checks of rows: the engine against the same conditions asked value by value, in plain Python."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rds_to_s3.checks.binding import BoundChecks, bind_checks
from rds_to_s3.checks.engine import RowChecks
from rds_to_s3.checks.vocabulary import parse_checks
from rds_to_s3.errors import ColumnNotFoundError, ColumnTypeError, TableListError
from rds_to_s3.mysql.catalogue.schema import Table, TableColumn
from rds_to_s3.mysql.wire.result_set import query
from rds_to_s3.plan.table_list import parse_table_list
from tests.unit import wire

Value = bytes | None


def column(name: str, column_type: str) -> TableColumn:
    data_type = re.split(r"\W", column_type)[0]
    digits = int(match[1]) if (match := re.search(r"\((\d+)\)", column_type)) else 0
    charset = "utf8mb4" if data_type in {"varchar", "text", "enum"} else None
    return TableColumn(name, data_type, column_type, True, digits, charset)


def bound(columns: Sequence[TableColumn], checks: dict[str, Any]) -> BoundChecks:
    return bind_checks(Table("t", False, tuple(columns)), *parse_checks(checks))


def broken(
    columns: Sequence[TableColumn], rows: Sequence[Sequence[Value]], checks: dict[str, Any], **limits: Any
) -> dict[str, list[int]]:
    """Return the numbers of the rows that break each check, by its label."""
    engine = RowChecks(bound(columns, checks), {column.name: place for place, column in enumerate(columns)})
    told: dict[str, list[int]] = {}
    before = 0
    server = wire.connection(wire.result_set(rows, [column.name for column in columns]))
    with query(server, "SELECT 1", **limits) as result:
        for block in result:
            for label, mask in engine.broken(block):
                told.setdefault(label, []).extend(before + row for row in mask.nonzero()[0].tolist())
            before += block.rows
    return told


def of_column(column_type: str, values: Sequence[Value], check: dict[str, Any]) -> list[int]:
    told = broken([column("c", column_type)], [(value,) for value in values], {"c": check})
    return sorted({row for rows in told.values() for row in rows})


@pytest.mark.parametrize(
    ("column_type", "values", "check", "bad"),
    [
        ("int", [b"-1", b"0", None], {"ge": 0}, [0]),
        ("int", [b"2", b"3"], {"gt": 2.5}, [0]),
        ("int", [b"2", b"3"], {"le": 2.5}, [1]),
        ("int", [b"5"], {"lt": 10**30}, []),
        ("int", [b"5", None], {"gt": 10**30}, [0]),
        ("tinyint(1)", [b"1", b"2"], {"isin": [0, 1]}, [1]),
        ("bigint unsigned", [b"18446744073709551615", b"7"], {"lt": 18446744073709551615}, [0]),
        ("bigint unsigned", [b"0"], {"ge": -1}, []),
        ("int unsigned zerofill", [b"0000000042"], {"isin": [42]}, []),
        ("decimal(10,2)", [b"0.10", b"0.09", b"-0.10"], {"ge": 0.1}, [1, 2]),
        ("decimal(10,2)", [b"0.10", b"0.20"], {"isin": [0.1, "0.20", 0.201]}, []),
        ("decimal(65,30)", [b"12345678901234567890123456789012345.123456789012345678901234567890"], {"le": 1}, [0]),
        (
            "decimal(65,30)",
            [b"0.000000000000000000000000000001", b"0.000000000000000000000000000002"],
            {"le": "0.000000000000000000000000000001"},
            [1],
        ),
        ("year", [b"2025", b"1999"], {"ge": 2000}, [1]),
        ("double", [b"1e-7", b"0.1"], {"lt": 0.1}, [1]),
        ("datetime", [b"2025-01-01 00:00:00", b"0000-00-00 00:00:00"], {"ge": "2025-01-01"}, [1]),
        ("datetime(3)", [b"2025-01-01 00:00:00.000", b"2025-01-01 00:00:00.001"], {"gt": "2025-01-01 00:00:00"}, [0]),
        ("date", [b"2025-01-31", b"2025-02-01"], {"lt": "2025-01-31 00:00:00.5"}, [1]),
        ("time", [b"-838:59:59", b"00:00:00", b"100:00:00"], {"ge": "-00:00:01", "le": "24:00:00"}, [0, 2]),
        ("varchar(9)", ["é".encode() * 3, "😀".encode()], {"min_length": 2, "max_length": 2}, [0, 1]),
        ("varbinary(9)", [b"\xff\xfe"], {"max_length": 1}, [0]),
        ("varbinary(9)", [b"\xff\xfe", b"\x00"], {"isin": ["FFFE"]}, [1]),
        ("varchar(9)", [b"abc", b"abcd", b"", None], {"matches": "a.c"}, [1, 2]),
        ("varchar(9)", [b"a\nb"], {"matches": "a.b"}, [0]),
        ("enum('A','B')", [b"A", b"B", b""], {"isin": ["A"]}, [1, 2]),
        ("varchar(9)", [None, b""], {"not_null": True}, [0]),
        ("varchar(9)", [b"a", b"A", b"a ", None, None, b"a"], {"unique": True}, [5]),
        ("varchar(90)", [b"a" * 15, b"a" * 16, b"a" * 17, b"a" * 16, b"a" * 15], {"unique": True}, [3, 4]),
        ("varchar(90)", [b"", b"\x00", b"\x00\x00", None, b""], {"unique": True}, [4]),
    ],
)
def test_a_check_finds_the_rows_that_break_it(
    column_type: str, values: list[Value], check: dict[str, Any], bad: list[int]
) -> None:
    assert of_column(column_type, values, check) == bad


SHOP = [
    column("total", "decimal(10,2)"),
    column("discount", "decimal(8,3)"),
    column("items", "int"),
    column("status", "varchar(9)"),
    column("two words", "int"),
    column("made", "datetime"),
    column("sent", "datetime(6)"),
    column("big", "bigint unsigned"),
    column("huge", "decimal(65,30)"),
    column("ratio", "double"),
    column("took", "time"),
]
ROW: dict[str, Value] = {
    "total": b"10.00",
    "discount": b"9.999",
    "items": b"3",
    "status": b"NEW",
    "two words": b"7",
    "made": b"2025-01-01 10:00:00",
    "sent": b"2025-01-01 10:00:00.000000",
    "big": b"18446744073709551615",
    "huge": b"12345678901234567890123456789012345.123456789012345678901234567890",
    "ratio": b"0.5",
    "took": b"01:00:00",
}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("total >= discount", True),
        ("total - discount == 0.001", True),
        ("total == 10", True),
        ("TOTAL * items == 30", True),
        ("-items < 0", True),
        ("0 < items <= 3", True),
        ("`two words` == 7", True),
        ("status in ['NEW', 'PAID'] and not items > 3", True),
        ("status not in ('NEW',)", False),
        ("status == 'new'", False),
        ("status is None or items is not None", True),
        ("made == sent", True),
        ("made > '2025-01-01 09:59:59.5'", True),
        ("big > items", True),
        ("big + items == 18446744073709551618", True),
        ("big * big == 340282366920938463426481119284349108225", True),
        ("items - big < 0", True),
        ("huge * huge > huge", True),
        ("huge > 12345678901234567890123456789012345.123456789012345678901234567889", True),
        ("items * ratio == 1.5", True),
        ("took < '01:00:00.5'", True),
        ("items in [1, 2]", False),
        ("items + 1 in [4]", True),
    ],
)
def test_an_expression_means_what_it_says(expression: str, holds: bool) -> None:
    told = broken(SHOP, [list(ROW.values())], {"*": {"expressions": [expression]}})
    assert told == ({} if holds else {expression: [0]})


@pytest.mark.parametrize(
    "expression",
    ["total >= 0", "total - discount > 100", "not (total >= 0)", "total in [1]", "status == 'x'", "made < sent"],
)
def test_an_expression_that_null_makes_unknown_is_fulfilled(expression: str) -> None:
    assert broken(SHOP, [[None] * len(SHOP)], {"*": {"expressions": [expression]}}) == {}


def test_null_does_not_hide_what_the_other_side_of_an_or_decides() -> None:
    rows = [[None if name == "total" else value for name, value in ROW.items()]]
    told = broken(SHOP, rows, {"*": {"expressions": ["total > 0 and items > 3", "total > 0 or items > 3"]}})
    assert told == {"total > 0 and items > 3": [0]}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("total / 2 > 1", "multiply the other side"),
        ("total = 1", "equality is =="),
        ("__import__('os').system('true') == 0", "is not supported"),
        ("total.real > 1", "is not supported"),
        ("(lambda: 1)() == total", "is not supported"),
        ("[x for x in total] == total", "is not supported"),
        ("total", "not a condition"),
        ("total == None", "is None"),
        ("total in status", "list of literals"),
        ("total is status", "None only"),
        ("total > (items > 1)", "in the place of a value"),
        ("total == True", "is not a column's value"),
        ("(" * 300 + "total > 1" + ")" * 300, "nested"),
        ("-" * 1900 + "1 < total", "nested"),
        ("total > 1" + " " * 2000, "2000 characters"),
        ("total >", "cannot be read"),
        ("total == b'x'", "not a number or a text"),
    ],
)
def test_what_is_not_in_the_language_is_refused_with_the_table_list(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_checks({"*": {"expressions": [expression]}})


def test_the_table_list_names_the_expression_that_cannot_be_read() -> None:
    with pytest.raises(TableListError, match=r"tables\[0\].*expressions.*'total ='.*cannot be read"):
        parse_table_list('{"tables": [{"name": "t", "checks": {"*": {"expressions": ["total ="]}}}]}')


@pytest.mark.parametrize(
    ("checks", "error", "message"),
    [
        ({"totl": {"ge": 0}}, ColumnNotFoundError, "did you mean 'total'"),
        ({"*": {"expressions": ["totl > 0"]}}, ColumnNotFoundError, "did you mean 'total'"),
        ({"status": {"ge": 0}}, ColumnTypeError, "status is varchar(9)"),
        ({"status": {"ge": "a"}}, ColumnTypeError, "collation"),
        ({"total": {"ge": "x"}}, ColumnTypeError, "'x' is not a number"),
        ({"total": {"isin": ["x"]}}, ColumnTypeError, "'x' is not a number"),
        ({"total": {"matches": "x"}}, ColumnTypeError, "matches needs text"),
        ({"made": {"max_length": 3}}, ColumnTypeError, "length needs"),
        ({"made": {"ge": 2025}}, ColumnTypeError, "is not a date"),
        ({"made": {"ge": "2025-13-01"}}, ColumnTypeError, "calendar"),
        ({"took": {"ge": "noon"}}, ColumnTypeError, "is not a time"),
        ({"status": {"isin": [1]}}, ColumnTypeError, "not a text"),
        ({"*": {"expressions": ["total > made"]}}, ColumnTypeError, "a number is compared with a date"),
        ({"*": {"expressions": ["status + 1 > 2"]}}, ColumnTypeError, "+ needs numbers"),
        ({"*": {"expressions": ["1 < 2"]}}, ColumnTypeError, "two literals"),
    ],
)
def test_a_check_that_does_not_suit_the_table_is_found_without_a_row(
    checks: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        bound(SHOP, checks)


# --- against the same, value by value ---

integers = st.integers(-(2**31), 2**31 - 1)
decimals = st.decimals(-99999999, 99999999, places=2)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2020, 1, 3)).map(lambda moment: moment.replace(microsecond=0))
texts = st.text("abé😀\n", max_size=4)
bounds = st.one_of(
    st.integers(-(10**12), 10**12), st.decimals(-(10**9), 10**9, places=3).map(str), integers, decimals.map(str)
)
OPERATORS = {
    "ge": lambda value, limit: value >= limit,
    "gt": lambda value, limit: value > limit,
    "le": lambda value, limit: value <= limit,
    "lt": lambda value, limit: value < limit,
}


def nullable(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


def sent(value: Any) -> Value:
    return None if value is None else (f"{value:f}" if isinstance(value, Decimal) else str(value)).encode()


@given(
    column_type=st.sampled_from(["int", "decimal(12,2)", "decimal(60,2)"]),
    values=st.lists(nullable(st.one_of(integers, decimals)), min_size=1, max_size=40),
    operator=st.sampled_from(sorted(OPERATORS)),
    limit=bounds,
)
def test_bounds_agree_with_python(column_type: str, values: list[Any], operator: str, limit: Any) -> None:
    values = [
        None if v is None else int(v) if column_type == "int" else Decimal(v).quantize(Decimal("0.01")) for v in values
    ]
    wanted = [i for i, v in enumerate(values) if v is not None and not OPERATORS[operator](v, Decimal(limit))]
    assert of_column(column_type, [sent(value) for value in values], {operator: limit}) == wanted


@given(
    values=st.lists(nullable(moments), min_size=1, max_size=30),
    operator=st.sampled_from(sorted(OPERATORS)),
    limit=moments,
)
def test_bounds_of_timestamps_agree_with_python(values: list[Any], operator: str, limit: datetime) -> None:
    wanted = [i for i, v in enumerate(values) if v is not None and not OPERATORS[operator](v, limit)]
    assert of_column("datetime", [sent(value) for value in values], {operator: str(limit)}) == wanted


@given(
    values=st.lists(nullable(texts), min_size=1, max_size=40),
    block_bytes=st.integers(1, 300),
    members=st.lists(texts, min_size=1, max_size=3),
    pattern=st.sampled_from(["a*", "[ab]+é?", "(?s)a.*", r"\w+", "", "(?=a)ab"]),
    lengths=st.tuples(st.integers(0, 4), st.integers(0, 4)),
)
def test_checks_of_texts_agree_with_python_however_the_rows_are_cut(
    values: list[Any], block_bytes: int, members: list[str], pattern: str, lengths: tuple[int, int]
) -> None:
    least, most = lengths
    checks = {
        "not_null": True, "unique": True, "isin": members, "matches": pattern, "min_length": least, "max_length": most
    }  # fmt: skip
    told = broken(
        [column("c", "varchar(90)")], [(sent(value),) for value in values], {"c": checks}, block_bytes=block_bytes
    )
    present = [(row, value) for row, value in enumerate(values) if value is not None]
    wanted = {
        "not_null": [row for row, value in enumerate(values) if value is None],
        "unique": [row for row, value in present if value in values[:row]],
        "isin": [row for row, value in present if value not in members],
        "matches": [row for row, value in present if not re.fullmatch(pattern, value)],
        "min_length": [row for row, value in present if len(value) < least],
        "max_length": [row for row, value in present if len(value) > most],
    }
    assert {label.split()[1]: rows for label, rows in told.items()} == {
        key: rows for key, rows in wanted.items() if rows
    }


numbers = st.fixed_dictionaries({
    "total": nullable(decimals), "items": nullable(integers), "big": nullable(st.integers(0, 2**64 - 1)),
    "huge": nullable(st.decimals(-(10**34), 10**34, places=30)),
})  # fmt: skip
terms: st.SearchStrategy[str] = st.recursive(
    st.one_of(st.sampled_from(["total", "items", "big", "huge"]), st.integers(-9, 9).map(str), st.just("0.05")),
    lambda inner: st.builds(lambda a, o, b: f"({a} {o} {b})", inner, st.sampled_from(["+", "-", "*"]), inner),
    max_leaves=4,
)
comparisons = st.builds(
    lambda a, o, b: f"{a} {o} {b}", terms, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), terms
)
conditions: st.SearchStrategy[str] = st.recursive(
    comparisons, lambda inner: st.builds(lambda a, o, b: f"({a} {o} {b})", inner, st.sampled_from(["and", "or"]), inner)
)


def asked_row_by_row(text: str, row: dict[str, Any]) -> bool | None:
    """Ask Python itself, with numbers that never round and NULL as SQL has it."""
    inner = text[1:-1] if text.startswith("(") and closes_last(text) else text
    depth = 0
    for at in range(len(inner)):
        depth += {"(": 1, ")": -1}.get(inner[at], 0)
        for word in (" and ", " or "):
            if depth == 0 and inner.startswith(word, at):
                sides = (asked_row_by_row(inner[:at], row), asked_row_by_row(inner[at + len(word) :], row))
                deciding = word == " or "
                return deciding if deciding in sides else None if None in sides else not deciding
    names = {name for name in row if re.search(rf"\b{name}\b", inner)}
    if any(row[name] is None for name in names):
        return None
    exact = re.sub(r"\b\d+(\.\d+)?\b", lambda match: f"F('{match[0]}')", inner)
    return bool(eval(exact, {"F": Fraction}, {name: Fraction(row[name]) for name in names}))


def closes_last(text: str) -> bool:
    """Whether the bracket that opens the text closes at its end."""
    depth = 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return place == len(text) - 1
    return False


@given(expression=conditions, rows=st.lists(numbers, min_size=1, max_size=8))
def test_expressions_agree_with_python_and_never_round(expression: str, rows: list[dict[str, Any]]) -> None:
    columns = [each for each in SHOP if each.name in rows[0]]
    ordered = [[sent(row[each.name]) for each in columns] for row in rows]
    try:
        told = broken(columns, ordered, {"*": {"expressions": [expression]}})
    except ColumnTypeError as error:
        assert "literals" in str(error)
        return
    wanted = [number for number, row in enumerate(rows) if asked_row_by_row(expression, row) is False]
    assert told.get(expression, []) == wanted


def test_minus_zero_is_in_a_list_that_has_zero() -> None:
    assert of_column("double", [b"-0", b"0", b"1"], {"isin": [0]}) == [2]
