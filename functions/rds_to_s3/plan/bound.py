"""The upper bound of a run's watermarks: the window's end, on the database's clock.

The argument (``docs/exactly-once.md``): consider a row version that a snapshot taken now does not show. A statement
that is still running, or a transaction that is still open, or a later one, stamps it. So no unseen row version has a
stamp below the start of the oldest of these, less two margins: the moment between fixing ``NOW()`` and listing the
transaction, and the fraction that a DATETIME without fractions drops. `settle` covers both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from rds_to_s3.mysql.select import account
from rds_to_s3.mysql.server.clock_reading import ClockReading, Role, Unobserved
from rds_to_s3.timestamps import format_timestamp

QUARTER = 900
FIRST_STATEMENT_SECONDS = 300.0
"""The longest wait of a transaction's first statement for a metadata lock, where the server does not report it."""
HORIZON = 16  # quarters of an hour looked at on both sides; no zone has ever turned its clock back by more
DecidedBy = Literal["clock", "transaction", "statement", "replica", "clock change"]

_UNOBSERVED: dict[Unobserved, str] = {
    "privilege": (
        "the database user lacks the PROCESS privilege, so open transactions cannot be seen: the window ends "
        "{settle:g} s before now, and a transaction that stays open longer may lose rows. Raise "
        "UnobservedSettleSeconds above the longest transaction, or better: GRANT PROCESS ON *.* TO {user}"
    ),
    "stale": (
        "the server does not refresh its list of open transactions (something reads information_schema.innodb_trx "
        "without a pause, or it does not list a read-only transaction): the window ends {settle:g} s before now, and a "
        "transaction that stays open longer may lose rows. Poll innodb_trx less often than every second."
    ),
}

_ELSEWHERE: dict[Role, str] = {
    "replica": (
        "this server is a replica: transactions open on its source cannot be seen here, so the window ends {settle:g} "
        "s before what it has applied. A transaction that stays open longer on the source may lose rows: raise "
        "UnobservedSettleSeconds above the longest."
    ),
    "member": (
        "this server shares the writing with the other members of its group, whose open transactions cannot be seen "
        "here, so the window ends {settle:g} s before now. A transaction that stays open longer on another member may "
        "lose rows: raise UnobservedSettleSeconds above the longest, and keep the members' clocks synchronized."
    ),
}


@dataclass(frozen=True)
class Bound:
    """The window's end and how it was derived, as in the manifest.

    Attributes
    ----------
    until : datetime
        Whole second, in the server's zone, without tzinfo.
    server_now : datetime
        The server's clock in the same zone, microseconds.
    server_utc : float
        The same instant, seconds since 1970.
    until_utc : float
        The instant of the window's end before the rule about repeated hours, for a table in another zone.
    clock_lead : float or None
        Seconds by which the server's clock was ahead of the planner's.
    """

    until: datetime
    server_now: datetime
    server_utc: float
    until_utc: float
    decided_by: DecidedBy
    settle_seconds: float
    zone: str
    clock_lead: float | None = None
    role: Role = "primary"
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return what the manifest's ``bound`` shows."""
        return {
            "decided_by": self.decided_by,
            "server_now": format_timestamp(self.server_now),
            "server_utc": self.server_utc,
            "clock_lead": self.clock_lead,
            "settle_seconds": self.settle_seconds,
            "zone": self.zone,
            "role": self.role,
        }


def decide_bound(
    reading: ClockReading,
    to_local: Callable[[Sequence[float]], list[datetime]],
    *,
    settle_seconds: float,
    unobserved_settle_seconds: float,
) -> Bound:
    """Derive the window's end from a reading of the server's clock.

    Parameters
    ----------
    to_local : callable
        Converts UTC instants to the server's local time, by the server's rules (``FROM_UNIXTIME``).
    settle_seconds : float
        Margin where open transactions can be seen.
    unobserved_settle_seconds : float
        Margin where they cannot: an upper bound of the longest transaction.
    """
    warnings = []
    settle = settle_seconds
    ages: dict[DecidedBy, float] = {"clock": 0.0}
    if reading.unobserved is None:
        if reading.transaction_age is not None:
            # It costs no freshness: rows beyond the window's end are still delivered.
            unseen = FIRST_STATEMENT_SECONDS if reading.first_statement_unseen else 0.0
            ages["transaction"] = reading.transaction_age + unseen
        if reading.statement_age is not None:
            ages["statement"] = reading.statement_age
    else:
        settle = max(settle, unobserved_settle_seconds)
        warnings.append(_UNOBSERVED[reading.unobserved].format(settle=settle, user=account(reading.user)))
    if reading.role != "primary":
        settle = max(settle, unobserved_settle_seconds)
        ages["replica"] = reading.replica_age or 0.0
        warnings.append(_ELSEWHERE[reading.role].format(settle=settle))

    decided_by = max(ages, key=lambda name: ages[name])
    until_utc = float(max(int(reading.utc_now - ages[decided_by] - settle), 0))
    end = unambiguous(until_utc, to_local)
    if end != until_utc:
        decided_by = "clock change"
        warnings.append(
            f"the server's zone ({reading.zone}) turns its clock back: the window ends before the hour that occurs "
            "twice, and rows stamped in it are delivered by their digests until it has passed"
        )
    server_now, until = to_local([reading.utc_now, end])
    return Bound(
        until=until.replace(microsecond=0),
        server_now=server_now,
        server_utc=reading.utc_now,
        until_utc=until_utc,
        decided_by=decided_by,
        settle_seconds=settle,
        zone=reading.zone,
        role=reading.role,
        clock_lead=None if reading.observer_utc is None else round(reading.utc_now - reading.observer_utc, 3),
        warnings=warnings,
    )


def unambiguous(instant: float, to_local: Callable[[Sequence[float]], list[datetime]]) -> float:
    """Return the latest instant up to `instant` whose local time is unique, and lower than all later ones.

    Where a zone falls back, a later row can have an earlier stamp. A watermark must stay below the repeated hour until
    it has passed twice. Zones change on quarters of an hour.
    """
    base = int(instant) // QUARTER * QUARTER
    edges = [base + k * QUARTER for k in range(-HORIZON, HORIZON + 1)]
    instants = sorted({instant, *(float(edge) for edge in edges), *(float(edge - 1) for edge in edges)})
    local = to_local(instants)
    for index in range(instants.index(instant), -1, -1):
        here = local[index]
        if all(moment < here for moment in local[:index]) and all(moment > here for moment in local[index + 1 :]):
            return instants[index]
    return instant - timedelta(seconds=HORIZON * QUARTER).total_seconds()
