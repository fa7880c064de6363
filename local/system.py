"""Starts and stops MySQL, the local AWS and the stack, in one folder."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.database import LocalDatabase, local_database, own_database
from local.ministack_server import REPOSITORY, MiniStack
from local.ministack_server import stop_server as stop_aws
from local.mysql_server import MySqlServer
from local.mysql_server import stop_server as stop_mysql
from local.stack import deploy

HOME = REPOSITORY / ".local"
STACK_NAME = "rds-to-s3"


@dataclass(frozen=True)
class LocalSystem:
    """The system while it runs.

    Attributes
    ----------
    outputs : dict
        The stack's: ``StateMachineArn``, ``DataBucketName``, ``TableListParameterName``.
    """

    home: Path
    aws: MiniStack
    database: LocalDatabase
    outputs: dict[str, str]
    stack_name: str = STACK_NAME

    @classmethod
    def up(
        cls,
        home: Path = HOME,
        mysql_url: str | None = None,
        overrides: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> LocalSystem:
        """Start what is not running, deploy changes, and write ``env``.

        Parameters
        ----------
        home : Path
            The folder for everything. Tests use their own.
        mysql_url : str, optional
            The user's own server.
        overrides : mapping, optional
            Template parameters, such as ``{"ScheduleState": "ENABLED"}``.
        """
        home.mkdir(parents=True, exist_ok=True)
        with (home / "up.lock").open("w") as lock:
            # Two at once in one folder would start two of everything.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if mysql_url and not _is_ours(mysql_url, home):
                database = own_database(mysql_url)
            else:
                database = local_database(home / "mysql", say)
            say(f"MySQL: {database.owner.host}:{database.owner.port} ({database.description})")
            aws = MiniStack.start(home / "aws")
            say(f"AWS:   {aws.endpoint} (MiniStack)")
            outputs = deploy(aws, database, home / "stack", stack_name=STACK_NAME, overrides=overrides or {}, say=say)
            system = cls(home, aws, database, outputs)
            system._write_environment(mysql_url)
        say(f"stack: {STACK_NAME}, bucket {outputs['DataBucketName']}")
        return system

    @property
    def environment(self) -> dict[str, str]:
        """What ``.local/env`` exports."""
        return {
            **self.aws.environment,
            "STACK_NAME": self.stack_name,
            "MYSQL_URL": self.database.owner.render(),
        }

    def _write_environment(self, mysql_url: str | None) -> None:
        variables = self.environment
        if mysql_url and self.database.server is None:
            variables["MYSQL_URL"] = mysql_url
        lines = [f"export {name}={_single_quoted(value)}\n" for name, value in variables.items()]
        partial = self.home / "env.partial"
        partial.touch(mode=0o600)
        partial.write_text("".join(lines))
        partial.replace(self.home / "env")


def down(home: Path = HOME) -> list[str]:
    """Stop what runs under `home`; return what was stopped."""
    stopped = []
    if stop_aws(home / "aws"):
        stopped.append("AWS")
    if stop_mysql(home / "mysql"):
        stopped.append("MySQL")
    return stopped


def _is_ours(url: str, home: Path) -> bool:
    """Tell whether a ``MYSQL_URL`` is just what ``.local/env`` exported into this shell."""
    env = home / "env"
    if not env.is_file() or not (home / "mysql" / "server.json").is_file():
        return False
    exported = f"export MYSQL_URL={_single_quoted(url)}"
    if exported not in env.read_text().splitlines():
        return False
    server = MySqlServer.running(home / "mysql")
    return server is None or f":{server.port}/" in url


def _single_quoted(value: str) -> str:
    return "'" + value.replace("'", "'\"'\"'") + "'"
