from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local import bootstrap, browser
from local.errors import LocalSystemError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A PATH of its own, and Debian's packages out of reach."""

    def unreachable(packages: list[str], suite: str, directory: Path, present: object) -> Path:
        raise LocalSystemError(f"no {packages[0]} in {suite}")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browser, "DIRECTORY", tmp_path / "packages")
    monkeypatch.setattr(browser, "unpack", unreachable)
    yield tmp_path


def put(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_machines_own_browser_comes_first(path: Path) -> None:
    put(path / "google-chrome", "echo Chrome 150")
    assert browser.find() == browser.Browser(str(path / "google-chrome"), "Chrome 150")


def test_one_that_does_not_start_is_passed_over(path: Path) -> None:
    put(path / "chromium", "echo 'requires the chromium snap' >&2; exit 1")
    put(path / "google-chrome", "echo Chrome 150")
    assert browser.find().version == "Chrome 150"


def test_where_there_is_none_and_none_can_be_fetched_the_first_reason_is_reported(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LocalSystemError, match="no chromium-headless-shell in bookworm"):
        browser.find()
    bootstrap.fetch_browser()
    assert "no browser: no chromium-headless-shell in bookworm" in capsys.readouterr().out
