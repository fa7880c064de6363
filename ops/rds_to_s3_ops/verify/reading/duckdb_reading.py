"""DuckDB for `verify --source`: on disk, with a memory limit, and with our CSV's meaning of NULL."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rds_to_s3.formats.zstd_stream import zstd_library
from rds_to_s3_ops.errors import InvalidInputError, VerificationError
from rds_to_s3_ops.warehouses import duckdb as duckdb_sql
from rds_to_s3_ops.warehouses.deliveries import compression_of

if TYPE_CHECKING:
    import duckdb

_UNREADABLE = (pa.ArrowException, OSError, EOFError, UnicodeError, csv.Error, zlib.error)


def open_duckdb(folder: Path, memory: str) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB database on disk with a memory limit.

    Raises
    ------
    InvalidInputError
        DuckDB is not installed, or the limit is not valid.
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


@contextmanager
def reading_errors(what: str) -> Iterator[None]:
    """Turn an error of a file, of Arrow or of DuckDB into one line.

    Parameters
    ----------
    what : str
        A file's key, or a table.

    Raises
    ------
    VerificationError
    """
    try:
        yield
    except Exception as error:
        # An extra: if it is not imported, the error is not DuckDB's.
        duckdb: Any = sys.modules.get("duckdb")
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        if isinstance(error, (MemoryError, *([duckdb.OutOfMemoryException] if duckdb else []))):
            reason = f"exceeds the memory limit, so raise --memory, or set TMPDIR to a directory with space: {first}"
        elif isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            reason = f"needs more disk space, so set TMPDIR to a directory with space: {first}"
        elif isinstance(error, (*_UNREADABLE, *([duckdb.Error] if duckdb else []))):
            reason = f"cannot be read: {first}"
        else:
            raise
        raise VerificationError(f"{what} {reason}") from error


def csv_header(path: Path, key: str) -> list[str]:
    """Return the column names of a CSV file, compressed or not."""
    with path.open("rb") as stored:
        inflated: Any = gzip.GzipFile(fileobj=stored) if key.endswith(".gz") else stored
        if key.endswith(".zst"):
            inflated = zstd_library().ZstdFile(stored)
        return next(csv.reader(io.TextIOWrapper(inflated, "utf-8", newline="")), [])


def read_csv(
    path: Path, key: str, names: Iterable[str], longest_row: int, *, least_line_bytes: int = duckdb_sql.LINE_BYTES
) -> str:
    """Return the table function that reads a CSV file: an empty field is NULL, and ``""`` the empty string.

    Parameters
    ----------
    longest_row, least_line_bytes : int
        DuckDB's buffer has four times the larger of the two.
    """
    return duckdb_sql.read_csv(
        str(path), names, compression=compression_of(key), longest_row=longest_row, least_line_bytes=least_line_bytes
    )
