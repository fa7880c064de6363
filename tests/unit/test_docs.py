"""The pages under docs/ agree with what they describe."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from rds_to_s3 import errors
from rds_to_s3.errors import PermanentError, RdsToS3Error, TransientError
from rds_to_s3.manifest.cost import STATES_OF_A_ROUND, STATES_OF_AN_INVOCATION
from rds_to_s3_ops.cli import app
from tests.template import load

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("README.md")])
TEMPLATE = load()
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def table(page: str, *header: str) -> list[list[str]]:
    """The rows of every table with these columns first, cells without backticks."""
    rows: list[list[str]] = []
    inside = False
    for line in text(DOCS / page).splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]
        if cells[: len(header)] == list(header):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not set(cells[0]) <= {"-", " "}:
            rows.append(cells)
    return rows


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = [line.lstrip("#").strip() for line in FENCE.sub("", text(page)).splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# --- tables -------------------------------------------------------------------------------------------------------


def test_the_parameters_page_has_every_parameter_with_its_default() -> None:
    told = {row[0]: row[1] for row in table("deploy.md", "parameter", "default")}
    defaults = {name: str(parameter.get("Default", "")) for name, parameter in TEMPLATE["Parameters"].items()}
    assert list(told) == list(defaults)
    assert told.pop("TableList") == "the nine sample tables"
    defaults.pop("TableList")
    assert told == defaults


def test_the_errors_page_has_every_error_and_says_whether_it_is_retried() -> None:
    declared = {
        name: "yes" if issubclass(error, TransientError) else "no"
        for name, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, RdsToS3Error) and error not in {RdsToS3Error, PermanentError, TransientError}
    }
    told = {row[0]: row[1] for row in table("errors.md", "error", "retried")}
    assert told == declared


def test_every_error_is_given_a_remedy() -> None:
    assert all(len(row) == 4 and all(row) for row in table("errors.md", "error", "retried", "meaning", "what to do"))


def test_the_report_page_has_every_metric_with_its_unit() -> None:
    source = ast.parse((ROOT / "functions" / "telemetry.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(source) if isinstance(node, ast.Call) and len(node.args) >= 2]
    emitted: dict[str, str] = {}
    for_alarms: set[str] = set()
    for call in calls:
        name, unit = call.args[0], call.args[1]
        if not (isinstance(name, ast.Constant) and isinstance(unit, ast.Attribute)):
            continue
        emitted[str(name.value)] = unit.attr
        if isinstance(call.func, ast.Name):
            for_alarms.add(str(name.value))
    told = {row[0]: row[1] for row in table("report.md", "metric", "unit")}
    assert {name.removesuffix(" †"): unit for name, unit in told.items()} == emitted
    assert {name.removesuffix(" †") for name in told if name.endswith("†")} == for_alarms


def test_the_report_page_has_every_alarm() -> None:
    alarms = {name for name, resource in TEMPLATE["Resources"].items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
    assert {row[0] for row in table("report.md", "alarm")} == alarms


def test_the_costs_page_counts_the_states_and_the_alarms_as_they_are() -> None:
    rows = {row[0]: row[1] for row in table("tune.md", "what", "arithmetic", "a month")}
    assert rows["Step Functions"].startswith(f"{STATES_OF_A_ROUND} states + {STATES_OF_AN_INVOCATION + 1} for each")
    alarms = [each for each in TEMPLATE["Resources"].values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    always = [alarm for alarm in alarms if alarm.get("Condition") != "HasGlueDatabase"]
    assert rows["alarms"].startswith(f"{len(always)} x ")


# --- links and commands -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link, image in LINK.findall(FENCE.sub("", text(page))):
        target, _, anchor = (link or image).partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name} links to {target}"
        if anchor and path.suffix == ".md" and path.exists():
            assert anchor in anchors(path), f"{page.name} links to {target}#{anchor}"


def test_the_index_lists_every_page() -> None:
    listed = {link.partition("#")[0] for link, _ in LINK.findall(text(DOCS / "README.md"))}
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= listed


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every ``rds-to-s3`` command on a page, in a listing or in backticks, as its words."""
    for page in PAGES:
        lines = [line.strip().removeprefix("$ ") for block in FENCE.findall(text(page)) for line in block.splitlines()]
        lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text(page)))
        for command in (line.removeprefix(".venv/bin/") for line in lines):
            if re.match(r"rds-to-s3 [a-z]", command):
                yield page.name, shlex.split(re.split(r" \| | && |; ", command)[0], comments=True)


@pytest.mark.parametrize(("page", "words"), list(commands()), ids=lambda value: " ".join(value) if value else "")
def test_every_command_on_a_page_exists_with_its_options(page: str, words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    rest = words[1:]
    while rest and hasattr(command, "commands"):
        assert rest[0] in command.commands, f"{page}: {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
    for word in rest:
        assert not word.startswith("-") or word.partition("=")[0] in known | {"--help"}, f"{page}: {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_on_a_page_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|&& |\$ )make ([a-z][a-z-]*)", text(page), re.MULTILINE))
    assert named <= targets
