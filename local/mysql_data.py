"""A data directory for a MySQL or MariaDB server, made without the vendors' install scripts."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from local import processes
from local.errors import LocalSystemError
from local.mysql_programs import ServerProgram


def base_command(program: ServerProgram) -> list[str]:
    """Return how `program` is called, whoever calls."""
    command = [*program.command, "--no-defaults", *program.file_options]
    # The server refuses to run as root unless told so by name.
    return [*command, f"--user={getpass.getuser()}"] if os.geteuid() == 0 else command


def initialise(directory: Path, program: ServerProgram, say: Callable[[str], None]) -> None:
    """Make the data directory beside its final name, so that a half-made one is never taken for a whole one."""
    data = directory / "data"
    if data.is_dir():
        return
    say(f"initialising a {program.flavour} data directory ...")
    unfinished = directory / "data.partial"
    shutil.rmtree(unfinished, ignore_errors=True)
    log = directory / "initialise.log"
    if program.flavour == "mysql":
        options = ["--initialize-insecure", f"--datadir={unfinished}", "--innodb-buffer-pool-size=128M"]
        result = _run([*base_command(program), *options], log)
    else:
        result = _bootstrap_mariadb(program, unfinished, log)
    if result:
        raise LocalSystemError(f"making a data directory failed; the end of {log}:\n{processes.log_tail(log)}")
    unfinished.rename(data)


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
    options = ["--bootstrap", f"--datadir={data}", "--enforce-storage-engine=", "--skip-log-bin"]
    return _run([*base_command(program), *options], log, statements)


def _run(command: list[str], log: Path, statements: str = "") -> int:
    with log.open("w") as output:
        return subprocess.run(
            command, input=statements.encode(), stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
