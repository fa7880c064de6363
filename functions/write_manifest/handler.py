"""WriteManifest: what happened -> runs/{run_id}/manifest.json."""

from __future__ import annotations

from typing import Any

import telemetry
from rds_to_s3.manifest.write_manifest import write_manifest
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.settings import BucketSettings


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Write a run's manifest. `event` is ``{"execution": $$.Execution, "state": $}``."""
    logger = telemetry.logger(run_id=event["execution"]["Name"])
    settings = BucketSettings.from_environment()
    outcome = write_manifest(
        event["execution"],
        event["state"],
        ObjectStore(settings.data_bucket),
        region=event["execution"]["Id"].split(":")[3],
        on_lags=telemetry.emit_lags,
        on_problem=lambda error: logger.error("no report was written: %r", error),
    )
    logger.info("manifest written", extra={"status": outcome["status"], "failed": outcome["failed"]})
    return outcome
