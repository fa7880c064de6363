"""Regular expressions within bounds of CPU time: some take longer than any run for a text of forty characters.

Python's engine asks for pending signals while it matches (``MAYBE_CHECK_SIGNALS`` in CPython's Modules/_sre/sre_lib.h),
so a timer can end it. The timer counts CPU time of this process alone: a busy machine is no reason to refuse.
"""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

LONGEST = 1000
"""Characters of a pattern."""
PROBE_SECONDS = 0.25
_REPEATED = 64


class PatternTooSlowError(Exception):
    """A pattern has used up its time."""


@contextmanager
def cpu_seconds(seconds: float) -> Iterator[None]:
    """Let the body take this much CPU time.

    Raises
    ------
    PatternTooSlowError
        It takes more. Outside the main thread, where no signal arrives, only once it is over.
    """
    if threading.current_thread() is not threading.main_thread():
        began = time.thread_time()
        yield
        if time.thread_time() - began > seconds:
            raise PatternTooSlowError
        return
    before = signal.signal(signal.SIGVTALRM, _expire)
    signal.setitimer(signal.ITIMER_VIRTUAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _expire(*_: object) -> NoReturn:
    raise PatternTooSlowError


def check_pattern(pattern: str) -> None:
    """Refuse what is no pattern, and what already takes long for a few short texts.

    Raises
    ------
    ValueError
        Why it is refused.

    Examples
    --------
    >>> check_pattern("(a+)+b")
    Traceback (most recent call last):
    ValueError: takes too long for a text of 65 characters: it can read one text in many ways, as (a+)+ can. ...
    """
    if len(pattern) > LONGEST:
        raise ValueError(f"has {len(pattern):,} characters; {LONGEST:,} are allowed")
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if threading.current_thread() is not threading.main_thread():
        return  # a probe could not be ended here
    try:
        with cpu_seconds(PROBE_SECONDS):
            for text in _probes(pattern):
                compiled.fullmatch(text)
    except PatternTooSlowError:
        raise ValueError(
            f"takes too long for a text of {_REPEATED + 1} characters: it can read one text in many ways, "
            "as (a+)+ can. Write it without a repeat in a repeat, or without alternatives that match the same"
        ) from None


def _probes(pattern: str) -> Iterator[str]:
    """Yield texts that almost match, if the pattern repeats: its own characters, over and over, with a wrong end."""
    own = "".join(re.findall(r"\w", re.sub(r"\\.", "", pattern)))
    runs = [own[start : start + length] for length in (1, 2, 3) for start in range(min(len(own), 32))]
    for text in dict.fromkeys([own, *runs, "a", "A", "0", " ", "_", "-", "."]):
        if text:
            yield (text * _REPEATED)[:_REPEATED] + "\0"


class MatchingTime:
    """The CPU time that one check's pattern may take over a window: it must keep up with the rows.

    A pattern that is merely slow would hold the read's snapshot for as long as it takes. So there are five seconds, and
    one more for each MiB of rows, which is fifty times what most patterns take.
    """

    SECONDS = 5.0
    BYTES_A_SECOND = 1024 * 1024

    def __init__(self) -> None:
        self._left = self.SECONDS

    @contextmanager
    def of(self, row_bytes: int) -> Iterator[None]:
        """Let a block of rows be matched.

        Raises
        ------
        PatternTooSlowError
            The time is used up.
        """
        self._left += row_bytes / self.BYTES_A_SECOND
        began = time.process_time()
        try:
            with cpu_seconds(self._left):
                yield
        finally:
            self._left -= time.process_time() - began
