"""The times in EventBridge Scheduler's expressions. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_EVERY_DAY = re.compile(r"cron\((\S+) (\S+) (?:\* \* \?|\? \* \*)(?: \*)?\)")
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")


def next_start(expression: str, begins: datetime | None, now: datetime) -> datetime | None:
    """Return the next start of a schedule; None for a cron expression, or if it is past.

    Parameters
    ----------
    expression : str
    begins : datetime or None
        The time of the schedule's last update: a rate counts from it.
    now : datetime

    Examples
    --------
    >>> day = datetime(2025, 4, 2, tzinfo=UTC)
    >>> next_start("rate(4 hours)", day, day + timedelta(hours=9)).hour
    12
    """
    rate = _RATE.fullmatch(expression)
    if rate and begins:
        interval = _interval(rate)
        return (begins + interval * ((now - begins) // interval + 1)).astimezone(UTC)
    at = _AT.fullmatch(expression)
    if at:
        moment = datetime.fromisoformat(at[1]).replace(tzinfo=UTC)
        return moment if moment > now else None
    return None


def longest_pause(expression: str) -> timedelta | None:
    """Return the longest time between two starts of a schedule.

    Returns
    -------
    timedelta or None
        None for a cron expression that differs between days, and for a single start.

    Examples
    --------
    >>> longest_pause("rate(4 hours)") == longest_pause("cron(0 0/4 * * ? *)") == timedelta(hours=4)
    True
    >>> longest_pause("cron(30 6-18/6 * * ? *)") == timedelta(hours=12)
    True
    """
    rate = _RATE.fullmatch(expression)
    if rate:
        return _interval(rate)
    every_day = _EVERY_DAY.fullmatch(expression)
    if not every_day:
        return None
    try:
        minutes, hours = _values(every_day[1], 59), _values(every_day[2], 23)
    except ValueError:
        return None
    starts = sorted(60 * hour + minute for hour in hours for minute in minutes)
    return timedelta(minutes=max(after - before for before, after in pairwise([*starts, starts[0] + 24 * 60])))


def _values(field: str, highest: int) -> set[int]:
    """Return the numbers in a field of a cron expression: ``*``, ``5``, ``0/15``, ``8-18/2``, with commas."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.replace("*", f"0-{highest}").partition("-")
        end = int(last) if last else highest if step else int(first)
        found.update(range(int(first), end + 1, int(step or 1)))
    if not found or max(found) > highest:
        raise ValueError(field)
    return found


def _interval(rate: re.Match[str]) -> timedelta:
    return timedelta(**{f"{rate[2]}s": int(rate[1])})
