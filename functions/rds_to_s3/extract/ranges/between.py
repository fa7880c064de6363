"""Values between two values of a column, where a range of its order may be divided."""

from __future__ import annotations

import string
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation, localcontext

from rds_to_s3.mysql.select import SelectColumn

STEPS = 8
_LETTERS = string.digits + string.ascii_lowercase
_FRACTION = 19  # characters of a stamp before its fraction of a second
_DIGITS = 100  # MySQL's DECIMAL has 65, and the difference of two a few more
_FIRST_YEAR = b"1901"  # of a YEAR, beside 0000


def values_between(column: SelectColumn, low: bytes, high: bytes) -> list[bytes]:
    """Return a few values from `low` to `high`, spread as evenly as the type allows; none where that is not known.

    They need not be in the table, nor sort as they do here: a collation may have another order.
    """
    if column.kind == "numeric":
        return _numbers(low, high)
    if column.data_type == "year":
        # The server takes 70 for 1970, and finds 527 both before and after a year.
        return [year for year in _numbers(low, high) if len(year) == len(_FIRST_YEAR) and year >= _FIRST_YEAR]
    if column.kind == "temporal":
        return _moments(low, high)
    if column.kind == "binary" or column.own_bytes:
        return _byte_strings(low, high)
    return _texts(low.decode(errors="replace"), high.decode(errors="replace"))


def _numbers(low: bytes, high: bytes) -> list[bytes]:
    try:
        first, last = Decimal(low.decode()), Decimal(high.decode())
    except InvalidOperation:
        return []
    digits = max(_scale(low), _scale(high))
    found: list[Decimal] = []
    with localcontext(prec=_DIGITS):
        for step in range(1, STEPS + 1):
            value = (first + (last - first) * step / STEPS).quantize(Decimal(1).scaleb(-digits))
            if first < value <= last and value not in found:
                found.append(value)
    return [f"{value:f}".encode() for value in found]


def _scale(value: bytes) -> int:
    return len(value.partition(b".")[2])


def _moments(low: bytes, high: bytes) -> list[bytes]:
    try:
        first, last = datetime.fromisoformat(low.decode()), datetime.fromisoformat(high.decode())
    except ValueError:
        return []  # a TIME, or a date that is none
    found = {(first + (last - first) * step / STEPS).isoformat(" ", "microseconds") for step in range(1, STEPS + 1)}
    width = min(len(low), _FRACTION)
    shown = sorted({moment[:width].encode() for moment in found})
    return [moment for moment in shown if low < moment <= high]


def _byte_strings(low: bytes, high: bytes) -> list[bytes]:
    same = _same(low, high)
    begin = low[same] if same < len(low) else 0
    end = high[same] if same < len(high) else 255
    if end - begin <= 1:
        # The next bytes tell more: those behind `low`'s, and those behind `high`'s.
        return [low[: same + 1] + bytes([byte]) for byte in range(32, 256, 32)] + [
            high[: same + 1] + bytes([byte]) for byte in range(0, 256, 32)
        ]
    return [low[:same] + bytes([begin + (end - begin) * step // STEPS]) for step in range(1, STEPS + 1)]


def _texts(low: str, high: str) -> list[bytes]:
    """Return texts that continue what both begin with, by each character that may come next."""
    same = _same(low, high)
    first, last = low[same : same + 1], high[same : same + 1]
    if not (first + last).isascii():
        begin, end = ord(first or " "), ord(last or "\uffef")
        # Close to the first one, too: an alphabet is small beside all characters.
        points = {
            *(begin + (end - begin) * step // STEPS for step in range(1, STEPS + 1)),
            *(begin + 2**n for n in range(12)),
        }
        spread = [high[:same] + chr(point) for point in sorted(points) if point <= end and not 0xD800 <= point < 0xE000]
        return [text.encode() for text in [*(low[: same + 1] + letter for letter in _LETTERS), *spread]]
    found = [high[:same] + letter for letter in _LETTERS]
    if len(_within(found, low, high)) < STEPS // 2:
        # Few characters lie between: what follows each of them tells more.
        found = [
            text[: same + 1] + letter
            for text in dict.fromkeys([low, *_within(found, low, high), high])
            for letter in _LETTERS
        ]
    return [text.encode() for text in _within(found, low, high) or found]


def _within(texts: Sequence[str], low: str, high: str) -> list[str]:
    """Leave out those that are probably not between the two: most collations ignore case."""
    return [text for text in texts if low.casefold() < text.casefold() <= high.casefold()]


def _same(low: Sequence[object], high: Sequence[object]) -> int:
    """Return how many of the first elements are the same."""
    same = 0
    while same < min(len(low), len(high)) and low[same] == high[same]:
        same += 1
    return same
