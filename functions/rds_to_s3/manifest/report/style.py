"""How the pages look: the frame around their content, and ``report.css`` without comments and needless spaces."""

from __future__ import annotations

import re
from importlib.resources import files

from rds_to_s3.manifest.report.pieces import text

_SHEET = files(__package__).joinpath("report.css").read_text("utf-8")
STYLE = re.sub(r"/\*.*?\*/\s*|\s+(?=[{}>])|(?<=[{};:,>])\s+", "", _SHEET, flags=re.DOTALL).replace(";}", "}")


def whole_page(title: str, body: str, head: str = "") -> str:
    """Put a page around its content.

    Parameters
    ----------
    head : str
        Further elements of the page's head.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{text(title)}</title>
{head}<style>{STYLE}</style>
</head>
<body>
<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>\
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">\
<rect width="3" height="6" style="fill:var(--bad)"/></pattern></defs></svg>
<main>
{body}
</main>
</body>
</html>
"""
