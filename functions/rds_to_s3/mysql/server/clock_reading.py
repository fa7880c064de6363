"""A reading of the server's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rds_to_s3.errors import RdsToS3Error

Unobserved = Literal["privilege", "stale"]
Role = Literal["primary", "replica", "member"]


@dataclass(frozen=True)
class ClockReading:
    """A reading of the server's clock, on one connection.

    Attributes
    ----------
    utc_now : float
        The server's clock, seconds since 1970 in UTC.
    observer_utc : float or None
        This machine's clock at that moment. By it two readings show whether the server's clock was turned back between
        them.
    transaction_age, statement_age : float or None
        Seconds since the oldest open read-write transaction, or running statement, began; None where there is none.
    first_statement_unseen : bool
        Whether a transaction is open whose first statement may have begun, and fixed its ``NOW()``, before that.
    unobserved : {"privilege", "stale"} or None
        Why other users' transactions and statements cannot be seen; None where they can.
    role : {"primary", "replica", "member"}
        A member of a group shares the writing with other servers.
    replica_age : float or None
        Seconds between the clock and the instant up to which the server has all commits of its origin. None on a
        primary, or where it cannot be determined.
    progress_error : RdsToS3Error or None
        Why not.
    zone : str
        The server's name of its time zone.
    user : str
        The user as in ``CURRENT_USER()``, where it lacks the privilege.
    """

    utc_now: float
    observer_utc: float | None = None
    transaction_age: float | None = None
    statement_age: float | None = None
    first_statement_unseen: bool = False
    unobserved: Unobserved | None = None
    role: Role = "primary"
    replica_age: float | None = None
    progress_error: RdsToS3Error | None = None
    zone: str = "SYSTEM"
    user: str = ""
