"""The first stage: leaves out the rows that the last run delivered ahead, and records this run's.

The digests are stored between two runs under ``_state/tails/``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rds_to_s3.bucket_keys import tail_key
from rds_to_s3.commit.state import Commit, Staged, Tail
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.scope.window import Window, reads_settled
from rds_to_s3.extract.stages.stage import Checkpoint, PositionOf, Stage
from rds_to_s3.extract.stages.tail import TailFilter, pack, unpack
from rds_to_s3.formats import Rows
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.s3.objects import ObjectStore


class DeliveredAhead(Stage):
    """The stage of one invocation.

    Parameters
    ----------
    token : str
        Of this invocation.
    """

    def __init__(self, spec: TableSpec, store: ObjectStore, token: str, tail: TailFilter) -> None:
        self._store = store
        self._key = tail_key(spec.name, spec.format, token)
        self._tail = tail
        self._saved = 0

    @property
    def held_back(self) -> int:
        """The rows that were delivered before."""
        return self._tail.left_out

    def take(self, rows: Rows, _position_of: PositionOf, /) -> Rows:
        """Leave out the rows delivered ahead."""
        mask = self._tail.new_rows(rows)
        return rows if mask is None else rows.keep(mask)

    def checkpoint(self, at: Checkpoint, /) -> None:
        """Store the digests of the rows delivered ahead."""
        digests = self._tail.digests_of(at.rows)
        if not digests:
            return
        self._store.put(self._key, pack(digests))
        ahead = at.staged.ahead
        if self._key not in ahead.keys:
            ahead.keys = [*ahead.keys, self._key]
        ahead.count += len(digests) - self._saved
        self._saved = len(digests)
        latest = [text.decode("ascii") for text in self._tail.latest]
        ahead.latest = list(map(max, ahead.latest, latest)) if ahead.latest else latest


def open_tail(
    selection: Selection,
    window: Window,
    last: Commit | None,
    bounds: Sequence[str],
    store: ObjectStore,
    *,
    comparable: bool,
) -> tuple[TailFilter, list[str]]:
    """Return the filter of a read, with the rows that the last commit delivered ahead, and warnings.

    Parameters
    ----------
    bounds : sequence of str
        The lower end of the next run's read, for each cursor column.
    comparable : bool
        Whether the last commit was read by the same cursor columns.
    """
    delivered: Counter[bytes] = Counter()
    latest: Sequence[str] | None = None
    warnings = []
    if window.uses_tail and last is not None:
        if last.tail is not None:
            latest = last.tail.latest_each if comparable else None
            for key in last.tail.keys:
                if (stored := store.get(key)) is None:
                    warnings.append(f"{key} is gone: rows that the last run delivered ahead may be delivered again")
                else:
                    delivered += unpack(stored.body)
        if last.settled is not None and last.settled.edge and reads_settled(window, last):
            latest = None
            delivered += Counter(bytes.fromhex(digest) for digest in last.settled.edge)
    return TailFilter(selection.cursor_positions, bounds, delivered, latest), warnings


def committed_tail(staged: Staged) -> Tail | None:
    """Return a commit's tail, None where there is none."""
    if not staged.ahead.keys:
        return None
    return Tail(keys=staged.ahead.keys, count=staged.ahead.count, latest_each=staged.ahead.latest)
