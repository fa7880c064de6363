"""The metrics that the functions emit; ``docs/report.md`` documents their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aws_lambda_powertools import Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from rds_to_s3.extract import Outcome  # brings numpy and PyMySQL, which the manifest's function does without


def emit_metrics(metrics: Metrics, table: str, outcome: Outcome) -> None:
    """Emit what a finished table came to; an invocation that hands back, or has nothing to do, says nothing.

    Parameters
    ----------
    metrics : Metrics
        Written to the log in CloudWatch's embedded metric format. Two of them are written once more without the table:
        an alarm cannot search over dimensions.
    """
    if outcome.status in {"CONTINUE", "SKIPPED"}:
        return
    record = outcome.record
    quarantined = record.get("quarantined_rows", 0)
    metrics.add_dimension(name="table", value=table)
    metrics.add_metric("RowsExtracted", MetricUnit.Count, outcome.rows)
    metrics.add_metric("FilesWritten", MetricUnit.Count, outcome.files)
    metrics.add_metric("BytesWritten", MetricUnit.Bytes, sum(file["bytes"] for file in record["files"]))
    metrics.add_metric("ExtractSeconds", MetricUnit.Seconds, record["seconds"])
    metrics.add_metric("FreshnessLagSeconds", MetricUnit.Seconds, outcome.lag_seconds)
    metrics.add_metric("RowsQuarantined", MetricUnit.Count, quarantined)
    metrics.flush_metrics()
    emit_for_alarms("FreshnessLagSeconds", MetricUnit.Seconds, outcome.lag_seconds)
    emit_for_alarms("RowsQuarantined", MetricUnit.Count, quarantined)


def emit_lags(metrics: Metrics, lags: Mapping[str, float]) -> None:
    """Emit how far tables that failed are behind: their extractors got no further than failing.

    Parameters
    ----------
    lags : mapping
        Seconds by table.
    """
    for table, seconds in lags.items():
        metrics.add_dimension(name="table", value=table)
        metrics.add_metric("FreshnessLagSeconds", MetricUnit.Seconds, seconds)
        metrics.flush_metrics()
        emit_for_alarms("FreshnessLagSeconds", MetricUnit.Seconds, seconds)


def emit_for_alarms(name: str, unit: MetricUnit, value: float) -> None:
    """Emit a metric by service alone."""
    with single_metric(name=name, unit=unit, value=value):
        pass
