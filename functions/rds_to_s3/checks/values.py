"""The values of some columns of a block as Arrow arrays, parsed once, in the form that conditions compare.

=============  =====================================================================================================
``exact``      int64, uint64 for BIGINT UNSIGNED, decimal128 or decimal256 for DECIMAL
``float``      double
``moment``     26 bytes, ``YYYY-MM-DD HH:MM:SS.ffffff``: zero dates and partial dates are in this order too
``time``       int64, microseconds
``text``       string
``binary``     binary
=============  =====================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from rds_to_s3.checks.classes import MIDNIGHT, MOMENT_BYTES, time_of, value_class
from rds_to_s3.formats import OutputColumn, Rows
from rds_to_s3.formats.arrow_types import arrow_type, parse
from rds_to_s3.formats.parquet import column_texts
from rds_to_s3.mysql.catalogue.schema import TableColumn
from rds_to_s3.rows import Block


class Values:
    """Columns of one block.

    Parameters
    ----------
    columns : mapping
        Position and definition of each column, by name.
    """

    def __init__(self, rows: Rows, columns: Mapping[str, tuple[int, TableColumn]]) -> None:
        self.rows = rows
        self._columns = columns
        self._arrays: dict[str, pa.Array] = {}

    def column(self, name: str) -> pa.Array:
        """Return a column's values; NULL is null."""
        if name not in self._arrays:
            position, column = self._columns[name]
            self._arrays[name] = _typed(self.rows, position, column)
        return self._arrays[name]

    def is_null(self, name: str) -> pa.Array:
        """Return which values are NULL, without parsing any."""
        return pa.array(null_mask(self.rows, self._columns[name][0]))


def null_mask(rows: Rows, position: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which values of a column are NULL."""
    nulls = rows.nulls(position) if isinstance(rows, Block) else np.array([rows.length(position) is None])
    return np.zeros(rows.rows, np.bool_) if nulls is None else nulls


def _typed(rows: Rows, position: int, column: TableColumn) -> pa.Array:
    kind = value_class(column)
    if kind == "moment":
        return _moments(rows, position, column)
    texts = column_texts(rows, position)
    if kind == "binary":
        return texts
    if kind == "time":
        return pa.array([None if text is None else time_of(text.decode()) for text in texts.to_pylist()], pa.int64())
    data_type = arrow_type(OutputColumn(column.name, column.column_type, column.kind))
    if pa.types.is_integer(data_type) and data_type != pa.uint64():
        data_type = pa.int64()
    return parse(texts, data_type)[0]


def _moments(rows: Rows, position: int, column: TableColumn) -> pa.Array:
    values = np.ascontiguousarray(rows.fixed(position, MOMENT_BYTES))
    digits = values.view(np.uint8).reshape(-1, MOMENT_BYTES)
    written = 10 if column.data_type == "date" else 19 + (column.fraction_digits + 1 if column.fraction_digits else 0)
    full = b"0000-00-00" + MIDNIGHT
    digits[:, written:] = np.frombuffer(full[written:], np.uint8)
    valid = pa.py_buffer(np.packbits(~null_mask(rows, position), bitorder="little"))
    return pa.Array.from_buffers(pa.binary(MOMENT_BYTES), rows.rows, [valid, pa.py_buffer(digits.tobytes())])
