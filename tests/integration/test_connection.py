"""Logging in: rotated and wrong passwords, certificates, servers that are not there."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pymysql.constants import CLIENT

from rds_to_s3.errors import (
    DatabaseAccessError,
    DatabaseLoginError,
    DatabaseTlsError,
    DatabaseUnreachableError,
    PermanentError,
)
from rds_to_s3.mysql.connection import Connection, Tls, connect
from rds_to_s3.mysql.credentials import Credentials
from tests.integration.conftest import Database
from tests.support.durations import fastest

SECRET = "wr0ng-and-secret"


def of(database: Database) -> Credentials:
    server = database.server
    return Credentials(server.host, server.port, server.user, database.name, server.password)


def attempt(credentials: Callable[[bool], Credentials], tls: Tls) -> Connection:
    return connect(credentials, tls, read_seconds=5)


def verified(database: Database) -> Tls:
    return Tls("verify", database.server.authority.read_text())


def test_a_rotated_password_is_fetched_again_after_the_old_one_was_refused(any_database: Database) -> None:
    asked: list[bool] = []

    def credentials(refresh: bool) -> Credentials:
        asked.append(refresh)
        return of(any_database) if refresh else replace(of(any_database), password=SECRET)

    attempt(credentials, verified(any_database)).close()
    assert asked == [False, True]


def test_a_wrong_password_ends_for_good_and_is_not_repeated_in_the_message(any_database: Database) -> None:
    wrong = replace(of(any_database), password=SECRET)
    with pytest.raises(DatabaseLoginError) as caught:
        attempt(lambda _: wrong, verified(any_database))
    assert isinstance(caught.value, PermanentError)
    assert any_database.server.user in str(caught.value)
    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


def test_a_database_that_does_not_exist_is_named(any_database: Database) -> None:
    elsewhere = replace(of(any_database), database="not_here")
    with pytest.raises(DatabaseAccessError, match="not_here"):
        attempt(lambda _: elsewhere, verified(any_database))


def test_the_connection_is_encrypted_with_a_verified_certificate(any_database: Database) -> None:
    connection = attempt(lambda _: of(any_database), verified(any_database))
    assert connection.row("SHOW SESSION STATUS LIKE 'Ssl_cipher'")["value"]
    connection.close()
    connection.close()


def test_a_certificate_of_an_unknown_authority_is_refused(any_database: Database) -> None:
    with pytest.raises(DatabaseTlsError, match="DatabaseCaParameter"):
        attempt(lambda _: of(any_database), Tls("verify"))
    attempt(lambda _: of(any_database), Tls("unverified")).close()


def test_off_means_no_tls(any_database: Database) -> None:
    connection = attempt(lambda _: of(any_database), Tls("off"))
    assert not connection.row("SHOW SESSION STATUS LIKE 'Ssl_cipher'")["value"]
    connection.close()


def test_a_server_without_tls_gets_no_password(any_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: Any = Connection
    greet = inside._get_server_information

    def without_tls(self: Any) -> None:
        greet(self)
        self.server_capabilities &= ~CLIENT.SSL

    monkeypatch.setattr(inside, "_get_server_information", without_tls)
    with pytest.raises(DatabaseTlsError, match="offers no TLS"):
        attempt(lambda _: of(any_database), verified(any_database))


def test_a_port_where_nobody_listens_is_said_so(any_database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    nobody = replace(of(any_database), port=port)
    with pytest.raises(DatabaseUnreachableError, match=f"{port}.*security group"):
        attempt(lambda _: nobody, verified(any_database))


def test_a_host_that_never_answers_is_not_waited_for_longer_than_stated(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = replace(of(database), port=int(listener.getsockname()[1]))

        def try_it() -> None:
            with pytest.raises(DatabaseUnreachableError):
                connect(lambda _: silent, verified(database), read_seconds=1)

        assert fastest(try_it, 5) < 5


def test_verification_insists_on_the_hosts_name(any_database: Database) -> None:
    context = verified(any_database).context(any_database.server.host)
    assert context
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
