"""CheckRun, the gate: end the run, fail it, or run the failed tables again."""

from __future__ import annotations

from typing import Any

import telemetry
from rds_to_s3.gate import Decision, ask_gate
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.settings import BucketSettings


def handler(event: dict[str, Any], _context: Any) -> Decision:
    """Decide how a run continues.

    `event` is ``{"execution": $$.Execution, "state": {"outcome", "announced"}, "entry": $$.State}``.
    """
    logger = telemetry.logger(run_id=event["execution"]["Name"])
    settings = BucketSettings.from_environment()
    # An execution that began with an earlier definition has no event.
    if not_sent := event["state"].get("announced", {}).get("Error"):
        cause = event["state"]["announced"].get("Cause", "")
        logger.error("the event Run finished was not sent: %s: %s", not_sent, cause)
        telemetry.emit_event_not_sent()
    decision = ask_gate(
        event["execution"],
        event.get("entry"),
        event["state"]["outcome"],
        ObjectStore(settings.data_bucket),
        on_problem=lambda error: logger.error("the gate's answer could not be kept: %r", error),
    )
    logger.info(decision["decision"], extra={"tables": decision["tables"]})
    return decision
