"""How long something takes, where the machine may stand still at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable

TRIES = 3


def fastest(work: Callable[[], object], wanted: float) -> float:
    """Return the seconds that something takes. If they are more than wanted, it is tried again, twice at most."""
    took: list[float] = []
    while len(took) < TRIES:
        began = time.monotonic()
        work()
        took.append(time.monotonic() - began)
        if took[-1] < wanted:
            break
    return min(took)
