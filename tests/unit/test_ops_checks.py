"""What the doctor makes of the answers that it gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rds_to_s3.errors import ReplicaProgressError, TableNotFoundError
from rds_to_s3.extract.scope.selection import Selection, select_columns
from rds_to_s3.mysql.catalogue.schema import Index, Table, TableColumn
from rds_to_s3.mysql.server.clock_reading import ClockReading
from rds_to_s3.plan.table_list import parse_table_list
from rds_to_s3_ops.findings import Finding
from rds_to_s3_ops.inspection import aws_checks, database_checks
from rds_to_s3_ops.runs.runs import Run
from tests.support.manifests import manifest

NOW = datetime(2025, 4, 2, 12, 0, tzinfo=UTC)
READER = "reader@%"


def verdict(finding: Finding) -> str:
    assert "\n" not in finding.message + finding.remedy
    assert bool(finding.remedy) == (finding.verdict in {"warn", "fail"})
    return finding.verdict.value


# --- AWS ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "expected"), [("CREATE_COMPLETE", "pass"), ("UPDATE_ROLLBACK_COMPLETE", "warn")])
def test_a_deployment_that_was_rolled_back_is_reported(status: str, expected: str) -> None:
    assert verdict(aws_checks.check_stack("food", status)) == expected


@pytest.mark.parametrize(("document", "expected"), [('{"tables": []}', "warn"), ('{"tables": ["order*"]}', "pass")])
def test_an_empty_table_list_is_reported(document: str, expected: str) -> None:
    assert verdict(aws_checks.check_table_list(parse_table_list(document), "/food/table-list")) == expected


@pytest.mark.parametrize(
    ("stacks", "expected", "told"),
    [
        (None, "pass", "does not own"),
        ('{"tables": ["order*", "menu"]}', "pass", "are equal"),
        ('{"defaults": {"format": "csv"}, "tables": ["menu", {"name": "order*"}]}', "pass", "are equal"),
        (
            '{"tables": ["menu", {"name": "order*", "format": "parquet"}]}',
            "warn",
            "would change the settings of order*",
        ),
        ('{"defaults": {"deletes": "track"}, "tables": ["menu", "order*"]}', "warn", "the settings of menu, order*"),
        ('{"tables": ["menu", "order*"], "exclude": ["order_tmp"]}', "warn", "would exclude order_tmp"),
        ('{"from": "s3://data/list.json"}', "warn", "would read the list from s3://data/list.json"),
        ('{"tables": ["menu"]}', "warn", "would drop order*"),
        ('{"tables": ["menu", "order*", "old"]}', "warn", "would bring back old"),
        ('{"tables": ["old"]}', "warn", "would drop menu, order* and bring back old"),
        ("{", "warn", "is not a table list"),
    ],
)
def test_a_deploy_that_would_put_another_table_list_back(stacks: str | None, expected: str, told: str) -> None:
    finding = aws_checks.check_stack_list(parse_table_list('{"tables": ["menu", "order*"]}'), stacks)
    assert verdict(finding) == expected
    assert told in finding.message


def test_a_list_in_the_bucket_is_in_no_deploys_way_if_the_template_points_there_too() -> None:
    listed, pointer = parse_table_list('{"tables": ["menu"]}'), '{"from": "s3://data/list.json"}'
    assert verdict(aws_checks.check_stack_list(listed, pointer, "s3://data/list.json")) == "pass"
    assert verdict(aws_checks.check_stack_list(listed, pointer, "s3://data/other.json")) == "warn"


def test_a_bucket_that_could_be_made_public_fails() -> None:
    blocked = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    assert verdict(aws_checks.check_public_access(blocked)) == "pass"
    assert verdict(aws_checks.check_public_access(blocked | {"BlockPublicPolicy": False})) == "fail"
    assert verdict(aws_checks.check_public_access(None)) == "fail"


ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"Status": "Enabled", "Filter": {"Prefix": ""}, **ABORT}, "pass"),
        ({"Status": "Enabled", **ABORT}, "pass"),
        ({"Status": "Disabled", **ABORT}, "warn"),
        ({"Status": "Enabled", "Prefix": "menu/", **ABORT}, "warn"),
        ({"Status": "Enabled", "Expiration": {"Days": 1}}, "warn"),
    ],
)
def test_only_a_rule_for_the_whole_bucket_removes_abandoned_uploads(rule: dict[str, Any], expected: str) -> None:
    assert verdict(aws_checks.check_lifecycle([rule])) == expected


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ({"State": "Active", "LastUpdateStatus": "Successful"}, "pass"),
        ({"State": "Inactive"}, "pass"),
        ({"State": "Failed", "StateReason": "the subnet is gone"}, "fail"),
        ({"State": "Active", "LastUpdateStatus": "Failed", "LastUpdateStatusReason": "no such layer"}, "fail"),
    ],
)
def test_a_function_that_cannot_be_called_fails(configuration: dict[str, Any], expected: str) -> None:
    assert verdict(aws_checks.check_function("PlanRun", configuration)) == expected


@pytest.mark.parametrize(
    ("used", "layers", "expected"),
    [
        (False, {}, "skip"),
        (True, None, "skip"),
        (True, {}, "fail"),
        (True, {"arn:aws:lambda:r:1:layer:pandas:9": ""}, "pass"),
        (True, {"arn:aws:lambda:r:1:layer:pandas:9": "AccessDeniedException"}, "skip"),
        (True, {"arn:aws:lambda:r:1:layer:pandas:9": "ResourceNotFoundException"}, "fail"),
    ],
)
def test_layers_must_be_there_where_they_are_used(used: bool, layers: dict[str, str] | None, expected: str) -> None:
    assert verdict(aws_checks.check_layers(used, layers)) == expected


def schedule(expression: str, state: str = "ENABLED") -> dict[str, Any]:
    return {"ScheduleExpression": expression, "State": state, "CreationDate": NOW - timedelta(hours=9)}


def test_the_schedule_says_when_it_fires_next() -> None:
    assert aws_checks.check_schedule(schedule("rate(4 hours)"), NOW).message.endswith("next about 2025-04-02 15:00 UTC")
    assert aws_checks.check_schedule(schedule("at(2025-04-03T06:00:00)"), NOW).message.endswith("2025-04-03 06:00 UTC")
    assert aws_checks.check_schedule(schedule("cron(0 6 * * ? *)"), NOW).message == "cron(0 6 * * ? *), UTC"
    assert verdict(aws_checks.check_schedule(schedule("rate(1 day)", "DISABLED"), NOW)) == "warn"


@pytest.mark.parametrize(
    ("status", "hours", "expected"),
    [("SUCCEEDED", 1, "pass"), ("SUCCEEDED", 9, "warn"), ("RUNNING", 9, "pass"), ("FAILED", 1, "warn")],
)
def test_the_last_run_must_be_well_and_recent(status: str, hours: int, expected: str) -> None:
    run = Run("run-1", status, NOW - timedelta(hours=hours))
    assert verdict(aws_checks.check_last_run(run, NOW, expected_seconds=8 * 3600)) == expected


def test_without_a_schedule_a_run_is_never_too_old() -> None:
    run = Run("run-1", "SUCCEEDED", NOW - timedelta(days=99))
    assert verdict(aws_checks.check_last_run(run, NOW, expected_seconds=None)) == "pass"
    assert verdict(aws_checks.check_last_run(None, NOW, expected_seconds=None)) == "warn"


def test_only_a_run_tells_whether_the_functions_reach_the_database() -> None:
    assert verdict(aws_checks.check_reached(None, "subnet-1")) == "skip"
    assert verdict(aws_checks.check_reached(manifest(window_end="2025-04-02 12:00:00"), "")) == "pass"
    for name, expected in (("DatabaseUnreachableError", "fail"), ("TableListError", "skip")):
        error = {"type": name, "message": "why"}
        unplanned = manifest(status="FAILED", window_end=None, error=error)
        assert verdict(aws_checks.check_reached(unplanned, "subnet-1")) == expected


def test_alarms_without_a_recipient_are_reported() -> None:
    pending = {"SubscriptionArn": "PendingConfirmation", "Endpoint": "a@example.com"}
    confirmed = {"SubscriptionArn": "arn:aws:sns:r:1:topic:id", "Endpoint": "a@example.com"}
    assert verdict(aws_checks.check_subscribers([])) == "warn"
    assert verdict(aws_checks.check_subscribers([pending])) == "warn"
    assert verdict(aws_checks.check_subscribers([pending, confirmed])) == "pass"


@pytest.mark.parametrize(
    ("expression", "limit", "expected"),
    [
        ("rate(4 hours)", 8, "pass"),
        ("rate(4 hours)", 7, "warn"),
        ("rate(30 minutes)", 1, "pass"),
        ("rate(31 minutes)", 1, "warn"),
        ("rate(3 days)", 144, "pass"),
        ("cron(0 0/4 * * ? *)", 8, "pass"),
        ("cron(0 6,18 * * ? *)", 23, "warn"),
        ("cron(15 8-18 ? * *)", 27, "warn"),
        ("cron(15 8-18 ? * *)", 28, "pass"),
        ("cron(0/20 * * * ? *)", 1, "pass"),
        ("cron(0 6 ? * MON-FRI *)", 8, "skip"),
        ("cron(0 6 L * ? *)", 8, "skip"),
        ("cron(x 99 * * ? *)", 8, "skip"),
        ("at(2025-04-02T12:00:00)", 8, "skip"),
    ],
)
def test_the_alarms_wait_for_twice_the_time_between_two_runs(expression: str, limit: int, expected: str) -> None:
    assert verdict(aws_checks.check_freshness_limit(expression, limit)) == expected


def test_a_limit_that_is_too_low_is_reported_with_one_that_is_not() -> None:
    found = aws_checks.check_freshness_limit("rate(6 hours)", 8)
    assert found.message.startswith("8 h, and rate(6 hours) leaves up to 6 h 00 min between two runs")
    assert found.remedy == "deploy with FreshnessLimitHours=12"
    beyond = aws_checks.check_freshness_limit("rate(7 days)", 168)
    assert beyond.remedy == "deploy with runs at most 84 hours apart and FreshnessLimitHours=168"


# --- the database -------------------------------------------------------------------------------------------------


def test_plain_text_and_unverified_certificates_are_reported() -> None:
    assert verdict(database_checks.check_tls("verify", "TLSv1.3")) == "pass"
    assert verdict(database_checks.check_tls("unverified", "TLSv1.3")) == "warn"
    assert verdict(database_checks.check_tls("off", "")) == "warn"


def test_the_missing_grant_is_written_out() -> None:
    missing = database_checks.check_transactions(ClockReading(0.0, unobserved="privilege"), READER, "900")
    assert (verdict(missing), missing.remedy) == ("warn", "GRANT PROCESS ON *.* TO 'reader'@'%'")
    assert verdict(database_checks.check_transactions(ClockReading(0.0), READER, "900")) == "pass"


def test_a_replica_is_reported() -> None:
    assert verdict(database_checks.check_replica(ClockReading(0.0))) == "pass"
    late = database_checks.check_replica(ClockReading(0.0, role="replica", replica_age=5.0))
    assert verdict(late) == "warn"
    assert "committed 5.0 s ago" in late.message
    assert verdict(database_checks.check_replica(ClockReading(0.0, role="member", replica_age=0.0))) == "warn"
    unknown = ReplicaProgressError("GRANT it")
    refused = database_checks.check_replica(ClockReading(0.0, role="replica", progress_error=unknown))
    assert (verdict(refused), refused.message) == ("fail", "GRANT it")


def test_a_zone_that_turns_its_clock_back_is_reported_with_the_day() -> None:
    instants = [(NOW + timedelta(days=7 * week)).timestamp() for week in range(54)]
    utc = [datetime.fromtimestamp(instant, UTC).replace(tzinfo=None) for instant in instants]
    assert database_checks.check_zone("UTC", instants, utc).message == "UTC, UTC+00:00 all year"
    berlin = [moment + timedelta(hours=2 if moment < datetime(2025, 10, 26, 1) else 1) for moment in utc]
    assert "turns its clock back about 2025-10-29" in database_checks.check_zone("CET", instants, berlin).message


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        ("GRANT PROCESS ON *.* TO `reader`@`%`", "pass"),
        ("GRANT SELECT (`a`, `b`), SHOW VIEW ON `food`.* TO `reader`@`%`", "pass"),
        ("GRANT ALL PRIVILEGES ON `food`.* TO `reader`@`%`", "warn"),
        ("GRANT SELECT, UPDATE (`a`) ON `food`.`menu` TO `reader`@`%`", "warn"),
    ],
)
def test_a_user_that_may_do_more_than_read_is_reported(grant: str, expected: str) -> None:
    grants = ["GRANT USAGE ON *.* TO `reader`@`%`", grant]
    assert verdict(database_checks.check_privileges(grants, READER, roles_seen=True)) == expected


ROLE = "GRANT `a ON b TO``c`@`%`,`d`@`%` TO `reader`@`%` WITH ADMIN OPTION"


def test_a_role_whose_privileges_are_seen_counts_with_them() -> None:
    sound = database_checks.check_privileges([ROLE, "GRANT SELECT ON *.* TO `reader`@`%`"], READER, roles_seen=True)
    assert (verdict(sound), sound.message) == ("pass", "reader@% may only read, its roles included")
    more = database_checks.check_privileges([ROLE, "GRANT DELETE ON *.* TO `reader`@`%`"], READER, roles_seen=True)
    assert (verdict(more), more.message) == ("warn", "reader@% may do more than read (with its roles): DELETE")


def test_a_role_whose_privileges_cannot_be_seen_is_reported_with_what_to_do() -> None:
    found = database_checks.check_privileges([ROLE], READER, roles_seen=False)
    assert (verdict(found), "`a ON b TO``c`@`%`, `d`@`%`" in found.message) == ("warn", True)
    assert "REVOKE `a ON b TO``c`@`%`, `d`@`%` FROM 'reader'@'%'" in found.remedy


def test_the_roles_of_a_role_are_not_the_user_s_own() -> None:
    assert database_checks.granted_roles(["GRANT `outer` TO `u`@`%`", "GRANT `inner` TO `outer`"]) == ["`outer`"]


def table(*indexes: Index, engine: str = "InnoDB") -> tuple[Table, Selection]:
    columns = (TableColumn("id", "int", "int", False), TableColumn("createdDate", "datetime", "datetime", True))
    described = Table("di`sh", False, columns, indexes, estimated_rows=5000, engine=engine)
    return described, select_columns(described, parse_table_list('{"tables": ["di`sh"]}').tables[0])


PRIMARY, BY_DATE = Index("PRIMARY", True, ("id",)), Index("by_date", False, ("createdDate",))


def test_a_cursor_column_without_an_index_is_reported_with_the_statement_that_makes_one() -> None:
    (sound,) = database_checks.check_indexes([table(PRIMARY, BY_DATE)])
    assert verdict(sound) == "pass"
    (missing,) = database_checks.check_indexes([table(PRIMARY)])
    assert verdict(missing) == "warn"
    assert "about 5,000 rows" in missing.message
    assert missing.remedy == "CREATE INDEX `di``sh_createdDate` ON `di``sh` (`createdDate`)"


def test_a_table_without_a_key_or_without_snapshots_is_reported() -> None:
    assert [verdict(finding) for finding in database_checks.check_keys([table(PRIMARY), table(BY_DATE)])] == ["warn"]
    assert [verdict(finding) for finding in database_checks.check_keys([table(PRIMARY)])] == ["pass"]
    (engine,) = database_checks.check_engines([table(PRIMARY, engine="MyISAM"), table(PRIMARY)])
    assert verdict(engine) == "warn"


def test_each_table_that_cannot_be_read_is_named() -> None:
    sound, ghost = database_checks.check_readable(2, [("ghost", TableNotFoundError("there is none"))])
    assert (verdict(sound), sound.message) == ("pass", "1 of 2")
    assert (verdict(ghost), ghost.check) == ("fail", "table ghost")
    assert ghost.message == "TableNotFoundError: there is none"
