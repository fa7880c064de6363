"""How far each table's files are behind the database. Stored from run to run, so every run can report all.

A run may have only a few tables, and a table that fails or is skipped writes no lag. The lag is the time between the
upper bound of a table's last extract and the server's clock now.

A table that the list no longer brings in is not forgotten at once: a deploy may have put an older list back, and
nothing else would say so. Its lag is reported until the alarm has gone off.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator, BaseModel

from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.reported.manifest import Manifest
from rds_to_s3.wording import counted, first_names

_EXTRACTED = {"SUCCEEDED", "UNCHANGED"}
Moment = Annotated[str, AfterValidator(lambda text: datetime.fromisoformat(text) and text)]


class Dropped(BaseModel):
    """A table that the last run of all tables did not cover, and an earlier one did.

    Attributes
    ----------
    until : str or None
        The upper bound of its last extract; None if there was none, so that there is no lag.
    since : float
        ``planned_at`` of the first run without it.
    alarmed : bool
        Whether its lag was reported above the limit of the alarm. The next run of all tables forgets it.
    """

    until: Moment | None
    since: float
    alarmed: bool = False


class Freshness(BaseModel):
    """The upper bound of each table's last extract.

    Attributes
    ----------
    until : dict
        By table, in the server's zone, as the manifest writes it: such texts sort in the order of time.
    server_now : str or None
        The server's clock at the last plan; None before the first.
    planned_at : float
        The same moment on the planner's clock, seconds since 1970.
    covered : list of str
        The tables of the last run of all tables.
    dropped : dict
        By table.
    """

    until: dict[str, Moment] = {}
    server_now: Moment | None = None
    planned_at: float = 0.0
    covered: list[str] = []
    dropped: dict[str, Dropped] = {}

    def dropped_by(self, plan: PlannedRun | None, *, of_all: bool) -> dict[str, Dropped]:
        """Return the tables that a run of all tables does not cover, though an earlier one did.

        A table that the list excludes by name or pattern was taken off on purpose.
        """
        if plan is None or not of_all or plan.planned_at < self.planned_at:
            return {}
        names = {spec.name for spec in plan.tables}
        first_missed = {
            name: Dropped(until=self.until.get(name), since=plan.planned_at)
            for name in [*self.covered, *self.until]
            if name not in names
        }
        known = {
            name: table
            for name, table in self.dropped.items()
            if name not in names and not (table.alarmed and plan.planned_at > self.planned_at)
        }
        return {name: table for name, table in (first_missed | known).items() if not _is_excluded(name, plan.exclude)}

    def after(self, manifest: Manifest, plan: PlannedRun | None, *, of_all: bool, limit_hours: float) -> Freshness:
        """Return what is known after a run.

        Parameters
        ----------
        plan : PlannedRun or None
            None where the run could not be planned: it changes nothing, and the lags grow.
        of_all : bool
            Whether the run was of every listed table. Then tables that it lacks are no longer listed.
        limit_hours : float
            The lag above which the alarm goes off.
        """
        if plan is None or not manifest.bound:
            return self
        planned_at = plan.planned_at
        is_newest = planned_at >= self.planned_at
        until = {} if of_all and is_newest else dict(self.until)
        for entry in manifest.tables:
            name = entry.table
            before = self.dropped.get(name)
            known = [self.until.get(name), before.until if before else None, entry.window.after]
            if entry.status in _EXTRACTED:
                known.append(entry.window.until)
            reached = max((moment for moment in known if moment), default=None)
            if reached is not None and (is_newest or name in until):
                until[name] = reached
        if not is_newest:  # a redrive of a run that others have overtaken
            return self.model_copy(update={"until": until})
        names = [entry.table for entry in manifest.tables]
        after = Freshness(
            until=until,
            server_now=manifest.bound.server_now,
            planned_at=planned_at,
            covered=names if of_all else self.covered,
            dropped=self.dropped_by(plan, of_all=True)
            if of_all
            else {name: table for name, table in self.dropped.items() if name not in names},
        )
        for name, lag in after._lags_of_dropped(planned_at).items():
            after.dropped[name].alarmed |= lag > limit_hours * 3600
        return after

    def lags(self, now: float) -> dict[str, float]:
        """Return how many seconds each table is behind; a table that was never extracted is left out.

        Parameters
        ----------
        now : float
            Seconds since 1970.
        """
        if self.server_now is None:
            return {}
        dropped = {name: table.until for name, table in self.dropped.items() if table.until is not None}
        return {table: self._lag(until, now) for table, until in (dropped | self.until).items()}

    def _lags_of_dropped(self, now: float) -> dict[str, float]:
        """Return the lag of each dropped table; of one without an extract, the time since it was dropped."""
        return {
            name: now - table.since if table.until is None else self._lag(table.until, now)
            for name, table in self.dropped.items()
        }

    def _lag(self, until: str, now: float) -> float:
        passed = max(now - self.planned_at, 0.0)
        clock = datetime.fromisoformat(self.server_now or until)
        return max((clock - datetime.fromisoformat(until)).total_seconds() + passed, 0.0)


def dropped_warnings(dropped: Collection[str], limit_hours: float) -> list[str]:
    """Return the manifest's warning about tables that the list no longer brings in."""
    if not dropped:
        return []
    its, them = ("its", "it") if len(dropped) == 1 else ("their", "them")
    return [
        f"the table list no longer brings in {counted(len(dropped), 'table')} that an earlier run covered: "
        f"{first_names(sorted(dropped))}. If nobody took {them} off, a deploy has put an older list back: list {them} "
        f'again, and the next run continues at {its} watermark. If that was on purpose, name {them} in "exclude"; '
        f"otherwise {its} lag is reported until the alarm has gone off, at {limit_hours:g} hours"
    ]


def _is_excluded(name: str, patterns: Collection[str]) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)
