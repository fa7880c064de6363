"""What a bucket has to load of each table: its commits in their order, read from all manifests.

A commit is the unit of a load, not a run: the manifest of a redriven run lists old files beside new ones, and a
manifest may also report the commits of a stopped run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from rds_to_s3.plan.execution import parse_utc
from rds_to_s3_ops.errors import LoadError, UnreadableError

if TYPE_CHECKING:
    from rds_to_s3.commit.entries import ColumnEntry, FileEntry, TableEntry
    from rds_to_s3.reported.manifest import Manifest


@dataclass(frozen=True)
class DeliveredFile:
    """A file of a commit.

    Attributes
    ----------
    names : tuple of str
        Its columns, in its order.
    """

    key: str
    rows: int
    bytes: int
    sha256: str
    names: tuple[str, ...]

    @property
    def format(self) -> str:
        """``csv`` or ``parquet``."""
        return "parquet" if self.key.endswith(".parquet") else "csv"

    @property
    def compression(self) -> str:
        """``none``, ``gzip`` or ``zstd`` of CSV."""
        return compression_of(self.key)


@dataclass(frozen=True)
class Delivery:
    """One commit of a table.

    Attributes
    ----------
    sequence : int
        Its place among the commits of the table.
    after, until : str or None
        Its window.
    is_whole : bool
        Whether it has every row of the table, so that it replaces everything before it.
    key : tuple of str
        The columns to merge by; empty if the files have none.
    columns : tuple of ColumnEntry
        The types of the files' columns, as far as the manifest has them.
    warnings : tuple of str
        Those of the manifest.
    chain : str or None
        The format, if deletes are tracked: each format has deletes of its own. None where that is not known.
    """

    table: str
    sequence: int
    run_id: str
    after: str | None
    until: str | None
    is_whole: bool
    key: tuple[str, ...]
    columns: tuple[ColumnEntry, ...]
    files: tuple[DeliveredFile, ...] = ()
    deletes: tuple[DeliveredFile, ...] = ()
    warnings: tuple[str, ...] = ()
    chain: str | None = None

    @property
    def rows(self) -> int:
        """The rows in its files."""
        return sum(file.rows for file in self.files)

    @property
    def deleted_rows(self) -> int:
        """The keys in its deletes files."""
        return sum(file.rows for file in self.deletes)

    @property
    def bytes(self) -> int:
        """The bytes of all its files."""
        return sum(file.bytes for file in (*self.files, *self.deletes))

    @property
    def is_to_load(self) -> bool:
        """Whether it changes a warehouse."""
        return bool(self.files or self.deletes or self.is_whole)


@dataclass
class TableHistory:
    """The commits of one table, in their order.

    Attributes
    ----------
    commits : list of Delivery
        All of them, also those that change no row.
    failed : str or None
        The table's error in its newest run, if it failed there.
    """

    table: str
    commits: list[Delivery] = field(default_factory=list)
    failed: str | None = None

    @property
    def deliveries(self) -> list[Delivery]:
        """Those that change a warehouse."""
        return [each for each in self.commits if each.is_to_load]

    @property
    def retyped(self) -> set[str]:
        """The columns that had another type before."""
        types = {(column.name, column.type) for each in self.commits for column in each.columns}
        names = [name for name, _ in types]
        return {name for name in names if names.count(name) > 1}

    @property
    def since_whole(self) -> list[Delivery]:
        """The commits from the last whole one on: no other changes what a warehouse has in the end."""
        deliveries = self.deliveries
        start = max((place for place, each in enumerate(deliveries) if each.is_whole), default=0)
        return deliveries[start:]

    def since(self, run_id: str, started_at: str) -> list[Delivery]:
        """Return the commits that a run's manifest reports, and all later ones.

        Raises
        ------
        LoadError
            They cannot be applied one after the other.
        """
        begin = int(parse_utc(started_at).timestamp() * 1000)
        self._refuse_other_format()
        commits = self.since_whole
        first = min((each.sequence for each in commits if each.run_id == run_id), default=begin)
        wanted = [each for each in commits if each.sequence >= min(first, begin)]
        self._refuse_changed_key(commits, wanted)
        return wanted

    def pending(self, loaded: Collection[int]) -> list[Delivery]:
        """Return the commits to apply, in order, in a warehouse that has some.

        If a commit appears late, since its run was slow, those after it are applied again: the newest version wins.
        Rows without a key have no versions, so there each commit is applied once.

        Parameters
        ----------
        loaded : collection of int
            The sequence numbers of the applied commits.

        Raises
        ------
        LoadError
            The bucket does not have what is needed to bring the warehouse up to date.
        """
        self._refuse_other_format()
        commits = self.since_whole
        if not commits:
            return []
        first = commits[0]
        if first.is_whole and first.sequence not in loaded:
            pending = commits
        else:
            missing = [place for place, each in enumerate(commits) if each.sequence not in loaded]
            if not missing:
                return []
            pending = commits[missing[0] :] if first.key else [commits[place] for place in missing]
            if not first.is_whole and not loaded:
                raise LoadError(
                    f"table {self.table!r}: the first commit in any manifest, of run {first.run_id}, continues after "
                    f"{first.after}; what was extracted before is unknown. Extract everything again: "
                    f"rds-to-s3 rewind {self.table} --all, then rds-to-s3 run --table {self.table}"
                )
        self._refuse_changed_key(commits, pending)
        return pending

    def gaps(self, loaded: Collection[int]) -> list[str]:
        """Return a warning for each window that should be between two commits, and that no manifest has."""
        return [
            f"no manifest has the window from {before.until} to {after.after}: a run that is still going or was "
            f"stopped may have extracted it, and its manifest or that of a later run will list it"
            for before, after in pairwise(self.commits)
            if after.sequence not in loaded and after.after and before.until and after.after > before.until
        ]

    def _refuse_other_format(self) -> None:
        """Refuse a table whose deletes may be in no file: those of rows that only files of another format have."""
        begin = max((place for place, each in enumerate(self.commits) if each.is_whole), default=0)
        chained = [each for each in self.commits[begin:] if each.chain is not None]
        for before, after in pairwise(chained):
            if before.chain != after.chain:
                raise LoadError(
                    f"table {self.table!r}: run {after.run_id} continues the files in {after.chain} after "
                    f"{after.after}, and other runs have written {before.chain} since: a row that was deleted in "
                    "between may be in no deletes file. Extract everything again, and then load: "
                    f"rds-to-s3 rewind {self.table} --all"
                )

    def _refuse_changed_key(self, commits: Sequence[Delivery], pending: Sequence[Delivery]) -> None:
        anew = f"Extract everything again, and then load: rds-to-s3 rewind {self.table} --all"
        for before, after in pairwise(commits):
            if set(before.key) != set(after.key):
                raise LoadError(
                    f"table {self.table!r}: its key is {_names(after.key)} since run {after.run_id}, and was "
                    f"{_names(before.key)}: loaded rows cannot be merged by another key. {anew}"
                )
        if commits[0].key:
            return
        end = ""
        for each in commits:
            if each in pending and each.after is not None and each.after < end:
                raise LoadError(
                    f"table {self.table!r} has no key, and run {each.run_id} extracted rows again, from {each.after} "
                    f"on, which an earlier run had extracted up to {end}: they would be there twice. {anew}"
                )
            end = max(end, each.until or "")


def histories(manifests: Iterable[Manifest], tables: Container[str] | None = None) -> dict[str, TableHistory]:
    """Return the history of each table, by name.

    Parameters
    ----------
    tables : container of str, optional
        Only these.
    """
    found: dict[str, TableHistory] = {}
    newest_run: dict[str, str] = {}
    places: dict[str, dict[int, Delivery]] = defaultdict(dict)
    for manifest in manifests:
        for entry in manifest.tables:
            if tables is not None and entry.table not in tables:
                continue
            history = found.setdefault(entry.table, TableHistory(entry.table))
            if manifest.started_at >= newest_run.get(entry.table, ""):
                newest_run[entry.table] = manifest.started_at
                history.failed = f"{entry.error}" if entry.error is not None else None
            for delivery in deliveries_of(manifest, entry):
                _add(places[entry.table], delivery)
    for table, history in found.items():
        history.commits = [each for _, each in sorted(places[table].items())]
    return found


def _add(places: dict[int, Delivery], delivery: Delivery) -> None:
    before = places.get(delivery.sequence)
    if before is not None and before.is_to_load and delivery.is_to_load and before.files != delivery.files:
        raise UnreadableError(
            f"runs {before.run_id} and {delivery.run_id} report different commits of table {delivery.table!r} with the "
            f"number {delivery.sequence}: one of their manifests was changed, or comes from another bucket"
        )
    if before is None or delivery.is_to_load:
        places[delivery.sequence] = delivery


def deliveries_of(manifest: Manifest, entry: TableEntry) -> list[Delivery]:
    """Return the commits that an entry reports, the oldest first."""
    if entry.status not in {"SUCCEEDED", "UNCHANGED"} or not entry.columns:
        return []
    # An earlier release gave commits no number. Numbers begin at the time, so the time fits in between.
    ended = parse_utc(entry.finished_at or manifest.started_at)
    own = entry.sequence or int(ended.timestamp() * 1000)
    rows, deletes = _by_commit(entry.files, own), _by_commit(entry.deletes, own)
    numbers = sorted({*rows, *deletes, own})
    types = {column.name: column for column in entry.columns}
    commits = []
    for place, number in enumerate(numbers):
        files = tuple(_file(file, entry.names) for file in rows[number])
        gone = tuple(_file(file, entry.key) for file in deletes[number])
        written_as = entry.format if number == own else next((file.format for file in files), None)
        names = dict.fromkeys(name for file in files for name in file.names) if number != own else types
        commits.append(
            Delivery(
                table=entry.table,
                sequence=number,
                run_id=manifest.run_id,
                after=entry.window.after if not place else None,
                until=entry.window.until,
                is_whole=entry.is_whole and not place,
                key=gone[0].names if gone and entry.key else tuple(entry.key),
                columns=tuple(types[name] for name in names if name in types),
                files=files,
                deletes=gone if entry.key else (),
                warnings=tuple(entry.warnings),
                chain=written_as if entry.has("deleted_rows") else None,
            )
        )
    return commits


def _by_commit(files: Iterable[FileEntry], own: int) -> dict[int, list[FileEntry]]:
    found: dict[int, list[FileEntry]] = defaultdict(list)
    for file in files:
        found[file.sequence or own].append(file)
    return found


def _file(file: FileEntry, names: Sequence[str]) -> DeliveredFile:
    return DeliveredFile(file.key, file.rows, file.bytes, file.sha256, tuple(file.columns or names))


def compression_of(key: str) -> str:
    """Return the compression of a CSV file by its name: ``none``, ``gzip`` or ``zstd``."""
    return {"gz": "gzip", "zst": "zstd"}.get(key.rpartition(".")[2], "none")


def _names(key: Sequence[str]) -> str:
    return f"({', '.join(key)})" if key else "none"
