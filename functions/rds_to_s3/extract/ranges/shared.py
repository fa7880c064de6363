"""A table whose read several invocations share: its register and those of the ranges, until the ranges are joined.

The table's register names the division. The run keeps it by its lease, which each invocation prolongs and none holds
alone. What an invocation reads is fenced by its range's own register. The last one to finish its range joins them by
one conditional write, and commits the table like one that was read by one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from rds_to_s3.bucket_keys import range_key
from rds_to_s3.commit.opening import Refused
from rds_to_s3.commit.read_as import Division
from rds_to_s3.commit.state import Ahead, Checked, Delivered, Lease, Recorded, Staged, TableState, Violation, Written
from rds_to_s3.commit.state_store import StateStore
from rds_to_s3.commit.table_commit import TableCommit, held
from rds_to_s3.errors import LeaseLostError, StorageRefusedError, StorageUnavailableError
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3.s3.side_by_side import side_by_side

# Until the first of a table's ranges is read: other tables may come first. If they take longer, and another run takes
# the table meanwhile, only the division, and what a run that is redriven had read, is done again.
RANGES_WAIT_SECONDS = 900.0
SHARE_TRIES = 50  # forty readers may begin, and end, in one moment
VIOLATIONS_SHOWN = 5


class SharedTable:
    """One invocation's view of a table that its run shares.

    Parameters
    ----------
    commit : TableCommit
        Of the table's own register.
    """

    def __init__(self, commit: TableCommit, store: ObjectStore) -> None:
        self._commit = commit
        self._store = store

    def enter(self, lasts_seconds: float) -> Refused | Staged | None:
        """Keep the table for this run.

        Parameters
        ----------
        lasts_seconds : float
            Until this invocation is certainly over, and the next one has begun.

        Returns
        -------
        Refused, Staged or None
            Why this run does not read the table; the read that it shares; None where none is shared (any more).

        Raises
        ------
        LeaseLostError
            Others kept changing the state.
        """

        def prolonged(state: TableState, now: float) -> TableState | None:
            lease = state.lease
            if lease is not None and lease.run_id == self._commit.run_id and lease.expires_at >= now + lasts_seconds:
                return None
            wanted = Lease(run_id=self._commit.run_id, token=self._commit.token, expires_at=now + lasts_seconds)
            return state.model_copy(update={"lease": wanted})

        return self._change(prolonged)

    def registers(self, division: Division) -> list[TableState]:
        """Return the states of all ranges."""
        state = self._commit.state

        def load(number: int) -> TableState:
            key = range_key(state.table, state.format, division.token, number)
            return StateStore(self._store, state.table, state.format, key).load()

        progress = side_by_side(load, range(1, division.ranges + 1), math.inf)
        if progress.error is not None:
            raise progress.error
        return [answer for answer in progress.answers if answer is not None]

    @staticmethod
    def missing(ranges: Sequence[TableState]) -> list[int]:
        """Return the ranges that are not read to their end."""
        return [number for number, each in enumerate(ranges, 1) if each.staged is None or not each.staged.done]

    def join(self, division: Division, ranges: list[TableState]) -> Staged | None:
        """Replace the division by the progress of all its ranges.

        Returns
        -------
        Staged or None
            None if another invocation has done so.
        """
        tried = max(state.attempts.get(self._commit.run_id, 1) for state in ranges)
        joined: Staged | None = None

        def replaced(state: TableState, now: float) -> TableState | None:
            nonlocal joined
            whole = state.staged
            if whole is None or whole.division is None or whole.division.token != division.token:
                joined = None
                return None
            joined = joined_progress(whole, [each.staged for each in ranges if each.staged])
            attempts = {self._commit.run_id: max(state.attempts.get(self._commit.run_id, 1), tried)}
            # By its own token: of two that join, only one may take the write for its own.
            lease = Lease(run_id=self._commit.run_id, token=self._commit.token, expires_at=_expiry(state, now))
            return state.model_copy(update={"staged": joined, "attempts": attempts, "lease": lease})

        return joined if isinstance(self._change(replaced), Staged) else None

    def joined(self, division: Division, ranges: list[TableState]) -> Staged:
        """Return the joined progress. Raise LeaseLostError if another invocation has joined the ranges."""
        joined = self.join(division, ranges)
        if joined is None:
            raise LeaseLostError(f"another invocation has taken table {self._commit.state.table!r}")
        return joined.model_copy(deep=True)

    def leave(self, division: Division) -> None:
        """Give the table free, unless a range of it is being read: this run's read of it may have failed."""
        with suppress(LeaseLostError, StorageUnavailableError, StorageRefusedError):
            # Before the registers: whoever enters while they are looked at prolongs it.
            seen, now = self._commit.states.load().lease, self._commit.clock()
            if any(state.lease is not None and state.lease.expires_at > now for state in self.registers(division)):
                return
            self._change(lambda state, _now: state.model_copy(update={"lease": None}) if state.lease == seen else None)

    def _change(self, change: Callable[[TableState, float], TableState | None]) -> Refused | Staged | None:
        """Change the state as long as this run shares the table; return what `enter` does."""
        commit = self._commit
        for _ in range(SHARE_TRIES):
            state = commit.states.load()
            now = commit.clock()
            if (lease := state.held_by_another(commit.run_id, now)) is not None:
                return held(lease, now)
            if (newer := commit.covered()) is not None:
                return newer
            staged = state.staged
            if staged is None or staged.run_id != commit.run_id or staged.division is None:
                return None
            changed = change(state, now)
            if changed is not None:
                try:
                    commit.states.save(changed)
                except LeaseLostError:
                    continue
            return staged
        raise LeaseLostError(f"others kept changing the state of table {commit.state.table!r}")


def _expiry(state: TableState, now: float) -> float:
    return state.lease.expires_at if state.lease is not None else now


def joined_progress(whole: Staged, ranges: list[Staged]) -> Staged:
    """Return a divided read as if one had read it: the ranges one after the other.

    Parameters
    ----------
    whole : Staged
        The read, with its division.
    ranges : list of Staged
        All of them, in their order, each read to its end.
    """
    latest = [each.ahead.latest for each in ranges if each.ahead.latest]
    return whole.model_copy(
        update={
            "division": None,
            "handed_back": True,
            "readers": len(ranges),
            "written": Written(
                files=[file for each in ranges for file in each.written.files],
                position=ranges[-1].written.position,
            ),
            "inexact": dict(sum((Counter(each.inexact) for each in ranges), Counter())),
            "ahead": Ahead(
                keys=[key for each in ranges for key in each.ahead.keys],
                latest=[max(values) for values in zip(*latest, strict=True)],
                count=sum(each.ahead.count for each in ranges),
            ),
            "checked": Checked(
                violations=_violations(ranges), quarantine=[file for each in ranges for file in each.checked.quarantine]
            ),
            "delivered": Delivered(runs=[run for each in ranges for run in each.delivered.runs]),
            "recorded": Recorded(
                blocks=[block for each in ranges for block in each.recorded.blocks],
                runs=[run for each in ranges for run in each.recorded.runs],
            ),
            # Side by side: the report draws when the table was read.
            "seconds": whole.seconds + max(each.seconds for each in ranges),
            "invocations": whole.invocations + sum(each.invocations for each in ranges),
            "warnings": list(dict.fromkeys([*whole.warnings, *(text for each in ranges for text in each.warnings)])),
            "seen_until": max(each.seen_until for each in [whole, *ranges] if each.seen_until is not None)
            if whole.seen_until is not None
            else None,
        }
    )


def _violations(ranges: list[Staged]) -> dict[str, Violation]:
    found: dict[str, Violation] = {}
    for each in ranges:
        for label, violation in each.checked.violations.items():
            before = found.get(label, Violation())
            keys = [*before.keys, *violation.keys][:VIOLATIONS_SHOWN]
            found[label] = Violation(rows=before.rows + violation.rows, keys=keys)
    return found
