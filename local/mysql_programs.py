"""Finds a MySQL or MariaDB server program: the machine's, or one from Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from local.debian_packages import unpack
from local.errors import LocalSystemError

Flavour = Literal["mysql", "mariadb"]

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = REPOSITORY / ".local" / "packages"

# Oracle's MySQL is in no Debian release, only in unstable; MariaDB 10.11 is the server of release 12.
_ARCHIVES: dict[Flavour, tuple[str, tuple[str, ...]]] = {
    "mysql": ("mysql-server-core", ("unstable",)),
    "mariadb": ("mariadb-server-core", ("bookworm", "stable")),
}


@dataclass(frozen=True)
class ServerProgram:
    """A server program: its command line, and the location of its files."""

    flavour: Flavour
    command: tuple[str, ...]
    version: str
    share: Path | None
    """``share/mysql`` of an unpacked server, None for one installed on the machine."""

    @property
    def file_options(self) -> list[str]:
        """The options with the location of an unpacked server."""
        if self.share is None:
            return []
        options = [f"--lc-messages-dir={self.share}", f"--character-sets-dir={self.share / 'charsets'}"]
        plugins = self.share.parent.parent / "lib/mysql/plugin"
        return [*options, f"--plugin-dir={plugins}"] if plugins.is_dir() else options


def fetched(flavour: Flavour, say: Callable[[str], None] = lambda _line: None) -> ServerProgram:
    """Return the server unpacked from Debian's packages under ``.local/packages``, fetching it the first time."""
    package, suites = _ARCHIVES[flavour]
    directory = PACKAGES / flavour
    if not (directory / "root").is_dir():
        say(f"fetching {package} from Debian's {suites[0]} suite (once, about 60 MB) ...")
    problem: LocalSystemError | None = None
    for suite in suites:
        try:
            return _unpacked(flavour, unpack([package], suite, directory))
        except LocalSystemError as error:
            problem = problem or error
    raise problem or LocalSystemError(f"no archive of {package}")


def _unpacked(flavour: Flavour, root: Path) -> ServerProgram:
    # Each set brings its own loader and C library, so the machine's release does not matter.
    loaders = sorted(
        [*root.glob("usr/lib/*/ld-linux*.so.*"), *root.glob("lib/*/ld-linux*.so.*"), *root.glob("lib/ld-linux*.so.*")]
    )
    server = root / "usr/sbin" / ("mysqld" if flavour == "mysql" else "mariadbd")
    if not loaders or not server.is_file():
        raise LocalSystemError(f"{root} holds no {flavour} server; delete that folder and run the command again")
    libraries = sorted({path.parent for folder in ("lib", "usr/lib") for path in (root / folder).glob("**/*.so.*")})
    command = (str(loaders[0]), "--library-path", ":".join(map(str, libraries)), str(server))
    return ServerProgram(flavour, command, _version(command), root / "usr/share/mysql")


def installed(flavour: Flavour) -> ServerProgram | None:
    """Return the machine's own server of that flavour, when there is one on PATH (or in ``/usr/sbin``)."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    for name in ("mysqld", "mariadbd"):
        program = shutil.which(name, path=path)
        if program:
            version = _version((program,))
            if ("MariaDB" in version) == (flavour == "mariadb"):
                return ServerProgram(flavour, (program,), version, None)
    return None


def candidates(say: Callable[[str], None] = lambda _line: None) -> Iterator[ServerProgram]:
    """Yield the servers that may serve here, best first: MySQL before MariaDB, installed before fetched.

    The system (AppArmor) may prevent an installed one from using another folder than its own.
    """
    problem: LocalSystemError | None = None
    for flavour in _ARCHIVES:
        try:
            found = installed(flavour)
            if found:
                yield found
            yield fetched(flavour, say)
        except LocalSystemError as error:
            say(f"no {flavour} server: {error}")
            problem = problem or error
    if problem:
        raise problem


def prefetch(say: Callable[[str], None]) -> None:
    """Ensure that there is a server to start."""
    next(candidates(say))


def _version(command: tuple[str, ...]) -> str:
    result = subprocess.run([*command, "--no-defaults", "--version"], capture_output=True, text=True, check=False)
    if result.returncode:
        raise LocalSystemError(f"`{' '.join(command)} --version` failed: {result.stderr.strip()}")
    return result.stdout.strip()
