"""Lambda's Python and the versions in its layers, for the tests: ``python3 -m local.lambda_python``.

The interpreter is Debian's python3.13, unpacked with its own loader and C library, unless there is a ``python3.13`` on
PATH. The packages are the tests' own (requirements/dev.txt), those of requirements/lambda.txt in their place.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from local.debian_packages import unpack
from local.errors import LocalSystemError, exit_with_message

REPOSITORY = Path(__file__).resolve().parent.parent
HOME = REPOSITORY / ".local" / "lambda"
VERSION = "3.13"
# No test of the functions needs these, and each is large or pins others.
_LEFT_OUT = ("ruff", "mypy", "boto3-stubs", "playwright", "greenlet", "snowflake")
# Older C libraries than the interpreter's run the same wheels.
_PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28")
# The loader starts the interpreter, so Python takes the file behind it for itself, which runs nowhere else.
_SITE = """\
import os, sys

sys.executable = sys._base_executable = os.environ["LAMBDA_PYTHON"]
for name in ("PYTHONHOME", "PYTHONPATH"):  # another Python that a test starts has its own
    os.environ.pop(name, None)
"""


def requirements(dev: str, layers: str) -> list[str]:
    r"""Return the tests' pinned packages with those of the layers in their place.

    Examples
    --------
    >>> requirements("ruff==1\nnumpy==2.4.6\nmoto==5\n", "# the layers\nnumpy==2.2.6\n")
    ['moto==5', 'numpy==2.2.6']
    """
    ours = [line for line in layers.splitlines() if line and not line.startswith("#")]
    taken = {_name(line) for line in ours}
    kept = [line for line in dev.splitlines() if line and not line.startswith(("#", *_LEFT_OUT))]
    return [line for line in kept if _name(line) not in taken] + ours


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[=<>;\[ ]", requirement, maxsplit=1)[0]).lower()


def prepare() -> Path:
    """Fetch the interpreter and the packages; return the program that starts it with them."""
    program = HOME / "python"
    layers = (REPOSITORY / "requirements" / "lambda.txt").read_text()
    if numpy := os.environ.get("NUMPY"):
        layers = re.sub(r"(?m)^numpy==.*$", f"numpy=={numpy}", layers)
    pins = "\n".join(requirements((REPOSITORY / "requirements" / "dev.txt").read_text(), layers)) + "\n"
    HOME.mkdir(parents=True, exist_ok=True)
    stamp, site = HOME / "pins.txt", HOME / "site"
    if not stamp.exists() or stamp.read_text() != pins:
        shutil.rmtree(site, ignore_errors=True)
        wanted = HOME / "wanted.txt"
        wanted.write_text(pins)
        _install(wanted, site)
        wanted.rename(stamp)
    (site / "sitecustomize.py").write_text(_SITE)
    program.write_text(_starter(program, site))
    program.chmod(0o755)
    return program


def _install(wanted: Path, site: Path) -> None:
    platforms = [option for each in _PLATFORMS for option in ("--platform", f"{each}_{platform.machine()}")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    command += ["--no-deps", "--target", str(site), "--python-version", VERSION, "--only-binary", ":all:", *platforms]
    done = subprocess.run([*command, "-r", str(wanted)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalSystemError(f"pip could not install Lambda's versions: {done.stderr.strip()[-1000:]}")


def _starter(program: Path, site: Path) -> str:
    found = shutil.which(f"python{VERSION}")
    # A version manager's command may be there and run nothing.
    if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
        command, home = found, ""
    else:
        root = unpack([f"python{VERSION}", "libstdc++6", "libgcc-s1"], "trixie", HOME / "packages")
        loader = next(iter([*root.glob("usr/lib/*/ld-linux*.so.*"), *root.glob("usr/lib64/ld-linux*.so.*")]), None)
        if loader is None:
            raise LocalSystemError(f"{root} has no loader; delete that folder and run the command again")
        libraries = sorted({str(path.parent) for path in root.glob("usr/lib/**/*.so.*")})
        command = f"{loader} --library-path {':'.join(libraries)} {root}/usr/bin/python{VERSION}"
        home = f"PYTHONHOME={root}/usr "
    return f'#!/bin/sh\n{home}LAMBDA_PYTHON={program} PYTHONPATH={site}:$PYTHONPATH exec {command} "$@"\n'


def main() -> int:
    """Print the program that starts it."""
    print(prepare())
    return 0


if __name__ == "__main__":
    sys.exit(exit_with_message(main))
