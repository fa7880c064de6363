"""Log and metrics of the functions; ``docs/report.md`` documents the metrics' names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from rds_to_s3.extract.outcome import Outcome


def logger(**keys: str) -> Logger:
    """Return the function's log; every line has `keys` from now on."""
    log = _logger()
    log.append_keys(**keys)
    return log


def emit_table(table: str, outcome: Outcome) -> None:
    """Emit the metrics of a finished table; an invocation that hands back, or has nothing to do, emits none.

    Metrics are written to the log in CloudWatch's embedded metric format. Those for alarms are written once more
    without the table: an alarm cannot search over dimensions.
    """
    record = outcome.record
    if record is None or outcome.reported_before or outcome.status == "SKIPPED":
        return
    healed = record.proof.healed if record.proof else 0
    metrics = _metrics()
    metrics.add_dimension(name="table", value=_dimension(table))
    metrics.add_metric("RowsExtracted", MetricUnit.Count, outcome.rows)
    metrics.add_metric("FilesWritten", MetricUnit.Count, outcome.files)
    metrics.add_metric("BytesWritten", MetricUnit.Bytes, record.bytes)
    metrics.add_metric("ExtractSeconds", MetricUnit.Seconds, record.seconds)
    metrics.add_metric("RowsQuarantined", MetricUnit.Count, record.quarantined_rows)
    metrics.add_metric("RowsHealed", MetricUnit.Count, healed)
    metrics.flush_metrics()
    _emit_for_alarms("RowsQuarantined", MetricUnit.Count, record.quarantined_rows)
    _emit_for_alarms("RowsHealed", MetricUnit.Count, healed)


def emit_lags(lags: Mapping[str, float]) -> None:
    """Emit how far each table is behind, and for the alarm how far the last of them is.

    Only the end of a run emits it: the alarm keeps the last value, so that value must cover all tables.

    Parameters
    ----------
    lags : mapping
        Seconds by table.
    """
    metrics = _metrics()
    for table, seconds in lags.items():
        metrics.add_dimension(name="table", value=_dimension(table))
        metrics.add_metric("FreshnessLagSeconds", MetricUnit.Seconds, seconds)
        metrics.flush_metrics()
    longest = max(lags.values(), default=0.0)
    _emit_for_alarms("FreshnessLagSeconds", MetricUnit.Seconds, longest)
    _emit_for_alarms("FreshnessLagHours", MetricUnit.NoUnit, longest / 3600)


def emit_event_not_sent() -> None:
    """Emit that EventBridge did not take a run's event."""
    _emit_for_alarms("EventsNotSent", MetricUnit.Count, 1)


def emit_unregistered(tables: int) -> None:
    """Emit for how many tables the catalogue did not get every partition."""
    _emit_for_alarms("PartitionsNotRegistered", MetricUnit.Count, tables)


def _emit_for_alarms(name: str, unit: MetricUnit, value: float) -> None:
    with single_metric(name=name, unit=unit, value=value):
        pass


def _dimension(table: str) -> str:
    # All that CloudWatch takes.
    return table.encode("ascii", "backslashreplace").decode("ascii")


@cache
def _logger() -> Logger:
    return Logger()


@cache
def _metrics() -> Metrics:
    return Metrics()
