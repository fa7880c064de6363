"""Compares a table with the newest version of each of its rows over all its files, in bounded memory.

DuckDB holds, on disk, a digest for each row version that was delivered and for each row of the table; only these, and
the keys. Both sides are the same types: in CSV the text that MySQL writes, in Parquet the file's own types.
"""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rds_to_s3.formats import OutputColumn, Rows
from rds_to_s3.formats.arrow_types import arrow_type, parse
from rds_to_s3.formats.parquet import column_texts
from rds_to_s3.mysql.connection import translated_errors
from rds_to_s3.mysql.result_set import query
from rds_to_s3.mysql.select import literal, quoted
from rds_to_s3.mysql.snapshot import open_snapshot
from rds_to_s3.selection import Selection, select_columns
from rds_to_s3.table_state import data_prefix, state_key, watermark_key
from rds_to_s3.watermark import Watermark
from rds_to_s3.window import format_timestamp
from rds_to_s3_ops.database import database_errors, database_name
from rds_to_s3_ops.errors import CommandError, InvalidInputError, VerificationError
from rds_to_s3_ops.stored_files import StoredFile, data_files, fetch, keys_below

if TYPE_CHECKING:
    import duckdb
    from mypy_boto3_s3 import S3Client

    from rds_to_s3.mysql.connection import Connection
    from rds_to_s3.schema import Table
    from rds_to_s3.table_list import TableSpec
    from rds_to_s3_ops.bucket import Bucket

SAMPLES = 10
BATCH_BYTES = 32 << 20
SNAPSHOT_SECONDS = 6 * 3600.0
LINE_BYTES = 2 << 20
KINDS = ("missing", "different", "extra", "deleted", "quarantined", "pending")
"""What a key can be, other than equal. All but `pending`, `deleted` and `quarantined` say that something is wrong."""


@dataclass
class Reconciliation:
    """What came of comparing one table.

    Attributes
    ----------
    key : list of str
        Columns that rows were matched by; empty where whole rows were looked for.
    source_rows, delivered_rows : int
        Rows of the table, and different keys in its files.
    counts : dict
        How many of each of `KINDS`: *missing* from the files, *different* in them, *extra* since only they have it,
        *deleted* since a deletes file says so, *quarantined*, *pending* since it changed after the last window.
    samples : dict
        A few keys of each.
    """

    table: str
    format: str
    key: list[str]
    files: int = 0
    source_rows: int = 0
    delivered_rows: int = 0
    equal: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str | None = None

    def is_fine(self, *, extra_is_fine: bool = False) -> bool:
        """Whether the files hold the table."""
        wrong = ("missing", "different") if extra_is_fine else ("missing", "different", "extra")
        return self.error is None and not any(self.counts[kind] for kind in wrong)

    def as_json(self) -> dict[str, Any]:
        """Return what ``verify --json`` prints."""
        return {
            "table": self.table, "format": self.format, "key": self.key, "files": self.files,
            "source_rows": self.source_rows, "delivered_rows": self.delivered_rows, "equal": self.equal,
            **self.counts, "samples": self.samples, "notes": self.notes, "error": self.error,
        }  # fmt: skip


class Reconciler:
    """Compares tables of one database with the files of one bucket.

    Parameters
    ----------
    connection : Connection
    bucket : Bucket
    s3 : S3Client
    memory : str
        DuckDB's bound, such as ``1GB``.
    scratch : Path, optional
        Where there is room for the digests and one data file.
    """

    def __init__(
        self, connection: Connection, bucket: Bucket, s3: S3Client, *, memory: str = "1GB", scratch: Path | None = None
    ) -> None:
        self._connection = connection
        self._bucket = bucket
        self._s3 = s3
        self._memory = memory
        self._scratch = scratch
        self._database = database_name(connection)

    def reconcile(self, spec: TableSpec) -> Reconciliation:
        """Compare one table; what makes that impossible is the result's `error`."""
        result = Reconciliation(spec.name, spec.format, [])
        try:
            with (
                tempfile.TemporaryDirectory(dir=self._scratch, prefix="rds-to-s3-verify-") as folder,
                database_errors(),
            ):
                self._reconcile(spec, result, Path(folder))
        except CommandError as error:
            result.error = str(error)
        finally:
            if self._connection.open:
                self._connection.run("ROLLBACK")
        return result

    def _reconcile(self, spec: TableSpec, result: Reconciliation, folder: Path) -> None:
        # In this order: what is committed meanwhile is newer than the watermark, and so only pending.
        watermark = self._watermark(spec)
        keys = self._data_keys(spec)
        table = open_snapshot(self._connection, self._database, spec.name, seconds=SNAPSHOT_SECONDS)
        selection = select_columns(table, spec)
        result.key, result.files = selection.key_of(table), len(keys)
        with open_duckdb(folder, self._memory) as duck:
            digests = _Digests(duck, selection.output, result.key, spec.format, result.notes)
            for number, key in enumerate(keys):
                found = fetch(self._s3, self._bucket.name, key, folder / "data", keep=True)
                if found is None:
                    raise VerificationError(f"{key} was deleted while it was about to be read")
                if found.problem:
                    raise VerificationError(f"{key} {found.problem}")
                digests.add_file(number, found, folder / "data")
                (folder / "data").unlink()
            self._add_keys(digests, spec, folder)
            self._read_source(digests, table, selection, spec, watermark)
            digests.compare(result)

    def _watermark(self, spec: TableSpec) -> Watermark | None:
        stored = self._bucket.read(watermark_key(spec.name, spec.format))
        try:
            return Watermark.parse(stored.body) if stored else None
        except ValueError as error:
            raise VerificationError(f"{watermark_key(spec.name, spec.format)} {error}") from None

    def _data_keys(self, spec: TableSpec) -> list[str]:
        if spec.mode == "incremental":
            return data_files(self._s3, self._bucket.name, spec.name, spec.format)
        # Each run of a table in full replaces what the run before it delivered.
        state = self._bucket.document(state_key(spec.name, spec.format))
        commit = (state or {}).get("commit") or {}
        return [file["key"] for file in commit.get("files", [])]

    def _add_keys(self, digests: _Digests, spec: TableSpec, folder: Path) -> None:
        for kind in ("deletes", "quarantine"):
            for key in keys_below(self._s3, self._bucket.name, data_prefix(spec.name, kind)):
                found = fetch(self._s3, self._bucket.name, key, folder / "keys", keep=True)
                if found is not None and not found.problem:
                    digests.add_keys(kind, found, folder / "keys")

    def _read_source(
        self, digests: _Digests, table: Table, selection: Selection, spec: TableSpec, watermark: Watermark | None
    ) -> None:
        columns = ", ".join(column.expression for column in selection.select)
        pending = _pending(selection, spec, watermark)
        sql = f"SELECT {columns}, {pending} FROM {quoted(table.name)}"  # noqa: S608 - quoted identifiers and literals
        with translated_errors(table.name), query(self._connection, sql) as rows:
            for block in rows:
                digests.add_source(block, len(selection.select))
            digests.flush()
        sent = int(self._connection.row("SELECT FOUND_ROWS() AS sent")["sent"])
        if sent != rows.rows_read:
            raise VerificationError(f"the server sent {sent} rows of {table.name!r}, and {rows.rows_read} were read")


def _pending(selection: Selection, spec: TableSpec, watermark: Watermark | None) -> str:
    """Write a condition: the row was stamped after the last window, so no file need have it yet."""
    cursors = [column for column in (selection.modified, selection.created) if column is not None]
    if spec.mode == "full" or not cursors or watermark is None:
        return "0"
    stamp = f"COALESCE({', '.join(quoted(column.name) for column in cursors)})"
    text = format_timestamp(watermark.moment)
    if selection.whole_days:
        return f"COALESCE({stamp} >= {literal(text[:10].encode(), 'temporal')}, 0)"
    return f"COALESCE({stamp} > {literal(text.encode(), 'temporal')}, 0)"


class _Digests:
    """The row versions that were delivered, and the table's rows, as DuckDB holds them."""

    def __init__(
        self, duck: Any, columns: Sequence[OutputColumn], key: Sequence[str], file_format: str, notes: list[str]
    ) -> None:
        self._duck = duck
        self._columns = list(columns)
        self._key = list(key)
        self._format = file_format
        self._notes = notes
        # Which of the present columns a file has: a column that was added later is in the newer files only.
        self._layouts: list[tuple[int, ...]] = []
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
        if missing := [name for name in self._key if name not in names]:
            raise VerificationError(f"{key} has no column {missing[0]!r}, which is in the table's key")
        if present not in self._layouts:
            self._layouts.append(present)
            gone = [column.name for column in self._columns if column.name not in names]
            if gone:
                self._notes.append(f"files such as {key} have no {', '.join(gone)}: their rows are compared without")
        values = self._expressions(binary_is_text=source != "rows")
        keys = "".join(f"CAST({values[self._position(name)]} AS VARCHAR), " for name in self._key)
        digest = _hash([values[index] for index in present])
        with duckdb_errors(key):
            self._duck.execute(
                f"INSERT INTO delivered SELECT {keys}{number}, {self._layouts.index(present)}, {digest} "  # noqa: S608
                f"FROM {source}"
            )

    def add_keys(self, kind: str, found: StoredFile, path: Path) -> None:
        """Add the keys in a file of deleted or of quarantined rows."""
        if not self._key:
            return
        key, longest_row = found.key, found.longest_row
        is_parquet = key.endswith(".parquet")
        names = pq.read_schema(path).names if is_parquet else csv_header(path, key)
        source = f"read_parquet({_text(str(path))})" if is_parquet else read_csv(path, key, names, longest_row)
        if not set(self._key) <= set(names):
            self._notes.append(f"{key} does not hold the key: it was not considered")
            return
        values = self._expressions(binary_is_text=not is_parquet)
        keys = ", ".join(f"CAST({values[self._position(name)]} AS VARCHAR)" for name in self._key)
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
        keys = "".join(f"k{number} VARCHAR, " for number in range(len(self._key)))
        layouts = "".join(f"d{number} UBIGINT, " for number in range(len(self._layouts)))
        self._duck.execute(f"CREATE TABLE IF NOT EXISTS source ({keys}{layouts}pending BOOLEAN)")
        if not self._held:
            return
        self._duck.register("rows", pa.concat_tables(self._held))
        values = self._expressions(binary_is_text=False)
        chosen = [f"CAST({values[self._position(name)]} AS VARCHAR)" for name in self._key]
        chosen += [_hash([values[index] for index in layout]) for layout in self._layouts]
        self._duck.execute(
            f"INSERT INTO source SELECT {', '.join([*chosen, _name(self._flag_name)])} FROM rows"  # noqa: S608
        )
        self._duck.unregister("rows")
        self._held, self._held_bytes = [], 0

    def _expressions(self, *, binary_is_text: bool) -> list[str]:
        """Return, for each column, an expression that has the same type on both sides."""
        hexadecimal = not binary_is_text
        return [
            f"hex({_name(column.name)})" if column.kind == "binary" and hexadecimal else _name(column.name)
            for column in self._columns
        ]

    def _position(self, name: str) -> int:
        return next(index for index, column in enumerate(self._columns) if column.name == name)

    # --- both ---

    def compare(self, result: Reconciliation) -> None:
        """Fill in the result."""
        result.source_rows = self._count("source")
        if not self._key:
            self._compare_whole_rows(result)
            return
        keys = [f"k{number}" for number in range(len(self._key))]
        names = ", ".join(keys)
        self._duck.execute(
            f"CREATE TABLE newest AS SELECT {names}, arg_max(layout, file) AS layout, arg_max(digest, file) AS digest "  # noqa: S608
            f"FROM delivered GROUP BY {names}"
        )
        result.delivered_rows = self._count("newest")
        digest = "CASE n.layout " + "".join(f"WHEN {i} THEN s.d{i} " for i in range(len(self._layouts))) + "END"
        same = f"n.digest = {digest}" if self._layouts else "FALSE"
        matched = " AND ".join(f"n.{key} = s.{key}" for key in keys)
        chosen = ", ".join(f"COALESCE(n.{key}, s.{key}) AS {key}" for key in keys)
        self._duck.execute(
            f"CREATE TABLE compared AS SELECT {chosen}, CASE WHEN s.k0 IS NULL THEN 'extra' "  # noqa: S608
            f"WHEN n.k0 IS NOT NULL AND {same} THEN 'equal' WHEN s.pending THEN 'pending' "
            "WHEN n.k0 IS NULL THEN 'missing' ELSE 'different' END AS kind "
            f"FROM newest n FULL JOIN source s ON {matched}"
        )
        told = " AND ".join(f"t.{key} = compared.{key}" for key in keys)
        for kind, found in (("'extra'", "deletes"), ("'missing', 'different'", "quarantine")):
            name = {"deletes": "deleted", "quarantine": "quarantined"}[found]
            self._duck.execute(
                f"UPDATE compared SET kind = '{name}' WHERE kind IN ({kind}) "  # noqa: S608
                f"AND EXISTS (SELECT 1 FROM {found} t WHERE {told})"
            )
        for kind, count in self._duck.execute("SELECT kind, COUNT(*) FROM compared GROUP BY kind").fetchall():
            if kind == "equal":
                result.equal = count
                continue
            result.counts[kind] = count
            rows = self._duck.execute(
                f"SELECT {names} FROM compared WHERE kind = ? ORDER BY {names} LIMIT {SAMPLES}",  # noqa: S608
                [kind],
            ).fetchall()
            result.samples[kind] = [dict(zip(self._key, row, strict=True)) for row in rows]

    def _compare_whole_rows(self, result: Reconciliation) -> None:
        result.notes.append("without a key whole rows are looked for: rows that only the files have are not told")
        result.delivered_rows = self._count("delivered")
        found = " OR ".join(
            f"d{number} IN (SELECT digest FROM delivered WHERE layout = {number})"  # noqa: S608
            for number in range(len(self._layouts))
        )
        kinds = f"CASE WHEN {found or 'FALSE'} THEN 'equal' WHEN pending THEN 'pending' ELSE 'missing' END"
        for kind, count in self._duck.execute(f"SELECT {kinds} AS kind, COUNT(*) FROM source GROUP BY 1").fetchall():  # noqa: S608
            if kind == "equal":
                result.equal = count
            else:
                result.counts[kind] = count

    def _count(self, table: str) -> int:
        return int(self._duck.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])  # noqa: S608


# --- DuckDB -------------------------------------------------------------------------------------------------------


def open_duckdb(folder: Path, memory: str) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB database on disk that keeps to a bound of memory.

    Raises
    ------
    InvalidInputError
        DuckDB is not installed, or the bound is not one.
    """
    try:
        import duckdb  # noqa: PLC0415 - an extra, which only this comparison needs
    except ImportError:
        raise InvalidInputError("--source needs DuckDB: pip install 'rds-to-s3[verify]'") from None
    try:
        return duckdb.connect(
            folder / "digests.duckdb",
            config={
                "memory_limit": memory,
                "temp_directory": str(folder / "spilled"),
                "preserve_insertion_order": "false",
                "autoinstall_known_extensions": "false",
            },
        )
    except duckdb.Error as error:
        raise InvalidInputError(f"DuckDB does not start: {error}") from None


class duckdb_errors:  # noqa: N801 - a context manager that reads as a function
    """Tell what DuckDB finds wrong with a file as that file's fault."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        import duckdb  # noqa: PLC0415

        if isinstance(error, duckdb.Error):
            first = str(error).strip().splitlines()[0]
            raise VerificationError(f"{self._key} cannot be read: {first}") from error


def csv_header(path: Path, key: str) -> list[str]:
    """Return the column names of a CSV file, gzipped or not."""
    with path.open("rb") as stored:
        inflated = gzip.GzipFile(fileobj=stored) if key.endswith(".gz") else stored
        return next(csv.reader(io.TextIOWrapper(inflated, "utf-8", newline="")), [])


def read_csv(path: Path, key: str, names: Iterable[str], longest_row: int) -> str:
    """Write the table function that reads a CSV file as it is meant: nothing is NULL, and ``""`` the empty string."""
    columns = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in names)
    longest = max(longest_row + 2, LINE_BYTES)
    return (
        f"read_csv({_text(str(path))}, auto_detect = false, header = true, columns = {{{columns}}}, delim = ',', "
        f"quote = '\"', escape = '\"', new_line = '\\n', nullstr = '', allow_quoted_nulls = false, "
        f"compression = '{'gzip' if key.endswith('.gz') else 'none'}', max_line_size = {longest}, "
        f"buffer_size = {4 * longest})"
    )


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


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
