"""What a cold start pays for: the libraries that each handler imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).parents[2] / "functions"
HEAVY = {"numpy", "pandas", "pyarrow", "pymysql"}


@pytest.mark.parametrize(
    ("handler", "needs"),
    [
        ("plan_run", {"pymysql"}),
        ("extract_table", {"numpy", "pymysql"}),
        ("write_manifest", set()),
        ("check_run", set()),
    ],
)
def test_a_handler_imports_no_heavy_library_that_it_does_not_need(handler: str, needs: set[str]) -> None:
    program = f"import sys, {handler}.handler; print(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=FUNCTIONS, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == needs


def test_handlers_connect_to_nothing_and_read_no_environment_when_imported() -> None:
    program = (
        "import os, socket\n"
        "def refuse(*_): raise AssertionError('a socket at import time')\n"
        "socket.socket.connect = refuse\n"
        "import plan_run.handler, extract_table.handler, write_manifest.handler, check_run.handler"
    )
    subprocess.run([sys.executable, "-c", program], cwd=FUNCTIONS, env={}, check=True)


def test_the_functions_leave_room_for_their_layers() -> None:
    """A function and its layers may have 250 MB unpacked; the layers take 208 (docs/deploy.md)."""
    assert sum(path.stat().st_size for path in FUNCTIONS.rglob("*") if path.suffix != ".pyc") < 5_000_000
