"""The errors' page is what the code and the state machine say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from rds_to_s3.errors import DatabaseBusyError, DatabaseLoginError, ReadInterruptedError, StorageUnavailableError
from rds_to_s3.mysql.row_error_numbers import BY_NUMBER
from rds_to_s3.s3.error_codes import BY_CODE
from rds_to_s3_ops.error_docs import MARK, PAGE, STATE_MACHINE, pauses, retried, retriers, whole_page

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
DEFINITION = (ROOT / STATE_MACHINE).read_text(encoding="utf-8")
ROWS = [line for line in TEXT.partition(MARK)[2].splitlines() if line.startswith("| ")]


def test_the_page_is_up_to_date() -> None:
    assert whole_page(TEXT, DEFINITION) == TEXT, (
        "write it anew: PYTHONPATH=functions:ops python -m rds_to_s3_ops.error_docs"
    )


@pytest.mark.parametrize("number", sorted(BY_NUMBER))
def test_every_number_is_on_the_page_once_with_its_error(number: int) -> None:
    (row,) = (row for row in ROWS if f"{number} {BY_NUMBER[number].numbers[number]}" in row.split(" | ")[0] + " ")
    assert f"`{BY_NUMBER[number].error.__name__}`" in row


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_every_code_is_on_the_page_once_with_its_error(code: str) -> None:
    (row,) = (row for row in ROWS if f"`{code}`" in row.split(" | ")[0])
    assert f"`{BY_CODE[code].error.__name__}`" in row


def test_how_long_an_error_is_retried_is_what_the_state_machine_does() -> None:
    found = retriers(DEFINITION)
    assert retried(DatabaseLoginError, found) == "no"
    assert retried(DatabaseBusyError, found) == retried(ReadInterruptedError, found) == "7 times, 7 min 00 s"
    assert retried(StorageUnavailableError, found) == "3 times, up to 35.0 s"
    assert pauses(found[2]) == [10, 20, 40, 80, 90, 90, 90]


def test_the_command_brings_what_a_login_without_tls_takes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "PyMySQL[rsa]" in project["project"]["dependencies"]
