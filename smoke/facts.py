"""What only AWS can answer: each fact that the product rests on, and how the account is asked for it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from local.demo import COMMAND
from smoke.asking import Fact
from smoke.errors import NotAskedError, NotHeldError, SmokeError
from smoke.trial import Trial

TESTED = {
    "Python": ("3.13",),
    "pyarrow": ("20.0",),
    "numpy": ("2.2.6", "2.4.4"),
    "PyMySQL": ("1.1.2",),
    "Powertools": ("3.24",),
}
"""Which versions the layers should bring: requirements/lambda.txt."""
ALARM_SECONDS = 900
RESTARTED_SECONDS = 240
"""A server that runs for a shorter time has been restarted: by then the trial has taken longer."""


def _need_the_right(error: ClientError) -> None:
    """Do not take a refusal for lack of rights for AWS's answer: both may be ``AccessDenied``."""
    if "is not authorized to perform" in str(error):
        raise NotAskedError(str(error))


def _need(seen: Any) -> None:
    if not seen:
        raise NotAskedError("the trial did not come that far")


# --- redrive ------------------------------------------------------------------------------------------------------


def _gate_inputs(trial: Trial) -> Iterator[dict[str, Any]]:
    """Yield what the gate was called with after the redrive."""
    _need(trial.history)
    redriven = False
    for event in trial.history:
        redriven |= event["type"] == "ExecutionRedriven"
        details = event.get("taskScheduledEventDetails")
        if redriven and details:
            payload = json.loads(details["parameters"]).get("Payload", {})
            if "entry" in payload:
                yield payload


def _first_gate_input(trial: Trial) -> dict[str, Any]:
    for payload in _gate_inputs(trial):
        return payload
    raise NotAskedError("the history shows no call of the gate after the redrive")


def _redrive_count(trial: Trial) -> str:
    count = _first_gate_input(trial)["execution"].get("RedriveCount")
    if count != 1:
        raise NotHeldError(f"$$.Execution.RedriveCount is {count!r}: the gate's own record has to do")
    return "$$.Execution.RedriveCount is 1"


def _retry_count(trial: Trial) -> str:
    entry = _first_gate_input(trial)["entry"]
    count = int(entry.get("RetryCount") or 0)
    if count:
        raise NotHeldError(f"$$.State.RetryCount is {count}")
    return f"entered at {entry.get('EnteredTime')}"


def _redrive_runs_the_rest(trial: Trial) -> str:
    _need(trial.redriven)
    manifest = trial.manifests["redriven"]
    entries = {entry["table"]: entry for entry in manifest["tables"]}
    again = [name for name, entry in entries.items() if entry.get("redrive")]
    if (
        manifest["status"] != "SUCCEEDED"
        or again != ["menu"]
        or trial.redriven["executionArn"] != trial.broken["executionArn"]
    ):
        raise NotHeldError(f"the manifest is {manifest['status']}, and the redrive ran {again}")
    return "menu"


def _rows_are_complete(trial: Trial) -> str:
    _need(trial.counted)
    rows = {entry["table"]: entry["rows"] for entry in trial.first_tables}
    if rows != trial.counted:
        raise NotHeldError(f"the files have {rows}, the database {trial.counted}")
    return f"{sum(rows.values()):,} rows"


def _files_verify(trial: Trial) -> str:
    _need(trial.redriven)
    words = [str(COMMAND), "verify", "--all", "--stack", trial.names.stack]
    done = subprocess.run(words, env=dict(trial.account.environment), capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHeldError(f"rds-to-s3 verify --all: {(done.stdout + done.stderr).strip()[-500:]}")
    return "rds-to-s3 verify --all"


# --- stack, list, schedule ----------------------------------------------------------------------------------------


def _list_is_left(trial: Trial) -> str:
    _need("after another parameter" in trial.lists)
    if trial.lists["after another parameter"] != trial.lists["edited"]:
        raise NotHeldError("the template's list is back")
    return ""


def _list_is_overwritten(trial: Trial) -> str:
    _need("after another tag" in trial.lists)
    if trial.lists["after another tag"] == trial.lists["edited"]:
        raise NotHeldError("the edited list is still there: better than the docs say")
    return "as docs/deploy.md warns"


def _nothing_starts(trial: Trial) -> str:
    if trial.started_by_itself is None:
        raise NotAskedError("the trial did not come that far")
    if trial.started_by_itself:
        raise NotHeldError(f"started: {', '.join(trial.started_by_itself)}")
    return ""


def _alarm(trial: Trial, resource: str) -> str:
    answer = trial.account.client("cloudformation").describe_stack_resource(
        StackName=trial.names.stack, LogicalResourceId=resource
    )
    return str(answer["StackResourceDetail"]["PhysicalResourceId"])


def _alarm_actions(trial: Trial, name: str) -> list[str]:
    answer = trial.account.client("cloudwatch").describe_alarm_history(AlarmName=name, HistoryItemType="Action")
    return [str(item["HistorySummary"]) for item in answer["AlarmHistoryItems"]]


def _quiet_alarm(trial: Trial) -> str:
    _need(trial.outputs)
    sent = _alarm_actions(trial, _alarm(trial, "NothingStartedAlarm"))
    if sent:
        raise NotHeldError(sent[-1])
    return "no action since its creation"


def _failed_run_alarms(trial: Trial) -> str:
    _need(trial.broken)
    name = _alarm(trial, "RunFailedAlarm")
    for _ in trial.waits(ALARM_SECONDS):
        if sent := _alarm_actions(trial, name):
            return sent[-1]
    raise NotHeldError(f"no action within {ALARM_SECONDS // 60} minutes")


def _reserved_names(trial: Trial) -> str:
    ssm = trial.account.client("ssm")
    seen = []
    for name in (f"/aws-{trial.names.stack}/table-list", f"/SSM{trial.names.stack}/table-list"):
        try:
            ssm.put_parameter(Name=name, Value="{}", Type="String")
        except ClientError as error:
            _need_the_right(error)
            seen.append(error.response["Error"]["Code"])
        else:
            ssm.delete_parameter(Name=name)
            raise NotHeldError(f"{name} can be made")
    return ", ".join(seen)


# --- network, layers ----------------------------------------------------------------------------------------------


def _finding(trial: Trial, check: str) -> dict[str, str]:
    _need(trial.reached)
    for finding in trial.reached["findings"]:
        if finding["check"] == check:
            return dict(finding)
    raise NotAskedError(f"PlanRun did not come to {check}")


def _reaches(trial: Trial) -> str:
    _need(trial.reached)
    if not trial.reached["reached"]:
        failed = [
            f"{finding['check']}: {finding['message']}"
            for finding in trial.reached["findings"]
            if finding["result"] == "fail"
        ]
        raise NotHeldError("; ".join(failed))
    return "S3, Secrets Manager, the database"


def _passes(check: str) -> Callable[[Trial], str]:
    def ask_it(trial: Trial) -> str:
        finding = _finding(trial, check)
        if finding["result"] != "pass":
            raise NotHeldError(finding["message"])
        return finding["message"]

    return ask_it


def _grants(trial: Trial) -> str:
    if trial.refused_grants is None:
        raise NotAskedError("the trial did not come that far")
    if trial.refused_grants:
        raise NotHeldError("; ".join(trial.refused_grants))
    return ""


def _versions(trial: Trial) -> str:
    _need(trial.reached)
    found = trial.reached["libraries"]
    others = {name: found[name] for name, wanted in TESTED.items() if not found[name].startswith(wanted)}
    if others:
        raise NotHeldError(f"other than tested: {others}")
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _missing_layer(trial: Trial) -> str:
    _need(trial.outputs)
    functions = trial.account.client("lambda")
    name = _alarm(trial, "PlanRunFunction")
    layers = functions.get_function_configuration(FunctionName=name).get("Layers", [])
    if not layers:
        raise NotAskedError("the function has no layers")
    arn = layers[0]["Arn"].rpartition(":")[0] + ":99999"
    try:
        # Without the right to it, the next answer says nothing.
        functions.get_layer_version_by_arn(Arn=layers[0]["Arn"])
    except ClientError as error:
        raise NotAskedError(str(error)) from None
    try:
        functions.get_layer_version_by_arn(Arn=arn)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code != "AccessDeniedException":
            raise NotHeldError(f"it is {code}") from None
        return code
    raise NotHeldError(f"{arn} is there")


# --- S3, events, the database -------------------------------------------------------------------------------------


def _conditions(trial: Trial) -> str:
    _need(trial.outputs)
    s3, bucket, key = trial.account.client("s3"), trial.outputs["DataBucketName"], "smoke/conditions"

    def status(call: Callable[..., Any], **options: Any) -> int:
        try:
            return int(call(Bucket=bucket, Key=key, **options)["ResponseMetadata"]["HTTPStatusCode"])
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])

    old = s3.put_object(Bucket=bucket, Key=key, Body=b"1", IfNoneMatch="*")["ETag"]
    new = s3.put_object(Bucket=bucket, Key=key, Body=b"2", IfMatch=old)["ETag"]
    seen = {
        "a second first write": (status(s3.put_object, Body=b"3", IfNoneMatch="*"), 412),
        "a write over another version": (status(s3.put_object, Body=b"3", IfMatch=old), 412),
        "a deletion of another version": (status(s3.delete_object, IfMatch=old), 412),
        "a deletion of this version": (status(s3.delete_object, IfMatch=new), 204),
        "a deletion of nothing": (status(s3.delete_object, IfMatch=new), 404),
    }
    others = {what: found for what, (found, wanted) in seen.items() if found != wanted}
    if others:
        raise NotHeldError(str(others))
    return "412, 412, 412, 204, 404"


def _events(trial: Trial) -> str:
    _need(trial.redriven)
    sqs, url = trial.account.client("sqs"), trial.database_outputs["RunsQueueUrl"]
    wanted = {(trial.first["name"], 0), (trial.broken["name"], 0), (trial.broken["name"], 1)}
    found: set[tuple[str, int]] = set()
    resources = True
    for _ in trial.waits(60):
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
            event = json.loads(message["Body"])
            if event["detail"]["run_id"] in {name for name, _ in wanted}:
                found.add((event["detail"]["run_id"], event["detail"]["redrives"]))
                resources &= bool(event["resources"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        if found == wanted:
            return f"{len(found)} events, {'with' if resources else 'without'} the execution's ARN"
    raise NotHeldError(f"arrived: {sorted(found)}")


def _same_server_after_restart(trial: Trial) -> str:
    _need(trial.redriven)
    before = trial.database.run("SELECT @@server_uuid")[0][0]
    rds = trial.account.client("rds")
    answer = trial.account.client("cloudformation").describe_stack_resource(
        StackName=trial.names.database_stack, LogicalResourceId="Database"
    )
    instance = answer["StackResourceDetail"]["PhysicalResourceId"]
    rds.reboot_db_instance(DBInstanceIdentifier=instance)
    after = ""
    for _ in trial.waits(900):
        with suppress(SmokeError):  # until it answers again
            if int(trial.database.run("SHOW GLOBAL STATUS LIKE 'Uptime'")[0][1]) < RESTARTED_SECONDS:
                after = trial.database.run("SELECT @@server_uuid")[0][0]
                break
    if not after:
        raise NotAskedError("it did not restart in time")
    if after != before:
        raise NotHeldError("it is another: each restart makes the next window begin earlier")
    return ""


def _heartbeat(trial: Trial) -> str:
    _need(trial.counted)
    found = trial.database.run(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'mysql' AND table_name LIKE 'rds_heartbeat%'"
    )
    schema = trial.database.run("SELECT @@performance_schema, VERSION()")[0]
    if ["rds_heartbeat2"] not in found:
        raise NotHeldError(f"mysql has {found}; performance_schema {schema[0]}, {schema[1]}")
    return f"performance_schema {schema[0]}, {schema[1]}"


def _lifecycle(trial: Trial) -> str:
    _need(trial.outputs)
    s3 = trial.account.client("s3")
    rules = s3.get_bucket_lifecycle_configuration(Bucket=trial.outputs["DataBucketName"])["Rules"]
    if not any(rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker") for rule in rules):
        raise NotHeldError("no rule removes delete markers")
    return f"{len(rules)} rules"


def _bucket_is_kept(trial: Trial) -> str:
    _need(trial.outputs)
    s3, bucket = trial.account.client("s3"), trial.outputs["DataBucketName"]
    s3.head_bucket(Bucket=bucket)
    try:
        s3.get_bucket_policy(Bucket=bucket)
    except ClientError as error:
        raise NotHeldError(f"the bucket is there, and its policy is not: {error.response['Error']['Code']}") from None
    return bucket


FACTS = (
    Fact("A redriven Task's parameters see the new RedriveCount", _redrive_count, local=False),
    Fact("A redriven Task's RetryCount begins at 0", _retry_count, local=False),
    Fact("A redrive runs the failed table alone, under the same ARN", _redrive_runs_the_rest),
    Fact("A first run's files have as many rows as the tables", _rows_are_complete),
    Fact("Every file is as its manifest says", _files_verify),
    Fact("A deployment of another parameter leaves an edited table list alone", _list_is_left),
    Fact("A deployment with another tag writes the template's list over an edited one", _list_is_overwritten),
    Fact("From private subnets, the endpoints of VpcEndpoints=create are enough", _reaches, local=False),
    Fact("The repository's authorities verify an RDS server's certificate", _passes("TLS"), local=False),
    Fact("RDS lets its master user make the user of docs/deploy.md", _grants, local=False),
    Fact("That user sees open transactions on RDS", _passes("clock"), local=False),
    Fact("RDS writes mysql.rds_heartbeat2", _heartbeat, local=False),
    Fact("An RDS server keeps its server_uuid over a restart", _same_server_after_restart, local=False),
    Fact("Lambda loads the versions that were tested", _versions, local=False),
    Fact("A layer version that does not exist is AccessDenied", _missing_layer, local=False),
    Fact("A new stack with a cron starts nothing", _nothing_starts),
    Fact("The alarm for a schedule that starts nothing is quiet in a new stack", _quiet_alarm, local=False),
    Fact("A failed run raises its alarm", _failed_run_alarms, local=False),
    Fact("Parameter Store refuses names that begin with aws or ssm", _reserved_names, local=False),
    Fact("S3's conditional writes and deletions answer as the commit expects", _conditions),
    Fact("The bucket's lifecycle removes delete markers", _lifecycle, local=False),
    Fact("The event Run finished arrives for each run, and once more after a redrive", _events),
)
AFTER_DELETION = (Fact("A deleted stack leaves the bucket, with its TLS-only policy", _bucket_is_kept),)
NOT_ASKED = (
    "IAM login, RDS Proxy, Multi-AZ failover, blue/green and Aurora: each needs a larger database, or more of them",
    "How AWS answers in a region without layers: this region's were used, or yours",
)
"""What a small trial leaves open."""
