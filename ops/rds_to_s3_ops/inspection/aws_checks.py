"""The checks of a stack on AWS. Pure: AWS's answers in, findings out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rds_to_s3.errors import TableListError
from rds_to_s3.manifest.report.figures import duration
from rds_to_s3.plan.lists.stored_list import pointer_of
from rds_to_s3.plan.table_list import parse_table_list
from rds_to_s3.wording import first_names
from rds_to_s3_ops.findings import Finding, failed, passed, skipped, warned
from rds_to_s3_ops.inspection.schedules import longest_pause, next_start

if TYPE_CHECKING:
    from rds_to_s3.plan.table_list import TableList
    from rds_to_s3.reported.manifest import Manifest
    from rds_to_s3_ops.runs.runs import Run

_DEPLOY_THE_LIST = "deploy with the live list as TableList, or with ExistingTableListParameter (docs/deploy.md)"
_HIGHEST_LIMIT = 168  # hours, as the template has it
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def check_identity(identity: Mapping[str, Any], region: str) -> Finding:
    """Report the identity of the command on AWS; `identity` is STS's answer."""
    return passed("AWS credentials", f"{identity['Arn']} in {region}")


def check_stack(name: str, status: str) -> Finding:
    """Whether the last deployment succeeded."""
    if "ROLLBACK" in status:
        return warned(
            "stack", f"{name} is {status}: its last deployment failed", "see the stack's events, and deploy again"
        )
    return passed("stack", f"{name} is {status}")


def check_table_list(listed: TableList, parameter: str) -> Finding:
    """Whether the table list, which could be read, has an entry."""
    if not listed.tables:
        return warned("table list", f"{parameter} lists no table", "rds-to-s3 tables add TABLE")
    patterns = sum(spec.is_pattern for spec in listed.tables)
    more = f", {patterns} of them patterns" if patterns else ""
    return passed("table list", f"{len(listed.tables)} entries in {parameter}{more}")


def check_stack_list(listed: TableList, template_list: str | None, url: str | None = None) -> Finding:
    """Whether a deploy that writes the stack's TableList over the live list would change it.

    Parameters
    ----------
    listed : TableList
        The live list.
    template_list : str or None
        The stack parameter TableList; None if the stack does not own the SSM parameter.
    url : str or None
        Of the object that the live parameter points to.
    """
    check = "table list and deploys"
    if template_list is None:
        return passed(check, "the stack does not own the SSM parameter: no deploy writes to it")
    try:
        pointer = pointer_of(template_list)
        if pointer is not None and pointer == url:
            return passed(check, f"the SSM parameter and the stack parameter TableList both point to {url}")
        stacks = listed if pointer is not None else parse_table_list(template_list)
    except TableListError as error:
        return warned(check, f"the stack parameter TableList is not a table list: {error}", _DEPLOY_THE_LIST)
    changes = [f"read the list from {pointer}"] if pointer is not None else _changes(listed, stacks)
    if changes:
        return warned(
            check,
            "a deploy that touches the SSM parameter, such as one with another tag, writes the stack parameter "
            f"TableList over it and would {' and '.join(changes)}",
            _DEPLOY_THE_LIST,
        )
    return passed(check, "the live list and the stack parameter TableList are equal")


def _changes(live: TableList, stacks: TableList) -> list[str]:
    """Return what a table list does to the live one that it replaces."""
    before, after = ({spec.name: spec for spec in listed.tables} for listed in (live, stacks))
    # Which keys are a table's own, and which are from the defaults, changes only what a missing column means.
    others = [
        name
        for name in before.keys() & after.keys()
        if before[name].model_dump(exclude={"own_keys"}) != after[name].model_dump(exclude={"own_keys"})
    ]
    changes = [
        f"{verb} {first_names(sorted(names))}"
        for verb, names in (
            ("drop", before.keys() - after.keys()),
            ("bring back", after.keys() - before.keys()),
            ("change the settings of", others),
        )
        if names
    ]
    if set(live.exclude) != set(stacks.exclude):
        changes.append(f"exclude {first_names(stacks.exclude) or 'nothing'}")
    return changes


# --- the bucket ---------------------------------------------------------------------------------------------------


def check_public_access(configuration: Mapping[str, Any] | None) -> Finding:
    """Whether public access is blocked; None if nothing is configured."""
    missing = [name for name in _BLOCKS if not (configuration or {}).get(name)]
    if missing:
        return failed(
            "bucket is private", f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} off", "deploy again"
        )
    return passed("bucket is private", "public access is blocked")


def check_lifecycle(rules: Sequence[Mapping[str, Any]]) -> Finding:
    """Whether the bucket removes abandoned uploads of killed runs."""
    for rule in rules:
        days = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
        everywhere = not rule.get("Prefix") and not any(rule.get("Filter", {}).values())
        if days and everywhere and rule.get("Status") == "Enabled":
            return passed("abandoned uploads", f"are removed after {days} days")
    return warned(
        "abandoned uploads",
        "no lifecycle rule removes them: a killed run's parts are invisible, but are billed",
        "deploy again, or add a rule with AbortIncompleteMultipartUpload to the bucket",
    )


def check_versioning(status: str | None) -> Finding:
    """Whether a deleted file can be restored."""
    if status == "Enabled":
        return passed("bucket keeps versions", "a file or watermark deleted by mistake can be restored")
    return warned(
        "bucket keeps versions", "versioning is off: a deleted or overwritten object cannot be restored", "deploy again"
    )


# --- the functions ------------------------------------------------------------------------------------------------


def check_function(name: str, configuration: Mapping[str, Any]) -> Finding:
    """Whether a function can be called; `configuration` is Lambda's GetFunctionConfiguration."""
    check = f"function {name}"
    state, update = configuration.get("State", "Active"), configuration.get("LastUpdateStatus", "Successful")
    if state == "Failed" or update == "Failed":
        reason = configuration.get("StateReason") or configuration.get("LastUpdateStatusReason") or "no reason is given"
        return failed(check, f"cannot be called: {reason}", "fix that, and deploy again")
    size = f"{configuration.get('MemorySize')} MiB, {configuration.get('Timeout')} s"
    if state == "Inactive":
        return passed(check, f"idle for weeks: the first call takes a minute longer ({size})")
    return passed(check, f"{state.lower()}, {size}")


def check_layers(used: bool, layers: Mapping[str, str] | None) -> Finding:
    """Whether the layers exist.

    Parameters
    ----------
    used : bool
        The stack's parameter UseLayers.
    layers : mapping or None
        Each layer's ARN, and the error code of the request for it; empty if the layer exists. None if no function
        could be read.
    """
    if not used:
        return skipped("layers", "UseLayers is false: the functions have their libraries without layers")
    if layers is None:
        return skipped("layers", "no function could be read")
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
        # Lambda refuses a layer of another account alike if it is not there and if it is not shared.
        return skipped(
            "layers",
            f"{', '.join(names)}: attached, and Lambda refuses to show them. Either you lack lambda:GetLayerVersion, "
            "or a version does not exist or is not shared; then a deployment that changes the functions fails",
        )
    return passed("layers", ", ".join(names))


# --- when it runs -------------------------------------------------------------------------------------------------


def check_schedule(schedule: Mapping[str, Any], now: datetime) -> Finding:
    """Whether and when the schedule starts runs; `schedule` is EventBridge Scheduler's GetSchedule."""
    expression = schedule["ScheduleExpression"]
    zone = schedule.get("ScheduleExpressionTimezone", "UTC")
    if schedule.get("State") != "ENABLED":
        return warned(
            "schedule", f"{expression} is disabled: no run starts automatically", "deploy with ScheduleState=ENABLED"
        )
    begins = schedule.get("StartDate") or schedule.get("LastModificationDate") or schedule.get("CreationDate")
    upcoming = next_start(expression, begins, now)
    described = f"{expression}, {zone}" if expression.startswith(("cron", "at")) else expression
    return passed("schedule", f"{described}{f'; next about {upcoming:%Y-%m-%d %H:%M} UTC' if upcoming else ''}")


def check_freshness_limit(expression: str, limit_hours: int) -> Finding:
    """Whether the alarms tolerate one missed run, and no more.

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
        return skipped(check, f"the time between two runs of {expression} is not computed here; {advice}")
    described = f"{limit_hours} h, and {expression} leaves up to {duration(pause.total_seconds())} between two runs"
    needed = math.ceil(2 * pause / timedelta(hours=1))
    if needed <= limit_hours:
        return passed(check, described)
    return warned(
        check,
        f"{described}: alarms fire at the first late run, or without one",
        f"deploy with FreshnessLimitHours={needed}"
        if needed <= _HIGHEST_LIMIT
        else f"deploy with runs at most {_HIGHEST_LIMIT // 2} hours apart and FreshnessLimitHours={_HIGHEST_LIMIT}",
    )


def check_last_run(run: Run | None, now: datetime, *, expected_seconds: float | None) -> Finding:
    """Report the result of the newest run, and whether it is recent.

    Parameters
    ----------
    run : Run or None
    now : datetime
    expected_seconds : float or None
        A run that started longer ago is too old; None if there is no schedule.
    """
    if run is None:
        return warned("last run", "no run yet", "rds-to-s3 run")
    ago = (now - run.started_at).total_seconds()
    described = f"{run.run_id}, started {duration(ago)} ago: {run.status.lower().replace('_', ' ')}"
    if run.is_running:
        return passed("last run", described)
    if run.status != "SUCCEEDED":
        return warned(
            "last run", described, f"rds-to-s3 show {run.run_id}, fix the cause, then rds-to-s3 redrive {run.run_id}"
        )
    if expected_seconds is not None and ago > expected_seconds:
        return warned(
            "last run", f"{described}, longer ago than FreshnessLimitHours", "look at the schedule and its role"
        )
    return passed("last run", described)


def check_reached(manifest: Manifest | None, subnets: str) -> Finding:
    """Whether the functions reach the database, according to the newest manifest.

    Parameters
    ----------
    manifest : Manifest or None
        Of the newest finished run.
    subnets : str
        The stack's SubnetIds; empty if the functions are in no VPC.
    """
    check = "network from the functions"
    where = f"in {subnets}" if subnets else "outside any VPC"
    if manifest is None:
        return skipped(check, f"the functions run {where}, so only a run can show it")
    if manifest.window_end:
        return passed(check, f"run {manifest.run_id} reached the database, from {where.removeprefix('in ')}")
    error = manifest.error
    if error and error.type in {"DatabaseUnreachableError", "CredentialsNotFoundError", "DatabaseTlsError"}:
        return failed(check, f"run {manifest.run_id}: {error.message}", "see docs/deploy.md, Network")
    return skipped(check, f"run {manifest.run_id} ended before it connected; the next run will show it")


def check_subscribers(subscriptions: Sequence[Mapping[str, Any]]) -> Finding:
    """Whether the alarms have a recipient; `subscriptions` is SNS's list for the alarm topic."""
    confirmed = [entry for entry in subscriptions if entry.get("SubscriptionArn", "").startswith("arn:")]
    if confirmed:
        return passed("alarms", f"{len(confirmed)} subscribed: {', '.join(entry['Endpoint'] for entry in confirmed)}")
    if subscriptions:
        return warned("alarms", "no subscription is confirmed yet", "click the link in the mail from SNS")
    return warned(
        "alarms", "they have no recipient", "deploy with AlarmEmail, or subscribe to the stack's AlarmTopicArn"
    )
