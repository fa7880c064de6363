"""Bars as SVG, without a plotting library."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

_LABEL, _BAR, _ROW = 170, 460, 26


def draw(title: str, bars: Mapping[str, float]) -> str:
    """Draw one bar a name, the shortest first.

    Parameters
    ----------
    title : str
    bars : mapping of str to float
        Seconds by contender.

    Returns
    -------
    str
        An SVG document.
    """
    longest = max(bars.values(), default=1.0)
    height = _ROW * (len(bars) + 1) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABEL + _BAR + 80}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="10" y="18" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (name, seconds) in enumerate(sorted(bars.items(), key=lambda item: item[1]), start=1):
        top = number * _ROW + 4
        width = max(seconds / longest * _BAR, 1)
        colour = "#0b6e4f" if name.startswith("rds-to-s3") else "#999" if name == "socket" else "#9db4c0"
        parts.append(f'<text x="{_LABEL - 8}" y="{top + 14}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_ROW - 8}" fill="{colour}"/>')
        parts.append(f'<text x="{_LABEL + width + 6:.1f}" y="{top + 14}">{seconds:.2f}</text>')
    return "\n".join([*parts, "</svg>", ""])
