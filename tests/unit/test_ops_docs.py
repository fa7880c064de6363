"""The command's page is what the command is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer.main

from rds_to_s3_ops.cli import app
from rds_to_s3_ops.docs import PAGE, command_page
from rds_to_s3_ops.errors import EXIT_CODES, CommandError

TEXT = (Path(__file__).parents[2] / PAGE).read_text(encoding="utf-8")


def commands(path: str, command: Any) -> list[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    found = [(path, command)] if not children else []
    return found + [item for name, child in children.items() for item in commands(f"{path} {name}", child)]


EVERY = commands("rds-to-s3", typer.main.get_command(app))


def test_the_page_is_up_to_date() -> None:
    assert command_page() == TEXT, "write it anew: PYTHONPATH=functions:ops python -m rds_to_s3_ops.docs"


@pytest.mark.parametrize(("path", "command"), EVERY, ids=[path for path, _ in EVERY])
def test_every_command_and_option_is_documented_and_explains_itself(path: str, command: Any) -> None:
    section = TEXT.split(f"\n## `{path}`\n")[1].split("\n## ")[0]
    shared = TEXT.split("\n## Options of every command\n")[1].split("\n## ")[0]
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"{parameter.name} of {path} has no help"
        names = [parameter.metavar] if parameter.param_type_name == "argument" else parameter.opts
        assert all(f"`{name}`" in section + shared for name in names)


def test_every_exit_code_is_documented() -> None:
    assert all(f"| {code} | {meaning} |" in TEXT for code, meaning in EXIT_CODES.items())
    assert {error.exit_code for error in CommandError.__subclasses__()} <= set(EXIT_CODES)
