"""What PlanRun reaches from where it runs: bucket, credentials, names, TLS, login, grants. Plans nothing."""

from __future__ import annotations

import platform
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from rds_to_s3.aws.database import ca_bundle, fresh_credentials, open_connection
from rds_to_s3.bucket_keys import CHECK_KEY
from rds_to_s3.errors import RdsToS3Error
from rds_to_s3.mysql.catalogue.tables import table_names
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.server.clock import read_clock
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.settings import DatabaseSettings
from rds_to_s3.wording import counted

T = TypeVar("T")
READ_SECONDS = 15
LIBRARIES = {
    "pyarrow": ("pyarrow", "__version__"),
    "numpy": ("numpy", "__version__"),
    "PyMySQL": ("pymysql", "VERSION_STRING"),  # its __version__ is that of another package, which it replaces
    "pydantic": ("pydantic", "__version__"),
    "boto3": ("boto3", "__version__"),
    "Powertools": ("aws_lambda_powertools.shared.version", "VERSION"),
}
"""Packages: the module of each that has its version, and under which name. The layers may have no metadata."""


@dataclass(frozen=True)
class Reached:
    """The outcome of one step.

    Attributes
    ----------
    check : str
        ``libraries``, ``S3``, ``credentials``, ``authorities``, ``names``, ``login``, ``TLS``, ``grants`` or ``clock``.
    result : str
        ``pass``, ``warn`` or ``fail``. After a failure the steps that need it are missing.
    """

    check: str
    result: str
    message: str

    def as_json(self) -> dict[str, str]:
        """Return a JSON object."""
        return {"check": self.check, "result": self.result, "message": self.message}


def check_from_inside(settings: DatabaseSettings, store: ObjectStore) -> dict[str, Any]:
    """Return ``{"check": true, "reached", "libraries", "findings"}``; each step has a bounded wait."""
    libraries = loaded_libraries()
    findings = [_of_libraries(libraries), *_steps(settings, store)]
    reached = all(finding.result != "fail" for finding in findings)
    return {
        "check": True,
        "reached": reached,
        "libraries": libraries,
        "findings": [finding.as_json() for finding in findings],
    }


def loaded_libraries() -> dict[str, str]:
    """Return the versions that the functions load, by package; one that cannot be loaded has an error's name."""
    versions = {"Python": platform.python_version()}
    for package, (module, name) in LIBRARIES.items():
        try:
            versions[package] = str(getattr(import_module(module), name))
        except Exception as error:  # whatever it is, the other steps are worth knowing
            versions[package] = type(error).__name__
    return versions


def _of_libraries(versions: Mapping[str, str]) -> Reached:
    broken = [f"{package}: {version}" for package, version in versions.items() if not version[:1].isdigit()]
    listed = ", ".join(f"{package} {version}" for package, version in versions.items())
    return Reached("libraries", "fail" if broken else "pass", f"cannot load {', '.join(broken)}" if broken else listed)


def _steps(settings: DatabaseSettings, store: ObjectStore) -> Iterator[Reached]:
    yield _try("S3", lambda: _of_bucket(store))[0]
    outcome, credentials = _try("credentials", lambda: fresh_credentials(settings))
    if credentials is None:
        yield outcome
        return
    yield Reached("credentials", "pass", f"{settings.database_credentials} can be read")
    if settings.database_ca_parameter:
        yield _try("authorities", lambda: _of_authorities(settings))[0]
    yield _try("names", lambda: _of_names(credentials.host))[0]
    outcome, connection = _try("login", lambda: open_connection(settings, READ_SECONDS, fresh=True))
    if connection is None:
        yield outcome
        return
    with closing(connection):
        yield _try("login", lambda: _of_login(connection))[0]
        yield _try("TLS", lambda: _of_tls(connection, settings))[0]
        yield _try("grants", lambda: _of_grants(connection, credentials.database))[0]
        yield _of_clock(connection)


def _try(check: str, step: Callable[[], T]) -> tuple[Reached, T | None]:
    try:
        done = step()
    except RdsToS3Error as error:
        return Reached(check, "fail", f"{type(error).__name__}: {error}"), None
    except OSError as error:
        return Reached(check, "fail", str(error.strerror or error)), None
    except Exception as error:  # its text may hold a value: the class's name must do
        return Reached(check, "fail", f"an unexpected error: {type(error).__name__}"), None
    return Reached(check, "pass", str(done)), done


def _of_bucket(store: ObjectStore) -> str:
    # Written and read back, since a policy of the bucket or of its key may refuse only one of them.
    store.put(CHECK_KEY, b"")
    store.get(CHECK_KEY)
    return f"PlanRun can write to bucket {store.bucket} and read it; for the other functions, the first run shows it"


def _of_authorities(settings: DatabaseSettings) -> str:
    ca_bundle(settings, fresh=True)
    return f"{settings.database_ca_parameter} can be read"


def _of_names(host: str) -> str:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return f"{host} is {', '.join(sorted({str(address[0]) for *_, address in found}))}"


def _of_login(connection: Connection) -> str:
    row = connection.row("SELECT CURRENT_USER() AS user, VERSION() AS version, DATABASE() AS name")
    return f"{row['user']}, database {row['name']} on {row['version']}"


def _of_tls(connection: Connection, settings: DatabaseSettings) -> str:
    found = connection.rows("SHOW SESSION STATUS LIKE 'Ssl_version'")
    version = str(found[0]["value"]) if found else ""
    return f"DatabaseTls={settings.database_tls}, {version or 'plain text'}"


def _of_grants(connection: Connection, database: str) -> str:
    return f"{counted(len(table_names(connection, database)), 'table')} of {database} can be seen"


def _of_clock(connection: Connection) -> Reached:
    outcome, reading = _try("clock", lambda: read_clock(connection))
    if reading is None:
        return outcome
    found = f"the server is a {reading.role}" if reading.role != "primary" else "the server is no replica"
    if reading.unobserved is not None:
        return Reached("clock", "warn", f"{found}; its open transactions cannot be seen (GRANT PROCESS)")
    return Reached("clock", "pass", f"{found}; its open transactions can be seen")
