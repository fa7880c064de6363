"""How far each table's files are behind the database. Stored from run to run, so every run can report all.

A run may have only a few tables, and a table that fails or is skipped writes no lag. The lag is the time between the
upper bound of a table's last extract and the server's clock now.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel

from rds_to_s3.reported.manifest import Manifest

_EXTRACTED = {"SUCCEEDED", "UNCHANGED"}
Moment = Annotated[str, AfterValidator(lambda text: datetime.fromisoformat(text) and text)]


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
    """

    until: dict[str, Moment] = {}
    server_now: Moment | None = None
    planned_at: float = 0.0

    def after(self, manifest: Manifest, planned_at: float | None, *, of_all: bool) -> Freshness:
        """Return what is known after a run.

        Parameters
        ----------
        planned_at : float or None
            None where the run could not be planned: it changes nothing, and the lags grow.
        of_all : bool
            Whether the run was of every listed table. Then tables that it lacks are no longer listed.
        """
        if planned_at is None or not manifest.bound:
            return self
        is_newest = planned_at >= self.planned_at
        until = {} if of_all and is_newest else dict(self.until)
        for entry in manifest.tables:
            name = entry.table
            known = [self.until.get(name), entry.window.after]
            if entry.status in _EXTRACTED:
                known.append(entry.window.until)
            reached = max((moment for moment in known if moment), default=None)
            if reached is not None and (is_newest or name in until):
                until[name] = reached
        if not is_newest:  # a redrive of a run that others have overtaken
            return Freshness(until=until, server_now=self.server_now, planned_at=self.planned_at)
        return Freshness(until=until, server_now=manifest.bound.server_now, planned_at=planned_at)

    def lags(self, now: float) -> dict[str, float]:
        """Return how many seconds each table is behind; a table that was never extracted is left out.

        Parameters
        ----------
        now : float
            Seconds since 1970.
        """
        if self.server_now is None:
            return {}
        passed = max(now - self.planned_at, 0.0)
        clock = datetime.fromisoformat(self.server_now)
        return {
            table: max((clock - datetime.fromisoformat(until)).total_seconds() + passed, 0.0)
            for table, until in self.until.items()
        }
