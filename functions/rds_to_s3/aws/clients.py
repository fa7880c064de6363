"""boto3 clients of Secrets Manager and Parameter Store, with short bounded waits."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from rds_to_s3.s3.endpoints import bound_first_connection

# Two calls of a few milliseconds in a run. botocore's own bounds are 60 s for each address and attempt.
_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})


def aws_client(service: str) -> Any:
    """Make a client of a service, by boto3's name of it."""
    make: Any = boto3.client
    return bound_first_connection(make(service, config=_CONFIG))
