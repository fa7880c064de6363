"""The leftovers of killed invocations of a table, and the only code that removes them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rds_to_s3.bucket_keys import key_runs_prefix, ledger_prefix, ranges_prefix, seen_prefix, tail_key
from rds_to_s3.commit.state import Staged, TableState
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.s3.side_by_side import side_by_side


@dataclass(frozen=True)
class Strays:
    """Uploads, digests, keys and unique columns' values that no document names.

    Attributes
    ----------
    keys : list of str
        Below ``_state/``; each contains the token of the invocation that made it, so none is made a second time.
    """

    uploads: list[tuple[str, str]]
    keys: list[str]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.uploads or self.keys)

    def remove(self, store: ObjectStore, seconds: float) -> None:
        """Remove them within the time. The rest is invisible, and the next invocation finds it."""
        until = time.monotonic() + seconds

        def abort(upload: tuple[str, str]) -> bool:
            store.abort_upload(*upload)
            return True

        def delete(key: str) -> bool:
            store.delete(key)
            return True

        for progress in (
            side_by_side(abort, self.uploads, seconds),
            side_by_side(delete, self.keys, until - time.monotonic()),
        ):
            if progress.error is not None:
                raise progress.error


def find_strays(
    store: ObjectStore,
    state: TableState,
    prefixes: Sequence[str],
    staged: Staged | None,
    *,
    keeps: tuple[bool, bool, bool] = (True, True, True),
) -> Strays:
    """List the objects that neither the last commit nor `staged` names.

    Each listing is a request per table and run. So only the prefixes that the table uses are listed: by its settings,
    `keeps` (delivered keys, values of unique columns, a ledger), or by what the state names of former settings.

    Before removing them, and after this listing, the caller must confirm in the table's state that it still holds the
    lease. A successor takes the lease before it makes any object, so a confirmed listing has none of its objects.
    """
    kept = {file.upload_id for file in staged.every_file} if staged else set()
    commit = state.commit
    named: set[str] = set()
    if staged is not None:
        named |= {*staged.objects}
    ledger = commit.ledger if commit is not None else None
    if ledger is not None:
        named |= {*ledger.objects}
    if commit is not None:
        named |= {*(commit.tail.keys if commit.tail else []), *(run.key for run in commit.key_runs)}
    table, file_format = state.table, state.format
    progress = [each for each in (state.staged, staged) if each is not None]
    had_keys = bool(commit and commit.key_runs) or any(each.delivered.runs for each in progress)
    had_values = any(each.checked.seen for each in progress)
    places = [tail_key(table, file_format, "").removesuffix(".bin")]
    places += [key_runs_prefix(table, file_format)] * (keeps[0] or had_keys)
    places += [seen_prefix(table, file_format)] * (keeps[1] or had_values)
    had_ledger = ledger is not None or any(each.recorded.objects for each in progress)
    places += [ledger_prefix(table, file_format)] * (keeps[2] or had_ledger)
    places += [ranges_prefix(table, file_format)] * state.has_ranges
    return Strays(
        uploads=[found for prefix in prefixes for found in store.uploads(prefix) if found[1] not in kept],
        keys=[key for place in places for key in store.keys(place) if key not in named],
    )
