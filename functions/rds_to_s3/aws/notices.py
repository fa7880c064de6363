"""Mails about runs, through SNS."""

from __future__ import annotations

import boto3
from botocore.config import Config

_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "max_attempts": 2})


def publish(topic: str, subject: str, body: str) -> None:
    """Send a message to everybody who has subscribed to a topic.

    Parameters
    ----------
    topic : str
        Its ARN.
    subject : str
        At most 100 characters, as SNS has it.
    """
    plain = subject.encode("ascii", "replace").decode()
    boto3.client("sns", config=_CONFIG).publish(TopicArn=topic, Subject=plain, Message=body)
