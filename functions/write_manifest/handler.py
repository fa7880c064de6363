"""WriteManifest: what happened -> runs/{run_id}/manifest.json."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import telemetry
from rds_to_s3.aws.glue import GlueDatabase
from rds_to_s3.aws.notices import publish
from rds_to_s3.manifest.cost import ExtractSize
from rds_to_s3.manifest.overview.notice import Notice
from rds_to_s3.manifest.partitions import register_partitions
from rds_to_s3.manifest.write_manifest import write_manifest
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.reported.manifest import Manifest
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.settings import ManifestSettings

CATALOGUE_SECONDS = 60.0  # of the function's 300: enough for 500 tables


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Write a run's manifest. `event` is ``{"execution": $$.Execution, "state": $}``."""
    logger = telemetry.logger(run_id=event["execution"]["Name"])
    settings = ManifestSettings.from_environment()
    store = ObjectStore(settings.data_bucket)

    def register(manifest: Manifest, tables: Sequence[TableSpec]) -> None:
        if settings.glue_database:
            catalogue = GlueDatabase(settings.glue_database)
            columns = {entry.table: entry.names for entry in manifest.tables if entry.files}
            problems = register_partitions(tables, columns, store, catalogue, CATALOGUE_SECONDS)
            for problem in problems:
                logger.error("partitions were not registered: %s", problem)
            telemetry.emit_unregistered(len(problems))

    def send(notice: Notice) -> None:
        if settings.alarm_topic:
            publish(settings.alarm_topic, notice.subject, notice.body)

    outcome = write_manifest(
        event["execution"],
        event["state"],
        store,
        region=event["execution"]["Id"].split(":")[3],
        size=ExtractSize(settings.extract_memory_size, settings.architecture) if settings.extract_memory_size else None,
        log_group=os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", ""),
        limit_hours=settings.freshness_limit_hours,
        on_lags=telemetry.emit_lags,
        on_written=register,
        on_notice=send,
        on_problem=lambda error: logger.error("a page or a notice was not written: %r", error),
    )
    logger.info("manifest written", extra={"status": outcome["status"], "failed": outcome["failed"]})
    return outcome
