"""Reads the server's clock, and derives the window's end from it."""

from __future__ import annotations

from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.server.clock import local_times, read_clock
from rds_to_s3.plan.bound import Bound, decide_bound


def read_bound(connection: Connection, *, settle_seconds: float, unobserved_settle_seconds: float) -> Bound:
    """Read the server's clock and derive the window's end from it.

    Parameters
    ----------
    settle_seconds, unobserved_settle_seconds : float
        See `rds_to_s3.plan.bound.decide_bound`.

    Raises
    ------
    ReplicaProgressError, ReplicaStoppedError
        The lag of a replica cannot be determined: any window's end could lose rows.
    """
    reading = read_clock(connection)
    if reading.progress_error is not None:
        raise reading.progress_error
    return decide_bound(
        reading,
        lambda instants: local_times(connection, instants),
        settle_seconds=settle_seconds,
        unobserved_settle_seconds=unobserved_settle_seconds,
    )
