"""Which tables `verify` looks at."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from rds_to_s3.wording import did_you_mean
from rds_to_s3_ops.errors import NotFoundError

if TYPE_CHECKING:
    from rds_to_s3.plan.table_list import TableList


class Wanted:
    """Tables by names and patterns, or every table that is listed.

    Parameters
    ----------
    names : sequence of str
    listed : TableList, optional
        Instead of names.
    """

    def __init__(self, names: Sequence[str], listed: TableList | None = None) -> None:
        self._names = names
        self._listed = listed
        self._known: dict[str, bool] = {}

    def __contains__(self, table: object) -> bool:
        """Whether a table is wanted."""
        if not isinstance(table, str):
            return False
        if table not in self._known:
            self._known[table] = self._wants(table)
        return self._known[table]

    def _wants(self, table: str) -> bool:
        if self._listed is not None:
            return any(spec.name == table for spec in self._listed.resolve([table]))
        return any(table == name or fnmatchcase(table, name) for name in self._names)

    @property
    def found(self) -> list[str]:
        """The wanted tables that were asked about."""
        return [table for table, wanted in self._known.items() if wanted]

    def refuse_unknown(self) -> None:
        """Raise if a name or pattern is of no table that was asked about.

        Raises
        ------
        NotFoundError
        """
        for name in self._names:
            if not any(table == name or fnmatchcase(table, name) for table in self._known):
                meant = did_you_mean(name, self._known)
                raise NotFoundError(f"no run has extracted a table {name!r}{meant}: see `rds-to-s3 tables list`")
        if not self.found:
            raise NotFoundError("no run has extracted a listed table: `rds-to-s3 run`")
