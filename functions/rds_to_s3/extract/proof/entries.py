"""Keys and digests of row versions, as the ledger's objects hold them: 32 bytes a row, in the order of the keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rds_to_s3.rows.keys import Keys, located, sorted_keys

GONE = 0
"""The digest of a key that is no longer in the table and has been counted; no row has it."""


@dataclass(frozen=True)
class Entries:
    """Row versions.

    Attributes
    ----------
    keys, digests : ndarray of uint64, shape (rows, 2)
    """

    keys: Keys
    digests: Keys

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def none(cls) -> Entries:
        """Return no row version."""
        return cls(np.empty((0, 2), np.uint64), np.empty((0, 2), np.uint64))

    @classmethod
    def without_row(cls, keys: Keys) -> Entries:
        """Return what says of keys that no row has them."""
        return cls(keys, np.full_like(keys, GONE))

    @classmethod
    def joined(cls, parts: Sequence[Entries]) -> Entries:
        """Put several together, one behind the other."""
        if not parts:
            return cls.none()
        return cls(np.concatenate([part.keys for part in parts]), np.concatenate([part.digests for part in parts]))

    def take(self, rows: NDArray[np.bool_]) -> Entries:
        """Return some of them."""
        return Entries(self.keys[rows], self.digests[rows])

    def in_order(self) -> Entries:
        """Return them sorted by key; of a key that is there more than once, the last."""
        keys, order = sorted_keys(self.keys)
        last = np.ones(len(keys), np.bool_)
        last[:-1] = (keys[1:] != keys[:-1]).any(axis=1)
        return Entries(keys[last], self.digests[order][last])

    def find(self, keys: Keys) -> NDArray[np.intp]:
        """Return the place of each key among these, which are in order; -1 where it is not."""
        return located(keys, self.keys)

    @property
    def gone(self) -> NDArray[np.bool_]:
        """Which of them are no longer in the table."""
        return np.asarray((self.digests == GONE).all(axis=1))

    def equals(self, other: Entries) -> bool:
        """Return whether others are the same."""
        return np.array_equal(self.keys, other.keys) and np.array_equal(self.digests, other.digests)

    def pack(self) -> bytes:
        """Write them."""
        return np.concatenate([self.keys, self.digests], axis=1).tobytes()

    @classmethod
    def unpack(cls, packed: bytes) -> Entries:
        """Read what `pack` wrote."""
        table = np.frombuffer(packed, np.uint64).reshape(-1, 4)
        return cls(table[:, :2], table[:, 2:])
