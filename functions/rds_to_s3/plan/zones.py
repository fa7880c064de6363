"""Time zones by name, for applications that stamp rows in another zone than the server's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_OFFSET = re.compile(r"([+-])(\d{1,2}):(\d{2})")
_FURTHEST = timedelta(hours=14)  # MySQL's own limits: -13:59 to +14:00


def zone_named(name: str) -> tzinfo:
    """Return a zone.

    Parameters
    ----------
    name : str
        An IANA name such as ``America/New_York``, or an offset such as ``-05:00``.

    Raises
    ------
    ValueError
        There is no such zone.
    """
    if (match := _OFFSET.fullmatch(name)) is not None:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        if int(match[3]) < 60 and offset <= _FURTHEST:
            return timezone(-offset if match[1] == "-" else offset)
    elif (zone := _iana(name)) is not None:
        return zone
    raise ValueError(f"{name!r} is neither a time zone's name, such as Europe/Berlin, nor an offset, such as -05:00")


@cache
def _iana(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A Lambda may lack the system's zone files; boto3 depends on dateutil, which has a copy.
        from dateutil.zoneinfo import get_zonefile_instance  # noqa: PLC0415

        found: tzinfo | None = get_zonefile_instance().get(name)
        return found


def local_times_in(name: str, instants: Sequence[float]) -> list[datetime]:
    """Return the local times of instants (seconds since 1970), without tzinfo."""
    zone = zone_named(name)
    return [datetime.fromtimestamp(instant, UTC).astimezone(zone).replace(tzinfo=None) for instant in instants]


def instant_in(name: str, local: datetime) -> float:
    """Return the instant of a local time; the earlier of the two in a repeated hour."""
    return local.replace(tzinfo=zone_named(name), fold=0).timestamp()
