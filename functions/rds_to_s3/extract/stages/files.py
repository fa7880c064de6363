"""The files of one window: split at row boundaries, numbered, and staged invisibly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from rds_to_s3.bucket_keys import LAST_PART, data_key, data_stem, part_of, segment, side_key, side_prefix
from rds_to_s3.commit.read_as import Position
from rds_to_s3.commit.staged_upload import OpenFile, Uploader
from rds_to_s3.commit.state import StagedFile
from rds_to_s3.errors import CannotResumeError
from rds_to_s3.extract.stages.stage import Checkpoint, PositionOf, Stage
from rds_to_s3.formats import OutputColumn, RowEncoder, Rows, open_encoder
from rds_to_s3.formats.csv import EXTENSIONS
from rds_to_s3.plan.table_list import TableSpec

PIECES = 16  # of a compressed file; its size is known only after each piece

MANY_FILES = 1000
"""So many files of one window have the target size; from then on files grow, so that no setting makes a file a row."""
LEAST_OF_MANY = 1024 * 1024
LARGEST_OF_MANY = 8 * 1024**3
ALL_NUMBERS = range(1, LAST_PART + 1)


def size_of_next(target_bytes: int, files: int, *, left: int = 1, numbers: int = 1) -> int:
    """Return the size at which the next file of a window ends.

    Each file takes some requests to S3 and a place in the table's state, while the database keeps a snapshot. With this
    rule a window of 1 TiB has 8,100 files at most, and one of 1 GiB 2,000, whatever the target is.

    Parameters
    ----------
    target_bytes : int
        The table list's.
    files : int
        How many the window has.
    left, numbers : int
        How many part numbers are left, and how many there were. Each time that half of the rest is used, files become
        four times as large: rows that are more than was estimated find room.

    Examples
    --------
    >>> [size_of_next(100, files) // 1024 for files in (0, 999, 1000, 2000, 3000)]
    [0, 0, 1024, 2048, 4096]
    >>> [size_of_next(100, 0, left=left, numbers=100) for left in (100, 51, 50, 25)]
    [100, 100, 400, 1600]
    """
    size = target_bytes
    if files >= MANY_FILES:
        size = max(size, LEAST_OF_MANY) << (files // MANY_FILES - (size < LEAST_OF_MANY))
    halvings = (numbers // left).bit_length() - 1
    return max(target_bytes, min(size << 2 * halvings, LARGEST_OF_MANY))


@dataclass
class FileSeries:
    """The files of one window: split at row boundaries and numbered, with the end of the last finished one.

    Parameters
    ----------
    key : callable
        Returns the key of the nth part.
    next_part : callable
        Returns the number of the first file. Called when it is opened: most windows have no file.
    numbers : range
        The part numbers that may be used.

    Attributes
    ----------
    finished_at : Position or None
        The position after the last of them.
    finished_rows : int
        The number of rows up to there.
    recorded : int
        The number of finished files in a checkpoint.
    earlier : int
        The number of files that earlier invocations of the read have staged.
    inexact : Counter
        Values that files not yet in a checkpoint cannot store exactly, by what happened to them.
    """

    uploader: Uploader
    key: Callable[[int, str], str]
    columns: Sequence[OutputColumn]
    file_format: str
    compression: str
    target_bytes: int
    next_part: Callable[[], int]
    numbers: range = ALL_NUMBERS
    finished: list[StagedFile] = field(default_factory=list)
    finished_at: Position | None = None
    finished_rows: int = 0
    rows: int = 0
    inexact: Counter[str] = field(default_factory=Counter)
    recorded: int = 0
    earlier: int = 0
    _first: int | None = None
    _file: OpenFile | None = None
    _encoder: RowEncoder | None = None
    _file_rows: int = 0
    _file_bytes: int = 0
    _payload: int = 0

    def write(self, block: Rows, position_of: Callable[[int], Position]) -> None:
        """Write rows, and start a new file where the target size is reached.

        Parameters
        ----------
        position_of : callable
            Returns the position of the block's nth row.
        """
        start = 0
        while start < block.rows:
            rest = block.slice(start, block.rows) if start else block
            if self._encoder is None:
                self._open()
            room = self._file_bytes - self._size()
            if self.compression != "none":
                # The bytes still to be compressed become fewer; row by row this would take too long.
                room = max(room, self._file_bytes // PIECES)
            count = max(1, rest.rows_within(room)) if rest.payload_bytes > room else rest.rows
            piece = rest.slice(0, count) if count < rest.rows else rest
            encoder = self._encoder
            assert encoder is not None  # noqa: S101 - opened above
            encoder.write(piece)
            self._file_rows += count
            self._payload += piece.payload_bytes
            self.rows += count
            start += count
            if self._size() >= self._file_bytes:
                self.close(position_of(start - 1))

    def write_empty(self, position: Position) -> None:
        """Write a file of a header alone, if there is no other."""
        if not self.finished:
            self._open()
            self.close(position)

    def close(self, position: Position) -> None:
        """Finish the open file, if any. Every row up to `position` is then in a finished file."""
        if self._encoder is not None and self._file is not None:
            self._encoder.close()
            self.inexact.update(self._encoder.inexact)
            self.finished.append(self._file.close(self._file_rows))
        self._file = self._encoder = None
        self.finished_at, self.finished_rows = position, self.rows

    def abort(self) -> None:
        """Discard the open file."""
        if self._file is not None:
            self._file.abort()
        self._file = self._encoder = None

    def take_finished(self) -> list[StagedFile]:
        """Return the files that are in no checkpoint yet."""
        new = self.finished[self.recorded :]
        self.recorded = len(self.finished)
        return new

    def _open(self) -> None:
        if self._first is None:
            self._first = self.next_part()
        number = self._first + len(self.finished)
        left = self.numbers.stop - number
        if left < 1:
            raise CannotResumeError(
                f"a window, or the range of it that one reader reads, has no part number after {number - 1}: "
                'raise target_file_bytes, or set "readers": 1'
            )
        extension = EXTENSIONS[self.compression] if self.file_format == "csv" else self.file_format
        files = self.earlier + len(self.finished)
        self._file_bytes = size_of_next(self.target_bytes, files, left=left, numbers=len(self.numbers))
        self._file = self.uploader.open(self.key(number, extension), largest_bytes=self._file_bytes)
        self._encoder = open_encoder(
            self.file_format, self.compression, self.columns, self._file.write, target_bytes=self._file_bytes
        )
        self._file_rows = self._payload = 0

    def _size(self) -> int:
        """Return the file's size, with an upper bound for the rows that the encoder still holds."""
        if self._file is None:
            return 0
        return max(self._file.bytes, self._payload) if self.compression == "none" else self._file.bytes


class DataFiles(Stage):
    """The last stage: writes the data files.

    Attributes
    ----------
    writes_always : bool
        Whether a window without rows has a file all the same, of a header alone.
    """

    def __init__(self, series: FileSeries) -> None:
        self.series = series
        self.writes_always = False

    def take(self, rows: Rows, position_of: PositionOf, /) -> Rows:
        """Write rows."""
        self.series.write(rows, lambda row: position_of(rows, row))
        return rows

    def close(self, position: Position, /) -> None:
        """Finish the open file."""
        self.series.close(position)

    def checkpoint(self, at: Checkpoint, /) -> None:
        """Record the finished files, and where the last of them ends."""
        staged = at.staged
        staged.written.files = [*staged.written.files, *self.series.take_finished()]
        if self.series.finished_at is not None:
            staged.written.position = self.series.finished_at
        staged.inexact = dict(Counter(staged.inexact) + self.series.inexact)
        self.series.inexact.clear()

    def abort(self) -> None:
        """Discard the open file."""
        self.series.abort()


@dataclass(frozen=True)
class WindowFiles:
    """Makes the series of files of one window.

    Parameters
    ----------
    stamp : str
        The window's end, as written in keys.
    next_part : callable
        Returns the first unused part number of the keys with a prefix.
    layouts : set of str
        The layouts in which files of this window's end may exist.
    numbers : range
        The part numbers that may be used.
    least_bytes : int
        The size of a file at least, where the table list's would need too many numbers.
    """

    spec: TableSpec
    stamp: str
    uploader: Uploader
    next_part: Callable[[str], int]
    layouts: AbstractSet[str] = frozenset({"flat"})
    numbers: range = ALL_NUMBERS
    least_bytes: int = 0

    def data(self, columns: Sequence[OutputColumn], *, before: Sequence[StagedFile]) -> FileSeries:
        """Return the files of the table's rows; earlier invocations of the read have staged `before`."""
        spec, stamp = self.spec, self.stamp
        return FileSeries(
            uploader=self.uploader,
            key=lambda number, extension: data_key(
                spec.name, spec.format, stamp, number, extension, layout=spec.layout
            ),
            columns=columns,
            file_format=spec.format,
            compression=spec.compression or "none",
            target_bytes=max(spec.target_file_bytes, self.least_bytes),
            next_part=lambda: _after(before, self._next_data_part()),
            numbers=self.numbers,
            earlier=len(before),
        )

    def side(self, kind: str, columns: Sequence[OutputColumn], *, before: Sequence[StagedFile]) -> FileSeries:
        """Return the files of quarantined or of deleted rows, always plain CSV."""
        spec, stamp = self.spec, self.stamp
        return FileSeries(
            uploader=self.uploader,
            key=lambda number, _: side_key(spec.name, kind, stamp, number),
            columns=columns,
            file_format="csv",
            compression="none",
            target_bytes=spec.target_file_bytes,
            next_part=lambda: _after(before, self.next_part(self._side_stem(kind))),
            numbers=self.numbers,
            earlier=len(before),
        )

    def free_part(self) -> int:
        """Return a part number that no file of rows has, and none of the later numbers either."""
        aside = self.spec.on_violation == "quarantine"
        return max(self._next_data_part(), self.next_part(self._side_stem("quarantine")) if aside else 1)

    def _next_data_part(self) -> int:
        spec = self.spec
        # One numbering for all layouts: readers order a window's files by their numbers.
        layouts = sorted(self.layouts | {spec.layout})
        return max(self.next_part(data_stem(spec.name, spec.format, self.stamp, layout)) for layout in layouts)

    def _side_stem(self, kind: str) -> str:
        return f"{side_prefix(self.spec.name, kind)}{segment(self.spec.name)}_{kind}_{self.stamp}"


def _after(before: Sequence[StagedFile], free: int) -> int:
    """Return the part number after those of staged files. Of a window that several read, some numbers are left out."""
    return max([free, *(part_of(file.key) + 1 for file in before)])


def side_prefixes(spec: TableSpec) -> list[str]:
    """Return the prefixes of a table's files that are not below its format's prefix."""
    kinds = ["quarantine"] * (spec.on_violation == "quarantine") + ["deletes"] * (spec.deletes == "track")
    return [side_prefix(spec.name, kind) for kind in kinds]
