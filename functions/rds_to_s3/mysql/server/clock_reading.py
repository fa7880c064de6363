"""What the server says about time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rds_to_s3.errors import RdsToS3Error

Unobserved = Literal["privilege", "stale"]
Role = Literal["primary", "replica", "member"]


@dataclass(frozen=True)
class ClockReading:
    """What the server says about time, all of it read on one connection.

    Attributes
    ----------
    utc_now : float
        The server's clock, seconds since 1970 in UTC.
    observer_utc : float or None
        This machine's clock at that moment. Two readings tell by it whether the server's clock was turned back between.
    transaction_age, statement_age : float or None
        Seconds since the oldest open read-write transaction, or running statement, began; None where there is none.
    first_statement_unseen : bool
        Whether a transaction is open whose first statement may have begun, and fixed its ``NOW()``, before that.
    unobserved : {"privilege", "stale"} or None
        Why other users' transactions and statements cannot be seen; None where they can.
    role : {"primary", "replica", "member"}
        A member of a group shares the writing with other servers.
    replica_age : float or None
        Seconds between the clock and the instant up to which everything that was committed elsewhere is here, too; None
        on a primary, or where that cannot be found out.
    progress_error : RdsToS3Error or None
        Why not.
    zone : str
        The server's time zone, as it names it.
    user : str
        As ``CURRENT_USER()`` has it, where it lacks the privilege.
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
