"""DuckDB as `verify --source` uses it: on disk, within a bound of memory, and reading a CSV file as it is meant."""

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

from rds_to_s3_ops.errors import InvalidInputError, VerificationError
from rds_to_s3_ops.warehouses.sql import text

if TYPE_CHECKING:
    import duckdb

LINE_BYTES = 2 << 20
_UNREADABLE = (pa.ArrowException, OSError, EOFError, UnicodeError, csv.Error, zlib.error)


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


@contextmanager
def reading_errors(what: str) -> Iterator[None]:
    """Tell what goes wrong with a file, with Arrow or with DuckDB, in one line.

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
        # An extra: where nobody has imported it, the error is not its own.
        duckdb: Any = sys.modules.get("duckdb")
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        if isinstance(error, (MemoryError, *([duckdb.OutOfMemoryException] if duckdb else []))):
            reason = (
                f"takes more memory than it may, so raise --memory, or point TMPDIR to where there is room: {first}"
            )
        elif isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            reason = f"needs more room on disk, so point TMPDIR to where there is some: {first}"
        elif isinstance(error, (*_UNREADABLE, *([duckdb.Error] if duckdb else []))):
            reason = f"cannot be read: {first}"
        else:
            raise
        raise VerificationError(f"{what} {reason}") from error


def csv_header(path: Path, key: str) -> list[str]:
    """Return the column names of a CSV file, gzipped or not."""
    with path.open("rb") as stored:
        inflated = gzip.GzipFile(fileobj=stored) if key.endswith(".gz") else stored
        return next(csv.reader(io.TextIOWrapper(inflated, "utf-8", newline="")), [])


def read_csv(
    path: Path, key: str, names: Iterable[str], longest_row: int, *, least_line_bytes: int = LINE_BYTES
) -> str:
    """Write the table function that reads a CSV file as it is meant: nothing is NULL, and ``""`` the empty string.

    Parameters
    ----------
    longest_row, least_line_bytes : int
        DuckDB's buffer has four times the larger of the two.
    """
    columns = ", ".join(f"{text(name)}: 'VARCHAR'" for name in names)
    # parallel: threads would begin at the buffers' edges, and take a line break inside quotes there for a row's end.
    longest = max(longest_row + 2, least_line_bytes)
    return (
        f"read_csv({text(str(path))}, auto_detect = false, header = true, columns = {{{columns}}}, delim = ',', "
        f"quote = '\"', escape = '\"', new_line = '\\n', nullstr = '', allow_quoted_nulls = false, "
        f"compression = '{'gzip' if key.endswith('.gz') else 'none'}', max_line_size = {longest}, "
        f"buffer_size = {4 * longest}, parallel = false)"
    )
