"""Asks PlanRun what it reaches from where it runs: a machine outside the VPC cannot see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rds_to_s3_ops.deployment.aws import aws_errors, error_code
from rds_to_s3_ops.errors import CommandError
from rds_to_s3_ops.findings import Finding, Verdict, failed, skipped

if TYPE_CHECKING:
    from rds_to_s3_ops.deployment.aws import Aws
    from rds_to_s3_ops.deployment.stack import Stack

CHECK = "from the functions"
ANSWER_SECONDS = 150  # each of its steps is bounded; together they take less
_DENIED = {"AccessDenied", "AccessDeniedException"}
_REMEDIES = {
    "libraries": "see docs/deploy.md, Layers, and other regions",
    "S3": "do what it says; see also docs/deploy.md, The network",
    "credentials": "see docs/deploy.md, Its credentials and The network",
    "authorities": "see docs/deploy.md, The network",
    "names": "correct the host in the credentials, or turn DNS resolution on in the VPC",
    "login": "do what it says; docs/errors.md has every error",
    "TLS": "see docs/errors.md, DatabaseTlsError",
    "grants": "see docs/deploy.md, A database user that may only read",
    "clock": "see docs/deploy.md, A database user that may only read",
}


def ask_plan_run(aws: Aws, stack: Stack) -> Iterator[Finding]:
    """Yield what PlanRun reaches, one finding a step; one finding if it cannot be asked."""
    try:
        with aws_errors():
            function = aws.cloudformation().describe_stack_resource(
                StackName=stack.name, LogicalResourceId="PlanRunFunction"
            )["StackResourceDetail"]["PhysicalResourceId"]
            answer = aws.client("lambda", answer_seconds=ANSWER_SECONDS).invoke(
                FunctionName=function, Payload=json.dumps({"check": True})
            )
            payload = json.loads(answer["Payload"].read())
    except CommandError as error:
        cause = error.__cause__
        if isinstance(cause, ClientError) and error_code(cause) in _DENIED:
            yield skipped(CHECK, "your permissions do not allow lambda:InvokeFunction on PlanRun")
        else:
            yield failed(CHECK, str(error), "deploy again")
        return
    yield from _findings(answer.get("FunctionError"), payload)


def _findings(function_error: str | None, payload: Any) -> Iterator[Finding]:
    if function_error or not isinstance(payload, dict) or "findings" not in payload:
        kind = str(payload.get("errorType", "")) if isinstance(payload, dict) else ""
        if kind == "KeyError":  # an earlier release's PlanRun wants an execution
            yield skipped(CHECK, "PlanRun is of an earlier release, which cannot be asked: deploy again")
            return
        reason = str(payload.get("errorMessage", "")) if isinstance(payload, dict) else ""
        yield failed(CHECK, f"PlanRun did not answer ({kind or 'no answer'}). {reason}".strip(), "see PlanRun's log")
        return
    for finding in payload["findings"]:
        name, verdict = str(finding["check"]), Verdict(finding["result"])
        remedy = "" if verdict is Verdict.PASS else _REMEDIES.get(name, "see docs/deploy.md")
        yield Finding(f"{CHECK}: {name}", verdict, str(finding["message"]), remedy)
