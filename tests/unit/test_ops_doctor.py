"""The doctor's way through a stack: what it does with refusals, and how it ends."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from typer.testing import CliRunner

from rds_to_s3.aws.credentials import CredentialsSource
from rds_to_s3.errors import CredentialsNotFoundError, DatabaseAccessError
from rds_to_s3_ops import cli
from rds_to_s3_ops.deployment.aws import Aws
from rds_to_s3_ops.deployment.stack import Stack
from rds_to_s3_ops.findings import Finding, failed, passed, warned
from rds_to_s3_ops.inspection import doctor
from rds_to_s3_ops.inspection.inside import ask_plan_run

OUTPUTS = {
    "StateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:extract",
    "DataBucketName": "data",
    "TableListParameterName": "/food/table-list",
    "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
}


class Service:
    """A boto3 client that answers what it was given, and refuses everything else."""

    class Meta:
        region_name = "eu-west-1"

    meta = Meta()

    def __init__(self, code: str, **answers: Any) -> None:
        self._code, self._answers = code, answers

    def __getattr__(self, operation: str) -> Any:
        def call(*_: Any, **__: Any) -> Any:
            answer = self._answers.get(operation)
            if isinstance(answer, Exception):
                raise answer
            if answer is None:
                raise ClientError({"Error": {"Code": self._code, "Message": "no"}}, operation)
            return answer

        return call


class RefusingAws(Aws):
    """AWS that shows who one is and the stack, and refuses everything else with one code."""

    region = "eu-west-1"

    def __init__(self, code: str, **parameters: str) -> None:
        described = {
            "StackName": "food",
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()],
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        }
        answers = {
            "get_caller_identity": {"Arn": "arn:aws:iam::123456789012:user/me"},
            "describe_stacks": {"Stacks": [described]},
        }
        self.service: Any = Service(code, **answers)

    def client(self, service: str, *, answer_seconds: float | None = None) -> Any:
        return self.service

    def cloudformation(self) -> Any:
        return self.service

    s3 = ssm = stepfunctions = cloudformation


def refuse_credentials(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise CredentialsNotFoundError("cannot read them") from ClientError({"Error": {"Code": code}}, "GetSecretValue")

    monkeypatch.setattr(CredentialsSource, "get", refuse)


def test_what_one_s_own_permissions_hide_is_skipped_and_does_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_credentials(monkeypatch, "AccessDeniedException")
    findings = list(doctor.examine(RefusingAws("AccessDenied", DatabaseCredentials="ssm:/food/db"), "food"))
    assert {finding.verdict for finding in findings[:2]} == {"pass"}
    assert {finding.verdict for finding in findings[2:]} == {"skip"}
    assert len(findings) > 12


def test_what_is_not_there_fails_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_credentials(monkeypatch, "ResourceNotFoundException")
    aws = RefusingAws("ResourceNotFoundException", DatabaseCredentials="ssm:/food/db", UseLayers="false")
    by_check = {finding.check: finding for finding in doctor.examine(aws, "food")}
    for check in ("database credentials", "bucket is writable", "function PlanRun", "schedule", "state machine"):
        assert by_check[check].verdict == "fail"
        assert by_check[check].remedy


@pytest.mark.parametrize(("parameters", "expected"), [({"FreshnessLimitHours": "6"}, ["warn"]), ({}, [])])
def test_the_alarms_limit_is_held_against_the_schedule_where_the_stack_has_one(
    parameters: dict[str, str], expected: list[str]
) -> None:
    aws = RefusingAws("AccessDenied", **parameters)
    aws.service._answers["get_schedule"] = {"ScheduleExpression": "rate(4 hours)", "State": "ENABLED"}
    found = [finding for finding in doctor.examine(aws, "food") if finding.check == "freshness limit"]
    assert [finding.verdict for finding in found] == expected


def answered(payload: Any, error: str | None = None) -> dict[str, str]:
    """Return what the doctor shows of PlanRun's answer."""
    aws = RefusingAws("AccessDenied")
    resource = {"StackResourceDetail": {"PhysicalResourceId": "plan-run"}}
    aws.service._answers["describe_stack_resource"] = resource
    body = BytesIO(json.dumps(payload).encode())
    aws.service._answers["invoke"] = {"Payload": body} | ({"FunctionError": error} if error else {})
    stack = Stack("food", "arn", "data", "/food/table-list")
    return {finding.check: finding.verdict.value for finding in ask_plan_run(aws, stack)}


def test_the_doctor_shows_what_the_functions_reach() -> None:
    findings = [
        {"check": "S3", "result": "pass", "message": "bucket data answers"},
        {"check": "credentials", "result": "fail", "message": "no interface endpoint"},
    ]
    assert answered({"check": True, "reached": False, "findings": findings}) == {
        "from the functions: S3": "pass",
        "from the functions: credentials": "fail",
    }


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [
        ({"errorType": "KeyError", "errorMessage": "'execution'"}, "skip"),  # an earlier release
        ({"errorType": "Sandbox.Timedout", "errorMessage": "timed out"}, "fail"),
        (None, "fail"),
    ],
)
def test_a_function_that_does_not_answer_is_reported(payload: Any, verdict: str) -> None:
    assert answered(payload, "Unhandled") == {"from the functions": verdict}


def test_without_aws_nothing_else_is_looked_at() -> None:
    aws = RefusingAws("x")
    aws.service = Service("x", get_caller_identity=NoCredentialsError())
    (finding,) = doctor.examine(aws, "food")
    assert finding.verdict == "fail"
    assert "no AWS credentials" in finding.message


# --- roles --------------------------------------------------------------------------------------------------------


class Server:
    """A connection that answers the grants of a user with a role that may delete."""

    def __init__(self, *, is_mariadb: bool, refuses: bool = False) -> None:
        self.is_mariadb, self._refuses, self.ran = is_mariadb, refuses, list[str]()

    def row(self, _: str) -> dict[str, Any]:
        return {"role": "every`day"}

    def rows(self, statement: str) -> list[dict[str, Any]]:
        if statement == "SHOW GRANTS":
            return [{"g": "GRANT SELECT ON `food`.* TO `u`@`%`"}, {"g": "GRANT `app`@`%` TO `u`@`%`"}]
        self.run(statement)
        return [{"g": "GRANT DELETE ON `food`.* TO `u`@`%`"}]

    def run(self, statement: str) -> None:
        self.ran.append(statement)
        if self._refuses and "every" not in statement:
            raise DatabaseAccessError("no")


@pytest.mark.parametrize(
    ("is_mariadb", "statements"),
    [
        (False, ["SHOW GRANTS FOR CURRENT_USER() USING `app`@`%`"]),
        (True, ["SET ROLE `app`@`%`", "SHOW GRANTS FOR CURRENT_ROLE", "SET ROLE `every``day`"]),
    ],
)
def test_what_a_user_may_do_by_its_roles_is_seen(is_mariadb: bool, statements: list[str]) -> None:
    server: Any = Server(is_mariadb=is_mariadb)
    finding = doctor.examine_privileges(server, "u@%")
    assert (finding.verdict, "DELETE" in finding.message) == ("warn", True)
    assert server.ran == statements


@pytest.mark.parametrize("is_mariadb", [False, True])
def test_roles_that_the_server_does_not_show_are_reported(is_mariadb: bool) -> None:
    server: Any = Server(is_mariadb=is_mariadb, refuses=True)
    finding = doctor.examine_privileges(server, "u@%")
    assert (finding.verdict, "cannot be read" in finding.message) == ("warn", True)
    assert not is_mariadb or server.ran[-1] == "SET ROLE `every``day`"


# --- the command --------------------------------------------------------------------------------------------------

FOUND = [passed("a", "well"), warned("b", "so so", "mend b"), failed("c", "bad", "mend c")]


@pytest.mark.parametrize(("found", "code"), [(FOUND, 1), (FOUND[:2], 0)])
def test_only_a_failure_makes_the_command_fail(
    found: list[Finding], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda *_: iter(found))
    assert CliRunner().invoke(cli.app, ["doctor", "--stack", "food"]).exit_code == code


def test_each_finding_is_a_line_with_its_remedy_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda *_: iter(FOUND))
    result = CliRunner().invoke(cli.app, ["doctor", "--stack", "food"])
    shown = "pass  a: well\nwarn  b: so so\n      -> mend b\nfail  c: bad\n      -> mend c\n1 pass, 1 warn, 1 fail\n"
    assert result.stdout == shown


def test_what_many_tables_lack_is_shown_a_few_times_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [failed(f"table t{number}", "bad", "mend it") for number in range(500)]
    monkeypatch.setattr(doctor, "examine", lambda *_: iter([*FOUND, *many]))
    text = CliRunner().invoke(cli.app, ["doctor", "--stack", "food"]).stdout
    assert text.count("table t") == 10
    assert "and 490 more of 'table': --json lists them all\n1 pass, 1 warn, 501 fail\n" in text


def test_as_json_it_is_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda *_: iter(FOUND))
    told = json.loads(CliRunner().invoke(cli.app, ["doctor", "--stack", "food", "--json"]).stdout)
    assert told[1] == {"check": "b", "result": "warn", "message": "so so", "remedy": "mend b"}
