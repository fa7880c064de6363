"""Unpacks Debian packages into a folder, without root and without changing the machine's own packages.

apt is given a state directory of its own, and one source: the Debian mirror that the machine itself is set up
with (address, key, proxies, logins), with another suite. Nothing here knows any mirror's address.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local.errors import LocalSystemError

ROLLING_SUITES = frozenset({"stable", "oldstable", "oldoldstable", "testing", "unstable", "sid"})
_INSTEAD = (
    "install it, so that its program is on PATH; or, for a MySQL server, name yours with "
    "MYSQL_URL=mysql://user:password@host:port/database"
)


@dataclass(frozen=True)
class Source:
    """One archive of the machine's apt configuration."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)


def parse_deb822(text: str) -> list[Source]:
    """Read a ``*.sources`` file (deb822 stanzas, see sources.list(5)); disabled and source-only ones are left out."""
    sources = []
    for fields in _stanzas(text):
        if fields.get("enabled", "yes").lower() in {"no", "false", "0"}:
            continue
        if "deb" not in fields.get("types", "").split():
            continue
        sources.append(
            Source(
                tuple(fields.get("uris", "").split()),
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                {name: fields[name] for name in ("signed-by", "trusted") if name in fields},
            )
        )
    return sources


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0] in " \t" and name:
            fields[name] += "\n" + line
        elif ":" in line:
            key, _, value = line.partition(":")
            name = key.strip().lower()
            fields[name] = value.strip()


def parse_one_line(text: str) -> list[Source]:
    """Read a ``*.list`` file: ``deb [options] uri suite component...``."""
    sources = []
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        kind, _, rest = line.partition(" ")
        if kind != "deb":
            continue
        rest = rest.strip()
        options: dict[str, str] = {}
        if rest.startswith("["):
            inside, _, rest = rest[1:].partition("]")
            options = dict(pair.split("=", 1) for pair in inside.split() if "=" in pair)
        words = rest.split()
        if len(words) < 2:
            continue
        kept = {name.lower(): value for name, value in options.items() if name.lower() in {"signed-by", "trusted"}}
        sources.append(Source((words[0],), (words[1],), tuple(words[2:]), kept))
    return sources


def debian_source(sources: Iterable[Source], codename: str) -> Source | None:
    """Return the machine's Debian archive: the source of ``main`` whose suite is the release itself.

    Security and updates archives name their suites ``<release>-...``, and vendors' archives have no ``main`` of
    that suite.
    """
    releases = ROLLING_SUITES | {codename}
    for source in sources:
        if "main" in source.components and releases.intersection(source.suites):
            return source
    return None


def render_source(source: Source, suite: str) -> str:
    """Return the deb822 stanza of `source` with another suite."""
    lines = [
        "Types: deb",
        f"URIs: {' '.join(source.uris)}",
        f"Suites: {suite}",
        "Components: main",
        "Targets: Packages",
    ]
    lines += [f"{name.title()}: {value}" for name, value in source.options.items()]
    return "\n".join(lines) + "\n"


def render_status(present: Iterable[str]) -> str:
    """Return a dpkg status in which packages are installed, in a version that satisfies any lower bound."""
    facts = "Status: install ok installed\nArchitecture: all\nMulti-Arch: foreign\nVersion: 999"
    return "".join(f"Package: {package}\n{facts}\n\n" for package in present)


def unpack(packages: list[str], suite: str, directory: Path, present: Iterable[str] = ()) -> Path:
    """Download `packages` of `suite` with all they depend on, and unpack them into one folder.

    Parameters
    ----------
    packages : list of str
        Debian package names.
    suite : str
        ``unstable``, ``bookworm``, ...
    directory : Path
        The directory for apt's state, the packages and the result.
    present : iterable of str
        Packages to skip, with their own dependencies: the machine has them, or they are never called.

    Returns
    -------
    Path
        ``<directory>/root``, the folder with the unpacked packages. It exists only when complete.
    """
    root = directory / "root"
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory / "lock"):
        if root.is_dir():
            return root
        archives = _download(packages, suite, directory, present)
        partial = directory / "root.partial"
        shutil.rmtree(partial, ignore_errors=True)
        for archive in archives:
            # Interpreters are only dependencies of maintenance scripts; they take half of the time.
            if not archive.name.startswith("perl"):
                _run(["dpkg-deb", "-x", str(archive), str(partial)])
        partial.rename(root)
        shutil.rmtree(directory / "apt", ignore_errors=True)
    return root


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _download(packages: list[str], suite: str, directory: Path, present: Iterable[str]) -> list[Path]:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise LocalSystemError(f"no apt on this machine, so {packages[0]} cannot be fetched: {_INSTEAD}")
    source = debian_source(_machine_sources(), codename())
    if source is None:
        raise LocalSystemError(
            "apt is set up with no Debian archive (a source of `main` for this release), so "
            f"{packages[0]} cannot be fetched: {_INSTEAD}"
        )
    apt = directory / "apt"
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "status").write_text(render_status(present))
    (apt / "archive.sources").write_text(render_source(source, suite))
    (apt / "apt.conf").write_text(_configuration(apt))
    command = ["apt-get", "-c", str(apt / "apt.conf"), "-q", "-y"]
    _run([*command, "update"])
    _run([*command, "--download-only", "install", *packages])
    return sorted((apt / "cache/archives").glob("*.deb"))


def _configuration(apt: Path) -> str:
    # Hooks of the machine's own apt are not for a private state; an empty dpkg status makes apt fetch every
    # dependency, libc included; as root apt would otherwise download as a user who may not write here.
    return f"""\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
Dir::State "{apt}/state";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}/cache";
Dir::Etc::sourcelist "{apt}/archive.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Sandbox::User "{"root" if os.geteuid() == 0 else ""}";
APT::Default-Release "";
APT::Install-Recommends "false";
APT::Get::Assume-Yes "true";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
"""


def _machine_sources() -> list[Source]:
    shell = subprocess.run(
        ["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = dict(line.replace("'", "").split("=", 1) for line in shell.splitlines())
    files = [Path(paths.get("LIST", "/etc/apt/sources.list"))]
    parts = Path(paths.get("PARTS", "/etc/apt/sources.list.d"))
    files += sorted(parts.glob("*.list")) + sorted(parts.glob("*.sources"))
    sources: list[Source] = []
    for path in files:
        if path.is_file():
            parse = parse_deb822 if path.suffix == ".sources" else parse_one_line
            sources += parse(path.read_text())
    return sources


def codename() -> str:
    """Return the name of this machine's Debian release, such as ``bookworm``."""
    release = Path("/etc/os-release")
    for line in release.read_text().splitlines() if release.is_file() else []:
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    return "stable"


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if result.returncode:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-12:])
        raise LocalSystemError(f"`{' '.join(command)}` failed:\n{tail}")
