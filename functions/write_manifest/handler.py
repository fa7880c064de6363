"""WriteManifest: what happened -> runs/{run_id}/manifest.json."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from rds_to_s3.manifest import lags_of_failed
from rds_to_s3.reporting import write_manifest
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.settings import BucketSettings
from telemetry import emit_lags


@cache
def _logger() -> Logger:
    return Logger()


@cache
def _metrics() -> Metrics:
    return Metrics()


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Write a run's manifest. `event` is ``{"execution": $$.Execution, "state": $}``."""
    logger = _logger()
    logger.append_keys(run_id=event["execution"]["Name"])
    settings = BucketSettings.from_environment()
    outcome = write_manifest(
        event["execution"],
        event["state"],
        ObjectStore(settings.data_bucket),
        region=event["execution"]["Id"].split(":")[3],
        on_manifest=lambda manifest: emit_lags(_metrics(), lags_of_failed(manifest)),
        on_problem=lambda error: logger.error("no report was written: %r", error),
    )
    logger.info("manifest written", extra={"status": outcome["status"], "failed": outcome["failed"]})
    return outcome
