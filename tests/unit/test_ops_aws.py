"""The way to AWS with boto3's own sessions: where they look, and what is said when that is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session
from moto import mock_aws
from typer.testing import CliRunner, Result

from rds_to_s3_ops import cli
from rds_to_s3_ops.deployment.aws import Aws, region_for_boto3
from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.deployment.database import connected
from rds_to_s3_ops.deployment.stack import Stack
from rds_to_s3_ops.errors import AwsError
from rds_to_s3_ops.inspection import doctor

LOGIN = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
REGION = {"AWS_REGION": "eu-west-3"}
AT_HOME = LOGIN | REGION
NO_STACK = "<ErrorResponse><Error><Code>ValidationError</Code><Message>no</Message></Error></ErrorResponse>"


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "AWS_CONFIG_FILE"


@pytest.fixture
def simulated() -> Iterator[None]:
    with mock_aws():
        yield


def answer_with(monkeypatch: pytest.MonkeyPatch, status: int, page: str) -> list[str]:
    """Answer every request with this page; return the list that the requests' URLs are put into."""
    asked: list[str] = []

    class Body:
        def stream(self, **_: Any) -> Iterator[bytes]:
            yield page.encode()

    def send(_: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        asked.append(request.url)
        return AWSResponse(request.url, status, HTTPHeaders(), Body())

    monkeypatch.setattr(URLLib3Session, "send", send)
    return asked


def history(environment: dict[str, str]) -> Result:
    return CliRunner().invoke(cli.app, ["history", "--stack", "food"], env=environment)


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "eu-west-3"}, "eu-west-3"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-3"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-3", "AWS_PROFILE": "food"}, "eu-west-3"),
        ({"AWS_PROFILE": "food"}, "eu-central-1"),
    ],
)
def test_the_region_is_the_one_that_every_aws_tool_would_take(
    environment: dict[str, str], region: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("[profile food]\nregion = eu-central-1\n")
    for name, value in (LOGIN | environment).items():
        monkeypatch.setenv(name, value)
    assert (Aws().region, Aws().s3().meta.region_name) == (region, region)
    asked = answer_with(monkeypatch, 400, NO_STACK)
    result = history({})
    assert asked == [f"https://cloudformation.{region}.amazonaws.com/"]
    assert (result.exit_code, f"no stack 'food' in region {region}" in result.stderr) == (3, True)


@pytest.mark.usefixtures("simulated")
def test_the_functions_own_clients_go_to_that_region_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AT_HOME.items():
        monkeypatch.setenv(name, value)
    stack = Stack("food", "arn", "bucket", "/food/list", {"DatabaseCredentials": "secretsmanager:none-such"})
    with pytest.raises(AwsError, match="ResourceNotFoundException"), connected(stack):
        pass
    (finding,) = doctor.examine_database(stack, None, Bucket(boto3.client("s3"), "bucket"))
    assert "ResourceNotFoundException" in finding.message
    assert "AWS_DEFAULT_REGION" not in os.environ


def test_a_region_that_boto3_took_before_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    with region_for_boto3():
        assert os.environ["AWS_DEFAULT_REGION"] == "eu-west-3"
    assert os.environ["AWS_DEFAULT_REGION"] == "eu-west-2"


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        (LOGIN, "no AWS region is configured: set AWS_REGION"),
        (REGION, "no AWS credentials were found"),
        (REGION | {"AWS_ACCESS_KEY_ID": "test"}, "set both or neither"),
        (AT_HOME | {"AWS_PROFILE": "nobody"}, "(nobody) could not be found: set AWS_PROFILE to one that"),
        (LOGIN | {"AWS_REGION": "eu west 3"}, "'eu west 3'"),
        *(
            (AT_HOME | {"AWS_ENDPOINT_URL": url}, "the AWS endpoint is malformed (")
            for url in ("localhost:4566", "nonsense", "http://", "http://[::1", "http://host:99999", "http://host:port")
        ),
    ],
)
def test_a_way_to_aws_that_is_not_set_up_ends_with_one_line_that_says_what_to_set(
    environment: dict[str, str], told: str
) -> None:
    result = history(environment)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (4, "", 1)
    assert told in result.stderr
    assert result.stderr.startswith("rds-to-s3: ")


def test_a_damaged_configuration_file_is_named(config: Path) -> None:
    config.write_text("[default\nregion")
    result = history(AT_HOME)
    assert (result.exit_code, f"{config}: correct that file" in result.stderr) == (4, True)


def test_an_answer_that_is_not_aws_s_is_reported_with_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, 200, "<html><body>Please log in<br></body></html>")
    result = history(AT_HOME)
    assert (result.exit_code, result.stderr.count("\n")) == (4, 1)
    assert "the answer is not from AWS: check for a proxy or a login page" in result.stderr


def test_the_doctor_has_it_as_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    (finding,) = doctor.examine(Aws(), "food")
    assert (finding.verdict, "nobody" in finding.message) == ("fail", True)
