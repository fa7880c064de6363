"""Data files in no manifest: those of an execution that was stopped before it could write one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from rds_to_s3.bucket_keys import segment
from rds_to_s3.commit.state import pending_of
from rds_to_s3_ops.findings import Finding, failed, passed

if TYPE_CHECKING:
    from rds_to_s3_ops.deployment.bucket import Bucket

CHECK = "files in manifests"
_STATES = "_state/tables/"
_PLACES = {"csv": "data", "parquet": "data", "quarantine": "quarantine", "deletes": "deletes"}
_SHOWN = 5


@dataclass(frozen=True)
class UnreportedFile:
    """A data file that is in no manifest.

    Attributes
    ----------
    run_id : str or None
        The run that extracted it, if the table's state still has it. Then the next run of the table reports the file.
    """

    key: str
    table: str
    run_id: str | None

    def as_json(self) -> dict[str, str | None]:
        """Return what ``verify --json`` prints."""
        return {"key": self.key, "table": self.table, "run_id": self.run_id}


def unreported_files(
    bucket: Bucket, running: Callable[[], Collection[str]], tables: Collection[str] | None = None
) -> list[UnreportedFile]:
    """Find the files that are in no manifest, of all tables or of some. Takes eight bytes of memory a file.

    Leaves out the files of running runs, and files older than the first manifest.

    Parameters
    ----------
    running : callable
        Returns the running runs. Called after the files are listed and before the manifests are read: a run whose files
        are listed is then still running, or has its manifest.
    """
    states = _states(bucket, tables)
    listed = np.sort(np.fromiter((_digest(key) for key, _ in _files(bucket, states)), np.uint64))
    busy = set(running())
    named: list[Any] = []
    first: datetime | None = None
    for manifest in bucket.newest_manifests():
        named.append(np.fromiter(map(_digest, manifest.keys), np.uint64))
        first = datetime.fromisoformat(manifest.started_at)
    missing = set(np.setdiff1d(listed, np.concatenate(named) if named else np.array([], np.uint64)).tolist())
    if not missing:
        return []
    runs = {key: run_id for name, of_format in states for key, run_id in _chain(bucket, name, of_format)}
    return [
        UnreportedFile(key, unquote(key.partition("/")[0]), runs.get(key))
        for key, written in _files(bucket, states)
        if _digest(key) in missing
        and runs.get(key) not in busy
        and (key in runs or (first is not None and written >= first))
    ]


def check_unreported(files: list[UnreportedFile]) -> Finding:
    """Return the finding of the files in no manifest, and what to do."""
    if not files:
        return passed(CHECK, "every data file is in a manifest, or its run is still running")
    return failed(CHECK, described(files), remedy(files))


def described(files: list[UnreportedFile]) -> str:
    """Return a line that counts the files and lists the first keys."""
    shown = ", ".join(f"{file.key} (run {file.run_id or 'unknown'})" for file in files[:_SHOWN])
    more = f", and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return f"{len(files)} data file{'s are' if len(files) > 1 else ' is'} in no manifest: {shown}{more}"


def remedy(files: list[UnreportedFile]) -> str:
    """Return how to get the files into a manifest."""
    known = sorted({file.table for file in files if file.run_id is not None})
    steps = []
    if known:
        names = " ".join(f"--table {name}" for name in known)
        steps.append(
            f"the next run of the table will report them (list it first if it is not listed): rds-to-s3 run {names}"
        )
    if any(file.run_id is None for file in files):
        steps.append("no run will report files of an unknown run: load them once by hand, or move them")
    return "; ".join(steps)


def _states(bucket: Bucket, tables: Collection[str] | None) -> list[tuple[str, str]]:
    """Return (table, format) of every table with a state, listed or not."""
    wanted = None if tables is None else {segment(name) for name in tables}
    found = []
    for item in bucket.listed(_STATES):
        name, _, file = item.key.removeprefix(_STATES).partition("/")
        if (wanted is None or name in wanted) and file.endswith(".json"):
            found.append((unquote(name), file.removesuffix(".json")))
    return found


def _files(bucket: Bucket, states: list[tuple[str, str]]) -> Iterator[tuple[str, datetime]]:
    for name in sorted({segment(table) for table, _ in states}):
        for place, word in _PLACES.items():
            pattern = re.compile(rf"{re.escape(name)}_{word}_\d{{8}}_\d{{6}}(_part\d+)?\.")
            for item in bucket.listed(f"{name}/{place}/"):
                if pattern.match(item.key.rpartition("/")[2]):
                    yield item.key, item.written_at


def _chain(bucket: Bucket, table: str, file_format: str) -> Iterator[tuple[str, str]]:
    commit = bucket.table_state(table, file_format).commit
    for each in pending_of(commit):
        yield from ((key, each.run_id) for key in each.keys)
    if commit is not None and not commit.applied:
        yield from ((file.key, commit.run_id) for file in commit.every_file)


def _digest(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
