"""The programs that `make` starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
(CODE,) = re.findall(r"^CODE\s*:= PYTHONPATH=(\S+)$", MAKEFILE, re.M)


@pytest.mark.parametrize("program", sorted(set(re.findall(r"\$\(CODE\) .*-m (tests\.[\w.]+)", MAKEFILE))))
def test_what_make_starts_of_the_tests_finds_the_packages(program: str) -> None:
    asked = subprocess.run(
        [sys.executable, "-B", "-c", f"import {program}"], cwd=ROOT, env=os.environ | {"PYTHONPATH": CODE}, check=False
    )
    assert asked.returncode == 0


def test_every_program_of_the_tests_is_among_them() -> None:
    assert len(re.findall(r"-m tests\.", MAKEFILE)) == len(re.findall(r"\$\(CODE\) .*-m tests\.", MAKEFILE)) > 2
