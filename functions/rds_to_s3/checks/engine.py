"""Which rows of a block break which check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rds_to_s3.checks.binding import BoundChecks, Rule
from rds_to_s3.checks.evaluation import evaluate
from rds_to_s3.checks.expressions import Matches
from rds_to_s3.checks.patterns import MatchingTime, PatternTooSlowError
from rds_to_s3.checks.values import Values, null_mask
from rds_to_s3.errors import TableListError
from rds_to_s3.formats import Rows
from rds_to_s3.mysql.catalogue.schema import TableColumn
from rds_to_s3.rows.keys import ValueOwners, keys_of


class RowChecks:
    """The checks of a table's rows, over one window.

    Parameters
    ----------
    positions : mapping
        The position in a row of each column that a check reads, by name.
    key : sequence of int
        Positions of the key's columns. Empty where there is no key; each row is then read once.

    Attributes
    ----------
    seen : dict
        The values found so far in each unique column: 24 bytes of memory a row.
    """

    def __init__(self, checks: BoundChecks, positions: Mapping[str, int], key: Sequence[int] = ()) -> None:
        self._checks = checks
        self._columns: dict[str, tuple[int, TableColumn]] = {
            column.name: (positions[column.name], column) for column in checks.columns
        }
        self._key = list(key)
        self._rows = 0
        self._matching = {rule.label: MatchingTime() for rule in checks.rules if isinstance(rule.condition, Matches)}
        self.seen = {rule.column: ValueOwners() for rule in checks.unique}

    def broken(self, rows: Rows) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Yield each check that some row breaks, by its label, and which rows do.

        Of the rows with the same value in a unique column, all but the first break the check. A row that changes during
        a read of several invocations may be read again. It does not count as a second row with that value.

        Raises
        ------
        TableListError
            The pattern of a check takes too long.
        """
        values = Values(rows, self._columns)
        for rule in self._checks.rules:
            kept = pc.fill_null(self._evaluate(rule, values), True)
            if kept.false_count:
                yield rule.label, ~kept.to_numpy(zero_copy_only=False)
        if not self._checks.unique:
            return
        owners = self._owners(rows)
        for unique in self._checks.unique:
            position = self._columns[unique.column][0]
            present = np.flatnonzero(~null_mask(rows, position))
            repeated = np.zeros(rows.rows, np.bool_)
            repeated[present] = self.seen[unique.column].add(keys_of(rows, [position])[present], owners[present])
            if repeated.any():
                yield unique.label, repeated

    def _evaluate(self, rule: Rule, values: Values) -> pa.Array:
        if rule.label not in self._matching:
            return evaluate(rule.condition, values)
        try:
            with self._matching[rule.label].of(values.rows.payload_bytes):
                return evaluate(rule.condition, values)
        except PatternTooSlowError:
            raise TableListError(
                f"the check {rule.label!r} takes too long: more than {MatchingTime.SECONDS:.0f} s, and 1 s for each "
                "MiB of rows, while the database keeps a snapshot for the read. Write the pattern so that it can read "
                "a text in one way only, without a repeat in a repeat such as (a+)+"
            ) from None

    def _owners(self, rows: Rows) -> NDArray[np.uint64]:
        """Return a number for each row, the same for all versions of the row."""
        if self._key:
            # Eight of the sixteen bytes, well mixed: two rows of equal value count as one in one of 2**64 cases.
            return keys_of(rows, self._key)[:, 0]
        self._rows += rows.rows
        return np.arange(self._rows - rows.rows, self._rows, dtype=np.uint64)
