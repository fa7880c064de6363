"""Which commits of a table are unreported, and which run's manifest reports them.

The commits of a table form a chain: each is decided by the holder of the table's lease in one conditional write that
replaces the one before. What a commit has to report is its record: its files, and its warnings, also where it has no
files. Many warnings compare with the commit before, so no later run repeats them. The next commit looks at the record,
and at those that commits before have left:

- the manifest of its run names its files: it is reported;
- its run is still running: it stays in the chain, for the next commit to look at;
- its run is over: `RunRegister.take` makes sure that no manifest of that run ever names the files, and then the new
  commit's own record reports them. If the run had decided on its manifest, that one is written, and reports them.

If the invocation dies between taking and deciding, the next commit reports the files: the chain has not moved, and
nobody else can report them. So each file is in exactly one manifest that was decided, or in a record of the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rds_to_s3.bucket_keys import plan_key
from rds_to_s3.clean_up import cleaned_up
from rds_to_s3.commit.entries import TableEntry, Unreported
from rds_to_s3.commit.opening import Refused
from rds_to_s3.commit.state import Commit, pending_of
from rds_to_s3.commit.table_commit import TableCommit
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.reported.record import joined_record
from rds_to_s3.reported.register import RunRegister
from rds_to_s3.s3.objects import ObjectStore

FORMATS = ("csv", "parquet")


@dataclass(frozen=True)
class Outstanding:
    """The earlier commits that a new commit reports or carries.

    Attributes
    ----------
    taken : list of Unreported
        Its record reports these, the oldest first.
    carried : list of Unreported
        Their runs will report them.
    """

    taken: list[Unreported] = field(default_factory=list)
    carried: list[Unreported] = field(default_factory=list)

    @property
    def runs(self) -> list[str]:
        """The runs whose files were not reported when this run looked."""
        return [each.run_id for each in (*self.taken, *self.carried) if each.keys]

    def warnings(self) -> list[str]:
        """Return what the table's entry says about them."""
        said = [
            f"run {each.run_id} ended before it could report its commit: this entry reports its "
            f"{'files' if each.keys else 'warnings'}"
            for each in self.taken
        ]
        return said + [
            f"run {each.run_id} is still running: its manifest will report {len(each.keys)} files of this table"
            for each in self.carried
            if each.keys
        ]


def settle(store: ObjectStore, run: PlannedRun, table: str, last: Commit | None) -> Outstanding:
    """Determine which earlier commits the next commit of a table has to report.

    Only for the holder of the table's lease.
    """
    outstanding = Outstanding()
    for each in pending_of(last):
        register = RunRegister(store, each.run_id, each.planned_at)
        if register.has_written(each.keys) or not _is_known(store, each):
            continue
        if run.sees_running(each.run_id, each.planned_at):
            outstanding.carried.append(each)
        elif register.take(table, each.keys, run.run_id):
            outstanding.taken.append(each)
        else:
            register.publish()
    return outstanding


def _is_known(store: ObjectStore, unreported: Unreported) -> bool:
    # Without its plan a run's reports are unknown: the plan is deleted, or another run has its name now.
    stored = store.get(plan_key(unreported.run_id))
    return stored is not None and PlannedRun.from_json(stored.body).planned_at == unreported.planned_at


def report_other_format(
    store: ObjectStore,
    spec: TableSpec,
    run: PlannedRun,
    *,
    lease_seconds: float,
    commit_seconds: Callable[[], float],
) -> tuple[Commit | None, list[TableEntry]]:
    """Report the unreported commits of the table's other format, which it may have had before.

    Each format has a separate chain. The run takes that chain's lease and adds a commit without files. Its record
    reports the unreported files.

    Returns
    -------
    last : Commit or None
        The last commit in that format, as it was found.
    records : list of TableEntry
        The records that this run reports.

    Raises
    ------
    CommitUnfinished
        A commit that was decided in that format has more files than there is time for.
    """
    (other,) = (each for each in FORMATS if each != spec.format)
    commit = TableCommit(store, spec.name, other, run_id=run.run_id, planned_at=run.planned_at)
    last = commit.look()
    if last is None:
        return None, []
    if last.is_of(run.run_id, run.planned_at):
        return last, [last.record] if last.applied else []
    if not _has_unreported(store, run, last) or isinstance(commit.acquire(lease_seconds), Refused):
        return last, []
    with cleaned_up(commit.release):
        commit.recover(commit_seconds())
        return last, _report_only(store, run, commit)


def _has_unreported(store: ObjectStore, run: PlannedRun, last: Commit) -> bool:
    return not last.applied or any(
        not run.sees_running(each.run_id, each.planned_at)
        and not RunRegister(store, each.run_id, each.planned_at).has_written(each.keys)
        and _is_known(store, each)
        for each in pending_of(last)
    )


def _report_only(store: ObjectStore, run: PlannedRun, commit: TableCommit) -> list[TableEntry]:
    last = commit.state.commit
    if last is None or commit.covered() is not None:
        return []
    outstanding = settle(store, run, commit.state.table, last)
    if not outstanding.taken:
        return []
    records = [each.record for each in outstanding.taken]
    newest = next((record for record in reversed(records) if record.keys), records[-1])
    own = newest.but(warnings=[*newest.warnings, *outstanding.warnings()])
    record = joined_record(own, [record for record in records if record is not newest])
    commit.decide(
        last.model_copy(
            update={
                "run_id": run.run_id,
                "planned_at": run.planned_at,
                "token": commit.token,
                "record": record,
                "unreported": outstanding.carried,
            }
        )
    )
    return [record]
