"""ExtractTable: one table's window -> files in S3 -> watermark."""

from __future__ import annotations

from functools import partial
from typing import Any

import telemetry
from rds_to_s3.aws.database import open_connection
from rds_to_s3.aws.mask_key import mask_key
from rds_to_s3.clean_up import full_text
from rds_to_s3.extract.extract_table import run_extraction
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.settings import ExtractSettings


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Extract one table, or one range of it. `event` is ``{"run_id", "table"}``, or also has ``"range"``."""
    logger = telemetry.logger(run_id=event["run_id"], table=event["table"], range=str(event.get("range", "")))
    settings = ExtractSettings.from_environment()
    outcome = run_extraction(
        event["run_id"],
        event["table"],
        ObjectStore(settings.data_bucket),
        partial(open_connection, settings),
        reconnect=partial(open_connection, settings, fresh=True),
        mask_key=mask_key(settings.mask_key_secret).get,
        time_left=lambda: context.get_remaining_time_in_millis() / 1000,
        number=event.get("range"),
        on_failure=lambda error: logger.error(full_text(error), extra={"error_type": type(error).__name__}),
    )
    telemetry.emit_table(event["table"], outcome)
    logger.info(
        outcome.status, extra={"rows": outcome.rows, "files": outcome.files, "lag_seconds": outcome.lag_seconds}
    )
    return {
        "table": event["table"],
        "range": event.get("range"),
        "status": outcome.status,
        "rows": outcome.rows,
        "files": outcome.files,
        "ranges": [{"table": event["table"], "range": number} for number in outcome.ranges],
    }
