"""A function in a subnet without endpoints: real clients and a socket that swallows every connection."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from rds_to_s3.aws.credentials import CredentialsSource
from rds_to_s3.aws.mask_key import MaskKey
from rds_to_s3.aws.self_check import check_from_inside
from rds_to_s3.errors import StorageUnavailableError
from rds_to_s3.mysql.credentials import CredentialsReference
from rds_to_s3.s3 import endpoints
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.settings import DatabaseSettings
from tests.support.durations import fastest


@pytest.fixture
def black_hole(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS at an address that drops what comes, as a route without an endpoint does: a full backlog."""
    with ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = open_sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        time.sleep(0.05)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "shop-PlanRun")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setattr(endpoints, "ADDRESS_SECONDS", 0.3)  # AWS's own: 3 s
        yield


@pytest.mark.usefixtures("black_hole")
def test_the_error_names_the_endpoint_that_is_missing_before_the_function_is_killed() -> None:
    def ask() -> None:
        with pytest.raises(StorageUnavailableError, match=r"com\.amazonaws\.eu-west-1\.s3"):
            ObjectStore("data").get("_state/runs/r/plan.json")
        for store, service in (("secretsmanager:shop/db", "secretsmanager"), ("ssm:/shop/db", "ssm")):
            with pytest.raises(StorageUnavailableError, match=rf"com\.amazonaws\.eu-west-1\.{service}"):
                CredentialsSource(CredentialsReference.parse(store)).get()
        with pytest.raises(StorageUnavailableError, match=r"com\.amazonaws\.eu-west-1\.secretsmanager"):
            MaskKey("shop/masks").get()

    assert fastest(ask, 8) < 8


@pytest.mark.usefixtures("black_hole")
def test_the_check_from_inside_says_what_it_does_not_reach() -> None:
    settings = DatabaseSettings(data_bucket="data", database_credentials="secretsmanager:shop/db")
    answer = check_from_inside(settings, ObjectStore("data"))
    assert answer["reached"] is False
    assert [(finding["check"], finding["result"]) for finding in answer["findings"]] == [
        ("libraries", "pass"),
        ("S3", "fail"),
        ("credentials", "fail"),
    ]
    assert "com.amazonaws.eu-west-1.s3" in answer["findings"][1]["message"]
    assert "com.amazonaws.eu-west-1.secretsmanager" in answer["findings"][2]["message"]
