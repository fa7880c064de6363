"""The run report: a manifest as one self-contained HTML page, for operators.

It is well-formed XML too, so that any parser can check it, and needs neither a script nor the network.
"""

from __future__ import annotations

from collections.abc import Iterable

from rds_to_s3.manifest.report.files import files_section
from rds_to_s3.manifest.report.outcome import failures_section, footer, header, warnings_section
from rds_to_s3.manifest.report.pieces import LABELS
from rds_to_s3.manifest.report.proof import proof_section
from rds_to_s3.manifest.report.style import whole_page
from rds_to_s3.manifest.report.tables import tables_section
from rds_to_s3.manifest.report.timeline import TABLES_IN_TIMELINE, timeline_section
from rds_to_s3.manifest.report.trend import RUNS_IN_TREND, trend_section
from rds_to_s3.reported.manifest import Manifest, RunSummary

__all__ = ["RUNS_IN_TREND", "TABLES_IN_TIMELINE", "render_report"]


def render_report(
    manifest: Manifest, previous: Iterable[RunSummary] = (), *, bucket: str = "", region: str = "", log_group: str = ""
) -> str:
    """Write a run's report.

    Parameters
    ----------
    manifest : Manifest
        A table with ``finished_at`` has its bar at that time in the timeline. Without it all bars begin at the left.
    previous : iterable of RunSummary
        Earlier runs, in any order.
    bucket : str
        The data bucket. If empty, the page leaves out the parts that need its name.
    region : str
        The bucket's region. If empty, the page leaves out links to the AWS console.
    log_group : str
        The functions' log group; empty if unknown.

    Returns
    -------
    str
        A page to store beside the manifest: links to files and to other reports are relative to it.

    Examples
    --------
    >>> from rds_to_s3.reported.manifest import Totals
    >>> run = Manifest(version=1, run_id="run-1", execution_arn="arn:aws:states:…", status="SUCCEEDED", redrives=0,
    ...                started_at="2025-04-02T12:00:00Z", finished_at="2025-04-02T12:00:09Z", window_end=None,
    ...                totals=Totals.of([]), tables=[])
    >>> "<h1>Run run-1</h1>" in render_report(run)
    True
    """
    title = f"Run {manifest.run_id}: {LABELS[manifest.status]}"
    tables = sorted(manifest.tables, key=lambda table: table.status != "FAILED")
    body = "\n".join(
        part
        for part in (
            header(manifest),
            failures_section(manifest, tables),
            warnings_section(manifest, tables),
            timeline_section(manifest, tables),
            tables_section(tables),
            proof_section(tables),
            trend_section(manifest, previous),
            files_section(tables, bucket, region),
            footer(manifest, bucket, region, log_group),
        )
        if part
    )
    return whole_page(title, body)
