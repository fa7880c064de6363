from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from benchmarks.extreme_row import EXACT, judge, judge_texts, section
from benchmarks.outputs import Text, csv_row, sql_row, tsv_row


def test_a_csv_row_keeps_what_was_quoted() -> None:
    row = csv_row(b'id,empty,absent,"odd ""name"""\r\n1,"",,"a, ""b""\nc"\r\n2,x,y,z\r\n')
    assert row == {
        "id": Text(b"1", b"1"),
        "empty": Text(b'""', b""),
        "absent": Text(b"", b""),
        'odd "name"': Text(b'"a, ""b""\nc"', b'a, "b"\nc'),
    }
    assert csv_row(b"id,a\n") is None


def test_a_row_of_the_client_and_of_an_insert_statement_loses_its_escapes() -> None:
    assert tsv_row(b"a\tb\nx\\ty\tNULL\n") == {"a": Text(b"x\\ty", b"x\ty"), "b": Text(b"NULL", b"NULL")}
    assert tsv_row(b"a\tb\n") is None
    dump = b'/*!40101 SET NAMES binary*/;\nINSERT INTO `t` VALUES\n(1,"a\\"),(","",NULL),\n(2,"b","",NULL);\n'
    assert sql_row(dump, ["id", "a", "b", "c"]) == {
        "id": Text(b"1", b"1"),
        "a": Text(b'"a\\"),("', b'a"),('),
        "b": Text(b'""', b""),
        "c": Text(b"NULL", b"NULL"),
    }
    assert sql_row(b"-- nothing", ["id"]) is None


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("zero_date", Text(b'"0000-00-00"', b"0000-00-00")),
        ("long_decimal", Decimal("12345678901234567890123456789012345.123456789012345678901234567891")),
        ("large_int", 18446744073709551615),
        ("small_float", Text(b"16777216.0", b"16777216.0")),
        ("flag", Text(b"2", b"2")),
        ("bits", Text(b"AAFF", b"AAFF")),
        ("bits", b"\xaa\xff"),
    ],
)
def test_a_value_may_be_written_in_any_form_that_says_the_same(column: str, found: Any) -> None:
    assert judge(column, found) == EXACT


@pytest.mark.parametrize(
    ("column", "found", "answer"),
    [
        ("zero_date", date(1970, 1, 1), "1970-01-01"),
        ("zero_date", None, "NULL"),
        ("zero_datetime", Text(b"", b""), "nothing"),
        ("long_decimal", Text(b"1.2e34", b"1.2e34"), "1.2e34"),
        ("small_float", 16777200.0, "16777200.0"),
        ("flag", True, "True"),
        ("bits", Text(b"\xef\xbf\xbd", b"\xef\xbf\xbd"), "\ufffd"),
    ],
)
def test_a_changed_value_is_shown_as_what_it_became(column: str, found: Any, answer: str) -> None:
    assert judge(column, found) == answer


def test_the_three_texts_are_exact_only_if_the_file_tells_all_of_them_apart() -> None:
    quoted, nothing, word = Text(b'""', b""), Text(b"", b""), Text(b"NULL", b"NULL")
    assert judge_texts(quoted, nothing, word) == judge_texts("", None, "NULL") == EXACT
    assert judge_texts(nothing, nothing, word) == "'' = NULL"
    assert judge_texts(nothing, word, word) == "NULL = 'NULL'"


def test_the_page_says_what_a_refusal_said() -> None:
    found = {"answers": {"x": {"flag": "refused", "bits": "exact"}}, "reasons": {"x": {"flag": "Error: `no`"}}}
    text = section(found, "Measured today.")
    assert "| refused | ✓ |" in text
    assert "- x, TINYINT(1) 2: `Error: no`" in text
