"""Remedies that work on the local system, where the stack is deployed by ``make up``."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from urllib.parse import urlsplit

from rds_to_s3_ops.findings import Finding

_WITH = re.compile(r"\b[Dd]eploy with (\w+=[^\s,;]+)(?: and (\w+=[^\s,;]+))?")
_AGAIN = re.compile(r"\b[Dd]eploy again\b")


def is_local() -> bool:
    """Whether the environment names an AWS on this machine."""
    host = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def local_remedy(finding: Finding) -> Finding:
    """Return the finding with the command that deploys on the local system.

    Examples
    --------
    >>> from rds_to_s3_ops.findings import warned
    >>> local_remedy(warned("TLS", "off", "deploy with DatabaseTls=verify")).remedy
    "STACK_PARAMETERS='DatabaseTls=verify' make up"
    """

    def deploy(match: re.Match[str]) -> str:
        return f"STACK_PARAMETERS='{' '.join(filter(None, match.groups()))}' make up"

    return replace(finding, remedy=_AGAIN.sub("make up", _WITH.sub(deploy, finding.remedy)))
