"""What was delivered of a table and what it has, as keys and digests in DuckDB: one row for each row version.

Both sides are the same types: in CSV the text that MySQL writes, in Parquet the file's own types.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rds_to_s3.formats import OutputColumn, Rows
from rds_to_s3.formats.arrow_types import arrow_type, parse
from rds_to_s3.formats.parquet import column_texts
from rds_to_s3_ops.duckdb_reading import csv_header, duckdb_errors, name_sql, read_csv, text_sql
from rds_to_s3_ops.errors import VerificationError
from rds_to_s3_ops.stored_files import StoredFile

BATCH_BYTES = 32 << 20


class Digests:
    """The row versions that were delivered, and the table's rows, as DuckDB holds them.

    Parameters
    ----------
    duck : DuckDBPyConnection
    columns : sequence of OutputColumn
        Of the table, as it is now.
    key : sequence of str
    file_format : {"csv", "parquet"}
    notes : list of str
        Is told what the result should say.

    Attributes
    ----------
    layouts : list of tuple of int
        Which of the columns a file has: a column that was added later is in the newer files only.
    """

    def __init__(
        self, duck: Any, columns: Sequence[OutputColumn], key: Sequence[str], file_format: str, notes: list[str]
    ) -> None:
        self._duck = duck
        self._columns = list(columns)
        self.key = list(key)
        self._format = file_format
        self._notes = notes
        self.layouts: list[tuple[int, ...]] = []
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        keys = "".join(f"k{number} VARCHAR, " for number in range(len(key)))
        duck.execute(f"CREATE TABLE delivered ({keys}file INTEGER, layout INTEGER, digest UBIGINT)")
        for kind in ("deletes", "quarantine"):
            duck.execute(f"CREATE TABLE {kind} ({keys}file INTEGER)")

    # --- what was delivered ---

    def add_file(self, number: int, found: StoredFile, path: Path) -> None:
        """Add the rows of a data file."""
        if found.key.endswith(".parquet"):
            names = pq.read_schema(path).names
            for batch in self._parquet(path):
                self._duck.register("rows", batch)
                self._deliver(number, found.key, names, "rows")
                self._duck.unregister("rows")
            return
        names = csv_header(path, found.key)
        self._deliver(number, found.key, names, read_csv(path, found.key, names, found.longest_row))

    def _deliver(self, number: int, key: str, names: Sequence[str], source: str) -> None:
        present = tuple(index for index, column in enumerate(self._columns) if column.name in names)
        if missing := [name for name in self.key if name not in names]:
            raise VerificationError(f"{key} has no column {missing[0]!r}, which is in the table's key")
        if present not in self.layouts:
            self.layouts.append(present)
            gone = [column.name for column in self._columns if column.name not in names]
            if gone:
                self._notes.append(f"files such as {key} have no {', '.join(gone)}: their rows are compared without")
        values = self._expressions(binary_is_text=source != "rows")
        keys = "".join(f"CAST({values[self._position(name)]} AS VARCHAR), " for name in self.key)
        digest = _hash([values[index] for index in present])
        with duckdb_errors(key):
            self._duck.execute(
                f"INSERT INTO delivered SELECT {keys}{number}, {self.layouts.index(present)}, {digest} "  # noqa: S608
                f"FROM {source}"
            )

    def add_keys(self, kind: str, found: StoredFile, path: Path) -> None:
        """Add the keys in a file of deleted or of quarantined rows."""
        if not self.key:
            return
        key, longest_row = found.key, found.longest_row
        is_parquet = key.endswith(".parquet")
        names = pq.read_schema(path).names if is_parquet else csv_header(path, key)
        source = f"read_parquet({text_sql(str(path))})" if is_parquet else read_csv(path, key, names, longest_row)
        if not set(self.key) <= set(names):
            self._notes.append(f"{key} does not hold the key: it was not considered")
            return
        values = self._expressions(binary_is_text=not is_parquet)
        keys = ", ".join(f"CAST({values[self._position(name)]} AS VARCHAR)" for name in self.key)
        with duckdb_errors(key):
            self._duck.execute(f"INSERT INTO {kind} SELECT {keys}, 0 FROM {source}")  # noqa: S608

    def _parquet(self, path: Path) -> Iterator[pa.Table]:
        wanted = {column.name: _held_type(arrow_type(column)) for column in self._columns}
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(1 << 16):
                names = [name for name in batch.schema.names if name in wanted]
                arrays = [_converted(batch.column(name), wanted[name]) for name in names]
                yield pa.table(dict(zip(names, arrays, strict=True)))

    # --- what is there ---

    def add_source(self, rows: Rows, flag: int) -> None:
        """Add rows of the table; the column numbered `flag` says whether one is pending."""
        arrays = {}
        for index, column in enumerate(self._columns):
            texts = column_texts(rows, index)
            kind = arrow_type(column)
            if self._format == "csv":
                kind = pa.binary() if column.kind == "binary" else pa.string()
            arrays[column.name], _ = parse(texts, kind)
            if pa.types.is_decimal256(kind):
                arrays[column.name] = pc.cast(arrays[column.name], pa.string())
        flags = pc.equal(column_texts(rows, flag), b"1")
        self._held.append(pa.table([*arrays.values(), flags], [*arrays, self._flag_name]))
        self._held_bytes += self._held[-1].nbytes
        if self._held_bytes >= BATCH_BYTES:
            self.flush()

    @property
    def _flag_name(self) -> str:
        taken = {column.name.lower() for column in self._columns}
        return next(name for number in range(len(taken) + 1) if (name := f"pending{number}") not in taken)

    def flush(self) -> None:
        """Put the rows that are held in memory into DuckDB."""
        keys = "".join(f"k{number} VARCHAR, " for number in range(len(self.key)))
        layouts = "".join(f"d{number} UBIGINT, " for number in range(len(self.layouts)))
        self._duck.execute(f"CREATE TABLE IF NOT EXISTS source ({keys}{layouts}pending BOOLEAN)")
        if not self._held:
            return
        self._duck.register("rows", pa.concat_tables(self._held))
        values = self._expressions(binary_is_text=False)
        chosen = [f"CAST({values[self._position(name)]} AS VARCHAR)" for name in self.key]
        chosen += [_hash([values[index] for index in layout]) for layout in self.layouts]
        self._duck.execute(
            f"INSERT INTO source SELECT {', '.join([*chosen, name_sql(self._flag_name)])} FROM rows"  # noqa: S608
        )
        self._duck.unregister("rows")
        self._held, self._held_bytes = [], 0

    def _expressions(self, *, binary_is_text: bool) -> list[str]:
        """Return, for each column, an expression that has the same type on both sides."""
        hexadecimal = not binary_is_text
        return [
            f"hex({name_sql(column.name)})" if column.kind == "binary" and hexadecimal else name_sql(column.name)
            for column in self._columns
        ]

    def _position(self, name: str) -> int:
        return next(index for index, column in enumerate(self._columns) if column.name == name)


def _held_type(kind: pa.DataType) -> pa.DataType:
    # DuckDB's DECIMAL ends at 38 digits, and it would read a longer one as a DOUBLE.
    return pa.string() if pa.types.is_decimal256(kind) else kind


def _converted(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values of an earlier file as the present type; as text, and so different, where it cannot hold them."""
    try:
        return pc.cast(values, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pc.cast(values, pa.string())


def _hash(expressions: Sequence[str]) -> str:
    return f"hash({', '.join(expressions)})" if expressions else "0"
