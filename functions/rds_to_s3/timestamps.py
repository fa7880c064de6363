"""The watermark: a timestamp in a text file that an operator may edit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_FORM = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d{1,6})?")
_LONGEST = 200


@dataclass(frozen=True)
class Watermark:
    """A moment on the database's clock, in its zone.

    Attributes
    ----------
    text : str
        The file's text, stripped of blanks.
    moment : datetime
        Without tzinfo.
    """

    text: str
    moment: datetime

    @classmethod
    def parse(cls, body: bytes) -> Watermark | None:
        """Read the file's content; None where it is empty.

        Raises
        ------
        ValueError
            Not a timestamp.

        Examples
        --------
        >>> Watermark.parse(b"2025-04-02 12:00:00").moment
        datetime.datetime(2025, 4, 2, 12, 0)
        """
        text = body[:_LONGEST].decode("utf-8", "replace").removeprefix("\ufeff").strip()
        if not text:
            return None
        if not _FORM.fullmatch(text):
            raise ValueError(f"is malformed: {text[:40]!r} is not YYYY-MM-DD HH:MM:SS[.ffffff]")
        try:
            return cls(text, datetime.fromisoformat(text))
        except ValueError:
            raise ValueError(f"is malformed: {text!r} is not a date") from None

    @classmethod
    def at(cls, moment: datetime) -> Watermark:
        """Write a moment as the file does: the fraction only where there is one."""
        return cls(moment.isoformat(" ", "microseconds" if moment.microsecond else "seconds"), moment)


def format_timestamp(moment: datetime) -> str:
    """Write a timestamp as the manifest does: always with six digits of fraction."""
    return moment.isoformat(" ", "microseconds")  # strftime writes the year 1 without its zeros


def short(timestamp: str) -> str:
    """Leave out a fraction that is zero."""
    return timestamp.removesuffix(".000000")
