"""The contenders that are programs, not libraries: their command lines and results."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from local.debian_packages import codename, unpack

REPOSITORY = Path(__file__).resolve().parents[2]
_RIVET = """
source: {{type: mysql, url_env: BENCHMARK_URL}}
exports:
  - name: {table}
    {read}
    format: {format}
    destination: {{type: local, path: {folder}}}
"""
_WHOLE = """query: "SELECT * FROM {table}"
    mode: full"""
_CHUNKED = """table: {database}.{table}
    mode: chunked
    chunk_column: {key}
    chunk_size: {rows}
    parallel: {workers}"""


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


@dataclass(frozen=True)
class Chunks:
    """How rivet divides a table: by an integer key, into chunks of so many keys, read by so many workers."""

    database: str
    key: str
    rows: int
    workers: int


def rivet(binary: str, file_format: str, table: str, folder: Path) -> Program:
    """rivet-cli, one full export of one table."""
    return _rivet(binary, file_format, table, _WHOLE.format(table=table), folder)


def rivet_chunked(binary: str, file_format: str, table: str, folder: Path, chunks: Chunks) -> Program:
    """rivet-cli, one export of one table in ranges of its key, several at once."""
    read = _CHUNKED.format(table=table, **asdict(chunks))
    return _rivet(binary, file_format, table, read, folder)


def _rivet(binary: str, file_format: str, table: str, read: str, folder: Path) -> Program:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "rivet.yaml"
    config.write_text(_RIVET.format(table=table, read=read, format=file_format, folder=folder / "out"))
    return Program([binary, "run", "-c", str(config)])


def sling(packages: Path, table: str, folder: Path) -> Program:
    """sling, one stream into one file."""
    (binary,) = packages.glob("lib/python*/site-packages/sling_linux_amd64/bin/sling-linux-amd64")
    command = [str(binary), "run", "--src-conn", "BENCHMARK_URL", "--src-stream", f"select * from {table}"]
    return Program(
        [*command, "--tgt-object", f"file://{folder / 'out.csv'}"],
        # It writes into the home folder.
        environment={"HOME": str(folder), "SLING_HOME_DIR": str(folder), "SLING_DISABLE_TELEMETRY": "true"},
    )


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
