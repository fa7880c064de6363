"""The digests of rows delivered ahead, where they are kept between two runs: ``_state/tails/``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rds_to_s3.bucket_keys import tail_key
from rds_to_s3.commit.state import Commit, Staged, Tail
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.scope.window import Window
from rds_to_s3.extract.stages.tail import TailFilter, pack, unpack
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.timestamps import format_timestamp


class KeptTails:
    """One invocation's dealings with a table's digests.

    Parameters
    ----------
    spec : TableSpec
    store : ObjectStore
    token : str
        Of this invocation.
    """

    def __init__(self, spec: TableSpec, store: ObjectStore, token: str) -> None:
        self._spec = spec
        self._store = store
        self._token = token
        self.warnings: list[str] = []

    def open(
        self, selection: Selection, window: Window, last: Commit | None, bounds: Sequence[str], *, comparable: bool
    ) -> TailFilter:
        """Return the filter of a read: it knows what the last commit delivered ahead.

        Parameters
        ----------
        bounds : sequence of str
            Where the next run reads from, for each cursor column.
        comparable : bool
            Whether the last commit was read by the same cursor columns.
        """
        delivered: Counter[bytes] = Counter()
        latest: Sequence[str] | None = None
        if window.uses_tail and last is not None:
            if last.tail is not None:
                latest = last.tail.latest_each if comparable else None
                for key in last.tail.keys:
                    if (stored := self._store.get(key)) is None:
                        self.warnings.append(
                            f"{key} is gone: rows that the last run delivered ahead may be delivered again"
                        )
                    else:
                        delivered += unpack(stored.body)
            if last.settled is not None and last.settled.edge and reads_settled(window, last):
                latest = None
                delivered += Counter(bytes.fromhex(digest) for digest in last.settled.edge)
        return TailFilter(selection.cursor_positions, bounds, delivered, latest)

    def save(self, tail: TailFilter, staged: Staged, *, rows: int | None = None) -> None:
        """Record the digests of what was delivered ahead; with `rows`, among the first so many rows written."""
        digests = tail.digests_of(rows)
        if not digests:
            return
        key = tail_key(self._spec.name, self._spec.format, self._token)
        self._store.put(key, pack(digests))
        if key not in staged.tail_keys:
            staged.tail_keys = [*staged.tail_keys, key]
        staged.tail_count += len(digests) - tail.saved
        tail.saved = len(digests)
        latest = [text.decode("ascii") for text in tail.latest]
        staged.tail_latest = list(map(max, staged.tail_latest, latest)) if staged.tail_latest else latest


def committed_tail(staged: Staged) -> Tail | None:
    """Return what a commit says of the digests, None where there are none."""
    if not staged.tail_keys:
        return None
    return Tail(keys=staged.tail_keys, count=staged.tail_count, latest_each=staged.tail_latest)


def reads_settled(window: Window, last: Commit) -> bool:
    """Return whether a window begins before the end of the last read."""
    return window.read_from is None or format_timestamp(window.read_from) < str(last.read_from)
