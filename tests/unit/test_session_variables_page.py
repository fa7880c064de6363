"""docs/session-variables.md against the code that sets them."""

from __future__ import annotations

from rds_to_s3.mysql.session import PINNED
from tests.support.session_variables import LEFT, SET


def test_the_page_has_every_variable_that_is_set_with_its_value() -> None:
    computed = {"time_zone": "@@GLOBAL.time_zone", "timestamp": "DEFAULT"}
    assert {name: "" if value == "empty" else value for name, value in SET.items()} == {**PINNED, **computed}


def test_a_variable_is_on_the_page_once() -> None:
    assert len(LEFT) > 200
    assert len({*LEFT, *SET}) == len(LEFT) + len(SET)
