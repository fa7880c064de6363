"""Installs what everything else needs. Runs with the machine's own Python and no other package.

``python3 -m local.bootstrap venv`` makes ``.venv`` (tests, checks, the local AWS); ``sam`` makes ``.local/sam`` (the
SAM command pins other versions, so it lives apart), ``bench`` the contenders, ``audit`` pip-audit,
``scan`` bandit and checkov; ``mysql`` fetches
a server and ``browser`` a Chromium, unless there is one. Those that are needed are made side by side; what is there
already costs nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - this very check is for people who call it with an older one
    sys.exit(f"error: Python 3.11 or newer is needed, this is {platform.python_version()}: make PYTHON=python3.x ...")

from local import browser, mysql_programs
from local.debian_packages import codename, unpack
from local.errors import LocalSystemError, exit_with_message

REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL = REPOSITORY / ".local"

# No cache: nothing is written outside the checkout. No compilation: half of the time, and most modules are never used.
_PIP_OPTIONS = ("--disable-pip-version-check", "--no-input", "--no-cache-dir", "--no-compile")

_COMMAND = """\
#!{python}
# The command from this checkout, against whatever AWS the environment names.
import sys

sys.path[:0] = [{functions!r}, {ops!r}]

from rds_to_s3_ops.cli import main

sys.exit(main())
"""


def say(line: str) -> None:
    """Print a line of progress at once, also into a pipe."""
    # One write, because parts report in parallel.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def make_environment(directory: Path, requirements: Path) -> None:
    """Create, finish or update a virtual environment with exactly the pinned packages.

    A stamp is written last. An environment without a stamp is incomplete, and is created again. One with a stamp of
    other requirements is updated.
    """
    stamp = directory / "complete"
    python = directory / "bin" / "python"
    wanted = _fingerprint(directory, requirements)
    if _read(stamp) == wanted and python.exists():
        return
    name = directory.relative_to(REPOSITORY)
    if stamp.is_file() and python.exists() and _same_interpreter(stamp, wanted):
        say(f"{name}: requirements changed, installing ...")
        stamp.unlink()
    else:
        say(f"{name}: creating an environment and installing the packages (once, about a minute) ...")
        shutil.rmtree(directory, ignore_errors=True)
        _make_empty(directory)
    command = [str(python), "-m", "pip", "install", *_PIP_OPTIONS]
    _run(
        [*command, "--requirement", str(requirements)],
        LOCAL / "log" / f"pip-{directory.name.strip('.')}.log",
        str(name),
    )
    stamp.write_text(wanted)


def _fingerprint(directory: Path, requirements: Path) -> str:
    # Scripts in an environment contain its path, so a moved checkout needs a new one.
    pins = hashlib.sha256(requirements.read_bytes()).hexdigest()
    return f"{platform.python_version()} {directory}\n{pins}\n"


def _same_interpreter(stamp: Path, wanted: str) -> bool:
    return _read(stamp).splitlines()[:1] == wanted.splitlines()[:1]


def _make_empty(directory: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    log = LOCAL / "log" / "venv.log"
    if _has_module("ensurepip"):
        _run([sys.executable, "-m", "venv", str(directory)], log)
        return
    # Debian splits pip's wheel off from Python; it can be unpacked like the database server.
    if not _has_module("venv"):
        raise LocalSystemError("this Python has no venv module: install python3-venv")
    say("this Python has no pip (Debian's python3-venv is not installed): fetching it ...")
    wheels = unpack(["python3-pip-whl"], codename(), LOCAL / "packages" / "pip") / "usr/share/python-wheels"
    wheel = next(iter(sorted(wheels.glob("pip-*.whl"))), None)
    if wheel is None:
        raise LocalSystemError("no pip in Debian's python3-pip-whl: install python3-venv")
    _run([sys.executable, "-m", "venv", "--without-pip", str(directory)], log)
    pip = [str(directory / "bin" / "python"), f"{wheel}/pip", "install", *_PIP_OPTIONS]
    _run([*pip, "pip"], log)


def _has_module(name: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0


def make_command() -> None:
    """Install ``rds-to-s3`` in ``.venv/bin``. It runs from this checkout."""
    path = REPOSITORY / ".venv" / "bin" / "rds-to-s3"
    python = path.parent / "python"
    text = _COMMAND.format(python=python, functions=str(REPOSITORY / "functions"), ops=str(REPOSITORY / "ops"))
    if _read(path) != text:
        path.write_text(text)
        path.chmod(0o755)


def fetch_mysql() -> None:
    """Fetch a MySQL server, unless ``MYSQL_URL`` is set or the machine has one."""
    if not os.environ.get("MYSQL_URL"):
        mysql_programs.prefetch(say)


def fetch_test_servers() -> None:
    """Fetch both servers that the integration tests run on."""
    mysql_programs.fetched("mysql", say)
    mysql_programs.fetched("mariadb", say)


def fetch_browser() -> None:
    """Fetch a browser, unless the machine has one. Without a browser, its tests are skipped."""
    try:
        browser.find(say)
    except LocalSystemError as error:
        say(f"no browser: {error}")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""


def _run(command: list[str], log: Path, what: str = "") -> None:
    """Run a command with its output in a log, and print a line every fifteen seconds."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        began = time.monotonic()
        try:
            while True:
                try:
                    code = process.wait(15)
                    break
                except subprocess.TimeoutExpired:
                    if what:
                        say(f"{what}: still installing, {time.monotonic() - began:.0f} s ...")
        except BaseException:
            process.terminate()
            raise
    if code:
        tail = "\n".join(_read(log).splitlines()[-15:])
        raise LocalSystemError(f"`{' '.join(command[:5])} ...` failed; the end of {log}:\n{tail}")


PARTS: dict[str, Callable[[], None]] = {
    "venv": lambda: make_environment(REPOSITORY / ".venv", REPOSITORY / "requirements" / "dev.txt"),
    "sam": lambda: make_environment(LOCAL / "sam", REPOSITORY / "requirements" / "sam.txt"),
    "mysql": fetch_mysql,
    "test-servers": fetch_test_servers,
    "audit": lambda: make_environment(LOCAL / "audit", REPOSITORY / "requirements" / "audit.txt"),
    "scan": lambda: make_environment(LOCAL / "scan", REPOSITORY / "requirements" / "scan.txt"),
    "browser": fetch_browser,
    "fakesnow": lambda: make_environment(LOCAL / "fakesnow", REPOSITORY / "requirements" / "fakesnow.txt"),
    "bench": lambda: make_environment(LOCAL / "bench" / "venv", REPOSITORY / "requirements" / "bench.txt"),
}


def main() -> int:
    """Create the parts given on the command line."""
    parts = sys.argv[1:]
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise LocalSystemError(f"parts are: {', '.join(PARTS)}")
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "bootstrap.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another set-up is running in this checkout; waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        with ThreadPoolExecutor(len(parts)) as pool:
            for future in [pool.submit(PARTS[part]) for part in parts]:
                future.result()
        if "venv" in parts:
            make_command()
    return 0


if __name__ == "__main__":
    sys.exit(exit_with_message(main))
