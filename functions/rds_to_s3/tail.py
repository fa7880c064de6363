"""The tail: row versions stamped later than the bound, delivered once all the same.

A read has no upper end, so it meets rows whose stamps lie beyond the bound: rows that are updated all the time, rows
from the future. They are delivered, and remembered by a digest; the next read, which begins at the bound again,
leaves out what it remembers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from rds_to_s3.rows import Block, SpooledRow

DIGEST_BYTES = 16
STAMP_WIDTH = 26  # YYYY-MM-DD HH:MM:SS.ffffff


class TailFilter:
    """Tells which rows of a block are new, and remembers those beyond the bound.

    Stamps are compared as the text MySQL writes, which sorts as time does.

    Parameters
    ----------
    cursor : sequence of int
        Positions of the modified and the created column, the one that counts first. Empty: nothing is filtered.
    bound : str
        Rows stamped later are remembered; 26 characters.
    delivered : Counter of bytes
        Digests that the last commit remembers. A table without a key may hold equal rows, hence the counts.
    delivered_latest : str, optional
        The greatest stamp among them.
    """

    def __init__(
        self,
        cursor: Sequence[int],
        bound: str,
        delivered: Counter[bytes] | None = None,
        delivered_latest: str | None = None,
    ) -> None:
        self._cursor = tuple(cursor)
        self._bound = bound.encode()
        self._delivered = delivered if delivered is not None else Counter()
        self._delivered_latest = (delivered_latest or "").encode()
        self.digests: list[bytes] = []
        self._ordinals: list[int] = []  # of the first row written with or after each digest's, from 1
        self._written = 0
        self.latest = b""
        self.left_out_in_all = 0
        self.saved = 0

    def new_rows(self, block: Block | SpooledRow, *, sorted_by: int | None = None) -> npt.NDArray[np.bool_] | None:
        """Return the mask of the rows to deliver, None for all of them.

        Parameters
        ----------
        block : Block or SpooledRow
        sorted_by : int, optional
            The cursor column that the block is sorted by: its ends then tell whether a closer look is needed.
        """
        mask = self._new_rows(block, sorted_by) if self._cursor and block.rows else None
        self._written += block.rows if mask is None else int(mask.sum())
        return mask

    def digests_of(self, rows: int | None) -> list[bytes]:
        """Return the digests found within the first `rows` rows written, None for all of them."""
        return self.digests if rows is None else self.digests[: bisect_right(self._ordinals, rows)]

    def _new_rows(self, block: Block | SpooledRow, sorted_by: int | None) -> npt.NDArray[np.bool_] | None:
        if sorted_by is not None and self._ends_are_plain(block, sorted_by):
            return None
        stamps = block.texts(self._cursor[0], STAMP_WIDTH)
        for column in self._cursor[1:]:
            stamps = np.where(stamps == b"", block.texts(column, STAMP_WIDTH), stamps)
        beyond = stamps > self._bound
        known = (stamps <= self._delivered_latest) if self._delivered else np.zeros(block.rows, dtype=np.bool_)
        suspects = np.flatnonzero(beyond | known)
        if not suspects.size:
            return None
        keep = np.ones(block.rows, dtype=np.bool_)
        first, left_out = self._written + 1, self.left_out_in_all
        for row in suspects.tolist():
            digest = block.digest(row)
            ordinal = first + row - (self.left_out_in_all - left_out)
            if known[row] and self._delivered.get(digest, 0):
                self._delivered[digest] -= 1
                self.left_out_in_all += 1
                keep[row] = False
            if beyond[row]:
                self.digests.append(digest)
                self._ordinals.append(ordinal)
                self.latest = max(self.latest, bytes(stamps[row]))
        return None if keep.all() else keep

    def _ends_are_plain(self, block: Block | SpooledRow, column: int) -> bool:
        last = block.value(block.rows - 1, column)
        if last is None or last > self._bound:
            return False
        first = block.value(0, column)
        return not self._delivered or (first is not None and first > self._delivered_latest)


def pack(digests: Iterable[bytes]) -> bytes:
    """Write digests one after the other, sorted, so that equal sets are equal bytes."""
    return b"".join(sorted(digests))


def unpack(packed: bytes) -> Counter[bytes]:
    """Read what `pack` wrote."""
    return Counter(packed[start : start + DIGEST_BYTES] for start in range(0, len(packed), DIGEST_BYTES))
