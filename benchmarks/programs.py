"""The contenders that are programs, not libraries: their command lines and results."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from local.debian_packages import codename, unpack

REPOSITORY = Path(__file__).resolve().parent.parent
_RIVET = """
source: {{type: mysql, url_env: BENCHMARK_URL}}
exports:
  - name: {table}
    query: "SELECT * FROM {table}"
    mode: full
    format: {format}
    destination: {{type: local, path: {folder}}}
"""


@dataclass(frozen=True)
class Program:
    """One call of a program.

    Attributes
    ----------
    stdout : Path or None
        The file for its output.
    """

    command: list[str]
    stdout: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)


def rivet(binary: str, file_format: str, table: str, folder: Path) -> Program:
    """rivet-cli, one full export of one table."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "rivet.yaml"
    config.write_text(_RIVET.format(table=table, format=file_format, folder=folder / "out"))
    return Program([binary, "run", "-c", str(config)])


def debian_tools(directory: Path) -> Path:
    """Return the folder with mydumper and the MariaDB client."""
    return unpack(["mydumper", "mariadb-client-core"], codename(), directory)


def _called(root: Path, name: str) -> list[str]:
    # The packages bring their own loader and C library, so the machine's release does not matter.
    loader = next(path for folder in ("lib", "usr/lib") for path in root.glob(f"{folder}/*/ld-linux*.so.*"))
    libraries = sorted({path.parent for folder in ("lib", "usr/lib") for path in (root / folder).glob("**/*.so*")})
    return [str(loader), "--library-path", ":".join(map(str, libraries)), str(root / "usr/bin" / name)]


def _login(url: str, folder: Path) -> list[str]:
    parts = urlsplit(url)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "login.cnf"
    file.touch(mode=0o600)
    file.write_text(
        "[client]\n"
        f"host={parts.hostname}\nport={parts.port}\nuser={parts.username}\npassword={parts.password}\nskip-ssl\n"
    )
    return [f"--defaults-file={file}"]


def mydumper(root: Path, url: str, table: str, folder: Path) -> Program:
    """mydumper, one thread; it writes INSERT statements."""
    parts = urlsplit(url)
    login = ["-h", str(parts.hostname), "-P", str(parts.port), "-u", str(parts.username), "-p", str(parts.password)]
    what = ["-B", parts.path.strip("/"), "-T", table, "-t", "1", "-o", str(folder / "out"), "--no-locks"]
    return Program([*_called(root, "mydumper"), *login, *what], environment=_plugins(root))


def client(root: Path, url: str, table: str, folder: Path) -> Program:
    """Return a call of the ``mariadb`` client: tab-separated, unbuffered."""
    what = ["--quick", "--batch", "-e", f"SELECT * FROM {table}", urlsplit(url).path.strip("/")]
    return Program(
        [*_called(root, "mariadb"), *_login(url, folder), *what],
        stdout=folder / "out.tsv",
        environment=_plugins(root),
    )


def _plugins(root: Path) -> dict[str, str]:
    # caching_sha2_password is a plugin to the MariaDB client library.
    return {"MARIADB_PLUGIN_DIR": str(next(root.glob("usr/lib/*/libmariadb3/plugin")))}


def environment(url: str) -> dict[str, str]:
    """Return the environment of every contender."""
    return {
        **os.environ,
        "BENCHMARK_URL": url,
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "functions")]),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        # dlt would spend nine tenths of its time in gzip's highest level, which no other contender uses.
        "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    }


def result_of(line: str) -> dict[str, float]:
    """Read the last line that a Python contender printed."""
    found: dict[str, float] = json.loads(line)
    return found
