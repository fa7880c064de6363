"""How every listed table is after the runs so far: what no single manifest says.

Stored with the history of the runs, so that the page costs no request for each table.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

from rds_to_s3.commit.entries import TableEntry
from rds_to_s3.reported.manifest import Manifest

DAYS = 7
FAILURES_KEPT = 3
LONGEST_MESSAGE = 600
_EXTRACTED = {"SUCCEEDED", "UNCHANGED"}


class Failure(BaseModel):
    """One failed run of a table."""

    run_id: str
    at: str
    type: str
    message: str


class TableStanding(BaseModel):
    """How one table is.

    Attributes
    ----------
    planned_at : float
        Of the run that said so, seconds since 1970.
    proves : bool
        Whether its runs compare it with what was delivered.
    whole_until : str or None
        Up to when the whole table was last proved equal, on the database's clock.
    days : dict of str to int
        Rows by the day of the run, UTC. A first extract of everything is not counted.
    failed_runs : int
        How many runs in a row it has failed in.
    failing_since : str or None
        When the first of them started.
    failures : list of Failure
        The last ones, newest first.
    """

    planned_at: float = 0.0
    proves: bool = False
    whole_until: str | None = None
    days: dict[str, int] = {}
    failed_runs: int = 0
    failing_since: str | None = None
    failures: list[Failure] = []

    def after(self, entry: TableEntry, manifest: Manifest, planned_at: float, *, counts: bool) -> TableStanding:
        """Return how the table is after a run.

        Parameters
        ----------
        counts : bool
            Whether the entry's rows are not counted yet.
        """
        changes: dict[str, object] = {}
        if counts and entry.rows and (entry.mode == "full" or entry.window.after is not None):
            day = manifest.started_at[:10]
            changes["days"] = _recent({**self.days, day: self.days.get(day, 0) + entry.rows}, manifest)
        if planned_at >= self.planned_at:
            changes |= {"planned_at": planned_at} | self._outcome(entry, manifest)
        return self.model_copy(update=changes)

    def _outcome(self, entry: TableEntry, manifest: Manifest) -> dict[str, object]:
        if entry.status in _EXTRACTED:
            proof = entry.proof
            # A round of the proof that begins again does not take back what was proved.
            whole_until = (proof.whole_until or self.whole_until) if proof else None
            return {"failed_runs": 0, "failing_since": None, "proves": proof is not None, "whole_until": whole_until}
        if entry.error is None:
            return {}
        failure = Failure(
            run_id=manifest.run_id,
            at=manifest.started_at,
            type=entry.error.type,
            message=_storable(entry.error.message)[:LONGEST_MESSAGE],
        )
        again = any(known.run_id == manifest.run_id for known in self.failures)  # in a redrive
        others = [known for known in self.failures if known.run_id != manifest.run_id]
        return {
            "failed_runs": max(self.failed_runs, 1) if again else self.failed_runs + 1,
            "failing_since": self.failing_since or manifest.started_at,
            "failures": [failure, *others][:FAILURES_KEPT],
        }

    def rows_a_day(self, counted_since: str | None, now: datetime) -> float | None:
        """Return the average of the last week; None before there is a whole day.

        Parameters
        ----------
        counted_since : str or None
            The start of the first run that was counted.
        """
        if counted_since is None:
            return None
        passed = (now - datetime.fromisoformat(counted_since)) / timedelta(days=1)
        if passed < 1:
            return None
        first = f"{now.astimezone(UTC) - timedelta(days=DAYS):%Y-%m-%d}"
        return sum(rows for day, rows in self.days.items() if day > first) / min(passed, DAYS)


class Standings(BaseModel):
    """How every listed table is.

    Attributes
    ----------
    generation : int
        Higher after every change. A page of a lower one is older.
    planned_at : float
        Of the newest run of all tables.
    counted_since : str or None
        The start of the first run whose rows were counted.
    behind : list of str
        The tables whose lag was above the limit after the last run.
    """

    generation: int = 0
    planned_at: float = 0.0
    counted_since: str | None = None
    tables: dict[str, TableStanding] = {}
    behind: list[str] = []

    def after(
        self, manifest: Manifest, planned_at: float | None, *, of_all: bool, counted: int | None, now: datetime
    ) -> Standings:
        """Return how the tables are after a run.

        Parameters
        ----------
        planned_at : float or None
            None where the run could not be planned: the tables stay as they are.
        of_all : bool
            Whether the run was of every listed table. Then tables that it lacks are no longer listed.
        counted : int or None
            Up to which redrive the run has been counted; None if it is new.
        now : datetime
            Aware.
        """
        # Higher than before, also if the history was unreadable and has begun again.
        generation = max(self.generation + 1, int(now.timestamp() * 1000))
        if planned_at is None:
            return self.model_copy(update={"generation": generation})
        is_newest = planned_at >= self.planned_at
        tables = {} if of_all and is_newest else dict(self.tables)
        for entry in manifest.tables:
            if not is_newest and entry.table not in self.tables:
                continue  # it has been taken off the list since
            known = self.tables.get(entry.table, TableStanding())
            counts = counted is None or (entry.redrive > counted)
            tables[entry.table] = known.after(entry, manifest, planned_at, counts=counts)
        return Standings(
            generation=generation,
            planned_at=planned_at if of_all and is_newest else self.planned_at,
            counted_since=self.counted_since or manifest.started_at,
            tables=tables,
        )


def _recent(days: dict[str, int], manifest: Manifest) -> dict[str, int]:
    last = datetime.fromisoformat(manifest.started_at) - timedelta(days=DAYS)
    return {day: rows for day, rows in days.items() if day >= f"{last:%Y-%m-%d}"}


def _storable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
