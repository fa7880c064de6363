"""The clock that stamps a table's rows: the server's, or one in the zone in the table list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from rds_to_s3.plan.bound import unambiguous
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.plan.zones import instant_in, local_times_in

EARLIEST = datetime(1970, 1, 2)  # a TIMESTAMP is never earlier, in any zone


@dataclass(frozen=True)
class TableClock:
    """A run's bound and the current time, on the clock that stamps a table's rows.

    Attributes
    ----------
    zone : str
        The zone's name; for the server's zone the name that the server uses.
    until, now : datetime
        Local times.
    local, instant : callable
        Convert seconds since 1970 to local time, and back.
    """

    zone: str
    until: datetime
    now: datetime
    local: Callable[[float], datetime]
    instant: Callable[[datetime], float]

    @classmethod
    def of(cls, spec: TableSpec, run: PlannedRun) -> TableClock:
        """Return the clock of a table in a run."""
        if spec.time_zone is None:
            lead = run.server_now - datetime.fromtimestamp(run.server_utc, UTC).replace(tzinfo=None)
            return cls(
                str(run.bound.get("zone", "")),
                run.until,
                run.server_now,
                lambda instant: datetime.fromtimestamp(instant, UTC).replace(tzinfo=None) + lead,
                lambda moment: (max(moment, EARLIEST) - lead).replace(tzinfo=UTC).timestamp(),
            )
        times = partial(local_times_in, spec.time_zone)
        until, now = times([unambiguous(run.bound_utc, times), run.server_utc])
        zone = spec.time_zone
        return cls(
            zone,
            until.replace(microsecond=0),
            now,
            lambda instant: times([instant])[0],
            lambda moment: instant_in(zone, max(moment, EARLIEST)),
        )
