"""What the shell offers at the tab key, asked of the command as bash asks it."""

from __future__ import annotations

from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from rds_to_s3_ops import cli
from tests.support.deployed_command import Deployed, manifest
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
    assert offered("rds-to-s3 tables ") == list(cli.TABLES_COMMANDS)


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


@pytest.mark.parametrize("words", ["run --table", "plan -t", "verify --table", "rewind", "tables add", "tables remove"])
def test_names_of_listed_tables_are_offered(deployed: Deployed, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setenv("STACK_NAME", "food")
    assert offered(f"rds-to-s3 {words} o") == ["orders"]
    assert offered(f"rds-to-s3 {words} ") == ["menu", "orders"]


def test_tables_that_a_pattern_has_brought_in_are_offered(deployed: Deployed) -> None:
    deployed.write_table_list('{"tables": ["m*", "review"]}')
    deployed.put("runs/latest.json", manifest("run-1"))
    assert offered("rds-to-s3 run --stack food --table ") == ["review", "menu", "orders"]


@pytest.mark.parametrize("words", ["show", "watch", "redrive", "rerun", "history", "verify"])
def test_run_ids_are_offered(deployed: Deployed, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setenv("STACK_NAME", "food")
    run_id = deployed.run("run", "--no-watch").stdout.strip()
    assert offered(f"rds-to-s3 {words} run-") == [run_id]


def test_where_nothing_can_be_asked_nothing_is_offered_and_nothing_is_printed() -> None:
    assert asked("complete_bash", COMP_WORDS="rds-to-s3 show ", COMP_CWORD="2", STACK_NAME="").strip() == ""
