"""The programs that `make` starts."""

from __future__ import annotations

import os
import re
import shutil
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


def fake(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("vulnerable", ["", "requirements/dev.txt", "layers/zstd/requirements.txt"])
def test_each_list_of_packages_is_audited_alone_and_one_that_fails_hides_no_other(
    vulnerable: str, tmp_path: Path
) -> None:
    """Lists pin different versions of some packages, and pip-audit refuses two of one package."""
    for folder in ("requirements", "layers/zstd"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for program in ("sam/bin/cfn-lint", "scan/bin/checkov", "scan/bin/bandit"):
        fake(tmp_path / ".local" / program, "exit 0")
    fake(tmp_path / ".local/audit/bin/pip-audit", 'echo "$*" >> asked; case "$*" in *"-r $VULNERABLE") exit 1; esac')
    done = subprocess.run(
        ["make", "--no-print-directory", "-f", str(ROOT / "Makefile"), "audit", "SETUP=true"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        | {"VULNERABLE": vulnerable or "none"},
        capture_output=True,
        text=True,
        check=False,
    )
    asked = [re.findall(r"-r (\S+)", line) for line in (tmp_path / "asked").read_text().splitlines()]
    lists = {path.relative_to(ROOT).as_posix() for path in (ROOT / "requirements").glob("*.txt")}
    expected = lists - {"requirements/scan.txt"} | {"layers/zstd/requirements.txt"}
    assert sorted(asked) == sorted([each] for each in expected)
    assert (done.returncode != 0) == bool(vulnerable), done.stdout + done.stderr
    assert ("a vulnerability is listed above" in done.stdout) == bool(vulnerable)
