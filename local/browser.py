"""A headless browser for the tests of the run report: the machine's, or Debian's, unpacked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from local.debian_packages import unpack
from local.errors import LocalSystemError

REPOSITORY = Path(__file__).resolve().parent.parent
DIRECTORY = REPOSITORY / ".local" / "packages" / "chromium"

_NAMES = ("chromium", "chromium-headless-shell", "google-chrome", "google-chrome-stable", "chromium-browser")
# Release 12's first: it runs with the C library of any newer release too. The browser without a user interface is half
# of the size; with it comes a font, since there may be none on the machine.
_SUITES = ("bookworm", "stable")
_PACKAGES = ["chromium-headless-shell", "fonts-dejavu-core"]
# The C library has to be the machine's: the browser starts itself again as /proc/self/exe, which would be the loader
# if it were run by one. The other two are for desktops, and bring a compiler for graphics cards: 50 MB.
_PRESENT = ("libc6", "x11-utils", "xdg-utils")
_FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
<dir>{root}/usr/share/fonts</dir><cachedir>{root}/var/cache/fontconfig</cachedir>
<alias><family>system-ui</family><prefer><family>DejaVu Sans</family></prefer></alias>
<alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
<alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""


@dataclass(frozen=True)
class Browser:
    """A Chromium that can be started."""

    program: str
    version: str
    environment: dict[str, str] = field(default_factory=dict)
    """The environment variables that it needs in addition to the caller's."""


def find(say: Callable[[str], None] = lambda _line: None) -> Browser:
    """Return the browser on PATH, or else Debian's, fetched into ``.local/packages`` the first time.

    Raises
    ------
    LocalSystemError
        There is none, and none can be fetched; the message has the reason.
    """
    return installed() or fetched(say)


def installed() -> Browser | None:
    """Return the first Chromium or Chrome on PATH that starts."""
    for name in _NAMES:
        program = shutil.which(name)
        if program:
            try:
                return _started(program, {})
            except LocalSystemError:
                continue  # Ubuntu's `chromium-browser` is a script that asks for snap
    return None


def fetched(say: Callable[[str], None] = lambda _line: None) -> Browser:
    """Return the browser unpacked from Debian's packages."""
    if not any((DIRECTORY / suite / "root").is_dir() for suite in _SUITES):
        say("fetching a browser from Debian's packages (once, about 105 MB) ...")
    problem: LocalSystemError | None = None
    for suite in _SUITES:
        try:
            return _unpacked(unpack(_PACKAGES, suite, DIRECTORY / suite, present=_PRESENT))
        except LocalSystemError as error:
            problem = problem or error
    raise problem or LocalSystemError("no archive of a browser")


def _unpacked(root: Path) -> Browser:
    libraries = sorted({path.parent for folder in ("lib", "usr/lib") for path in (root / folder).glob("**/*.so*")})
    fonts = root / "fonts.conf"
    fonts.write_text(_FONTS.format(root=root))
    environment = {"LD_LIBRARY_PATH": ":".join(map(str, libraries)), "FONTCONFIG_FILE": str(fonts)}
    return _started(str(root / "usr/lib/chromium/chromium-headless-shell"), environment)


def _started(program: str, environment: dict[str, str]) -> Browser:
    try:
        result = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=os.environ | environment,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalSystemError(f"{program} does not start: {error}") from error
    if result.returncode:
        raise LocalSystemError(f"{program} does not start: {result.stderr.strip()[-500:]}")
    return Browser(program, result.stdout.strip(), environment)
