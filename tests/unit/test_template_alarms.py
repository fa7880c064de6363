"""What the template says to operators and other systems: alarms, the dashboard, messages."""

from __future__ import annotations

import json
import re

import pytest

from rds_to_s3.bucket_keys import (
    HISTORY_KEY,
    data_key,
    manifest_key,
    report_key,
    state_key,
    watermark_key,
)
from rds_to_s3.commit.read_as import FEW_HEALED
from rds_to_s3.formats.csv import EXTENSIONS
from rds_to_s3.manifest.report.pieces import console_of
from tests.statemachine import definition
from tests.template import Stack, load

TEMPLATE = load()


ALARMS = Stack().of_type("AWS::CloudWatch::Alarm")


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_says_what_to_do_and_reaches_the_topic(name: str) -> None:
    alarm = Stack().resource(name)
    assert alarm["AlarmActions"] == ["<AlarmTopic>"]
    assert len(alarm["AlarmDescription"]) > 60
    assert alarm["TreatMissingData"]


@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"])
def test_the_links_of_the_alarms_lead_to_the_partitions_own_console(region: str) -> None:
    stack = Stack.in_region(region)
    linked = [text for name in ALARMS if "https://" in (text := stack.resource(name)["AlarmDescription"])]
    assert linked
    assert all(f"{console_of(region)}/s3/object/" in text for text in linked)


def test_there_is_an_alarm_for_each_way_a_run_can_go_wrong() -> None:
    metrics = {Stack().resource(name)["MetricName"] for name in ALARMS}
    assert metrics == {
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsAborted",
        "ExecutionThrottled",
        "ExecutionsStarted",
        "FreshnessLagHours",
        "RowsQuarantined",
        "RowsHealed",
        "EventsNotSent",
        "PartitionsNotRegistered",
    }


def test_the_alarm_of_healed_rows_goes_off_where_the_manifest_warns_of_them() -> None:
    alarm = Stack().resource("RowsHealedAlarm")
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "Maximum",
        "GreaterThanThreshold",
        FEW_HEALED,
    )


def test_a_schedule_that_is_off_raises_no_alarm_for_starting_nothing() -> None:
    assert TEMPLATE["Resources"]["NothingStartedAlarm"]["Condition"] == "IsScheduled"
    assert Stack().condition("IsScheduled")
    assert not Stack(ScheduleState="DISABLED").condition("IsScheduled")


def test_mail_is_sent_only_where_an_address_is_given() -> None:
    assert not Stack().condition("HasAlarmEmail")
    assert Stack(AlarmEmail="ops@example.com").condition("HasAlarmEmail")


def test_the_dashboard_shows_the_tables_of_this_stack() -> None:
    body = json.loads(Stack().resource("Dashboard")["DashboardBody"])
    searches = [w["properties"]["metrics"][0][0]["expression"] for w in body["widgets"][1:5]]
    assert [re.findall(r'"(\w+)"', search) for search in searches] == [
        ["FreshnessLagSeconds", "shop"],
        ["RowsExtracted", "shop"],
        ["ExtractSeconds", "shop"],
        ["BytesWritten", "shop"],
    ]
    assert body["widgets"][1]["properties"]["annotations"]["horizontal"][0]["value"] == 8


@pytest.mark.parametrize(
    ("parameters", "missing"),
    [
        ({"GlueDatabase": "lake"}, set()),
        ({"ScheduleState": "DISABLED", "GlueDatabase": "lake"}, {"NothingStartedAlarm"}),
        ({}, {"PartitionsNotRegisteredAlarm"}),
    ],
)
def test_the_dashboard_shows_every_alarm_that_there_is(parameters: dict[str, str], missing: set[str]) -> None:
    body = json.loads(Stack(**parameters).resource("Dashboard")["DashboardBody"])
    shown = {alarm.strip("<>").removesuffix(".Arn") for alarm in body["widgets"][0]["properties"]["alarms"]}
    assert shown == set(ALARMS) - missing


def test_a_limit_of_a_week_is_within_what_an_alarm_can_look_back_at() -> None:
    stack = Stack(FreshnessLimitHours=str(TEMPLATE["Parameters"]["FreshnessLimitHours"]["MaxValue"]))
    alarm = stack.resource("NothingStartedAlarm")
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    assert alarm["Period"] >= 3600
    assert alarm["Period"] * int(alarm["EvaluationPeriods"]) <= 604_800


# --- what starts after a run ------------------------------------------------------------------------------------


def test_a_message_for_a_run_that_succeeded_is_sent_only_where_it_is_wanted() -> None:
    assert not Stack().condition("NotifiesSuccess")
    assert Stack(NotifySuccess="true").condition("NotifiesSuccess")
    resources = TEMPLATE["Resources"]
    assert {resources[name]["Condition"] for name in ("RunSucceededRule", "AlarmTopicPolicy")} == {"NotifiesSuccess"}


def test_the_message_is_made_of_the_event_that_the_state_machine_sends() -> None:
    (entry,) = definition.as_deployed()["States"]["AnnounceRun"]["Parameters"]["Entries"]
    rule = Stack(NotifySuccess="true").resource("RunSucceededRule")
    pattern, (target,) = rule["EventPattern"], rule["Targets"]
    assert (pattern["source"], pattern["detail-type"]) == ([entry["Source"]], [entry["DetailType"]])
    sent = {key.removesuffix(".$") for key in entry["Detail"]}
    assert set(pattern["detail"]) <= sent
    paths = target["InputTransformer"]["InputPathsMap"]
    assert {path.removeprefix("$.detail.") for path in paths.values()} <= sent
    assert set(re.findall(r"<(\w+)>", target["InputTransformer"]["InputTemplate"])) == set(paths)


def test_with_that_message_the_topic_still_takes_the_alarms() -> None:
    allowed = Stack(NotifySuccess="true").resource("AlarmTopicPolicy")["PolicyDocument"]["Statement"]
    assert {s["Principal"]["Service"] for s in allowed} == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}
    assert {(s["Effect"], s["Action"], s["Resource"]) for s in allowed} == {("Allow", "sns:Publish", "<AlarmTopic>")}


def test_snowpipe_hears_of_data_files_only_and_only_where_its_queue_is_given() -> None:
    assert "NotificationConfiguration" not in Stack().resource("DataBucket")
    queue = "arn:aws:sqs:eu-central-1:999999999999:sf-snowpipe-AIDA_x"
    assert re.fullmatch(TEMPLATE["Parameters"]["SnowpipeQueueArn"]["AllowedPattern"], queue)
    told = Stack(SnowpipeQueueArn=queue).resource("DataBucket")["NotificationConfiguration"]["QueueConfigurations"]
    assert {each["Queue"] for each in told} == {queue}
    suffixes = [each["Filter"]["S3Key"]["Rules"][0]["Value"] for each in told]
    extensions = [*EXTENSIONS.values(), "parquet"]
    written = [data_key("orders", "csv", "20250402_120000", 2, extension) for extension in extensions]
    assert [[suffix for suffix in suffixes if key.endswith(suffix)] for key in written] == [[s] for s in suffixes]
    others = [watermark_key("orders", "csv"), manifest_key("r"), report_key("r"), HISTORY_KEY, state_key("a", "csv")]
    assert not [key for key in others if key.endswith(tuple(suffixes))]


def test_an_alarm_for_starting_nothing_is_quiet_until_a_run_has_started() -> None:
    """Missing data alone changes no state: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html."""
    alarm = Stack().resource("NothingStartedAlarm")
    assert alarm["TreatMissingData"] == "missing"
    assert alarm["InsufficientDataActions"] == ["<AlarmTopic>"]
    others = [name for name in ALARMS if name != "NothingStartedAlarm"]
    assert {Stack().resource(name)["TreatMissingData"] for name in others} <= {"notBreaching", "ignore"}
