"""CPU seconds and memory of processes, by kind, while something runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
Find = Callable[[], Sequence[int]]


class Costs:
    """Samples the processes of each kind, also those that start or end meanwhile.

    Parameters
    ----------
    kinds : mapping of str to callable
        Each finds the process numbers of one kind.
    """

    def __init__(self, kinds: Mapping[str, Find]) -> None:
        self._kinds = kinds
        self._first: dict[tuple[str, int], float] = {}
        self._last: dict[tuple[str, int], float] = {}
        self._peaks: dict[tuple[str, int], float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Costs:
        for kind, find in self._kinds.items():
            for pid in find():
                with suppress(OSError):
                    # The peak of what ran before is not of interest: proc(5), clear_refs.
                    Path(f"/proc/{pid}/clear_refs").write_text("5")
                    self._first[kind, pid] = _cpu(pid)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()

    def cpu(self, kind: str) -> float:
        """Return the seconds of all processes of a kind."""
        return sum(last - self._first.get(key, 0.0) for key, last in self._last.items() if key[0] == kind)

    def peak_mb(self, kind: str) -> float:
        """Return the largest resident size of one process of a kind."""
        return max((peak for key, peak in self._peaks.items() if key[0] == kind), default=0.0)

    def _watch(self) -> None:
        # Seldom, since it costs CPU itself: the functions' processes stay for the next calls.
        while not self._stop.wait(1):
            self._sample()

    def _sample(self) -> None:
        for kind, find in self._kinds.items():
            for pid in find():
                with suppress(OSError, StopIteration):
                    self._last[kind, pid] = _cpu(pid)
                    self._peaks[kind, pid] = _peak_mb(pid)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
