"""What the answers of AWS say about a stack's health. Pure: answers in, findings out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rds_to_s3.manifest.report.figures import duration
from rds_to_s3_ops.findings import Finding, failed, passed, skipped, warned
from rds_to_s3_ops.inspection.schedules import longest_pause, next_start

if TYPE_CHECKING:
    from rds_to_s3.plan.table_list import TableList
    from rds_to_s3.reported.manifest import Manifest
    from rds_to_s3_ops.runs.runs import Run

_HIGHEST_LIMIT = 168  # hours, as the template has it
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def check_identity(identity: Mapping[str, Any], region: str) -> Finding:
    """Who the command is on AWS; `identity` is STS's answer."""
    return passed("AWS credentials", f"{identity['Arn']} in {region}")


def check_stack(name: str, status: str) -> Finding:
    """Whether the last deployment went well."""
    if "ROLLBACK" in status:
        return warned(
            "stack", f"{name} is {status}: its last deployment went wrong", "see the stack's events, and deploy again"
        )
    return passed("stack", f"{name} is {status}")


def check_table_list(listed: TableList, parameter: str) -> Finding:
    """Whether something is listed; that it can be read at all is known by then."""
    if not listed.tables:
        return warned("table list", f"{parameter} lists no table", "rds-to-s3 tables add TABLE")
    patterns = sum(spec.is_pattern for spec in listed.tables)
    more = f", {patterns} of them patterns" if patterns else ""
    return passed("table list", f"{len(listed.tables)} entries in {parameter}{more}")


# --- the bucket ---------------------------------------------------------------------------------------------------


def check_public_access(configuration: Mapping[str, Any] | None) -> Finding:
    """Whether nobody can make the bucket public; None where nothing is configured."""
    missing = [name for name in _BLOCKS if not (configuration or {}).get(name)]
    if missing:
        return failed(
            "bucket is private", f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} off", "deploy again"
        )
    return passed("bucket is private", "public access is blocked")


def check_lifecycle(rules: Sequence[Mapping[str, Any]]) -> Finding:
    """Whether uploads that a killed run left behind go away."""
    for rule in rules:
        days = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
        everywhere = not rule.get("Prefix") and not any(rule.get("Filter", {}).values())
        if days and everywhere and rule.get("Status") == "Enabled":
            return passed("abandoned uploads", f"are removed after {days} days")
    return warned(
        "abandoned uploads",
        "no lifecycle rule removes them: a killed run's parts are invisible, and paid for",
        "deploy again, or add a rule with AbortIncompleteMultipartUpload to the bucket",
    )


def check_versioning(status: str | None) -> Finding:
    """Whether a deleted file can be brought back."""
    if status == "Enabled":
        return passed("bucket keeps versions", "a file or watermark deleted by mistake can be brought back")
    return warned(
        "bucket keeps versions", "versioning is off: what is deleted or overwritten by mistake is gone", "deploy again"
    )


# --- the functions ------------------------------------------------------------------------------------------------


def check_function(name: str, configuration: Mapping[str, Any]) -> Finding:
    """Whether a function can be called; `configuration` is Lambda's GetFunctionConfiguration."""
    check = f"function {name}"
    state, update = configuration.get("State", "Active"), configuration.get("LastUpdateStatus", "Successful")
    if state == "Failed" or update == "Failed":
        reason = configuration.get("StateReason") or configuration.get("LastUpdateStatusReason") or "no reason is given"
        return failed(check, f"cannot be called: {reason}", "mend what the reason names, and deploy again")
    size = f"{configuration.get('MemorySize')} MiB, {configuration.get('Timeout')} s"
    if state == "Inactive":
        return passed(check, f"idle for weeks: the first call takes a minute longer ({size})")
    return passed(check, f"{state.lower()}, {size}")


def check_layers(used: bool, layers: Mapping[str, str] | None) -> Finding:
    """Whether the layers are there.

    Parameters
    ----------
    used : bool
        The stack's parameter UseLayers.
    layers : mapping or None
        Each layer's ARN, and the code of the error that asking for it met; empty where it is there. None where no
        function could be looked at.
    """
    if not used:
        return skipped("layers", "UseLayers is false: the functions find their libraries without")
    if layers is None:
        return skipped("layers", "no function could be looked at")
    gone = [arn for arn, code in layers.items() if code == "ResourceNotFoundException"]
    if gone:
        return failed(
            "layers",
            f"not there: {', '.join(gone)}",
            "set AwsSdkPandasLayerArn or PowertoolsLayerArn to a version that this region has (docs/deploy.md)",
        )
    if not layers:
        return failed("layers", "the functions have none, so pyarrow and Powertools are missing", "deploy again")
    names = [arn.split(":layer:")[-1] for arn in layers]
    if any(layers.values()):
        return skipped("layers", f"{', '.join(names)}: attached, but your permissions do not let them be looked at")
    return passed("layers", ", ".join(names))


# --- when it runs -------------------------------------------------------------------------------------------------


def check_schedule(schedule: Mapping[str, Any], now: datetime) -> Finding:
    """Whether and when the schedule starts runs; `schedule` is EventBridge Scheduler's GetSchedule."""
    expression = schedule["ScheduleExpression"]
    zone = schedule.get("ScheduleExpressionTimezone", "UTC")
    if schedule.get("State") != "ENABLED":
        return warned(
            "schedule", f"{expression} is disabled: nothing starts by itself", "deploy with ScheduleState=ENABLED"
        )
    begins = schedule.get("StartDate") or schedule.get("LastModificationDate") or schedule.get("CreationDate")
    upcoming = next_start(expression, begins, now)
    told = f"{expression}, {zone}" if expression.startswith(("cron", "at")) else expression
    return passed("schedule", f"{told}{f'; next about {upcoming:%Y-%m-%d %H:%M} UTC' if upcoming else ''}")


def check_freshness_limit(expression: str, limit_hours: int) -> Finding:
    """Whether the alarms wait for as long as the schedule lets them: for one run that is missed, and not for none.

    Parameters
    ----------
    expression : str
        The schedule's.
    limit_hours : int
        The stack's FreshnessLimitHours.
    """
    check = "freshness limit"
    pause = longest_pause(expression)
    if pause is None:
        advice = f"FreshnessLimitHours ({limit_hours}) should be twice the longest time between two runs"
        return skipped(check, f"how far apart {expression} starts runs is not worked out here; {advice}")
    told = f"{limit_hours} h, and {expression} leaves up to {duration(pause.total_seconds())} between two runs"
    needed = math.ceil(2 * pause / timedelta(hours=1))
    if needed <= limit_hours:
        return passed(check, told)
    return warned(
        check,
        f"{told}: alarms go off at the first run that is late, or although none is",
        f"deploy with FreshnessLimitHours={needed}"
        if needed <= _HIGHEST_LIMIT
        else f"deploy with runs at most {_HIGHEST_LIMIT // 2} hours apart and FreshnessLimitHours={_HIGHEST_LIMIT}",
    )


def check_last_run(run: Run | None, now: datetime, *, expected_seconds: float | None) -> Finding:
    """How the newest run ended, and whether it was recent.

    Parameters
    ----------
    run : Run or None
    now : datetime
    expected_seconds : float or None
        A run that started longer ago is too old; None where nothing is scheduled.
    """
    if run is None:
        return warned("last run", "there has been none", "rds-to-s3 run")
    ago = (now - run.started_at).total_seconds()
    told = f"{run.run_id}, started {duration(ago)} ago: {run.status.lower().replace('_', ' ')}"
    if run.is_running:
        return passed("last run", told)
    if run.status != "SUCCEEDED":
        return warned("last run", told, f"rds-to-s3 show {run.run_id}, mend it, then rds-to-s3 redrive {run.run_id}")
    if expected_seconds is not None and ago > expected_seconds:
        return warned("last run", f"{told}, longer ago than FreshnessLimitHours", "look at the schedule and its role")
    return passed("last run", told)


def check_reached(manifest: Manifest | None, subnets: str) -> Finding:
    """Whether the functions reach the database: only they can tell, and a run's manifest does.

    Parameters
    ----------
    manifest : Manifest or None
        Of the newest finished run.
    subnets : str
        The stack's SubnetIds; empty where the functions are in no VPC.
    """
    check = "network from the functions"
    where = f"in {subnets}" if subnets else "outside any VPC"
    if manifest is None:
        return skipped(check, f"the functions run {where}, so only a run can tell")
    if manifest.window_end:
        return passed(check, f"run {manifest.run_id} reached the database, from {where.removeprefix('in ')}")
    error = manifest.error
    if error and error.type in {"DatabaseUnreachableError", "CredentialsNotFoundError", "DatabaseTlsError"}:
        return failed(check, f"run {manifest.run_id}: {error.message}", "see docs/deploy.md, Network")
    return skipped(check, f"run {manifest.run_id} did not come to it; the next one can tell")


def check_subscribers(subscriptions: Sequence[Mapping[str, Any]]) -> Finding:
    """Whether somebody hears the alarms; `subscriptions` is SNS's list of the alarm topic's."""
    confirmed = [entry for entry in subscriptions if entry.get("SubscriptionArn", "").startswith("arn:")]
    if confirmed:
        return passed("alarms", f"{len(confirmed)} subscribed: {', '.join(entry['Endpoint'] for entry in confirmed)}")
    if subscriptions:
        return warned("alarms", "no subscription is confirmed yet", "click the link in the mail from SNS")
    return warned("alarms", "nobody hears them", "deploy with AlarmEmail, or subscribe to the stack's AlarmTopicArn")
