"""The tail: row versions stamped later than the bound, which are still delivered exactly once.

A read has no upper end, so it finds rows with stamps beyond the bound: rows that are updated all the time, rows from
the future. They are delivered, and recorded by digest. The next read begins at the bound again, and leaves out the
recorded rows.
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
_LAST = "9999-99"  # later than every stamp


class TailFilter:
    """Finds the new rows of a block, and records those beyond the bound.

    A row is beyond the bound if one of its cursor columns is. Stamps are compared as the text MySQL writes, which
    sorts as time does.

    Parameters
    ----------
    cursor : sequence of int
        Positions of the cursor columns; if empty, no row is filtered.
    bounds : sequence of str
        Rows stamped later are recorded; 26 characters for each cursor column.
    delivered : Counter of bytes
        Digests in the last commit. A table without a key may have equal rows, hence the counts.
    delivered_latest : sequence of str, optional
        The greatest value of each cursor column among them; None where that is not known.
    """

    def __init__(
        self,
        cursor: Sequence[int],
        bounds: Sequence[str],
        delivered: Counter[bytes] | None = None,
        delivered_latest: Sequence[str] | None = None,
    ) -> None:
        self._cursor = tuple(cursor)
        self._bounds = [bound.encode() for bound in bounds]
        self._delivered = delivered if delivered is not None else Counter()
        latest = delivered_latest if delivered_latest is not None else [_LAST] * len(self._cursor)
        self._delivered_latest = [text.encode() for text in latest]
        self.digests: list[bytes] = []
        self._ordinals: list[int] = []  # for each digest, the number of the first row written at or after it, from 1
        self._written = 0
        self.latest = [b""] * len(self._cursor)
        self.left_out = 0

    @property
    def leaves_out(self) -> bool:
        """Whether there are still rows to leave out."""
        return bool(+self._delivered)

    def new_rows(self, block: Block | SpooledRow) -> npt.NDArray[np.bool_] | None:
        """Return the mask of the rows to deliver, None for all of them."""
        mask = self._new_rows(block) if self._cursor and block.rows else None
        self._written += block.rows if mask is None else int(mask.sum())
        return mask

    def digests_of(self, rows: int | None) -> list[bytes]:
        """Return the digests found within the first `rows` rows written, None for all of them."""
        return self.digests if rows is None else self.digests[: bisect_right(self._ordinals, rows)]

    def _new_rows(self, block: Block | SpooledRow) -> npt.NDArray[np.bool_] | None:
        stamps = [block.texts(column, STAMP_WIDTH) for column in self._cursor]
        beyond = np.zeros(block.rows, np.bool_)
        for values, bound in zip(stamps, self._bounds, strict=True):
            beyond |= values > bound
        known = np.full(block.rows, bool(self._delivered))
        if self._delivered:
            for values, latest in zip(stamps, self._delivered_latest, strict=True):
                known &= values <= latest
        suspects = np.flatnonzero(beyond | known)
        if not suspects.size:
            return None
        keep = np.ones(block.rows, dtype=np.bool_)
        first, left_out_before = self._written + 1, self.left_out
        for row in suspects.tolist():
            digest = block.digest(row)
            ordinal = first + row - (self.left_out - left_out_before)
            if known[row] and self._delivered.get(digest, 0):
                self._delivered[digest] -= 1
                self.left_out += 1
                keep[row] = False
            if beyond[row]:
                self.digests.append(digest)
                self._ordinals.append(ordinal)
                self.latest = [max(most, bytes(each[row])) for most, each in zip(self.latest, stamps, strict=True)]
        return None if keep.all() else keep


def pack(digests: Iterable[bytes]) -> bytes:
    """Write digests one after the other, sorted, so that equal sets are equal bytes."""
    return b"".join(sorted(digests))


def unpack(packed: bytes) -> Counter[bytes]:
    """Read what `pack` wrote."""
    return Counter(packed[start : start + DIGEST_BYTES] for start in range(0, len(packed), DIGEST_BYTES))
