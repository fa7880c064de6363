"""The database's certificate verified as the extractor does it, at a fraction of the cost."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import TYPE_CHECKING

from rds_to_s3.mysql.connection import Tls

if TYPE_CHECKING:
    from local.mysql_server import MySqlServer


class KeptTls(Tls):
    """Its contexts are kept: to read all authorities of the system takes as long as a small table's read."""

    def context(self, host: str) -> ssl.SSLContext | None:
        return _context(self.ca_pem, host)


@lru_cache
def _context(ca_pem: str | None, host: str) -> ssl.SSLContext | None:
    return Tls("verify", ca_pem).context(host)


def trusting(server: MySqlServer) -> Tls:
    """Verify this server's certificate, and its name."""
    return KeptTls("verify", server.authority.read_text())
