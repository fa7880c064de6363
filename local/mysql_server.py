"""A real MySQL (or MariaDB) server on a folder: made, started, found again, stopped. Neither docker nor root.

Tests, the local system and the benchmark all start theirs here. From a shell::

    python -m local.mysql_server --flavour mysql --dir /tmp/x start     # prints its URL
    python -m local.mysql_server --dir /tmp/x stop
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pymysql

from local import processes
from local.certificates import make_server_certificate
from local.errors import LocalSystemError, exit_with_message
from local.mysql_programs import Flavour, ServerProgram, any_program, fetched

# A server for one machine's tests: durability is worth nothing here, and memory is shared with colleagues.
_DEFAULT_OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--secure-file-priv=",
    "--innodb-buffer-pool-size=128M",
    "--innodb-flush-log-at-trx-commit=2",
    "--sync-binlog=0",
    "--character-set-server=utf8mb4",
)


@dataclass(frozen=True)
class MySqlServer:
    """A running server and its owner's account.

    Attributes
    ----------
    directory : Path
        Holds the data (``data/``), the certificates (``tls/``) and the log (``mysqld.log``).
    user, password : str
        An account with every privilege.
    authority : Path
        PEM file of the authority that signed the server's certificate.
    """

    directory: Path
    flavour: Flavour
    version: str
    host: str
    port: int
    user: str
    password: str
    authority: Path

    @classmethod
    def start(
        cls,
        directory: Path | str,
        flavour: Flavour | None = None,
        extra_options: Sequence[str] = (),
        *,
        program: ServerProgram | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> MySqlServer:
        """Start a server on `directory`, or find the one that runs there.

        Parameters
        ----------
        directory : Path
            Made when missing. The port of an earlier start is taken again when it is free.
        flavour : {"mysql", "mariadb"}, optional
            Fetch just that server; without it, `program`, else the machine's own one or any that can be fetched.
        extra_options : sequence of str
            Server options, which win over the defaults here, such as ``--log-bin=binlog``.

        Raises
        ------
        LocalSystemError
            With the end of the server's log when it does not come up.
        """
        directory = Path(directory).resolve()
        running = cls.running(directory)
        if running:
            return running
        directory.mkdir(parents=True, exist_ok=True)
        program = program or (fetched(flavour, say) if flavour else any_program(say))
        _initialise(directory, program, say)
        remembered = _recall(directory)
        server = cls(
            directory=directory,
            flavour=program.flavour,
            version=program.version,
            host="127.0.0.1",
            port=processes.free_port(remembered.get("port")),
            user="owner",
            password=remembered.get("password") or secrets.token_urlsafe(18),
            authority=make_server_certificate(directory / "tls").authority,
        )
        server._remember()
        server._launch(program, extra_options)
        return server

    @classmethod
    def running(cls, directory: Path | str) -> MySqlServer | None:
        """Return the server that runs on `directory` and answers, if any."""
        directory = Path(directory).resolve()
        if processes.running_pid(directory / "mysqld.pid", _marker(directory)) is None:
            return None
        fields = _recall(directory)
        try:
            server = cls(**{**fields, "directory": directory, "authority": Path(fields["authority"])})
        except (KeyError, TypeError):
            processes.stop(directory / "mysqld.pid", _marker(directory))
            return None
        # It may still be starting: another `make up` was interrupted a second ago.
        if processes.poll(server.answers, 30):
            return server
        server.stop()
        return None

    def stop(self) -> None:
        """Shut the server down and wait for its end."""
        stop_server(self.directory)

    def url(self, database: str = "") -> str:
        """Return ``mysql://user:password@host:port/database`` of the owner."""
        return f"mysql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def connect(self, database: str | None = None, **options: Any) -> pymysql.connections.Connection[Any]:
        """Return a connection of the owner, over verified TLS, that commits by itself."""
        settings: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "database": database,
            "charset": "utf8mb4",
            "autocommit": True,
            "connect_timeout": 10,
            "ssl_ca": str(self.authority),
            "ssl_verify_cert": True,
            "ssl_verify_identity": True,
        }
        return pymysql.connect(**{**settings, **options})

    def execute(self, *statements: str, database: str | None = None) -> None:
        """Run statements as the owner."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def answers(self) -> bool:
        """Tell whether the owner can log in."""
        try:
            self.connect(connect_timeout=2).close()
        except (pymysql.MySQLError, OSError):
            return False
        return True

    def _remember(self) -> None:
        path = self.directory / "server.json"
        path.touch(mode=0o600)
        fields = {**asdict(self), "directory": str(self.directory), "authority": str(self.authority)}
        path.write_text(json.dumps(fields, indent=1) + "\n")

    def _launch(self, program: ServerProgram, extra_options: Sequence[str]) -> None:
        tls = make_server_certificate(self.directory / "tls")
        accounts = self.directory / "accounts.sql"
        accounts.touch(mode=0o600)
        accounts.write_text(_owner_statements(self.user, self.password))
        log = self.directory / "mysqld.log"
        command = [
            *_base_command(program),
            f"--datadir={self.directory / 'data'}",
            *_DEFAULT_OPTIONS,
            f"--port={self.port}",
            # Relative to the data directory: an absolute path may be longer than a socket's name can be.
            "--socket=mysqld.sock",
            "--pid-file=mysqld.pid",
            f"--ssl-ca={tls.authority}",
            f"--ssl-cert={tls.certificate}",
            f"--ssl-key={tls.key}",
            f"--init-file={accounts}",
            *(["--mysqlx=OFF"] if program.flavour == "mysql" else []),
            *extra_options,
        ]
        process = processes.start(command, log, self.directory / "mysqld.pid")
        processes.wait_until(self.answers, f"the {program.flavour} server", process, log, 90)


def stop_server(directory: Path | str) -> bool:
    """Stop the server that runs on `directory`; return whether one did."""
    directory = Path(directory).resolve()
    return processes.stop(directory / "mysqld.pid", _marker(directory), seconds=60)


def _marker(directory: Path) -> str:
    return f"--datadir={directory / 'data'}"


def _recall(directory: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        fields = json.loads((directory / "server.json").read_text())
        if isinstance(fields, dict):
            return fields
    return {}


def _base_command(program: ServerProgram) -> list[str]:
    command = [*program.command, "--no-defaults", *program.file_options]
    # The server refuses to run as root unless told so by name.
    return [*command, f"--user={getpass.getuser()}"] if os.geteuid() == 0 else command


def _owner_statements(user: str, password: str) -> str:
    account = f"'{user}'@'%'"
    return (
        f"CREATE USER IF NOT EXISTS {account};\n"
        f"ALTER USER {account} IDENTIFIED BY '{password}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION;\n"
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n"
    )


def _initialise(directory: Path, program: ServerProgram, say: Callable[[str], None]) -> None:
    """Make the data directory beside its final name, so that a half-made one is never taken for a whole one."""
    data = directory / "data"
    if data.is_dir():
        return
    say(f"initialising a {program.flavour} data directory ...")
    partial = directory / "data.partial"
    shutil.rmtree(partial, ignore_errors=True)
    log = directory / "initialise.log"
    if program.flavour == "mysql":
        options = ["--initialize-insecure", f"--datadir={partial}", "--innodb-buffer-pool-size=128M"]
        result = _run([*_base_command(program), *options], log)
    else:
        result = _bootstrap_mariadb(program, partial, log)
    if result:
        raise LocalSystemError(f"making a data directory failed; the end of {log}:\n{processes.log_tail(log)}")
    partial.rename(data)


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
    return _run([*_base_command(program), *options], log, statements)


def _run(command: list[str], log: Path, statements: str = "") -> int:
    with log.open("w") as output:
        return subprocess.run(
            command, input=statements.encode(), stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode


def main() -> int:
    """Start or stop a server from a shell."""
    parser = argparse.ArgumentParser(prog="python -m local.mysql_server", description=__doc__)
    parser.add_argument("--flavour", choices=["mysql", "mariadb"])
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--database", default="", help="made when missing, and named in the URL")
    parser.add_argument("--option", action="append", default=[], help="a server option, e.g. --option=--log-bin")
    parser.add_argument("action", choices=["start", "stop", "url"])
    arguments = parser.parse_args()
    if arguments.action == "stop":
        print("stopped" if stop_server(arguments.dir) else "not running")
        return 0
    if arguments.action == "start":
        server = MySqlServer.start(
            arguments.dir, arguments.flavour, arguments.option, say=lambda line: print(line, file=sys.stderr)
        )
        if arguments.database:
            server.execute(f"CREATE DATABASE IF NOT EXISTS `{arguments.database}`")
    else:
        running = MySqlServer.running(arguments.dir)
        if running is None:
            raise LocalSystemError(f"no server runs on {arguments.dir}")
        server = running
    print(server.url(arguments.database))
    print(f"authority: {server.authority}   version: {server.version}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(exit_with_message(main))
