"""The data bucket: what S3 refuses the operator is said in the command's words, not with advice for the functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.errors import AwsError, ConflictError
from rds_to_s3_ops.verify.reading.stored_files import fetch
from tests.support.deployed_command import Deployed
from tests.unit.test_store_errors import Refusing, answer


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (answer("AccessDenied", 403), "AWS refused PutObject: AKIA-secret-token (AccessDenied)"),
        (
            answer("ExpiredToken"),
            "AWS refused PutObject: the credentials are expired or invalid (ExpiredToken): log in",
        ),
        (answer("SlowDown", 503), "AWS refused PutObject: AKIA-secret-token (SlowDown)"),
        (NoCredentialsError(), "no AWS credentials were found: run `aws sso login` or set AWS_PROFILE"),
        (EndpointConnectionError(endpoint_url="http://s3"), "AWS cannot be reached: "),
    ],
)
@pytest.mark.parametrize("ask", [lambda bucket: bucket.read("key"), lambda bucket: list(bucket.listed("prefix"))])
def test_a_refusal_is_reported_to_the_operator(error: Exception, told: str, ask: Callable[[Bucket], Any]) -> None:
    with pytest.raises(AwsError) as caught:
        ask(Bucket(Refusing(error), "data"))  # type: ignore[arg-type]
    assert str(caught.value).startswith(told)
    assert not isinstance(error, ClientError) or caught.value.__cause__ is error, "doctor looks at its code"


def test_what_somebody_else_has_written_is_not_replaced(deployed: Deployed) -> None:
    bucket = Bucket(deployed.s3, deployed.stack.bucket)
    bucket.replace("key", b"one", None)
    was = bucket.read("key")
    bucket.replace("key", b"two", was)
    for stale in (was, None):
        with pytest.raises(ConflictError, match="key changed in the meantime"):
            bucket.replace("key", b"three", stale)
    assert deployed.get("key") == "two"


def test_a_file_is_read_in_pieces_and_one_that_is_gone_is_none(deployed: Deployed, tmp_path: Path) -> None:
    bucket = Bucket(deployed.s3, deployed.stack.bucket)
    deployed.put("a.csv", b"id\n" + b"1\n" * (1 << 20))
    found = fetch(bucket, "a.csv", tmp_path / "data")
    assert found is not None
    assert (found.bytes, found.rows, found.problem) == (3 + (2 << 20), 1 << 20, None)
    assert fetch(bucket, "b.csv", tmp_path / "data") is None
