"""PlanRun: table list, input and the database's clock -> the run: its tables and their upper bound."""

from __future__ import annotations

from functools import partial
from typing import Any

import telemetry
from rds_to_s3.aws.database import open_connection
from rds_to_s3.aws.self_check import check_from_inside
from rds_to_s3.plan.plan_run import plan_run
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.settings import PlanSettings


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Plan a run. `event` is ``{"execution": $$.Execution, "state": $}``.

    ``{"check": true}`` plans nothing, and answers what the function reaches from where it runs.
    """
    if event.get("check") is True:
        settings = PlanSettings.from_environment()
        return check_from_inside(settings, ObjectStore(settings.data_bucket))
    logger = telemetry.logger(run_id=event["execution"]["Name"])
    settings = PlanSettings.from_environment()
    answer = plan_run(
        event["execution"],
        event["state"],
        settings,
        ObjectStore(settings.data_bucket),
        # Once per run: all its tables are read up to this server's bound.
        partial(open_connection, settings, fresh=True),
    )
    logger.info("planned", extra={"until": answer["until"], "tables": [item["table"] for item in answer["tables"]]})
    return answer
