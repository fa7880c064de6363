"""The data files in the bucket: their list, their order, and the comparison with the manifest."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rds_to_s3.bucket_keys import data_prefix, segment
from rds_to_s3_ops.deployment.aws import aws_errors
from rds_to_s3_ops.verify.reading.zstd_reading import INFLATING_ERRORS, new_inflater

if TYPE_CHECKING:
    from rds_to_s3.commit.entries import FileEntry
    from rds_to_s3.reported.manifest import Manifest
    from rds_to_s3_ops.deployment.bucket import Bucket

PIECE_BYTES = 1 << 20
SIDE_KINDS = ("deletes", "quarantine")
_GZIP = 16 + zlib.MAX_WBITS
_QUOTE, _LINE_END = ord('"'), ord("\n")


@dataclass
class CsvShape:
    """Counts a CSV file's rows chunk by chunk. A line end inside quotes does not end a row.

    Attributes
    ----------
    lines : int
        Including the header.
    longest : int
        The longest line in bytes.
    """

    lines: int = 0
    longest: int = 0
    _in_quotes: bool = False
    _since_line_end: int = 0

    def feed(self, piece: bytes) -> None:
        """Add the next bytes of the file."""
        data = np.frombuffer(piece, np.uint8)
        places = np.flatnonzero(data == _LINE_END)
        quotes = np.flatnonzero(data == _QUOTE)
        outside = (np.searchsorted(quotes, places) + self._in_quotes) % 2 == 0
        ends = places[outside]
        self.lines += len(ends)
        self._in_quotes = bool((len(quotes) + self._in_quotes) % 2)
        lengths = np.diff(ends, prepend=-1 - self._since_line_end)
        self.longest = max(self.longest, int(lengths.max(initial=0)))
        self._since_line_end = len(data) - int(ends[-1]) - 1 if len(ends) else self._since_line_end + len(data)

    @property
    def is_whole(self) -> bool:
        """Whether the file ends with a line end."""
        return not self._since_line_end and not self._in_quotes


@dataclass
class StoredFile:
    """The measured size, hash and rows of a file; None if unknown."""

    key: str
    bytes: int = 0
    sha256: str = ""
    rows: int | None = None
    longest_row: int = 0
    problem: str | None = None


@dataclass(frozen=True, order=True)
class TableFile:
    """A file of a table, parsed from its key. Sorts by window.

    Attributes
    ----------
    stamp : str
        The window's end, ``YYYYMMDD_HHMMSS``. Windows that ended in the same second share it.
    part : int
        The part's number among all files of its kind with that stamp, from any window.
    """

    stamp: str
    part: int
    key: str


@dataclass
class FileCheck:
    """One file, and its differences from the manifest."""

    key: str
    table: str
    run_id: str
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Return what ``verify --json`` prints."""
        return {"key": self.key, "table": self.table, "run_id": self.run_id, "problems": self.problems}


def named_files(
    manifests: Iterable[Manifest], wanted: Container[str] | None = None
) -> Iterator[tuple[str, str, FileEntry]]:
    """Yield run, table and file for every file in the manifests, each key once."""
    seen: set[bytes] = set()  # a digest of each key: there may be millions
    for manifest in manifests:
        for entry in manifest.tables:
            if wanted is None or entry.table in wanted:
                for file in entry.every_file:
                    digest = hashlib.blake2b(file.key.encode(), digest_size=8).digest()
                    if digest not in seen:
                        seen.add(digest)
                        yield manifest.run_id, entry.table, file


def check_file(bucket: Bucket, named: tuple[str, str, FileEntry], scratch: Path) -> FileCheck:
    """Read a file and compare it with its manifest entry.

    Parameters
    ----------
    named : tuple of run id, table, FileEntry
        As `named_files` yields it.
    scratch : Path
        A directory for a Parquet file while its footer is read.
    """
    run_id, table, file = named
    found = fetch(bucket, file.key, scratch / "checked")
    check = FileCheck(file.key, table, run_id)
    if found is None:
        check.problems.append("is missing")
        return check
    if found.problem:
        check.problems.append(found.problem)
    for name in ("bytes", "sha256", "rows"):
        is_now, said = getattr(found, name), getattr(file, name)
        if is_now is not None and is_now != said:
            check.problems.append(f"{name}: {is_now}, the manifest says {said}")
    return check


def fetch(bucket: Bucket, key: str, path: Path, *, keep: bool = False) -> StoredFile | None:
    """Read an object once for its size, hash and rows. With `keep`, or while counting, it is stored at `path`.

    Returns
    -------
    StoredFile or None
        None if the object does not exist.
    """
    with aws_errors():
        pieces = bucket.store.pieces(key, PIECE_BYTES)
        if pieces is None:
            return None
        found, digest, shape = StoredFile(key), hashlib.sha256(), CsvShape()
        is_parquet = key.endswith(".parquet")
        inflate = _inflater(key)
        with path.open("wb") as file:
            for piece in pieces:
                found.bytes += len(piece)
                digest.update(piece)
                if keep or is_parquet:
                    file.write(piece)
                if not is_parquet and found.problem is None:
                    try:
                        shape.feed(inflate(piece))
                    except INFLATING_ERRORS as error:
                        found.problem = f"is not {'gzip' if isinstance(error, zlib.error) else 'zstd'}"
    found.sha256 = digest.hexdigest()
    if is_parquet:
        _look_into_parquet(found, path)
    elif found.problem is None:
        found.rows, found.longest_row = max(shape.lines - 1, 0), shape.longest
        if not shape.is_whole:
            found.problem = "does not end with a line end"
    if not keep:
        path.unlink()
    return found


def table_files(bucket: Bucket, table: str, kind: str) -> list[TableFile]:
    """Return a table's files of one kind, oldest first: by window, then by part.

    Parameters
    ----------
    kind : {"csv", "parquet", "deletes", "quarantine"}
        A format, for the rows.
    """
    found = (table_file(table, kind, item.key) for item in bucket.listed(data_prefix(table, kind)))
    return sorted(file for file in found if file is not None)


def table_file(table: str, kind: str, key: str) -> TableFile | None:
    """Parse window and part in a key; None for the key of another kind."""
    word = kind if kind in SIDE_KINDS else "data"
    prefix, name = re.escape(data_prefix(table, kind)), re.escape(f"{segment(table)}_{word}_")
    folder = "" if kind in SIDE_KINDS else r"(?:dt=\d{4}-\d{2}-\d{2}/)?"  # of the layout `hive`
    match = re.match(rf"{prefix}{folder}{name}(\d{{8}}_\d{{6}})(?:_part(\d+))?\.", key)
    return TableFile(match[1], int(match[2] or 1), key) if match else None


def _inflater(key: str) -> Callable[[bytes], bytes]:
    if key.endswith(".zst"):
        return new_inflater()
    if not key.endswith(".gz"):
        return lambda piece: piece
    state = zlib.decompressobj(_GZIP)

    def inflate(piece: bytes) -> bytes:
        nonlocal state
        text = state.decompress(piece)
        while state.eof and state.unused_data:  # several members, one after the other
            rest, state = state.unused_data, zlib.decompressobj(_GZIP)
            text += state.decompress(rest)
        return text

    return inflate


def _look_into_parquet(found: StoredFile, path: Path) -> None:
    try:
        with pq.ParquetFile(path) as file:
            found.rows = file.metadata.num_rows
    except (pa.ArrowInvalid, OSError):
        found.problem = "is not Parquet"
