"""What the command imports before it does something: a terminal waits for it, and so does the tab key."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from rds_to_s3_ops.cli import COMMANDS, TABLES_COMMANDS
from rds_to_s3_ops.lazy import Command

ROOT = Path(__file__).parents[2]
SLOW = {"boto3", "botocore", "duckdb", "numpy", "pyarrow", "pymysql", "rich"}  # pydantic is typer's own
PROGRAM = """
import sys
sys.argv[0] = "rds-to-s3"
from rds_to_s3_ops.cli import main
try:
    main()
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


def imported(*words: str, **environment: str) -> set[str]:
    """Return the modules that a command has imported when it ends."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={"PYTHONPATH": f"{ROOT / 'functions'}:{ROOT / 'ops'}", "PATH": "", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout
    return set(result.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("history", "--help"), ("tables", "add", "--help")])
def test_help_imports_nothing_that_takes_long(words: tuple[str, ...]) -> None:
    modules = imported(*words)
    assert not modules & SLOW
    assert len([name for name in modules if name.startswith("rds_to_s3")]) <= 10
    assert len(modules) < 330


def test_the_completion_of_a_command_imports_none_of_them() -> None:
    modules = imported(_RDS_TO_S3_COMPLETE="complete_bash", COMP_WORDS="rds-to-s3 re", COMP_CWORD="1")
    assert not modules & (SLOW - {"rich"})


@pytest.mark.parametrize("words", [("run", "--no-watch"), ("history",), ("show",), ("tables", "list")])
def test_quick_commands_wait_for_aws_only(words: tuple[str, ...]) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words, "--stack", "food"],
        env={
            "PYTHONPATH": f"{ROOT / 'functions'}:{ROOT / 'ops'}", "PATH": "", "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_MAX_ATTEMPTS": "1",
        },
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    modules = set(result.stderr.splitlines()[-1].split())
    assert "boto3" in modules
    assert not modules & {"duckdb", "numpy", "pyarrow", "pymysql"}


@pytest.mark.parametrize("name", [*COMMANDS, *(f"tables {name}" for name in TABLES_COMMANDS)])
def test_the_help_says_of_each_command_what_its_own_help_begins_with(name: str) -> None:
    listed: dict[str, Command] = {**COMMANDS, **{f"tables {key}": value for key, value in TABLES_COMMANDS.items()}}
    command = listed[name]
    function = getattr(import_module(f"rds_to_s3_ops.commands.{command.module}"), command.function)
    paragraph = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
    assert paragraph == command.summary or paragraph.startswith(f"{command.summary} ")
