"""A certificate authority and a server certificate for the local database, so that TLS is verified."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class ServerCertificate:
    """PEM files of a server: its authority's certificate, its own, and its private key."""

    authority: Path
    certificate: Path
    key: Path


def make_server_certificate(directory: Path) -> ServerCertificate:
    """Create or reuse a certificate for ``127.0.0.1`` and ``localhost``, signed by its own authority."""
    files = ServerCertificate(directory / "ca.pem", directory / "server.pem", directory / "server-key.pem")
    # The key is written last: if it exists, so does the rest.
    if files.key.is_file():
        return files
    directory.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA(organization_name="rds-to-s3 local authority")
    issued = authority.issue_cert("localhost", "127.0.0.1", common_name="localhost")
    (certificate,) = issued.cert_chain_pems
    authority.cert_pem.write_to_path(files.authority)
    certificate.write_to_path(files.certificate)
    files.key.touch(mode=0o600)
    issued.private_key_pem.write_to_path(files.key)
    return files
