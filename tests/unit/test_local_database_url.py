from __future__ import annotations

import pymysql
import pytest

from local.database import own_database
from local.database_url import DatabaseUrl
from local.errors import LocalSystemError


def test_a_url_says_where_and_who() -> None:
    url = DatabaseUrl.parse("mysql://reader:s3cret@db.example.com:3307/shop")

    assert url == DatabaseUrl("db.example.com", 3307, "reader", "s3cret", "shop", "verify")


def test_the_port_may_be_left_out() -> None:
    assert DatabaseUrl.parse("mysql://reader:x@db.example.com/shop").port == 3306


def test_percent_encoding_carries_what_a_url_cannot() -> None:
    url = DatabaseUrl.parse("mysql://re%40der:p%2Fa%3Fs%23s@127.0.0.1:3306/my%20shop")

    assert (url.user, url.password, url.database) == ("re@der", "p/a?s#s", "my shop")
    assert DatabaseUrl.parse(url.render()) == url


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_tls_is_off_for_this_machine_unless_the_url_asks_for_it(host: str) -> None:
    assert DatabaseUrl.parse(f"mysql://u:p@{host}:3306/d").tls == "off"
    assert DatabaseUrl.parse(f"mysql://u:p@{host}:3306/d?tls=unverified").tls == "unverified"


def test_tls_is_verified_for_any_other_host() -> None:
    assert DatabaseUrl.parse("mysql://u:p@10.0.0.1/d").tls == "verify"
    assert DatabaseUrl.parse("mysql://u:p@10.0.0.1/d?tls=off").tls == "off"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("postgres://u:secret@h/d", "mysql://"),
        ("mysql://u:secret@h", "no database"),
        ("mysql://h:3306/d", "no user"),
        ("mysql://u:secret@/d", "no host"),
        ("mysql://u:secret@h:port/d", "port"),
        ("mysql://u:secret@h/d?ssl=true", "tls="),
        ("mysql://u:secret@h/d?tls=maybe", "tls="),
    ],
)
def test_a_malformed_url_is_refused_without_telling_the_password(text: str, complaint: str) -> None:
    with pytest.raises(LocalSystemError, match=complaint) as refusal:
        DatabaseUrl.parse(text)

    assert "secret" not in str(refusal.value)


def test_a_password_beyond_latin_1_is_sent_as_the_functions_send_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []

    def connect(**options: object) -> None:
        sent.append(options["password"])
        raise pymysql.err.OperationalError(1045, "no such account")

    monkeypatch.setattr(pymysql, "connect", connect)
    with pytest.raises(LocalSystemError, match="no such account"):
        own_database("mysql://u:p%C3%B6%E2%82%AC@127.0.0.1/d")
    assert sent == ["pö€".encode()]
