"""Runs: executions of the state machine."""

from __future__ import annotations

import json
import secrets
import string
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rds_to_s3_ops.deployment.aws import aws_errors, error_code
from rds_to_s3_ops.deployment.retries import Retries
from rds_to_s3_ops.errors import AwsError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType

    from rds_to_s3.reported.manifest import Manifest
    from rds_to_s3_ops.deployment.stack import Stack

RUNNING = frozenset({"RUNNING", "PENDING_REDRIVE"})

_LOOKS_FOR_REDRIVE = 20
_LETTERS = string.ascii_lowercase + string.digits


@dataclass(frozen=True)
class Run:
    """One execution.

    Attributes
    ----------
    run_id : str
        The execution's name.
    status : str
        The status in Step Functions: ``RUNNING SUCCEEDED FAILED TIMED_OUT ABORTED PENDING_REDRIVE``.
    started_at : datetime
    stopped_at : datetime or None
    redrives : int
    error, cause : str or None
        The error of a failed run; only `Runs.describe` fills them in.
    """

    run_id: str
    status: str
    started_at: datetime
    stopped_at: datetime | None = None
    redrives: int = 0
    error: str | None = None
    cause: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.status in RUNNING

    def is_described_by(self, manifest: Manifest) -> bool:
        """Whether a manifest of this run has its final result, not the result before a redrive."""
        if self.status != manifest.status:
            return False  # it is running or was stopped, and a manifest records neither
        return self.status == "SUCCEEDED" or manifest.redrives >= self.redrives


def new_run_id(now: datetime) -> str:
    """Return a new run id that sorts by time and is readable.

    Examples
    --------
    >>> new_run_id(datetime(2026, 11, 23, 5, 30, tzinfo=UTC))[:20]
    'run-20261123-053000-'
    """
    # The letters distinguish two runs of the same second.
    return f"run-{now.astimezone(UTC):%Y%m%d-%H%M%S}-{''.join(secrets.choice(_LETTERS) for _ in range(4))}"


class Runs:
    """The executions of a stack's state machine."""

    def __init__(self, stepfunctions: SFNClient, stack: Stack) -> None:
        self._stepfunctions = stepfunctions
        self._stack = stack

    def start(self, execution_input: Mapping[str, Any]) -> Run:
        """Start a run.

        Parameters
        ----------
        execution_input : mapping
            As the contract's section 4 has it: ``{}``, ``{"tables": [...]}`` or ``{"rerun_failed_of": "..."}``.
        """
        run_id = new_run_id(datetime.now(UTC))
        with aws_errors():
            answer = self._stepfunctions.start_execution(
                stateMachineArn=self._stack.state_machine_arn,
                name=run_id,
                input=json.dumps(execution_input, ensure_ascii=False),
            )
        return Run(run_id, "RUNNING", answer["startDate"])

    def redrive(self, run_id: str, *, sleep: Callable[[float], None] = time.sleep) -> Run:
        """Redrive a failed run, and return it once it is running again.

        Raises
        ------
        NotFoundError
        InvalidInputError
            Step Functions refuses: it has not failed, it ended more than 14 days ago, or it has 24,999 events.
        """
        before = self.describe(run_id)
        if before.is_running or before.status == "SUCCEEDED":
            state = "is still running" if before.is_running else "has not failed"
            raise InvalidInputError(f"run {run_id!r} {state}: there is nothing to redrive")
        with aws_errors():
            try:
                self._stepfunctions.redrive_execution(executionArn=self._stack.execution_arn(run_id))
            except ClientError as error:
                if error_code(error) not in {"ExecutionNotRedrivable", "InvalidArn"}:
                    raise
                reason = error.response["Error"].get("Message", "")
                raise InvalidInputError(
                    f"run {run_id!r} ({before.status}) cannot be redriven: {reason or 'no reason is given'}; "
                    f"to run its failed tables in a new run: rds-to-s3 rerun {run_id}"
                ) from None
        for _ in range(_LOOKS_FOR_REDRIVE):
            now = self.describe(run_id)
            # DescribeExecution is eventually consistent: for a moment the run still seems to have ended.
            if now.is_running or now.redrives > before.redrives or now.stopped_at != before.stopped_at:
                return now
            sleep(0.5)
        return now

    def describe(self, run_id: str) -> Run:
        """Return the current state of a run.

        Raises
        ------
        NotFoundError
            No execution has that name (Step Functions forgets it 90 days after its end).
        """
        with aws_errors():
            try:
                answer = self._stepfunctions.describe_execution(executionArn=self._stack.execution_arn(run_id))
            except ClientError as error:
                if error_code(error) not in {"ExecutionDoesNotExist", "InvalidArn"}:
                    raise
                raise NotFoundError(f"no run {run_id!r}: see `rds-to-s3 history`") from None
        return Run(
            run_id=run_id,
            status=answer["status"],
            started_at=answer["startDate"],
            stopped_at=answer.get("stopDate"),
            redrives=answer.get("redriveCount", 0),
            error=answer.get("error"),
            cause=answer.get("cause"),
        )

    def retries(self) -> Retries:
        """Return how a failed table is retried; nothing if the definition cannot be read."""
        try:
            with aws_errors():
                machine = self._stepfunctions.describe_state_machine(stateMachineArn=self._stack.state_machine_arn)
        except AwsError:
            return Retries()  # an operator may watch without this permission
        return Retries.of_definition(machine["definition"])

    def recent(self, limit: int, status: ExecutionStatusType | None = None) -> list[Run]:
        """Return the newest runs, newest first.

        Parameters
        ----------
        limit : int
            The maximum number of runs.
        status : str, optional
            Only the runs with this status.
        """
        arguments: dict[str, Any] = {"stateMachineArn": self._stack.state_machine_arn}
        if status is not None:
            arguments["statusFilter"] = status
        with aws_errors():
            pages = self._stepfunctions.get_paginator("list_executions").paginate(
                **arguments, PaginationConfig={"MaxItems": limit, "PageSize": min(limit, 1000)}
            )
            listed = [item for page in pages for item in page["executions"]]
        runs = [
            Run(
                run_id=item["name"],
                status=item["status"],
                started_at=item["startDate"],
                stopped_at=item.get("stopDate"),
                redrives=item.get("redriveCount", 0),
            )
            for item in listed
        ]
        return sorted(runs, key=lambda run: run.started_at, reverse=True)

    def running(self) -> list[str]:
        """Return the names of the runs that are running."""
        return [run.run_id for run in self.recent(1000, "RUNNING")]

    def events(self, run_id: str, after: int) -> Sequence[Mapping[str, Any]]:
        """Return the events of a run's history that are newer than `after`.

        Parameters
        ----------
        run_id : str
        after : int
            The highest event id already seen; 0 for all of them.

        Returns
        -------
        sequence of mapping
            Step Functions' history events, oldest first.
        """
        # Newest first: following a run of 20,000 events then costs one small page per poll.
        found: list[Mapping[str, Any]] = []
        arguments: dict[str, Any] = {"executionArn": self._stack.execution_arn(run_id), "reverseOrder": True}
        page_size = 100 if after else 1000
        with aws_errors():
            while True:
                answer = self._stepfunctions.get_execution_history(**arguments, maxResults=page_size)
                new = [event for event in answer["events"] if event["id"] > after]
                found += new
                token = answer.get("nextToken")
                if token is None or len(new) < len(answer["events"]):
                    return sorted(found, key=lambda event: int(event["id"]))
                arguments["nextToken"] = token
