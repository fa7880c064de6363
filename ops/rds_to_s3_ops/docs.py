"""Writes docs/command.md from the command itself: ``python -m rds_to_s3_ops.docs [FILE]``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from rds_to_s3_ops.cli import app
from rds_to_s3_ops.errors import EXIT_CODES

PAGE = Path("docs/command.md")

_HEAD = """\
# The command `rds-to-s3`

The same command works with the stack on AWS and with the local system. `python -m rds_to_s3_ops.docs` writes this
page, and a test compares the two.

AWS is configured as for the AWS CLI (`AWS_PROFILE`, `AWS_REGION` or else `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL`,
`~/.aws`). `--stack` or `STACK_NAME` gives the stack. For the local system, `. .local/env` sets all of these.

```console
$ rds-to-s3 run                                   # every listed table, and follow the run
$ rds-to-s3 run --table orders --table menu       # two tables
$ rds-to-s3 run --no-watch                        # start it, print its id
$ rds-to-s3 plan                                  # what a run would read now; reads no rows
$ rds-to-s3 doctor                                # problems, and how to fix them
$ rds-to-s3 show                                  # the result of the last finished run
$ rds-to-s3 rerun run-20250402-120000-k3x9        # a new run of the tables that failed in that run
$ rds-to-s3 redrive run-20250402-120000-k3x9      # continue the same run, in its own window
$ rds-to-s3 rewind orders '2025-04-01 00:00:00'   # extract April again
$ rds-to-s3 verify --table orders --source        # compare its files with the table
$ rds-to-s3 verify --all                          # every file of every listed table against its manifest
$ rds-to-s3 load --for duckdb --to shop.duckdb    # bring a warehouse up to date with the bucket
$ rds-to-s3 ddl --for snowflake orders            # the same as a script
$ rds-to-s3 tables add invoice --set format=parquet
$ rds-to-s3 tables set-default prove_bytes=0      # for every table without its own setting
$ rds-to-s3 history run-20250402-120000-k3x9      # its events, state by state
$ rds-to-s3 history --json | jq '.[] | select(.failed > 0).run_id'
```

Results go to the standard output, everything else to the standard error. Only a terminal gets colours, and `NO_COLOR`
turns them off. If the output is not a terminal, `watch` prints one line for each event.

With `--json`, `run`, `rerun`, `redrive` and `watch` print one JSON object a line for each change. The last object is
the manifest. `show`, and any of them with `--wait`, print only the manifest. It follows the
[schema](../functions/rds_to_s3/schemas/manifest-v1.schema.json).

A run that is running, redriven, aborted or timed out has no final manifest. For such a run the command prints an
object with `run_id`, `status`, `started_at`, `finished_at`, `redrives`, `error`, `cause` and `manifest`. `status` is
`RUNNING`, `PENDING_REDRIVE`, `ABORTED`, `TIMED_OUT`, or `FAILED` if the manifest could not be written. `manifest` is
the one from before the redrive or the stop, or null. Only a manifest has `version`.

A name that is wider than its column is on a line of its own, and columns that are needed less give way in a narrow
terminal: names, run ids, states and errors are never cut.

`rds-to-s3 --install-completion` adds the commands, their options, the listed tables and the newest runs to the shell's
completion. `rds-to-s3 --version` prints the version.

## Exit codes

| code | meaning |
| --- | --- |
"""


def command_page() -> str:
    """Return the page: the head, the exit codes, and one section for each command."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    commands = list(_commands("rds-to-s3", typer.main.get_command(app)))
    shared = [parameter for parameter in commands[0][1].params if _is_shared(parameter)]
    sections = "".join(_section(path, command) for path, command in commands)
    return f"{_HEAD}{codes}\n## Options of every command\n\n{_parameters(shared)}{sections}"


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from _commands(f"{path} {name}", child)
        else:
            yield f"{path} {name}", child


def _section(path: str, command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    usage = [argument.metavar if argument.required else f"[{argument.metavar}]" for argument in arguments]
    own = [parameter for parameter in command.params if not _is_shared(parameter)]
    parts = [
        f"## `{path}`",
        f"`{' '.join([path, '[OPTIONS]', *usage])}`",
        inspect.cleandoc(command.help),
        *([_parameters(own).rstrip()] if own else []),
    ]
    return "\n" + "\n\n".join(parts) + "\n"


def _is_shared(parameter: Any) -> bool:
    return parameter.name in {"stack", "as_json", "debug"}


def _parameters(parameters: list[Any]) -> str:
    rows = "".join(f"| {_cell(names)} | {_cell(description)} |\n" for names, description in map(_parameter, parameters))
    return f"| | |\n| --- | --- |\n{rows}"


def _parameter(parameter: Any) -> tuple[str, str]:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar}`", parameter.help
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    value = "" if parameter.is_flag else f" `{parameter.metavar}`"
    has_default = isinstance(parameter.default, int | str) and parameter.default != "" and value
    default = f" Default: `{parameter.default}`." if has_default else ""
    return names + value, f"{parameter.help}{default}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(command_page(), encoding="utf-8")
