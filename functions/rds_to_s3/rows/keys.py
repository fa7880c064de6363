"""Sixteen bytes that represent a value or a key, for many rows at once, and the first row of each value."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

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

    A single value of up to 15 bytes is stored as it is, a longer one as 15 bytes of its BLAKE2b. Several values become
    one BLAKE2b. NULL differs from every other value.

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
        places = ((begin, begin + width) for begin in range(0, len(view), width))
        raw = np.frombuffer(_blake2b(view, places), np.uint8).reshape(-1, KEY_BYTES)
    return _spread(np.ascontiguousarray(raw).view(np.uint64).reshape(-1, 2))


def digests_of(rows: Block | SpooledRow, columns: int) -> Keys:
    """Return BLAKE2b digests of the values of each row's first columns; NULL differs from every other value.

    Returns
    -------
    ndarray of uint64, shape (rows, 2)
    """
    if isinstance(rows, SpooledRow):
        packed = rows.digest_of(columns)
    else:
        places = zip(rows.bounds[0].tolist(), rows.bounds[columns].tolist(), strict=True)
        packed = _blake2b(rows.data.data, places)
    return np.frombuffer(packed, np.uint64).reshape(-1, 2)


def _blake2b(view: memoryview, places: Iterable[tuple[int, int]]) -> bytes:
    """Return the digests of many pieces, one after the other."""
    # A copy takes three quarters of the time of a new hash with its parameters.
    new = hashlib.blake2b(digest_size=KEY_BYTES).copy
    digests = []
    for begin, end in places:
        piece = new()
        piece.update(view[begin:end])
        digests.append(piece.digest())
    return b"".join(digests)


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
    """Mix the second half into the first, so that the first half alone differs for nearly all keys; reversible."""
    mixed = keys[:, 1] * _ODD
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
    first = keys[:, 0] ^ mixed ^ (mixed >> np.uint64(31))
    first = (first ^ (first >> np.uint64(30))) * _MIX[0]
    first = (first ^ (first >> np.uint64(27))) * _MIX[1]
    return np.stack([first ^ (first >> np.uint64(31)), keys[:, 1]], axis=1)


def sorted_keys(keys: Keys) -> tuple[Keys, NDArray[np.intp]]:
    """Return sorted keys, and the former position of each. The sort is stable."""
    order = np.argsort(keys[:, 0], kind="stable")
    ordered = keys[order]
    ties = ordered[1:, 0] == ordered[:-1, 0]
    if ties.any():
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        ordered = keys[order]
    return ordered, order


def located(keys: Keys, among: Keys) -> NDArray[np.intp]:
    """Return the position of each of `keys` among sorted others, or -1."""
    found = np.full(len(keys), -1, np.intp)
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
        found[open_rows[hit]] = place[hit]
        going_on = same & ~hit & (place + 1 < len(among))
        open_rows, place = open_rows[going_on], place[going_on] + 1
    return found


def contained(keys: Keys, among: Keys) -> NDArray[np.bool_]:
    """Return which of `keys` are among others, which are sorted."""
    return located(keys, among) >= 0


class ValueOwners:
    """The values found so far, and the first row of each.

    Kept as sorted runs of (value, owner), 24 bytes a value, of which each run is at least twice as long as the next.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []  # shape (values, 3)
        self._new: list[NDArray[np.uint64]] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, values: Keys, owners: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Add values, and return which of them another row had before: in an earlier call, or earlier in this one.

        Parameters
        ----------
        owners : ndarray of uint64, shape (rows,)
            Equal for two versions of one row, and otherwise different.
        """
        ordered, order = sorted_keys(values)
        begins = np.ones(len(ordered), np.bool_)
        begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        distinct, theirs = ordered[begins], owners[order]
        first_owner = theirs[begins]
        known = np.zeros(len(distinct), np.bool_)
        # In order, so that the searches go through memory from one end to the other.
        for run in self._runs:
            place = located(distinct, run)
            known |= place >= 0
            first_owner[place >= 0] = run[place[place >= 0], 2]
        if not known.all():
            new = np.column_stack([distinct, first_owner])[~known]
            self._new.append(new)
            self._insert(new)
        taken = np.empty(len(values), np.bool_)
        taken[order] = theirs != first_owner[np.cumsum(begins) - 1]
        return taken

    def take_new(self) -> bytes:
        """Return what was added since the last call, to be kept elsewhere."""
        packed = b"".join(run.tobytes() for run in self._new)
        self._new = []
        return packed

    def restore(self, packed: bytes) -> None:
        """Take back what `take_new` returned."""
        run = np.frombuffer(packed, np.uint64).reshape(-1, 3)
        if len(run):
            self._insert(sorted_keys(run)[0])

    def _insert(self, run: NDArray[np.uint64]) -> None:
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = sorted_keys(np.concatenate([self._runs.pop(), run]))[0]
        self._runs.append(run)
