"""The metrics of one table's extraction; ``docs/metrics.md`` documents their names."""

from __future__ import annotations

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from rds_to_s3.extract import Outcome


def emit_metrics(metrics: Metrics, table: str, outcome: Outcome) -> None:
    """Emit what a finished table came to; an invocation that hands back says nothing yet.

    Parameters
    ----------
    metrics : Metrics
        Written to the log in CloudWatch's embedded metric format.
    """
    if outcome.status in {"CONTINUE", "SKIPPED"}:
        return
    record = outcome.record
    metrics.add_dimension(name="table", value=table)
    metrics.add_metric("RowsExtracted", MetricUnit.Count, outcome.rows)
    metrics.add_metric("FilesWritten", MetricUnit.Count, outcome.files)
    metrics.add_metric("BytesWritten", MetricUnit.Bytes, sum(file["bytes"] for file in record["files"]))
    metrics.add_metric("ExtractSeconds", MetricUnit.Seconds, record["seconds"])
    metrics.add_metric("FreshnessLagSeconds", MetricUnit.Seconds, outcome.lag_seconds)
    metrics.add_metric("RowsQuarantined", MetricUnit.Count, record.get("quarantined_rows", 0))
    metrics.flush_metrics()
