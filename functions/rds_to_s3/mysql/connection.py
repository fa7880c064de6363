"""Opens connections, and turns PyMySQL's errors into ours. No other module catches a PyMySQL error."""

from __future__ import annotations

import contextlib
import errno
import ssl
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import pymysql
from pymysql.constants import CLIENT, CR, ER

from rds_to_s3.errors import (
    DatabaseLoginError,
    DatabaseRefusedError,
    DatabaseTlsError,
    DatabaseUnreachableError,
    RdsToS3Error,
    ReadInterruptedError,
    RowCountError,
    RowsUnreadableError,
    SettingsError,
    TableNotFoundError,
)
from rds_to_s3.mysql.credentials import Credentials
from rds_to_s3.mysql.rds import RDS_CA_BUNDLE, bundle_to_fetch, rds_region
from rds_to_s3.mysql.refusals import Answer, Circumstances, known, login_error, statement_error
from rds_to_s3.mysql.row_error_numbers import BY_NUMBER
from rds_to_s3.mysql.select import account, quoted
from rds_to_s3.mysql.session import prepare_session

CONNECT_SECONDS = 10
TlsMode = Literal["verify", "unverified", "off"]

# PyMySQL raises these outside its own classes: a package for the login is missing, or the answer is malformed.
_UNEXPECTED = (RuntimeError, AttributeError, TypeError, ValueError, LookupError, AssertionError, struct.error)
_PACKAGES = {
    "caching_sha2_password": "cryptography",
    "sha256_password": "cryptography",
    "client_ed25519": "PyNaCl",
}
_NO_DATABASE = {ER.DBACCESS_DENIED_ERROR, ER.BAD_DB_ERROR}
_NO_PLUGIN = {0, CR.CR_AUTH_PLUGIN_CANNOT_LOAD, CR.CR_AUTH_PLUGIN_ERR}
_IN_PLAIN_TEXT = {"mysql_clear_password", "dialog"}


@dataclass(frozen=True)
class Tls:
    """How the connection is protected.

    Attributes
    ----------
    mode : {"verify", "unverified", "off"}
        ``verify`` checks the certificate's chain and host name.
    ca_pem : str, optional
        Further trust anchors, for a server that is not RDS.
    """

    mode: TlsMode = "verify"
    ca_pem: str | None = None

    def context(self, host: str) -> ssl.SSLContext | None:
        """Return the TLS context for `host`, None where TLS is off."""
        if self.mode == "off":
            return None
        context = ssl.create_default_context()
        if rds_region(host):
            context.load_verify_locations(cafile=str(RDS_CA_BUNDLE))
        if self.ca_pem:
            try:
                context.load_verify_locations(cadata=self.ca_pem)
            except ssl.SSLError as error:
                raise SettingsError(f"DatabaseCaParameter does not hold PEM certificates: {error.reason}") from error
        # RDS's older CAs and many private ones lack the extensions that Python 3.13 requires.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if self.mode == "unverified":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Connection(pymysql.connections.Connection):
    """A PyMySQL connection that never falls back to plain text.

    PyMySQL sends the login unencrypted when the server offers no TLS, even where a TLS context was given.
    """

    prepared: Mapping[str, str] = MappingProxyType({})

    def _request_authentication(self) -> None:
        capabilities: int = getattr(self, "server_capabilities")  # noqa: B009 - absent from the stubs
        if self.ssl and not capabilities & CLIENT.SSL:
            raise DatabaseTlsError(
                "the server offers no TLS: turn it on there, or set the stack parameter DatabaseTls to off"
            )
        try:
            super()._request_authentication()  # type: ignore[misc]
        except pymysql.err.OperationalError as error:
            # Without a number, or with a client's number: PyMySQL does not support the plugin.
            if _answer(error).number not in _NO_PLUGIN:
                raise
            raise _unsupported(self) from None
        except OSError:
            raise  # a certificate's error is a ValueError, too
        except _UNEXPECTED:
            raise _unsupported(self) from None

    def _process_auth(self, plugin_name: bytes, *rest: Any) -> Any:
        inside: Any = self
        inside._auth_plugin_name = plugin = plugin_name.decode("ascii", "replace")
        if plugin in _IN_PLAIN_TEXT and not inside._secure:
            raise DatabaseTlsError(
                f"the server asks for the password in plain text (plugin {plugin}), and DatabaseTls is off: "
                "deploy with DatabaseTls=verify"
            )
        return super()._process_auth(plugin_name, *rest)  # type: ignore[misc]

    def close(self) -> None:
        """Close the connection; closing it twice is no error."""
        if self.open:
            super().close()

    @property
    def is_mariadb(self) -> bool:
        """Whether the server is MariaDB, whose session variables have other names."""
        return "mariadb" in str(self.get_server_info()).lower()  # type: ignore[no-untyped-call]

    def rows(self, sql: str, arguments: tuple[object, ...] = ()) -> list[dict[str, Any]]:
        """Run a small query and return its rows by lower-case column name.

        Raises
        ------
        RdsToS3Error
            See `database_error`.
        """
        with translated_errors(connection=self, sql=sql), self.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(sql, arguments or None)
            return [{str(key).lower(): value for key, value in row.items()} for row in cursor.fetchall()]

    def row(self, sql: str, arguments: tuple[object, ...] = ()) -> dict[str, Any]:
        """Run a query that yields one row.

        Raises
        ------
        RowCountError
            It returns no row: something limits the server's results.
        """
        rows = self.rows(sql, arguments)
        if not rows:
            raise RowCountError(f"the server returned no row for a query that has one: {sql[:200]}")
        return rows[0]

    def use(self, database: str) -> None:
        """Make a database the default one of the session.

        Raises
        ------
        TableNotFoundError
            There is no such database, or the user may see nothing in it.
        """
        try:
            with translated_errors(connection=self):
                self.select_db(database)
        except RdsToS3Error as error:
            cause = error.__cause__
            if isinstance(cause, pymysql.err.MySQLError) and _answer(cause).number in _NO_DATABASE:
                raise TableNotFoundError(
                    f"there is no database {database!r} that the user may see: check the name in the table list (case "
                    f"counts), or GRANT SELECT ON {quoted(database)}.* to the user"
                ) from None
            raise
        self.db = database

    def run(self, sql: str, *, table: str | None = None) -> None:
        """Run a statement and ignore its rows; an error names `table`."""
        with translated_errors(table, connection=self, sql=sql), self.cursor() as cursor:
            cursor.execute(sql)


def connect(
    credentials: Callable[[bool], Credentials], tls: Tls, *, read_seconds: int, program: str = "rds-to-s3"
) -> Connection:
    """Open a connection for reading, with the session that `rds_to_s3.mysql.session` prepares.

    Parameters
    ----------
    credentials : callable
        Returns the credentials; called with True, fetches them anew.
    read_seconds : int
        The longest wait for a byte of the server.
    program : str
        Its name in the server's ``performance_schema.session_connect_attrs``.

    Raises
    ------
    DatabaseUnreachableError
        No answer within `CONNECT_SECONDS`.
    DatabaseLoginError
        Refused twice: with the cached credentials, and with fresh ones.
    DatabaseTlsError
        The certificate is not trusted, or the server offers no TLS.
    SessionVariableError
        A variable of the session changes the result of a SELECT, and cannot be set.
    """
    current = credentials(False)
    try:
        connection = _open(current, tls, read_seconds, program)
    except DatabaseLoginError:
        # They may have been rotated since they were cached.
        current = credentials(True)
        connection = _open(current, tls, read_seconds, program)
    try:
        prepare_session(connection, current.database)
    except BaseException:
        connection.close()
        raise
    return connection


def _open(credentials: Credentials, tls: Tls, read_seconds: int, program: str) -> Connection:
    host = credentials.host
    where = f"{host}:{credentials.port}"
    try:
        return Connection(
            host=host,
            port=credentials.port,
            user=credentials.username,
            password=credentials.password.encode(),  # PyMySQL takes only Latin-1; a client's session is UTF-8
            database=credentials.database,
            charset="utf8mb4",
            ssl=tls.context(host),
            ssl_disabled=tls.mode == "off",  # without a context PyMySQL would use unverified TLS where it is offered
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            write_timeout=CONNECT_SECONDS,
            program_name=program,
            autocommit=None,  # prepare_session sets it, like all that a session inherits
            local_infile=False,
        )
    except ssl.SSLError as error:
        raise DatabaseTlsError(_tls_message(host, where, error)) from error
    except pymysql.err.MySQLError as error:
        cause = error.__context__
        if isinstance(cause, ssl.SSLError) or "SSL" in type(cause).__name__:
            raise DatabaseTlsError(_tls_message(host, where, cause)) from error
        answer = _answer(error)
        if answer.number in {CR.CR_CONNECTION_ERROR, CR.CR_CONN_HOST_ERROR}:
            raise DatabaseUnreachableError(_unreachable(where, cause or error)) from error
        raise login_error(answer, credentials, tls=tls.mode) from error
    except OSError as error:
        raise DatabaseUnreachableError(_unreachable(where, error)) from error
    except _UNEXPECTED as error:
        raise DatabaseUnreachableError(
            f"the server at {where} does not speak MySQL's protocol ({type(error).__name__}). Check host and port in "
            "the credentials."
        ) from None


def _unsupported(connection: Any) -> DatabaseRefusedError:
    plugin = str(connection._auth_plugin_name)
    user = _text(connection.user)
    login = f"the account of user {user!r} logs in with the plugin {plugin!r}"
    package = _PACKAGES.get(plugin)
    if package == "cryptography":
        return DatabaseRefusedError(
            f"{login}, which without TLS needs the Python package {package}: deploy with DatabaseTls=verify, or "
            f"install {package} where the command runs. The functions do not have it."
        )
    remedy = BY_NUMBER[CR.CR_AUTH_PLUGIN_CANNOT_LOAD].remedy.format(account=account(f"{user}@%"))
    missing = f"needs the Python package {package}" if package else "PyMySQL does not have"
    return DatabaseRefusedError(f"{login}, which {missing}. {remedy}")


@contextlib.contextmanager
def translated_errors(table: str | None = None, *, connection: Any = None, sql: str = "") -> Iterator[None]:
    """Turn PyMySQL's errors inside the block into ours.

    Parameters
    ----------
    table : str, optional
        Named in the message.
    connection : pymysql.connections.Connection, optional
        For the names in the message: the account, the table's virtual columns.
    sql : str
        The statement that runs.
    """
    try:
        yield
    except pymysql.err.MySQLError as error:
        translated = database_error(error, table, connection=connection, sql=sql)
        # A traceback shows the cause of an error, and the server's text contains values of rows.
        holds_values = isinstance(translated, RowsUnreadableError) or known(_answer(error)) is None
        raise translated from (None if holds_values else error)
    except (OSError, EOFError) as error:
        if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}:
            raise  # not a socket's error, but that of a file with rows
        raise ReadInterruptedError(f"the connection to the database broke: {_plain(error)}") from error


def database_error(
    error: BaseException, table: str | None = None, *, connection: Any = None, sql: str = ""
) -> RdsToS3Error:
    """Return our error for a PyMySQL error."""
    answer = _answer(error)
    refusal = known(answer)
    at = Circumstances(table=table, sql=sql)
    if connection is not None:
        at = replace(at, database=_text(connection.db or ""))
        if refusal is not None and ("{account}" in refusal.remedy or "{grant}" in refusal.remedy):
            user = _first(connection, "SELECT CURRENT_USER()")
            at = replace(at, account=account(user[0][0] if user else f"{_text(connection.user)}@%"))
        if refusal is not None and refusal.is_computed and table:
            at = replace(at, virtual_columns=_first(connection, _VIRTUAL_COLUMNS, (table,)))
    return statement_error(answer, at)


_VIRTUAL_COLUMNS = (
    "SELECT column_name, generation_expression FROM information_schema.columns "
    "WHERE table_schema = DATABASE() AND table_name = %s AND extra LIKE '%%VIRTUAL%%' ORDER BY ordinal_position"
)


def _first(connection: Any, sql: str, arguments: tuple[object, ...] = ()) -> list[tuple[str, str]] | None:
    """Return a query's rows; None where the connection is gone or does not answer."""
    if not connection.open:
        return None
    with contextlib.suppress(pymysql.err.MySQLError, OSError, EOFError), pymysql.cursors.Cursor(connection) as cursor:
        cursor.execute(sql, arguments or None)
        return [tuple(map(_text, row)) for row in cursor.fetchall()]  # type: ignore[misc]
    return None


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _answer(error: BaseException) -> Answer:
    arguments = error.args
    number = arguments[0] if arguments and isinstance(arguments[0], int) else 0
    text = str(arguments[1]) if len(arguments) > 1 else _plain(error)
    return Answer(number, text, getattr(error, "sqlstate", None))


def _unreachable(where: str, cause: BaseException) -> str:
    why = getattr(cause, "strerror", None) or _plain(cause)
    return (
        f"no connection to {where} within {CONNECT_SECONDS} s: {why}. Check the host and port, the subnets' routes, "
        "and that the security group of the database allows the function."
    )


def _tls_message(host: str, where: str, error: BaseException | None) -> str:
    reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or error
    failed = f"the certificate of {where} could not be verified ({reason})."
    if (address := bundle_to_fetch(host)) is not None:
        return (
            f"{failed} The authorities of RDS in {rds_region(host)} are not included: put those of {address} into an "
            "SSM parameter (of the advanced tier) and name that in DatabaseCaParameter."
        )
    if rds_region(host) is None:
        failed += (
            f" If {host} is another name of an RDS server, put the endpoint that RDS shows into the credentials: its "
            "certificate has no other name."
        )
    return (
        f"{failed} For a server that is not RDS, put its CA into "
        "an SSM parameter and name that in DatabaseCaParameter; DatabaseTls=unverified or off is less secure."
    )


def _plain(error: BaseException) -> str:
    return " ".join(str(part) for part in error.args) or type(error).__name__
