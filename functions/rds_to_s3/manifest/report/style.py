"""How the page looks, from ``report.css``, without comments and needless spaces."""

from __future__ import annotations

import re
from importlib.resources import files

_SHEET = files(__package__).joinpath("report.css").read_text("utf-8")
STYLE = re.sub(r"/\*.*?\*/\s*|\s+(?=[{}>])|(?<=[{};:,>])\s+", "", _SHEET, flags=re.DOTALL).replace(";}", "}")
