"""The delivered rows and the table's rows, as keys and digests in DuckDB: one row for each row version.

Both sides have the same types: MySQL's text for CSV, the file's own types for Parquet. Values of older files are
converted to the table's current types.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rds_to_s3.formats import OutputColumn, Rows
from rds_to_s3.formats.arrow_types import arrow_type
from rds_to_s3.formats.parquet import column_texts
from rds_to_s3_ops.errors import VerificationError
from rds_to_s3_ops.verify.reading.duckdb_reading import csv_header, read_csv
from rds_to_s3_ops.verify.reading.stored_files import StoredFile
from rds_to_s3_ops.verify.reading.text_forms import present_form
from rds_to_s3_ops.verify.reading.typed_rows import from_server, parquet_rows, parsed_rows
from rds_to_s3_ops.warehouses.sql import quoted as quoted_name
from rds_to_s3_ops.warehouses.types import unused_name

BATCH_BYTES = 32 << 20
Kind = Literal["delivered", "deletes", "quarantine"]


class Digests:
    """The row versions that were delivered or set aside, the deletes, and the table's rows, as DuckDB holds them.

    Parameters
    ----------
    duck : DuckDBPyConnection
    columns : sequence of OutputColumn
        The table's current columns.
    key : sequence of str
        The columns of the key; empty if there is none.
    file_format : {"csv", "parquet"}
        The format of the data files; deletes and quarantine files are always CSV.
    notes : list of str
        Receives the notes of the result.

    Attributes
    ----------
    layouts : list of tuple of int
        The sets of columns that files have: a column that was added later is only in the newer files.
    """

    def __init__(
        self, duck: Any, columns: Sequence[OutputColumn], key: Sequence[str], file_format: str, notes: list[str]
    ) -> None:
        self._duck = duck
        self._columns = list(columns)
        self._by_name = {column.name: column for column in columns}
        self.key = list(key)
        self._format = file_format
        self._notes = notes
        self.layouts: list[tuple[int, ...]] = []
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._keys = "".join(f"k{number} VARCHAR, " for number in range(len(key)))
        for kind in ("delivered", "quarantine"):
            duck.execute(f"CREATE TABLE {kind} ({self._keys}position BIGINT, layout INTEGER, digest UBIGINT)")
        duck.execute(f"CREATE TABLE deletes ({self._keys}position BIGINT)")

    # --- from the files -------

    def add_file(self, kind: Kind, position: int, found: StoredFile, path: Path) -> None:
        """Add a file's rows.

        Parameters
        ----------
        position : int
            Orders the files; see `rds_to_s3_ops.verify.comparison.WINDOW_BITS`.

        Raises
        ------
        VerificationError
            The file lacks the key.
        """
        key = found.key
        names = pq.read_schema(path).names if key.endswith(".parquet") else csv_header(path, key)
        if missing := [name for name in self.key if name not in names]:
            raise VerificationError(f"{key} has no column {missing[0]!r}, which is in the table's key")
        chosen = [column for column in self._columns if column.name in names]
        if key.endswith(".parquet"):
            self._insert_each(kind, position, key, chosen, parquet_rows(path, chosen), hexadecimal=False)
            return
        source = read_csv(path, key, names, found.longest_row)
        if self._format == "csv":
            self._insert(kind, position, key, chosen, source, hexadecimal=True)
            return
        texts = ", ".join(quoted_name(column.name) for column in chosen)
        result = self._duck.cursor().execute(f"SELECT {texts} FROM {source}")  # noqa: S608 - quoted names
        parts = parsed_rows(result, chosen, found.longest_row)
        self._insert_each(kind, position, key, chosen, parts, hexadecimal=True)

    def _insert_each(
        self,
        kind: Kind,
        position: int,
        key: str,
        columns: Sequence[OutputColumn],
        parts: Iterator[pa.Table],
        *,
        hexadecimal: bool,
    ) -> None:
        for part in parts:
            self._duck.register("rows", part)
            self._insert(kind, position, key, columns, "rows", hexadecimal=hexadecimal)
            self._duck.unregister("rows")

    def _insert(
        self, kind: Kind, position: int, key: str, columns: Sequence[OutputColumn], source: str, *, hexadecimal: bool
    ) -> None:
        """Insert the rows of a relation; with `hexadecimal` its binary values are text."""
        values = [*self._key_values(from_file=True, hexadecimal=hexadecimal), str(position)]
        if kind != "deletes":
            digest = _hash([self._value(column, from_file=True, hexadecimal=hexadecimal) for column in columns])
            values += [str(self._layout_of(columns, key)), digest]
        self._duck.execute(f"INSERT INTO {kind} SELECT {', '.join(values)} FROM {source}")  # noqa: S608

    def _layout_of(self, columns: Sequence[OutputColumn], key: str) -> int:
        present = tuple(self._columns.index(column) for column in columns)
        if present not in self.layouts:
            self.layouts.append(present)
            gone = [column.name for column in self._columns if column not in columns]
            if gone:
                self._notes.append(f"files such as {key} have no {', '.join(gone)}: their rows are compared without")
        return self.layouts.index(present)

    # --- from the table --

    def add_source(self, rows: Rows, flag: int) -> None:
        """Add rows of the table; the column numbered `flag` says whether one is pending."""
        arrays = {
            column.name: from_server(column_texts(rows, index), column, self._format)
            for index, column in enumerate(self._columns)
        }
        flags = pc.equal(column_texts(rows, flag), b"1")
        self._held.append(pa.table([*arrays.values(), flags], [*arrays, self._flag_name]))
        self._held_bytes += self._held[-1].nbytes
        if self._held_bytes >= BATCH_BYTES:
            self.flush()

    @property
    def _flag_name(self) -> str:
        return unused_name("pending", {column.name.lower() for column in self._columns})

    def flush(self) -> None:
        """Insert the rows in memory into DuckDB."""
        layouts = "".join(f"d{number} UBIGINT, " for number in range(len(self.layouts)))
        self._duck.execute(f"CREATE TABLE IF NOT EXISTS source ({self._keys}{layouts}pending BOOLEAN)")
        if not self._held:
            return
        self._duck.register("rows", pa.concat_tables(self._held))
        values = [self._value(column, from_file=False) for column in self._columns]
        chosen = self._key_values(from_file=False)
        chosen += [_hash([values[index] for index in layout]) for layout in self.layouts]
        self._duck.execute(
            f"INSERT INTO source SELECT {', '.join([*chosen, quoted_name(self._flag_name)])} FROM rows"  # noqa: S608
        )
        self._duck.unregister("rows")
        self._held, self._held_bytes = [], 0

    def _key_values(self, *, from_file: bool, hexadecimal: bool = False) -> list[str]:
        # A key is never NULL, except for an invalid date in Parquet; and NULL equals nothing.
        keys = (self._value(self._by_name[name], from_file=from_file, hexadecimal=hexadecimal) for name in self.key)
        return [f"COALESCE(CAST({value} AS VARCHAR), '')" for value in keys]

    def _value(self, column: OutputColumn, *, from_file: bool, hexadecimal: bool = False) -> str:
        """Return an expression with the same type and form on both sides."""
        name = quoted_name(column.name)
        value = f"hex({name})" if column.kind == "binary" and not hexadecimal else name
        is_text = self._format == "csv" or column.kind == "binary" or arrow_type(column) == pa.string()
        return present_form(value, column, from_file=from_file) if is_text else value


def _hash(expressions: Sequence[str]) -> str:
    return f"hash({', '.join(expressions)})" if expressions else "0"
