"""STACK_PARAMETERS: what `make up` deploys with."""

from __future__ import annotations

import pytest

from local.errors import LocalSystemError
from local.stack_parameters import parse_parameters


def test_names_and_values_are_read_as_a_shell_writes_them() -> None:
    assert parse_parameters("") == {}
    assert parse_parameters("MaxConcurrency=8  AlarmEmail=") == {"MaxConcurrency": "8", "AlarmEmail": ""}
    text = "'ScheduleExpression=cron(0 0/4 * * ? *)' DatabaseCredentials=ssm:/a=b"
    assert parse_parameters(text) == {
        "ScheduleExpression": "cron(0 0/4 * * ? *)",
        "DatabaseCredentials": "ssm:/a=b",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MaxConcurrency", "has no '='"),
        ("maxConcurrency=8", "Did you mean MaxConcurrency"),
        ("Colour=blue", "DatabaseCredentials"),
        ("'MaxConcurrency=8", "No closing quotation"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(LocalSystemError, match=message):
        parse_parameters(text)
