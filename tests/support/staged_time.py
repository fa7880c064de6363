"""Time that passes where a test says so, however busy the machine is."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


class StagedTime:
    """Takes the place of `time.monotonic`: what is told to take long does, and everything else takes next to nothing.

    It does not stand still in between, so that whoever waits for something gives up in the end.
    """

    PACE = 0.01

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = time.monotonic
        self._began = self._real()
        self._passed = 0.0
        self._lock = threading.Lock()
        monkeypatch.setattr(time, "monotonic", self._now)

    def _now(self) -> float:
        return self._began + self._passed + (self._real() - self._began) * self.PACE

    def passes(self, seconds: float) -> None:
        """Let so much time pass."""
        with self._lock:
            self._passed += seconds
