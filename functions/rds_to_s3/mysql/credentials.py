"""Where the database's credentials come from, and their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rds_to_s3.errors import CredentialsNotFoundError, SettingsError

DEFAULT_PORT = 3306
FORMS = "secretsmanager:<secret name or ARN>, ssm:<path> or iam:<path>"


@dataclass(frozen=True)
class CredentialsReference:
    """The stack parameter ``DatabaseCredentials``, taken apart."""

    store: Literal["secretsmanager", "ssm", "iam"]
    name: str

    @classmethod
    def parse(cls, text: str) -> CredentialsReference:
        """Read ``<store>:<name>``.

        Raises
        ------
        SettingsError
            Not one of the three forms.

        Examples
        --------
        >>> CredentialsReference.parse("ssm:/shop/db").store
        'ssm'
        """
        store, _, name = text.partition(":")
        if store not in {"secretsmanager", "ssm", "iam"} or not name:
            # The text may be a password in the wrong place, so it is not repeated.
            raise SettingsError(f"DatabaseCredentials must be one of {FORMS}")
        if store != "secretsmanager":
            name = name.rstrip("/")
        return cls(store, name)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.store}:{self.name}"


@dataclass(frozen=True)
class Credentials:
    """The fields for a connection. The representation hides the password."""

    host: str
    port: int
    username: str
    database: str
    password: str = field(repr=False)
    is_token: bool = False

    @classmethod
    def from_fields(cls, fields: Mapping[str, object], source: CredentialsReference) -> Credentials:
        """Check the fields of a secret or of a Parameter Store path.

        Parameters
        ----------
        fields : mapping
            ``host``, ``username``, ``password``, ``dbname`` and optionally ``port``, as RDS writes them.
        source : CredentialsReference
            For the message.

        Raises
        ------
        CredentialsNotFoundError
            A field is missing or empty, has white space at an end, or the port is not a number.
        """
        names = {"host": "host", "username": "username", "password": "password", "dbname": "dbname"}
        if source.store == "ssm":
            names["dbname"] = "database"
        missing = [shown for name, shown in names.items() if not fields.get(name)]
        if missing:
            raise CredentialsNotFoundError(f"{source} lacks {', '.join(missing)}: add it there")
        # A file's last line break; in the error of a connection nobody sees it.
        padded = [
            shown for name, shown in names.items() if name != "password" and (text := str(fields[name])) != text.strip()
        ]
        if padded:
            raise CredentialsNotFoundError(
                f"{', '.join(padded)} in {source} begins or ends with a space or a line break: remove it"
            )
        try:
            port = int(str(fields.get("port") or DEFAULT_PORT))
        except ValueError:
            raise CredentialsNotFoundError(f"the port in {source} is not a number") from None
        return cls(
            host=str(fields["host"]),
            port=port,
            username=str(fields["username"]),
            database=str(fields["dbname"]),
            password=str(fields["password"]),
        )
