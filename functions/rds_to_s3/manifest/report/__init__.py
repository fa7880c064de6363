"""The run report: a manifest as one self-contained HTML page, for a person to look at.

It is well-formed XML too, so that any parser can check it, and needs neither a script nor the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rds_to_s3.manifest.report.files import files_section
from rds_to_s3.manifest.report.outcome import failures_section, footer, header, warnings_section
from rds_to_s3.manifest.report.pieces import LABELS, Json, text
from rds_to_s3.manifest.report.style import STYLE
from rds_to_s3.manifest.report.tables import tables_section
from rds_to_s3.manifest.report.timeline import TABLES_IN_TIMELINE, timeline_section
from rds_to_s3.manifest.report.trend import RUNS_IN_TREND, trend_section

__all__ = ["RUNS_IN_TREND", "TABLES_IN_TIMELINE", "render_report", "summary_of"]


def render_report(manifest: Json, previous: Iterable[Json] = (), *, bucket: str = "", region: str = "") -> str:
    """Write a run's report.

    Parameters
    ----------
    manifest : mapping
        As ``schemas/manifest-v1.schema.json`` describes it. Where a table also has ``finished_at``, its bar in the
        timeline stands where it belongs; without it all bars begin at the left.
    previous : iterable of mapping
        Manifests of earlier runs, or what `summary_of` keeps of them, in any order.
    bucket : str
        The data bucket; empty leaves out what needs its name.
    region : str
        The bucket's; empty leaves out links to the AWS console.

    Returns
    -------
    str
        A page that stands beside the manifest: links to files and to other reports are relative to it.

    Examples
    --------
    >>> run = {"run_id": "run-1", "status": "SUCCEEDED", "tables": [], "window_end": None, "redrives": 0,
    ...        "started_at": "2025-04-02T12:00:00Z", "finished_at": "2025-04-02T12:00:09Z",
    ...        "totals": {"tables": 0, "succeeded": 0, "failed": 0, "rows": 0, "files": 0, "bytes": 0}}
    >>> "<h1>Run run-1</h1>" in render_report(run)
    True
    """
    title = f"Run {manifest['run_id']}: {LABELS[manifest['status']]}"
    tables = sorted(manifest["tables"], key=lambda table: table["status"] != "FAILED")
    body = "\n".join(
        part
        for part in (
            header(manifest),
            failures_section(manifest, tables),
            warnings_section(manifest, tables),
            timeline_section(manifest, tables),
            tables_section(tables),
            trend_section(manifest, previous),
            files_section(tables, bucket, region),
            footer(manifest, bucket),
        )
        if part
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{text(title)}</title>
<style>{STYLE}</style>
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


def summary_of(manifest: Json) -> dict[str, Any]:
    """Return what the trend needs of a run."""
    kept = ("run_id", "status", "started_at", "finished_at", "redrives", "totals")
    return {key: manifest[key] for key in kept}
