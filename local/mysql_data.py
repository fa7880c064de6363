"""Creates a data directory for a MySQL or MariaDB server without the vendors' install scripts."""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from local import processes
from local.errors import LocalSystemError
from local.mysql_programs import REPOSITORY, ServerProgram

BLANKS = REPOSITORY / ".local" / "cache" / "mysql-data"


def base_command(program: ServerProgram) -> list[str]:
    """Return the command line of `program`, for any user."""
    command = [*program.command, "--no-defaults", *program.file_options]
    # The server refuses to run as root without this option.
    return [*command, f"--user={getpass.getuser()}"] if os.geteuid() == 0 else command


def initialise(directory: Path, program: ServerProgram, say: Callable[[str], None]) -> None:
    """Copy the program's blank data directory, which is made once: that takes a server seconds."""
    data = directory / "data"
    if data.is_dir():
        return
    # Beside its final name, so that a half-made one is never taken for a whole one.
    unfinished = directory / "data.partial"
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(_blank(program, say), unfinished)
    # The name by which servers that replicate tell one another apart; each makes its own.
    (unfinished / "auto.cnf").unlink(missing_ok=True)
    unfinished.rename(data)


def _blank(program: ServerProgram, say: Callable[[str], None]) -> Path:
    of = hashlib.sha256("\n".join([*program.command, program.version]).encode()).hexdigest()[:12]
    blank = BLANKS / f"{program.flavour}-{of}"
    if blank.is_dir():
        return blank
    BLANKS.mkdir(parents=True, exist_ok=True)
    with (BLANKS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not blank.is_dir():
            say(f"initialising a {program.flavour} data directory ...")
            _make_blank(program, blank)
    return blank


def _make_blank(program: ServerProgram, blank: Path) -> None:
    unfinished, log = blank.with_suffix(".partial"), blank.with_suffix(".log")
    shutil.rmtree(unfinished, ignore_errors=True)
    if program.flavour == "mysql":
        options = ["--initialize-insecure", f"--datadir={unfinished}", "--innodb-buffer-pool-size=128M"]
        # The smallest size; it grows if a server needs more.
        result = _run([*base_command(program), *options, "--innodb-redo-log-capacity=8M"], log)
    else:
        result = _bootstrap_mariadb(program, unfinished, log)
    if result:
        raise LocalSystemError(f"making a data directory failed; the end of {log}:\n{processes.log_tail(log)}")
    unfinished.rename(blank)


def _bootstrap_mariadb(program: ServerProgram, data: Path, log: Path) -> int:
    """Do what ``mariadb-install-db`` does; the script itself would call the programs without their loader."""
    if program.share is None:
        installer = shutil.which("mariadb-install-db") or shutil.which("mysql_install_db") or "mariadb-install-db"
        user = [f"--user={getpass.getuser()}"] if os.geteuid() == 0 else []
        return _run(
            [installer, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", *user], log
        )
    data.mkdir(parents=True)
    scripts = (
        "mysql_system_tables.sql",
        "mysql_performance_tables.sql",
        "mysql_system_tables_data.sql",
        "maria_add_gis_sp_bootstrap.sql",
        "mysql_sys_schema.sql",
    )
    statements = "CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
    statements += "\n".join((program.share / name).read_text() for name in scripts)
    options = [
        "--bootstrap",
        f"--datadir={data}",
        "--enforce-storage-engine=",
        "--skip-log-bin",
        "--innodb-log-file-size=16M",
    ]
    return _run([*base_command(program), *options], log, statements)


def _run(command: list[str], log: Path, statements: str = "") -> int:
    with log.open("w") as output:
        return subprocess.run(
            command, input=statements.encode(), stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
