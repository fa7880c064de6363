"""The clock that stamps a table's rows: the server's, or that of the zone which the table list names."""

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
    """A run's bound and the present, as a table's rows are stamped.

    Attributes
    ----------
    zone : str
        The zone's name; the server's as it names it.
    until, now : datetime
        Local times.
    local, instant : callable
        Turn seconds since 1970 into local time, and back.
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
