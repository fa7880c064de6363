"""What the shell offers at the tab key, asked of the command as bash asks it."""

from __future__ import annotations

from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from rds_to_s3_ops import cli
from tests.unit.test_ops_docs import EVERY

COMMANDS: list[str] = list(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]


def asked(instruction: str, **environment: str) -> str:
    result = CliRunner().invoke(
        cli.app, [], prog_name="rds-to-s3", env={"_RDS_TO_S3_COMPLETE": instruction} | environment
    )
    assert result.exit_code == 0
    return result.stdout


def offered(line: str) -> list[str]:
    """Return what bash is offered for the last word of a line."""
    return asked("complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(line.split(" ")) - 1)).split()


def test_the_subcommands_are_offered_in_the_order_of_the_help() -> None:
    assert offered("rds-to-s3 ") == COMMANDS
    assert offered("rds-to-s3 re") == ["rerun", "redrive", "rewind"]
    assert offered("rds-to-s3 tables ") == ["list", "add", "remove", "move"]


@pytest.mark.parametrize(("path", "command"), EVERY, ids=[path for path, _ in EVERY])
def test_every_option_of_a_command_is_offered(path: str, command: Any) -> None:
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    names = {name for option in options for name in [*option.opts, *option.secondary_opts] if name.startswith("--")}
    assert set(offered(f"{path} --")) == names | {"--help"}


def test_the_values_of_an_option_that_has_few_are_offered() -> None:
    assert offered("rds-to-s3 ddl --for ") == ["snowflake", "redshift", "athena", "duckdb"]


def test_the_script_for_bash_asks_the_command() -> None:
    script = asked("source_bash")
    assert "_RDS_TO_S3_COMPLETE=complete_bash" in script
    assert script.rstrip().endswith("rds-to-s3")
