"""Creates, starts, finds and stops a real MySQL (or MariaDB) server in a folder, without docker and root.

Tests, the local system and the benchmark all start theirs here. From a shell::

    python -m local.mysql_server --flavour mysql --dir /tmp/x start     # prints its URL
    python -m local.mysql_server --dir /tmp/x stop
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pymysql

from local import processes
from local.certificates import make_server_certificate
from local.errors import LocalSystemError, exit_with_message
from local.mysql_data import base_command, initialise
from local.mysql_programs import Flavour, ServerProgram, candidates, fetched

# A server for one machine's tests: durability does not matter here, and memory is shared.
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
        programs = [program] if program else [fetched(flavour, say)] if flavour else candidates(say)
        problem = LocalSystemError("there is no MySQL server to start")
        made_by = _recall(directory).get("flavour") if (directory / "data").is_dir() else None
        for choice in programs:
            if made_by in {None, choice.flavour}:
                try:
                    return cls._start(directory, choice, extra_options, say)
                except LocalSystemError as error:
                    problem = error
                    # A server that already has data must be fixed, not replaced.
                    if (directory / "data").is_dir():
                        break
                    say(f"{choice.command[-1]} does not serve here: {error}")
        raise problem

    @classmethod
    def _start(
        cls, directory: Path, program: ServerProgram, extra_options: Sequence[str], say: Callable[[str], None]
    ) -> MySqlServer:
        initialise(directory, program, say)
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
        lives = partial(processes.running_pid, directory / "mysqld.pid", _marker(directory))
        if processes.poll(lambda: server.answers() or lives() is None, 30) and lives() is not None:
            return server
        server.stop()
        return None

    def stop(self, seconds: float = 60) -> None:
        """Shut the server down and wait until it ends; kill it if that takes too long."""
        stop_server(self.directory, seconds)

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
        """Return whether the owner can log in."""
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
        # Left by a killed server, and believed as long as anything has that process number, a zombie included.
        for leftover in ("mysqld.sock", "mysqld.sock.lock"):
            (self.directory / "data" / leftover).unlink(missing_ok=True)
        # A MariaDB that starts deletes the temporary tables in its folder, also those of its neighbours.
        temporary = self.directory / "tmp"
        temporary.mkdir(exist_ok=True)
        command = [
            *base_command(program),
            f"--datadir={self.directory / 'data'}",
            f"--tmpdir={temporary}",
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


def stop_server(directory: Path | str, seconds: float = 60) -> bool:
    """Stop the server that runs on `directory`; return whether one did."""
    directory = Path(directory).resolve()
    return processes.stop(directory / "mysqld.pid", _marker(directory), seconds=seconds)


def _marker(directory: Path) -> str:
    return f"--datadir={directory / 'data'}"


def _recall(directory: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        fields = json.loads((directory / "server.json").read_text())
        if isinstance(fields, dict):
            return fields
    return {}


def _owner_statements(user: str, password: str) -> str:
    account = f"'{user}'@'%'"
    return (
        f"CREATE USER IF NOT EXISTS {account};\n"
        f"ALTER USER {account} IDENTIFIED BY '{password}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION;\n"
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n"
    )


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
