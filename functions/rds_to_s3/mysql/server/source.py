"""The server and database that rows come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Source:
    """Where rows come from.

    Attributes
    ----------
    server : str
        ``@@server_uuid``, on MariaDB ``server_id@hostname:port``.
    origins : tuple of str
        Its replication sources, where they can be read.
    """

    server: str
    database: str
    origins: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what plans and commits hold."""
        return asdict(self) | {"origins": list(self.origins)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Source:
        """Read what `as_dict` wrote."""
        return cls(str(data["server"]), str(data["database"]), tuple(data.get("origins", ())))

    def same_history(self, other: Source) -> bool:
        """Whether both have the same rows, apart from their lag.

        Examples
        --------
        >>> Source("b", "shop", ("a",)).same_history(Source("c", "shop", ("a",)))
        True
        """
        return self.database == other.database and bool({self.server, *self.origins} & {other.server, *other.origins})
