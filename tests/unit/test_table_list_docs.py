"""docs/table-list.md has every key of the models, with its default, and its examples are valid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from rds_to_s3.checks.vocabulary import ColumnChecks, TableChecks
from rds_to_s3.commit.entries import DriftKind
from rds_to_s3.plan.table_list import TableList, TableSpec, parse_table_list

PAGE = (Path(__file__).parents[2] / "docs" / "table-list.md").read_text(encoding="utf-8")


def rows(header: str) -> dict[str, list[str]]:
    """The rows of the table whose first header cell begins so, by each name in their first cell."""
    found: dict[str, list[str]] = {}
    inside = False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| " + header):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not set(cells[0]) <= set("-| "):
            found |= dict.fromkeys(re.findall(r"`([^`]+)`", cells[0]), cells)
    return found


@pytest.mark.parametrize(
    ("header", "model", "internal"),
    [
        ("key", TableList, set()),
        ("setting", TableSpec, {"own_keys", "pattern", "database"}),
        ("check of a column", ColumnChecks, set()),
        ("check of the table", TableChecks, set()),
    ],
)
def test_every_key_is_documented_and_no_other(header: str, model: type[BaseModel], internal: set[str]) -> None:
    assert set(rows(header)) == set(model.model_fields) - internal


def test_every_setting_has_its_default() -> None:
    spec = TableSpec(name="t")
    in_words: dict[str, Any] = {"name": "required", "columns": "all", "exclude_columns": "none"}
    in_words["compression"] = "`none` for CSV, `snappy` for Parquet"
    for name, cells in rows("setting").items():
        assert cells[2] == in_words.get(name, f"`{json.dumps(getattr(spec, name))}`"), name


def choices(annotation: Any) -> list[str]:
    """The strings that a type allows, where it allows only some."""
    inner = get_args(annotation)
    return list(inner) if get_origin(annotation) is Literal else [choice for part in inner for choice in choices(part)]


def test_every_choice_of_a_setting_is_named() -> None:
    settings = rows("setting")
    for name, field in TableSpec.model_fields.items():
        for choice in choices(field.annotation):
            assert f"`{choice}`" in settings[name][1], (name, choice)


def test_every_kind_of_drift_is_named() -> None:
    assert set(rows("`change`")) == set(get_args(DriftKind))


def test_the_examples_are_table_lists() -> None:
    examples = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for example in examples:
        parse_table_list(example)


def test_the_page_has_no_gap() -> None:
    assert re.findall(r"\{[A-Z]+\}", PAGE) == []
