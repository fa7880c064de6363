"""What real servers refuse, on MySQL and MariaDB: who, what, and what helps. The advice is then taken."""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pymysql
import pytest
from pymysql import _auth

from rds_to_s3.errors import (
    DatabaseAccessError,
    DatabaseBusyError,
    DatabaseLoginError,
    DatabaseRefusedError,
    DatabaseTlsError,
    PermanentError,
    TransientError,
)
from rds_to_s3.mysql.connection import Connection, Tls, connect
from rds_to_s3.mysql.credentials import Credentials
from tests.integration.conftest import Database
from tests.integration.pipeline import Pipeline, entry

pytestmark = pytest.mark.bucket_in_memory

PASSWORD = "s3cret-Passw0rd"


@dataclass
class Account:
    """A user of one test's own, who may read its database."""

    database: Database
    name: str
    password: str = PASSWORD

    @property
    def sql(self) -> str:
        return f"'{self.name}'@'%'"

    def alter(self, clause: str) -> None:
        self.database.execute(f"ALTER USER {self.sql} {clause}")

    @property
    def credentials(self) -> Credentials:
        server = self.database.server
        return Credentials(server.host, server.port, self.name, self.database.name, self.password)

    def connect(self, mode: Any = "verify", **changes: Any) -> Connection:
        credentials = replace(self.credentials, **changes)
        tls = Tls(mode, self.database.server.authority.read_text())
        return connect(lambda _: credentials, tls, read_seconds=20)

    def refused(self, expected: type[Exception], mode: Any = "verify", **changes: Any) -> str:
        with pytest.raises(expected) as caught:
            self.connect(mode, **changes).close()
        assert type(caught.value) is expected
        assert issubclass(expected, PermanentError | TransientError)
        assert PASSWORD not in f"{caught.value} {caught.value.__cause__}"
        return str(caught.value)


@pytest.fixture
def account(any_database: Database) -> Iterator[Account]:
    account = Account(any_database, f"u_{secrets.token_hex(4)}")
    any_database.execute(
        f"CREATE USER {account.sql} IDENTIFIED BY '{PASSWORD}'",
        f"GRANT SELECT ON `{any_database.name}`.* TO {account.sql}",
    )
    yield account
    any_database.execute(f"DROP USER {account.sql}")


def advised(message: str) -> list[str]:
    """The SQL statements in a message."""
    return re.findall(r"\b((?:ALTER|GRANT|CHECK|SHOW|SET|FLUSH|SELECT)\b[^;]*);", message)


@contextmanager
def setting(database: Database, name: str, value: int | str) -> Iterator[None]:
    before = database.rows(f"SELECT @@GLOBAL.{name}")[0][0]
    database.execute(f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        database.execute(f"SET GLOBAL {name} = {before}")


# --- the login ----------------------------------------------------------------------------------------------------


def test_a_server_whose_connections_are_all_in_use_is_busy_and_names_the_setting(account: Account) -> None:
    held: list[Connection] = []
    with setting(account.database, "max_connections", 10):
        try:
            message = ""
            while not message:
                try:
                    held.append(account.connect())
                except DatabaseBusyError as error:
                    message = str(error)
                assert len(held) < 20
        finally:
            for connection in held:
                connection.close()
    assert f"{account.database.server.host}:{account.database.server.port}" in message
    assert "(error 1040)" in message
    assert "SET GLOBAL max_connections" in message
    assert "security group" not in message


@pytest.mark.parametrize("limit", ["MAX_USER_CONNECTIONS 1", "MAX_CONNECTIONS_PER_HOUR 1"])
def test_a_limit_of_the_account_is_named_and_lifted_as_advised(account: Account, limit: str) -> None:
    account.alter(f"WITH {limit}")
    with account.connect():
        message = account.refused(DatabaseBusyError)
        assert "(error 1226)" in message
        (statement,) = advised(message)
        account.database.execute(statement)
        account.connect().close()


def test_a_limit_of_statements_is_no_variables_fault(account: Account) -> None:
    account.alter("WITH MAX_QUERIES_PER_HOUR 2")
    assert "(error 1226)" in account.refused(DatabaseBusyError)


def test_all_connections_of_a_user_are_a_busy_server(database: Database) -> None:
    account = Account(database, f"u_{secrets.token_hex(4)}")
    database.execute(
        f"CREATE USER {account.sql} IDENTIFIED BY '{PASSWORD}'",
        f"GRANT SELECT ON `{database.name}`.* TO {account.sql}",
    )
    with setting(database, "max_user_connections", 1), account.connect():
        assert "(error 1203)" in account.refused(DatabaseBusyError)
    database.execute(f"DROP USER {account.sql}")


def test_a_locked_account_is_unlocked_as_advised(account: Account) -> None:
    account.alter("ACCOUNT LOCK")
    message = account.refused(DatabaseLoginError)
    assert "is locked" in message
    (statement,) = advised(message)
    account.database.execute(statement)
    account.connect().close()


def test_an_expired_password_is_replaced_as_advised(account: Account) -> None:
    account.alter("PASSWORD EXPIRE")
    message = account.refused(DatabaseLoginError)
    assert "password has expired" in message
    (statement,) = advised(message)
    account.database.execute(statement.replace("NEW PASSWORD", "an0ther-Passw0rd"))
    account.connect(password="an0ther-Passw0rd").close()


def test_an_account_that_logs_in_by_socket_gets_a_password_as_advised(account: Account) -> None:
    database = account.database
    if database.server.flavour == "mysql":
        if not database.rows("SELECT 1 FROM information_schema.plugins WHERE plugin_name = 'auth_socket'"):
            database.execute("INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'")
        account.alter("IDENTIFIED WITH auth_socket")
    else:
        account.alter("IDENTIFIED VIA unix_socket")
    message = account.refused(DatabaseLoginError)
    assert "(error 1698)" in message
    of_mysql, of_mariadb = advised(message)
    statement = of_mysql if database.server.flavour == "mysql" else of_mariadb
    database.execute(statement.partition("; on")[0].replace("NEW PASSWORD", "an0ther-Passw0rd"))
    account.connect(password="an0ther-Passw0rd").close()


def test_an_account_blocked_after_wrong_passwords_is_freed_as_advised(account: Account) -> None:
    database = account.database
    if database.server.flavour == "mysql":
        account.alter("FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1")
        account.refused(DatabaseLoginError, password="wrong")
        message = account.refused(DatabaseLoginError)
    else:
        with setting(database, "max_password_errors", 1):
            account.refused(DatabaseLoginError, password="wrong")
            message = account.refused(DatabaseLoginError)
    assert "blocked" in message
    database.execute(*advised(message))
    account.connect().close()


def test_a_user_without_the_database_gets_a_grant_that_runs(account: Account) -> None:
    account.database.execute(f"REVOKE SELECT ON `{account.database.name}`.* FROM {account.sql}")
    message = account.refused(DatabaseAccessError)
    assert "(error 1044)" in message
    account.database.execute(*advised(message))
    account.connect().close()


@pytest.mark.parametrize("demand", ["of the server", "of the account"])
def test_a_demand_for_tls_is_named_where_tls_is_off(account: Account, demand: str) -> None:
    mysql = account.database.server.flavour == "mysql"
    if demand == "of the account":
        account.alter("REQUIRE SSL")
        message = account.refused(DatabaseLoginError, "off")
    else:
        with setting(account.database, "require_secure_transport", 1):
            message = account.refused(DatabaseTlsError if mysql else DatabaseLoginError, "off")
    assert "DatabaseTls=verify" in message


def test_an_offline_server_is_waited_for(database: Database) -> None:
    account = Account(database, f"u_{secrets.token_hex(4)}")
    database.execute(f"CREATE USER {account.sql} IDENTIFIED BY '{PASSWORD}'")
    with setting(database, "offline_mode", 1):
        assert "(error 3032)" in account.refused(DatabaseBusyError)
    database.execute(f"DROP USER {account.sql}")


def test_a_password_outside_latin_1_logs_in(account: Account) -> None:
    account.database.execute("SET NAMES utf8mb4")
    account.alter("IDENTIFIED BY 'pässwörd-€-☃-1A'")
    account.connect(password="pässwörd-€-☃-1A").close()
    message = account.refused(DatabaseLoginError, password="falsch-☃")
    assert "☃" not in message


# --- what PyMySQL cannot do ---------------------------------------------------------------------------------------


def test_a_login_that_needs_a_missing_package_says_which_and_the_way_round(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(database, f"u_{secrets.token_hex(4)}")
    database.execute(
        f"CREATE USER {account.sql} IDENTIFIED BY '{PASSWORD}'", f"GRANT SELECT ON `{database.name}`.* TO {account.sql}"
    )
    monkeypatch.setattr(_auth, "_have_cryptography", False)
    message = account.refused(DatabaseRefusedError, "off")
    assert "caching_sha2_password" in message
    assert "cryptography" in message
    assert "DatabaseTls=verify" in message
    account.connect("verify").close()
    database.execute(f"DROP USER {account.sql}")


@pytest.mark.parametrize(
    "plugin", ["client_ed25519", "mysql_old_password", "authentication_kerberos_client", "parsec", "dialog"]
)
def test_a_plugin_that_pymysql_lacks_is_named_with_another_one(
    account: Account, plugin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nacl", None)
    inside: Any = Connection
    process = inside._process_auth

    def switched(self: Any, _: bytes, *rest: Any) -> Any:
        return process(self, plugin.encode(), *rest)

    monkeypatch.setattr(inside, "_process_auth", switched)
    # The server asks for its account's plugin whatever the handshake's default was.
    monkeypatch.setattr(pymysql.connections, "_DEFAULT_AUTH_PLUGIN", "none_of_these")
    message = account.refused(DatabaseRefusedError)
    assert plugin in message
    assert f"ALTER USER {account.sql} IDENTIFIED" in message


def test_a_password_is_not_sent_in_plain_text_without_tls(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: Any = Connection
    process = inside._process_auth

    def switched(self: Any, _: bytes, *rest: Any) -> Any:
        return process(self, b"mysql_clear_password", *rest)

    monkeypatch.setattr(inside, "_process_auth", switched)
    monkeypatch.setattr(pymysql.connections, "_DEFAULT_AUTH_PLUGIN", "none_of_these")
    assert "DatabaseTls=verify" in account.refused(DatabaseTlsError, "off")


# --- the rows -----------------------------------------------------------------------------------------------------

VIRTUAL = {
    "json_extract(note, '$.city')": (3141, "varchar(20)"),
    "stock - sold": (1690, "int unsigned"),
    "exp(sold * 100000)": (1690, "double"),
    "uuid_to_bin(note)": (1411, "varbinary(16)"),
    "note regexp '('": (3691, "int"),
    "st_geomfromtext(note)": (3037, "geometry"),
}


@pytest.mark.parametrize("expression", VIRTUAL)
def test_a_virtual_column_that_cannot_be_computed_is_named_and_left_out_as_advised(
    pipeline: Pipeline, expression: str
) -> None:
    number, kind = VIRTUAL[expression]
    pipeline.database.execute(
        "SET SESSION sql_mode = ''",
        "CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(40), stock INT UNSIGNED, sold INT UNSIGNED, "
        "doubled INT AS (sold * 2) VIRTUAL)",
        "INSERT INTO t (id, note, stock, sold) VALUES (1, 'alice@example.com', 1, 2)",
        f"ALTER TABLE t ADD COLUMN derived {kind} AS ({expression}) VIRTUAL",
    )
    pipeline.tables = [{"name": "t", "mode": "full"}]
    failed = entry(pipeline.run(), "t")
    assert failed["error"]["type"] == "RowsUnreadableError"
    assert failed["attempts"] == 1
    message = failed["error"]["message"]
    assert f"(error {number})" in message
    assert "'t'" in message
    assert "'derived'" in message
    assert "alice" not in message
    pipeline.database.execute(*advised(message))
    left_out = re.search(r'"exclude_columns": \["derived"\]', message) or "one of" in message
    assert left_out
    pipeline.tables = [{"name": "t", "mode": "full", "exclude_columns": ["derived"]}]
    assert entry(pipeline.run(), "t")["status"] == "SUCCEEDED"


@pytest.mark.parametrize("damage", ["data", "index", "gone"])
def test_a_damaged_table_is_reported_once_with_what_checks_it(any_pipeline: Pipeline, damage: str) -> None:
    database = any_pipeline.database
    database.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, note TEXT) ENGINE = MyISAM",
        "INSERT INTO t VALUES " + ", ".join(f"({n}, 'alice@example.com{'x' * (n % 70)}')" for n in range(1, 2000)),
        "FLUSH TABLES",
    )
    folder = database.server.directory / "data" / database.name
    file = folder / ("t.MYI" if damage == "index" else "t.MYD")
    if damage == "gone":
        file.unlink()
    elif damage == "index":
        file.write_bytes(file.read_bytes()[:100])
    else:
        content = bytearray(file.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 3000] = bytes([255]) * 3000
        file.write_bytes(content)
    any_pipeline.tables = [{"name": "t", "mode": "full"}]
    failed = entry(any_pipeline.run(), "t")
    assert failed["error"]["type"] == "RowsUnreadableError", failed["error"]
    assert failed["attempts"] == 1
    assert "'t'" in failed["error"]["message"]
    assert "alice" not in failed["error"]["message"]


def test_a_discarded_tablespace_is_reported_once(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)", "ALTER TABLE t DISCARD TABLESPACE"
    )
    any_pipeline.tables = [{"name": "t", "mode": "full"}]
    failed = entry(any_pipeline.run(), "t")
    assert failed["error"]["type"] == "RowsUnreadableError"
    assert failed["attempts"] == 1
    assert "(error 1814)" in failed["error"]["message"]


def test_a_broken_view_is_a_view(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE base (id INT PRIMARY KEY)", "CREATE VIEW v AS SELECT * FROM base", "DROP TABLE base"
    )
    any_pipeline.tables = [{"name": "v", "mode": "full"}]
    manifest = any_pipeline.run()
    assert entry(manifest, "v")["error"]["type"] == "NotATableError"


def test_a_missing_grant_on_a_table_runs_as_advised(any_pipeline: Pipeline) -> None:
    database, name = any_pipeline.database, f"u_{secrets.token_hex(4)}"
    database.execute(
        "CREATE TABLE `odd``name` (id INT PRIMARY KEY)",
        "CREATE TABLE other (id INT PRIMARY KEY)",
        "INSERT INTO `odd``name` VALUES (1)",
        f"CREATE USER '{name}'@'%' IDENTIFIED BY '{PASSWORD}'",
        f"GRANT PROCESS ON *.* TO '{name}'@'%'",
        f"GRANT SELECT ON `{database.name}`.other TO '{name}'@'%'",
    )
    reader = Account(database, name).connect()
    with pytest.raises(DatabaseAccessError) as caught:
        reader.run("SELECT * FROM `odd``name`", table="odd`name")
    (statement,) = advised(str(caught.value))
    database.execute(statement)
    reader.run("SELECT * FROM `odd``name`", table="odd`name")
    reader.close()
    database.execute(f"DROP USER '{name}'@'%'")
