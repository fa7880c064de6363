"""The account in which everything is created, or the local AWS in its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config

from local.ministack_server import MiniStack
from local.sam import local_environment

PREFIX = "rds-to-s3-smoke-"
"""Everything that is created has a name that begins so: that is how it is found again."""


@dataclass(frozen=True)
class StandIn:
    """What replaces an account in the tests.

    The local AWS keeps a record of a VPC and of an RDS instance, and has neither. So the functions reach the MySQL
    server that is named here.

    Attributes
    ----------
    user, password : str
        The server's owner.
    authority, authority_parameter : str
        PEM of the server's certificate authority, and the SSM parameter that holds it.
    """

    aws: MiniStack
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    authority: str
    authority_parameter: str


@dataclass(frozen=True)
class Account:
    """An account and a region of it.

    Attributes
    ----------
    stand_in : StandIn or None
        None on AWS.
    """

    region: str
    stand_in: StandIn | None = None

    @cached_property
    def _session(self) -> boto3.session.Session:
        return boto3.session.Session(region_name=self.region)

    def client(self, service: str) -> Any:
        """Return a boto3 client of `service`."""
        if self.stand_in:
            return self.stand_in.aws.client(service)
        # An invocation of RunSql may take minutes.
        config = Config(retries={"mode": "standard", "max_attempts": 8}, connect_timeout=10, read_timeout=660)
        return self._session.client(service, config=config)  # type: ignore[call-overload]

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment for the SAM command and for ``rds-to-s3``."""
        if self.stand_in:
            return local_environment(self.stand_in.aws)
        return {**os.environ, "AWS_DEFAULT_REGION": self.region, "AWS_REGION": self.region}
