"""``MYSQL_URL``: ``mysql://user:password@host:port/database``, optionally ``?tls=verify|unverified|off``."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from local.errors import LocalSystemError

TLS_MODES = ("verify", "unverified", "off")


@dataclass(frozen=True)
class DatabaseUrl:
    """The address and the account of a database.

    Attributes
    ----------
    tls : {"verify", "unverified", "off"}
        The stack's parameter ``DatabaseTls``. Default: off for a loopback address, whose server rarely has a
        certificate for that name, and verify for any other.
    """

    host: str
    port: int
    user: str
    password: str
    database: str
    tls: str

    @classmethod
    def parse(cls, text: str) -> DatabaseUrl:
        """Read a URL; user, password and database may be percent-encoded.

        Raises
        ------
        LocalSystemError
            The message has the error, never the password.
        """
        form = "MYSQL_URL has the form mysql://user:password@host:port/database"
        try:
            parts = urlsplit(text)
            port = parts.port or 3306
        except ValueError as error:
            raise LocalSystemError(f"MYSQL_URL: {error}; {form}") from None
        if parts.scheme not in {"mysql", "mysql+pymysql", "mariadb"}:
            raise LocalSystemError(f"MYSQL_URL does not begin with mysql://; {form}")
        database = unquote(parts.path.strip("/"))
        for name, value in (("host", parts.hostname), ("user", parts.username), ("database", database)):
            if not value:
                raise LocalSystemError(f"MYSQL_URL has no {name}; {form}")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        host = parts.hostname or ""
        tls = options.pop("tls", "off" if is_loopback(host) else "verify")
        if options or tls not in TLS_MODES:
            raise LocalSystemError("MYSQL_URL has one option: ?tls=verify, ?tls=unverified or ?tls=off")
        return cls(host, port, unquote(parts.username or ""), unquote(parts.password or ""), database, tls)

    def render(self) -> str:
        """Return the URL, without its TLS option."""
        account = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mysql://{account}@{host}:{self.port}/{quote(self.database, safe='')}"


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine, by name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
