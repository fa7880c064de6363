"""The delivered keys, in sorted runs below `_state/keys/`, read and written one run at a time.

Each run has up to `RUN_ROWS` keys in the order of their sixteen bytes (`rds_to_s3.rows.keys`). Runs are ordered in
time: for a key in several runs, the newest one decides whether it is present or gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rds_to_s3.rows import Block
from rds_to_s3.rows.block import HEADER, length_prefix
from rds_to_s3.rows.keys import Keys, sorted_keys

RUN_ROWS = 1_000_000
BLOCK_ROWS = 10_000


@dataclass(frozen=True)
class KeyValues:
    """Keys in memory.

    Attributes
    ----------
    values : list of pyarrow.Array of binary
        The key's columns as MySQL writes them; empty where only the keys are needed.
    """

    keys: Keys
    values: list[pa.Array]

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: NDArray[np.intp] | slice) -> KeyValues:
        """Return some rows."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            return KeyValues(self.keys[rows], [values.slice(start, stop - start) for values in self.values])
        index = pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows.astype(np.int64))])
        return KeyValues(self.keys[rows], [values.take(index) for values in self.values])

    def in_order(self) -> KeyValues:
        """Return the same, sorted."""
        return self.take(sorted_keys(self.keys)[1])

    def pack(self) -> bytes:
        """Write them as an Arrow stream."""
        halves = [
            pa.Array.from_buffers(
                pa.uint64(), len(self), [None, pa.py_buffer(np.ascontiguousarray(self.keys[:, half]))]
            )
            for half in (0, 1)
        ]
        names = ["first", "second", *(f"value{number}" for number in range(len(self.values)))]
        batch = pa.record_batch([*halves, *self.values], names=names)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return bytes(sink.getvalue())

    @classmethod
    def unpack(cls, packed: bytes) -> KeyValues:
        """Read what `pack` wrote."""
        (batch,) = list(pa.ipc.open_stream(packed))
        halves = [np.frombuffer(batch.column(half).buffers()[1], np.uint64) for half in (0, 1)]
        return cls(np.stack([half[: batch.num_rows] for half in halves], axis=1), batch.columns[2:])

    @classmethod
    def joined(cls, parts: Sequence[KeyValues]) -> KeyValues:
        """Concatenate several."""
        columns = zip(*(part.values for part in parts), strict=True)
        return cls(np.concatenate([part.keys for part in parts]), [pa.concat_arrays(column) for column in columns])

    def blocks(self) -> Iterator[Block]:
        """Yield the values as rows, as the server would have sent them."""
        for start in range(0, len(self), BLOCK_ROWS):
            columns = [values.slice(start, BLOCK_ROWS).to_pylist() for values in self.values]
            packets = [bytes(HEADER) + b"".join(map(_length_encoded, row)) for row in zip(*columns, strict=True)]
            starts = np.cumsum([0, *(len(packet) for packet in packets)])
            data = np.frombuffer(b"".join(packets), np.uint8)
            yield Block.decode(data, starts[:-1].astype(np.int64), len(data), len(columns))


def newest(runs: Sequence[tuple[KeyValues, bool]]) -> KeyValues:
    """Return the keys that are present after all runs.

    Parameters
    ----------
    runs : sequence of (KeyValues, bool)
        From the oldest to the newest, each with whether its keys are gone. A run of gone keys has no values.
    """
    there = [(age, run) for age, (run, gone) in enumerate(runs) if not gone and len(run)]
    if not there:
        return KeyValues(np.empty((0, 2), np.uint64), [])
    tombs = [(age, run) for age, (run, gone) in enumerate(runs) if gone and len(run)]
    if len(there) == 1 and not tombs and not (there[0][1].keys[1:] == there[0][1].keys[:-1]).all(axis=1).any():
        return there[0][1]  # the base alone, as nearly always
    delivered = KeyValues.joined([run for _, run in there])
    ages = np.concatenate([np.full(len(run), age) for age, run in there])
    keys, all_ages = delivered.keys, ages
    if tombs:
        keys = np.concatenate([keys, *(run.keys for _, run in tombs)])
        all_ages = np.concatenate([ages, *(np.full(len(run), age) for age, run in tombs)])
    order = np.lexsort((all_ages, keys[:, 1], keys[:, 0]))
    ordered = keys[order]
    last = np.append((ordered[1:] != ordered[:-1]).any(axis=1), True)
    chosen = order[last]
    return delivered.take(chosen[chosen < len(delivered)])


class KeySpill:
    """The keys of a whole table, by ranges of their first half. Only one range at a time is in memory.

    Parameters
    ----------
    edges : sequence of int
        The beginnings of the ranges, and 2**64 after the last.
    files : sequence of binary file, optional
        The files of the ranges; without files they stay in memory.
    """

    def __init__(self, edges: Sequence[int], files: Sequence[IO[bytes]] | None = None) -> None:
        self._edges = np.array(edges[1:-1], np.uint64)
        self._files = files
        self._memory: list[list[bytes]] = [[] for _ in range(len(edges) - 1)]
        self.rows = 0

    def add(self, keys: Keys) -> None:
        """Add keys."""
        self.rows += len(keys)
        places = np.searchsorted(self._edges, keys[:, 0], side="right")
        for place in range(len(self._memory)):
            part = keys if len(self._memory) == 1 else keys[places == place]
            if self._files:
                self._files[place].write(part.tobytes())
            else:
                self._memory[place].append(part.tobytes())

    def range(self, place: int) -> Keys:
        """Return a range's keys, sorted. It can be called once per range."""
        if self._files:
            self._files[place].seek(0)
            packed = self._files[place].read()
        else:
            packed = b"".join(self._memory[place])
            self._memory[place] = []
        return sorted_keys(np.frombuffer(packed, np.uint64).reshape(-1, 2))[0]


def edges_of(rows: int, rows_at_once: int) -> list[int]:
    """Return the edges of ranges with about `rows_at_once` keys each."""
    count = max(-(-rows // rows_at_once), 1)
    return [number * 2**64 // count for number in range(count)] + [2**64]


def within(run: KeyValues, low: int, high: int) -> KeyValues:
    """Return the part of a sorted run whose first halves are at least `low` and less than `high`."""
    start = int(np.searchsorted(run.keys[:, 0], np.uint64(low)))
    stop = len(run) if high == 2**64 else int(np.searchsorted(run.keys[:, 0], np.uint64(high)))
    return run.take(slice(start, stop))


def ranges(edges: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield number, lower and upper end of each range."""
    for place, (low, high) in enumerate(pairwise(edges)):
        yield place, low, high


def _length_encoded(value: bytes | None) -> bytes:
    return length_prefix(None) if value is None else length_prefix(len(value)) + value
