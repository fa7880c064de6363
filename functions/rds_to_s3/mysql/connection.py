"""Opens connections, and turns PyMySQL's errors into ours. Nothing else in the project catches a PyMySQL error."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pymysql
from pymysql.constants import CLIENT, ER

from rds_to_s3.errors import (
    DatabaseAccessError,
    DatabaseLoginError,
    DatabaseTlsError,
    DatabaseUnreachableError,
    RdsToS3Error,
    ReadInterruptedError,
    RowCountError,
    SettingsError,
    TableNotFoundError,
)
from rds_to_s3.mysql.credentials import Credentials
from rds_to_s3.mysql.session import prepare_session

CONNECT_SECONDS = 10
TlsMode = Literal["verify", "unverified", "off"]

# The trust anchors of RDS in every region, as AWS publishes them.
RDS_CA_BUNDLE = Path(__file__).with_name("rds-ca-bundle.pem")
_RDS_HOST = re.compile(r"\.rds\.amazonaws\.com(\.cn)?\.?$", re.IGNORECASE)

_LOGIN = {ER.ACCESS_DENIED_ERROR, 1698, 1862, 3118, 4151}  # refused, no password, expired, account locked (2x)
_GRANTS = {
    ER.DBACCESS_DENIED_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.COLUMNACCESS_DENIED_ERROR,
    ER.SPECIFIC_ACCESS_DENIED_ERROR,
}
_GONE = {ER.NO_SUCH_TABLE, ER.BAD_DB_ERROR, 1109}


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
        if _RDS_HOST.search(host):
            context.load_verify_locations(cafile=str(RDS_CA_BUNDLE))
        if self.ca_pem:
            try:
                context.load_verify_locations(cadata=self.ca_pem)
            except ssl.SSLError as error:
                raise SettingsError(f"DatabaseCaParameter does not hold PEM certificates: {error.reason}") from error
        # RDS's older CAs and many private ones do not mark the fields that Python 3.13 insists on.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if self.mode == "unverified":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Connection(pymysql.connections.Connection):
    """A PyMySQL connection that never falls back to plain text.

    PyMySQL sends the login unencrypted when the server offers no TLS, even where a TLS context was given.
    """

    def _request_authentication(self) -> None:
        capabilities: int = getattr(self, "server_capabilities")  # noqa: B009 - absent from the stubs
        if self.ssl and not capabilities & CLIENT.SSL:
            raise DatabaseTlsError(
                "the server offers no TLS: turn it on there, or set the stack parameter DatabaseTls to off"
            )
        super()._request_authentication()  # type: ignore[misc]

    def close(self) -> None:
        """Close the connection; once is enough, and twice no error."""
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
            Ours, by what went wrong.
        """
        with translated_errors(), self.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(sql, arguments or None)
            return [{str(key).lower(): value for key, value in row.items()} for row in cursor.fetchall()]

    def row(self, sql: str, arguments: tuple[object, ...] = ()) -> dict[str, Any]:
        """Run a query that yields one row.

        Raises
        ------
        RowCountError
            It yields none: something limits what the server returns.
        """
        rows = self.rows(sql, arguments)
        if not rows:
            raise RowCountError(f"the server returned no row for a query that has one: {sql[:200]}")
        return rows[0]

    def run(self, sql: str, *, table: str | None = None) -> None:
        """Run a statement whose rows nobody wants; `table` is named should it fail."""
        with translated_errors(table), self.cursor() as cursor:
            cursor.execute(sql)


def connect(
    credentials: Callable[[bool], Credentials], tls: Tls, *, read_seconds: int, program: str = "rds-to-s3"
) -> Connection:
    """Open a connection for reading, with the session that `rds_to_s3.mysql.session` prepares.

    Parameters
    ----------
    credentials : callable
        Returns the credentials; called with True, fetches them anew.
    tls : Tls
    read_seconds : int
        The longest silence of the server that is waited for.
    program : str
        Shows in the server's ``performance_schema.session_connect_attrs``.

    Raises
    ------
    DatabaseUnreachableError
        No answer within `CONNECT_SECONDS`.
    DatabaseLoginError
        Refused twice: with the cached credentials, and with fresh ones.
    DatabaseTlsError
        The certificate is not to be trusted, or the server offers no TLS.
    SessionVariableError
        The session has a variable that changes what a SELECT yields, and cannot be changed.
    """
    current = credentials(False)
    try:
        connection = _open(current, tls, read_seconds, program)
    except DatabaseLoginError:
        # Rotated since they were cached.
        current = credentials(True)
        connection = _open(current, tls, read_seconds, program)
    try:
        prepare_session(connection, current.database)
    except BaseException:
        connection.close()
        raise
    return connection


def _open(credentials: Credentials, tls: Tls, read_seconds: int, program: str) -> Connection:
    where = f"{credentials.host}:{credentials.port}"
    try:
        return Connection(
            host=credentials.host,
            port=credentials.port,
            user=credentials.username,
            password=credentials.password,
            database=credentials.database,
            charset="utf8mb4",
            ssl=tls.context(credentials.host),
            ssl_disabled=tls.mode == "off",  # without a context PyMySQL would use TLS, unverified, where it is offered
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            write_timeout=CONNECT_SECONDS,
            program_name=program,
            autocommit=None,  # left to prepare_session, as all that a session inherits
            local_infile=False,
        )
    except ssl.SSLError as error:
        raise DatabaseTlsError(_tls_message(where, error)) from error
    except pymysql.err.OperationalError as error:
        cause = error.__context__
        if isinstance(cause, ssl.SSLError) or "SSL" in type(cause).__name__:
            raise DatabaseTlsError(_tls_message(where, cause)) from error
        code = error.args[0] if error.args else 0
        if code in _LOGIN or code == ER.HANDSHAKE_ERROR:
            raise DatabaseLoginError(
                f"the server at {where} refused user {credentials.username!r} (error {code}): "
                "check the user name and password in the credentials' store, and that the user may log in from here"
            ) from None
        if code in _GRANTS | _GONE:
            raise DatabaseAccessError(
                f"user {credentials.username!r} may not use database {credentials.database!r}, or it does not exist "
                f"(error {code}): check the name, or GRANT SELECT ON `{credentials.database}`.* to the user"
            ) from None
        raise DatabaseUnreachableError(
            f"no connection to {where} within {CONNECT_SECONDS} s (error {code}: {_plain(cause or error)}). Check the "
            "host and port, the subnets' routes, and that the security group of the database lets the function in."
        ) from error
    except (pymysql.err.MySQLError, OSError) as error:
        raise DatabaseUnreachableError(f"no connection to {where}: {_plain(error)}") from error


@contextlib.contextmanager
def translated_errors(table: str | None = None) -> Iterator[None]:
    """Turn what PyMySQL raises inside the block into ours.

    Parameters
    ----------
    table : str, optional
        Named in the message.
    """
    try:
        yield
    except pymysql.err.MySQLError as error:
        raise database_error(error, table) from error
    except (OSError, EOFError) as error:
        raise ReadInterruptedError(f"the connection to the database broke: {_plain(error)}") from error


def database_error(error: BaseException, table: str | None = None) -> RdsToS3Error:
    """Return the error of ours that says what a PyMySQL error means."""
    arguments = error.args
    code = arguments[0] if arguments and isinstance(arguments[0], int) else 0
    text = str(arguments[1]) if len(arguments) > 1 else _plain(error)
    of = f" of table {table!r}" if table else ""
    if code in _GRANTS:
        grant = f"GRANT SELECT ON `{table}`" if table else "GRANT it"
        return DatabaseAccessError(f"the database user lacks a privilege: {text}. {grant} to the user.")
    if code in _GONE:
        return TableNotFoundError(f"the read{of} failed: {text}. Check the name, or remove it from the table list.")
    return ReadInterruptedError(f"the read{of} ended early (error {code}): {text}")


def _tls_message(where: str, error: BaseException | None) -> str:
    reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or error
    return (
        f"the certificate of {where} could not be verified ({reason}). For a server that is not RDS, put its CA into "
        "an SSM parameter and name that in DatabaseCaParameter; DatabaseTls=unverified or off lowers the guard."
    )


def _plain(error: BaseException) -> str:
    return " ".join(str(part) for part in error.args) or type(error).__name__
