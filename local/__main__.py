"""``python -m local up | down | demo``: the Makefile calls it after it has created the environments."""

from __future__ import annotations

import argparse
import os
import sys
import time

from local.demo import run_demo
from local.errors import exit_with_message
from local.stack_parameters import parse_parameters
from local.system import HOME, LocalSystem, down


def say(line: str) -> None:
    """Print a line of progress at once, also into a pipe."""
    print(line, flush=True)


def up() -> LocalSystem:
    """Start the system with the settings of this shell's environment."""
    overrides = {"TableList": os.environ["TABLE_LIST"]} if os.environ.get("TABLE_LIST") else {}
    overrides |= parse_parameters(os.environ.get("STACK_PARAMETERS", ""))
    return LocalSystem.up(HOME, os.environ.get("MYSQL_URL"), overrides, say)


def main() -> int:
    """Run the command line's subcommand."""
    parser = argparse.ArgumentParser(prog="python -m local")
    parser.add_argument("action", choices=["up", "down", "demo"])
    action = parser.parse_args().action
    began = time.monotonic()
    if action == "down":
        stopped = down()
        say(f"stopped {' and '.join(stopped)}" if stopped else "nothing was running")
        return 0
    system = up()
    if action == "demo":
        return run_demo(system, say)
    say(f"up in {time.monotonic() - began:.1f} s. Now:  . .local/env && .venv/bin/rds-to-s3 run --watch")
    return 0


if __name__ == "__main__":
    sys.exit(exit_with_message(main))
