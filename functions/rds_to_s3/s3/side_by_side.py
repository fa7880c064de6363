"""Runs many small S3 requests at once, and stops in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

AT_ONCE = 16  # as many connections as `rds_to_s3.s3.objects.s3_client` keeps
FEW = 8  # up to here threads cost more than they save, and the requests keep their order

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Progress(Generic[Answer]):
    """The results of the requests.

    Attributes
    ----------
    answers : list
        One for each item, in order; None where there was no time for it, or where it failed.
    error : Exception or None
        The first one. No request is begun after it.
    """

    answers: list[Answer | None]
    error: Exception | None = None

    @property
    def finished(self) -> bool:
        """Whether every item has its answer."""
        return None not in self.answers


def side_by_side(
    action: Callable[[Item], Answer],
    items: Sequence[Item],
    seconds: float,
    *,
    go_on: Callable[[Answer], bool] = lambda _: True,
) -> Progress[Answer]:
    """Call `action` with each item, several at once; begin none after so many seconds.

    Parameters
    ----------
    go_on : callable
        Returns whether to continue after an answer.
    """
    until = time.monotonic() + seconds
    stop = threading.Event()
    errors: list[Exception] = []

    def one(item: Item) -> Answer | None:
        if stop.is_set() or time.monotonic() >= until:
            return None
        try:
            answer = action(item)
        except BaseException as error:
            stop.set()
            if not isinstance(error, Exception):
                raise
            errors.append(error)
            return None
        if not go_on(answer):
            stop.set()
        return answer

    if len(items) <= FEW:
        answers = [one(item) for item in items]
    else:
        with ThreadPoolExecutor(AT_ONCE, "s3") as threads:
            answers = list(threads.map(one, items))
    return Progress(answers, errors[0] if errors else None)
