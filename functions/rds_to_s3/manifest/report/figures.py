"""Figures for display: rows, bytes and time spans, short enough for a column."""

from __future__ import annotations


def count(number: int | None) -> str:
    """Write a number of rows.

    Examples
    --------
    >>> count(1234567)
    '1,234,567'
    """
    return "" if number is None else f"{number:,}"


def size(number: int | None) -> str:
    """Write a number of bytes in decimal units.

    Examples
    --------
    >>> size(999), size(4096), size(255_000_000)
    ('999 B', '4.1 kB', '255 MB')
    """
    if number is None:
        return ""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.1f} {unit}" if unit != "B" and value < 9.95 else f"{value:,.0f} {unit}"


def duration(seconds: float | None) -> str:
    """Write a time span.

    Examples
    --------
    >>> duration(0.42), duration(61), duration(7260)
    ('0.4 s', '1 min 01 s', '2 h 01 min')
    """
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
