from __future__ import annotations

import re
from pathlib import Path

import pytest

from local import bootstrap, lambda_python
from local.errors import LocalSystemError


class Commands:
    """Records what would be run, and makes what a virtual environment is known by."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.done: list[str] = []
        self.fail_at: str | None = None

    def run(self, command: list[str], log: Path, what: str = "") -> None:
        step = "venv" if "venv" in command else "pip"
        if step == self.fail_at:
            raise LocalSystemError("killed")
        self.done.append(step)
        if step == "venv":
            (self.directory / "bin").mkdir(parents=True)
            (self.directory / "bin" / "python").touch()


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    commands = Commands(tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "REPOSITORY", tmp_path)
    monkeypatch.setattr(bootstrap, "LOCAL", tmp_path / ".local")
    monkeypatch.setattr(bootstrap, "_run", commands.run)
    (tmp_path / "pins.txt").write_text("one==1\n")
    return commands


def make(commands: Commands) -> list[str]:
    commands.done.clear()
    bootstrap.make_environment(commands.directory, commands.directory.parent / "pins.txt")
    return list(commands.done)


def test_an_environment_is_made_once(commands: Commands) -> None:
    assert make(commands) == ["venv", "pip"]
    assert make(commands) == []


def test_one_left_half_made_is_made_anew(commands: Commands) -> None:
    commands.fail_at = "pip"
    with pytest.raises(LocalSystemError):
        make(commands)
    (commands.directory / "half-installed").touch()
    commands.fail_at = None

    assert make(commands) == ["venv", "pip"]
    assert not (commands.directory / "half-installed").exists()


def test_other_pins_are_installed_into_the_one_that_is_there(commands: Commands) -> None:
    make(commands)
    (commands.directory.parent / "pins.txt").write_text("one==2\n")

    assert make(commands) == ["pip"]
    assert make(commands) == []


def test_an_interrupted_renewal_is_made_anew(commands: Commands) -> None:
    make(commands)
    (commands.directory.parent / "pins.txt").write_text("one==2\n")
    commands.fail_at = "pip"
    with pytest.raises(LocalSystemError):
        make(commands)
    commands.fail_at = None

    assert make(commands) == ["venv", "pip"]


def test_one_that_was_moved_is_made_anew(commands: Commands, tmp_path: Path) -> None:
    make(commands)
    commands.directory.rename(tmp_path / "moved")
    commands.directory = tmp_path / "moved"

    assert make(commands) == ["venv", "pip"]


def test_the_versions_of_lambdas_layers_replace_the_tests_own() -> None:
    root = Path(__file__).parents[2] / "requirements"
    pins = lambda_python.requirements((root / "dev.txt").read_text(), (root / "lambda.txt").read_text())
    names = [re.split("==", pin)[0].replace("_", "-").lower() for pin in pins]
    assert len(names) == len(set(names))
    assert {"pyarrow==20.0.0", "numpy==2.2.6", "PyMySQL==1.1.2", "aws-lambda-powertools==3.24.0"} <= set(pins)
    assert {"pytest", "moto", "pydantic"} <= set(names)
