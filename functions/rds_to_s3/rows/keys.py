"""Sixteen bytes that stand for a value or a key, made for many rows at once, and sets of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rds_to_s3.rows.block import Block
from rds_to_s3.rows.spooled import SpooledRow

KEY_BYTES = 16
_INLINE = KEY_BYTES - 1  # values up to here are their own key, with their length behind them
_HASHED = 0xFF
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

Keys = NDArray[np.uint64]  # shape (rows, 2)


def keys_of(rows: Block | SpooledRow, columns: Sequence[int]) -> Keys:
    """Return each row's key: equal for equal values, and otherwise different.

    A single value of up to 15 bytes is kept as it is; longer ones are 15 bytes of BLAKE2b, and several values are
    a BLAKE2b of theirs. NULL is a value of its own.

    Parameters
    ----------
    columns : sequence of int
        Positions of the columns that the key consists of.

    Returns
    -------
    ndarray of uint64, shape (rows, 2)
    """
    each = [_column_keys(rows, column) for column in columns]
    if len(each) == 1:
        raw = each[0]
    else:
        joined = np.concatenate(each, axis=1)
        view, width = memoryview(joined.tobytes()), joined.shape[1]
        digest = hashlib.blake2b
        raw = np.frombuffer(
            b"".join(
                [digest(view[at : at + width], digest_size=KEY_BYTES).digest() for at in range(0, len(view), width)]
            ),
            np.uint8,
        ).reshape(-1, KEY_BYTES)
    return _spread(np.ascontiguousarray(raw).view(np.uint64).reshape(-1, 2))


def _column_keys(rows: Block | SpooledRow, column: int) -> NDArray[np.uint8]:
    if isinstance(rows, SpooledRow):
        return np.frombuffer(_key_of(rows.value(0, column)), np.uint8).reshape(1, KEY_BYTES)
    keys = np.zeros((rows.rows, KEY_BYTES), np.uint8)
    starts = rows.starts(column)
    lengths = rows.bounds[column + 1] - starts
    short = np.flatnonzero(lengths <= _INLINE)
    if short.size == rows.rows:
        keys = np.ascontiguousarray(rows.fixed(column, KEY_BYTES)).view(np.uint8).reshape(-1, KEY_BYTES)
        keys[:, _INLINE] = lengths
    else:
        for row in range(rows.rows):
            keys[row] = np.frombuffer(_key_of(rows.value(row, column)), np.uint8)
    nulls = rows.nulls(column)
    if nulls is not None:
        keys[nulls] = np.frombuffer(_key_of(None), np.uint8)
    return keys


def _key_of(value: bytes | None) -> bytes:
    if value is None:
        return bytes(_INLINE) + b"\xfe"
    if len(value) <= _INLINE:
        return value.ljust(_INLINE, b"\0") + bytes([len(value)])
    return hashlib.blake2b(value, digest_size=_INLINE).digest() + bytes([_HASHED])


def _spread(keys: Keys) -> Keys:
    """Mix the second half into the first, so that the first alone tells nearly all keys apart. It can be undone."""
    mixed = keys[:, 1] * _ODD
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
    first = keys[:, 0] ^ mixed ^ (mixed >> np.uint64(31))
    first = (first ^ (first >> np.uint64(30))) * _MIX[0]
    first = (first ^ (first >> np.uint64(27))) * _MIX[1]
    return np.stack([first ^ (first >> np.uint64(31)), keys[:, 1]], axis=1)


def sorted_keys(keys: Keys) -> tuple[Keys, NDArray[np.intp]]:
    """Return keys in order, and where each of them stood; of equal ones the earlier stays before the later."""
    order = np.argsort(keys[:, 0], kind="stable")
    ordered = keys[order]
    ties = ordered[1:, 0] == ordered[:-1, 0]
    if ties.any():
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        ordered = keys[order]
    return ordered, order


def contained(keys: Keys, among: Keys) -> NDArray[np.bool_]:
    """Return which of `keys` are among others, which are sorted."""
    found = np.zeros(len(keys), np.bool_)
    if not len(among) or not len(keys):
        return found
    first, second = among[:, 0], among[:, 1]
    place = np.searchsorted(first, keys[:, 0])
    open_rows = np.arange(len(keys))
    # One turn for nearly all: a second where two keys share their first half.
    while open_rows.size:
        place = np.minimum(place, len(among) - 1)
        same = first[place] == keys[open_rows, 0]
        hit = same & (second[place] == keys[open_rows, 1])
        found[open_rows[hit]] = True
        going_on = same & ~hit & (place + 1 < len(among))
        open_rows, place = open_rows[going_on], place[going_on] + 1
    return found


class KeySet:
    """A growing set of keys: sixteen bytes each, in sorted runs of which each is at least twice the next."""

    def __init__(self) -> None:
        self._runs: list[Keys] = []
        self._new: list[Keys] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, keys: Keys) -> NDArray[np.bool_]:
        """Add keys, and return which of them were there before: in the set, or earlier among them."""
        ordered, order = sorted_keys(keys)
        known = np.zeros(len(keys), np.bool_)
        known[1:] = (ordered[1:] == ordered[:-1]).all(axis=1)
        # In order, so that the searches go through memory from one end to the other.
        for run in self._runs:
            known |= contained(ordered, run)
        new = ordered[~known]
        if len(new):
            self._new.append(new)
            self._insert(new)
        answer = np.empty(len(keys), np.bool_)
        answer[order] = known
        return answer

    def take_new(self) -> bytes:
        """Return what was added since the last call, to be kept elsewhere."""
        packed = b"".join(run.tobytes() for run in self._new)
        self._new = []
        return packed

    def restore(self, packed: bytes) -> None:
        """Take back what `take_new` returned."""
        keys = np.frombuffer(packed, np.uint64).reshape(-1, 2)
        if len(keys):
            self._insert(sorted_keys(keys)[0])

    def _insert(self, run: Keys) -> None:
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = sorted_keys(np.concatenate([self._runs.pop(), run]))[0]
        self._runs.append(run)
