"""Extractor processes that die, or stand still, at an effect of the test's choice."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import boto3

from tests.support.effects import OnEffect

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from tests.integration.pipeline import Pipeline


@cache
def unused_client(client: S3Client) -> S3Client:
    """Return a client like this one that has no socket yet: forked processes must not share any."""
    credentials = client._request_signer._credentials  # type: ignore[attr-defined]
    return boto3.session.Session().client(
        "s3",
        endpoint_url=client.meta.endpoint_url,
        region_name=client.meta.region_name,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        config=client.meta.config,
    )


def fork(work: Callable[[], None]) -> int:
    """Do `work` in a child process; return its number."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)
    return child


def die_at(moment: int | str) -> OnEffect:
    """Return an `on_effect` that kills its process, as a Lambda is killed.

    Parameters
    ----------
    moment : int or str
        Which call, counted from 0; or the name of one, where it comes first.
    """
    count = -1

    def on_effect(name: str) -> None:
        nonlocal count
        count += 1
        if moment in {count, name}:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_effect


def stand_still() -> None:
    """Freeze this process before the calling thread does anything else.

    The signal goes to the thread. One that goes to the process may be taken by another thread, and until that one has a
    core, this one works.
    """
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def stand_still_at(moment: str) -> OnEffect:
    """Return an `on_effect` that freezes its process at the first effect of that name."""
    stood = False

    def on_effect(name: str) -> None:
        nonlocal stood
        if name == moment and not stood:
            stood = True
            stand_still()

    return on_effect


def extract_in_child(
    pipeline: Pipeline, run_id: str, table: str, on_effect: OnEffect, *, number: int | None = None
) -> int:
    """Run one invocation of the extractor in a process of its own; return the process's number."""

    def work() -> None:
        replace(pipeline, s3_client=client).extract(run_id, table, on_effect, number=number)

    client = unused_client(pipeline.s3_client)
    return fork(work)


def iterate_in_child(pipeline: Pipeline, run_id: str, table: str) -> int:
    """Do all of a run's work on a table in a process of its own; return the process's number."""

    def work() -> None:
        if replace(pipeline, s3_client=client).iterate(run_id, table)["status"] == "FAILED":
            raise SystemExit(1)

    client = unused_client(pipeline.s3_client)
    return fork(work)


def extract_and_die(
    pipeline: Pipeline, run_id: str, table: str, moment: int | str, *, number: int | None = None
) -> None:
    """Run one invocation of the extractor, and kill it at an effect."""
    _, status = os.waitpid(extract_in_child(pipeline, run_id, table, die_at(moment), number=number), 0)
    assert os.WIFSIGNALED(status), f"the extractor of {table} ended ({status}) before {moment}"
    assert os.WTERMSIG(status) == signal.SIGKILL
