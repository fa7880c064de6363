"""Patterns of checks have bounds: whoever edits the table list cannot hold a snapshot for hours."""

from __future__ import annotations

import json
import re
import threading
import time
from typing import Any

import pytest

from rds_to_s3.checks import patterns
from rds_to_s3.checks.patterns import MatchingTime, PatternTooSlowError, check_pattern, cpu_seconds
from rds_to_s3.errors import TableListError
from rds_to_s3.plan.table_list import parse_table_list
from tests.unit.test_checks import of_column

EXPONENTIAL = [
    r"(a+)+b",
    r"(a|a)*b",
    r"(a|aa)+b",
    r"(.*)*x",
    r"([a-zA-Z0-9]+)*@",
    r"(\w+\s?)*!",
    r"(?:-?\d+)*x",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(ab|ab)*c",
    r"(x+x+)+y",
    r"(\s*\S*)*z",
]
ORDINARY = [
    r"[A-Z]{2}\d{4}",
    r"[^@\s]+@[^@\s]+\.[a-z]{2,}",
    r"([A-Z]+-)*[A-Z]+",
    r"(\d{1,3}\.){3}\d{1,3}",
    r"\+?[0-9 ()-]{5,20}",
    r".*",
    r"(?i)(new|paid|void)(,(new|paid|void))*",
    r"(\w+ )*\w+",
    r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}",
    r"(?s).*order.*paid.*",
    "",
]
CUBIC = "a*a*a*a*a*b"  # quick for short texts, for long ones it never ends


def listed(pattern: str) -> str:
    return json.dumps({"tables": [{"name": "t", "checks": {"note": {"matches": pattern}}}]})


@pytest.mark.parametrize("pattern", EXPONENTIAL)
def test_a_pattern_that_explodes_is_refused_with_the_table_list(pattern: str) -> None:
    with pytest.raises(TableListError, match=r"note.*takes too long for a text of 65 characters"):
        parse_table_list(listed(pattern))


@pytest.mark.parametrize("pattern", ORDINARY)
def test_an_ordinary_pattern_is_accepted_at_once(pattern: str) -> None:
    began = time.process_time()
    parse_table_list(listed(pattern))
    assert time.process_time() - began < patterns.PROBE_SECONDS


@pytest.mark.parametrize(
    ("pattern", "message"), [("x" * 1001, "1,001 characters; 1,000 are allowed"), ("(", "not a regular expression")]
)
def test_what_is_too_long_or_no_pattern_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_pattern(pattern)


def test_a_pattern_that_is_slow_for_the_rows_fails_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MatchingTime, "SECONDS", 0.5)
    parse_table_list(listed(CUBIC))
    assert of_column("varchar(9)", [b"a" * 20 + b"b"], {"matches": CUBIC}) == []
    began = time.process_time()
    with pytest.raises(TableListError, match=r"matches a\*a\*a\*a\*a\*b' takes too long") as refused:
        of_column("text", [b"b", b"a" * 4000], {"matches": CUBIC})
    assert time.process_time() - began < 3
    assert "aaaa" not in str(refused.value)


def test_the_time_grows_with_the_rows_and_is_spent_over_all_blocks() -> None:
    matching = MatchingTime()
    matching._left = 0.05
    with matching.of(1024 * 1024):
        pass
    assert 0.9 < matching._left < 1.06
    matching._left = 0.05
    with pytest.raises(PatternTooSlowError):
        for _ in range(100):
            with matching.of(10):
                _spin(0.01)


def _spin(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_a_timer_is_gone_afterwards() -> None:
    with cpu_seconds(0.05):
        pass
    with pytest.raises(PatternTooSlowError), cpu_seconds(0.02):
        _spin(1)
    _spin(0.1)


def test_outside_the_main_thread_it_is_found_when_it_is_over() -> None:
    seen: list[Any] = []

    def match() -> None:
        check_pattern("(a+)+b")  # where no timer can end it, it is not tried
        try:
            with cpu_seconds(0.01):
                until = time.thread_time() + 0.05
                while time.thread_time() < until:
                    pass
        except PatternTooSlowError as error:
            seen.append(error)

    thread = threading.Thread(target=match)
    thread.start()
    thread.join()
    assert len(seen) == 1
