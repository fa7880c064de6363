"""The plan of a run: its tables, their settings and the upper bound. Written once, and read by every extractor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from rds_to_s3 import errors
from rds_to_s3.errors import InputError, PermanentError, UnknownRunError
from rds_to_s3.mysql.server.source import Source
from rds_to_s3.plan.bound import Bound
from rds_to_s3.plan.execution import parse_utc, redrives_of, started_at
from rds_to_s3.plan.left_out import off_the_list
from rds_to_s3.plan.lists.stored_list import ListPlace
from rds_to_s3.plan.lists.strict_json import NO_TEXT, has_unpaired_surrogate
from rds_to_s3.plan.table_list import TableList, TableSpec, select_tables
from rds_to_s3.timestamps import format_timestamp

LONGEST_RUN_SECONDS = 30 * 86_400.0  # a week, redriven for two more, and a margin


@dataclass(frozen=True)
class RunInput:
    """The validated input of an execution.

    Attributes
    ----------
    tables : list of str or None
        The only tables to extract; None for every listed one.
    rerun_failed_of : str or None
        The id of another run whose failed tables are to be extracted.
    """

    tables: list[str] | None = None
    rerun_failed_of: str | None = None

    @classmethod
    def parse(cls, data: Any) -> RunInput:
        """Check an execution's input."""
        if not isinstance(data, dict):
            raise InputError('the execution\'s input must be a JSON object such as {} or {"tables": ["orders"]}')
        if has_unpaired_surrogate(data):
            raise InputError(f"the execution's input {NO_TEXT}")
        unknown = sorted(set(data) - {"tables", "rerun_failed_of"})
        if unknown:
            raise InputError(
                f"the execution's input has an unknown key {json.dumps(unknown[0])}; known are tables and "
                "rerun_failed_of"
            )
        tables, rerun = data.get("tables"), data.get("rerun_failed_of")
        if "tables" in data and "rerun_failed_of" in data:
            raise InputError("tables and rerun_failed_of exclude each other: give one of them")
        if "tables" in data:
            if not isinstance(tables, list) or not all(isinstance(name, str) for name in tables):
                raise InputError('tables must be an array of table names, such as ["orders", "menu"]')
            if not tables:
                raise InputError("tables is empty: leave it out to extract every listed table")
        if "rerun_failed_of" in data and (not isinstance(rerun, str) or not rerun):
            raise InputError("rerun_failed_of must be the id of a run: its execution's name")
        return cls(tables, rerun)


@dataclass(frozen=True)
class Refusal:
    """Why a table of the run will not be read.

    Attributes
    ----------
    type : str
        Name of a `PermanentError`.
    """

    type: str
    message: str

    @classmethod
    def of(cls, error: PermanentError) -> Refusal:
        """Return the refusal for an error."""
        return cls(type(error).__name__, str(error))

    def as_error(self) -> PermanentError:
        """Return the error of the refusal."""
        error: PermanentError = getattr(errors, self.type)(self.message)
        return error


@dataclass(frozen=True)
class PlannedRun:
    """What `_state/runs/{run_id}/plan.json` holds.

    Attributes
    ----------
    planned_at : float
        Seconds since 1970, by the planner's clock; orders runs.
    until, server_now : datetime
        In the server's zone.
    bound : dict
        How `until` was derived, for the manifest.
    started_at : str or None
        The start time of the execution. Step Functions allows the same name again after 90 days.
    refused : dict
        Tables whose settings do not suit them, by name.
    unlisted : dict
        Failed tables that are no longer listed when the run is redriven: the reason to skip each, by name.
    until_utc : float or None
        The bound's instant; None in the plan of an earlier release.
    source : Source or None
        The server of the bound; None in a plan of an earlier release.
    seen_until : float or None
        An upper bound of the commit times that the server showed when the bound was read.
    settle_seconds, unobserved_settle_seconds : float
        The margins of the plan.
    running : list of str or None
        The other runs that were running at the plan; None where they could not be listed.
    table_list : ListPlace or None
        The object that the table list was read from; None where the parameter holds it.
    exclude : list of str
        The names and patterns that the table list excludes.
    """

    run_id: str
    planned_at: float
    database: str
    until: datetime
    server_now: datetime
    server_utc: float
    bound: dict[str, Any]
    tables: list[TableSpec]
    warnings: list[str] = field(default_factory=list)
    started_at: str | None = None
    refused: dict[str, Refusal] = field(default_factory=dict)
    until_utc: float | None = None
    source: Source | None = None
    seen_until: float | None = None
    settle_seconds: float = 2.0
    unobserved_settle_seconds: float | None = None
    running: list[str] | None = None
    unlisted: dict[str, str] = field(default_factory=dict)
    table_list: ListPlace | None = None
    exclude: list[str] = field(default_factory=list)

    @property
    def bound_utc(self) -> float:
        """The bound's instant."""
        if self.until_utc is not None:
            return self.until_utc
        return self.server_utc - (self.server_now - self.until).total_seconds()

    @classmethod
    def make(
        cls,
        run_id: str,
        planned_at: float,
        database: str,
        bound: Bound,
        *,
        source: Source | None = None,
        seen_until: float | None = None,
        margins: tuple[float, float | None] = (2.0, None),
        tables: list[TableSpec],
        started_at: str | None = None,
        warnings: Sequence[str] = (),
        refused: Mapping[str, Refusal] | None = None,
        running: Sequence[str] | None = None,
        table_list: ListPlace | None = None,
        exclude: Sequence[str] = (),
    ) -> PlannedRun:
        """Plan `tables` up to `bound`."""
        return cls(
            run_id=run_id,
            planned_at=planned_at,
            database=database,
            until=bound.until,
            server_now=bound.server_now,
            server_utc=bound.server_utc,
            bound=bound.as_dict(),
            tables=tables,
            warnings=[*bound.warnings, *warnings],
            started_at=started_at,
            refused=dict(refused or {}),
            until_utc=bound.until_utc,
            source=source,
            seen_until=seen_until,
            settle_seconds=margins[0],
            unobserved_settle_seconds=margins[1],
            running=None if running is None else list(running),
            table_list=table_list,
            exclude=list(exclude),
        )

    def table(self, name: str) -> TableSpec:
        """Return one table's settings.

        Raises
        ------
        InputError
            The run does not have this table.
        """
        for spec in self.tables:
            if spec.name == name:
                return spec
        raise InputError(f"run {self.run_id} has no table {name!r} in its plan")

    def with_settings(self, fresh: Sequence[TableSpec], again: Iterable[str] = ()) -> PlannedRun:
        """Return the plan with the current settings of the tables, none of them refused.

        Parameters
        ----------
        fresh : sequence of TableSpec
            Every table that is listed now.
        again : iterable of str
            The tables that run again.
        """
        by_name = {spec.name: spec for spec in fresh}
        tables = [by_name.get(spec.name, spec) for spec in self.tables]
        unlisted = {name: off_the_list(name) for name in again if name not in by_name}
        return replace(self, tables=tables, refused={}, unlisted=unlisted)

    def sees_running(self, run_id: str, planned_at: float) -> bool:
        """Whether another run may still write its manifest, as far as this run's plan shows.

        The runs are listed between this run's start and its plan. A run that was planned before that start, and is not
        in the list, has ended. `RunRegister` decides which of two manifests reports a file without this list.
        """
        if self.running is None or self.started_at is None or run_id in self.running:
            return True
        return planned_at > parse_utc(self.started_at).timestamp()

    def is_of(self, execution: Mapping[str, Any], now: float) -> bool:
        """Whether the plan is of this execution, instead of an earlier one with the same name.

        For a redriven execution, and for a plan without a start time (from an earlier release), the plan's age decides:
        a redrive is possible for 14 days, and the same name only after 90.

        Parameters
        ----------
        now : float
            Seconds since 1970.
        """
        if self.started_at == started_at(execution):
            return True
        return (redrives_of(execution) > 0 or self.started_at is None) and now - self.planned_at < LONGEST_RUN_SECONDS

    def wrote(self, finished_at: str) -> bool:
        """Whether a table's record is of this run, instead of one with the same name 90 days ago or earlier."""
        # A margin of a day, since the two times are from different machines.
        return not finished_at or parse_utc(finished_at).timestamp() > self.planned_at - 86_400

    def to_json(self) -> bytes:
        """Write the plan."""
        data = {
            "version": 1,
            "run_id": self.run_id,
            "planned_at": self.planned_at,
            "database": self.database,
            "until": format_timestamp(self.until),
            "server_now": format_timestamp(self.server_now),
            "server_utc": self.server_utc,
            "until_utc": self.until_utc,
            "bound": self.bound,
            "warnings": self.warnings,
            "started_at": self.started_at,
            "refused": {name: asdict(refusal) for name, refusal in self.refused.items()},
            "source": self.source.as_dict() if self.source else None,
            "seen_until": self.seen_until,
            "settle_seconds": self.settle_seconds,
            "unobserved_settle_seconds": self.unobserved_settle_seconds,
            "running": self.running,
            "unlisted": self.unlisted,
            "table_list": asdict(self.table_list) if self.table_list else None,
            "exclude": self.exclude,
            "tables": [
                {"table": spec.name} | spec.model_dump(exclude={"name"}, exclude_defaults=True) for spec in self.tables
            ],
        }
        return json.dumps(data, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, body: bytes) -> PlannedRun:
        """Read a plan."""
        data = json.loads(body)
        tables = []
        for entry in data["tables"]:
            name = entry.pop("table")
            tables.append(TableSpec.model_validate({"name": name} | entry))
        return cls(
            run_id=data["run_id"],
            planned_at=data["planned_at"],
            database=data["database"],
            until=datetime.fromisoformat(data["until"]),
            server_now=datetime.fromisoformat(data["server_now"]),
            server_utc=data["server_utc"],
            bound=data["bound"],
            tables=tables,
            warnings=data["warnings"],
            started_at=data.get("started_at"),
            refused={name: Refusal(**refusal) for name, refusal in data.get("refused", {}).items()},
            until_utc=data.get("until_utc"),
            source=Source.from_dict(data["source"]) if data.get("source") else None,
            seen_until=data.get("seen_until"),
            settle_seconds=data.get("settle_seconds", 2.0),
            unobserved_settle_seconds=data.get("unobserved_settle_seconds"),
            running=data.get("running"),
            unlisted=data.get("unlisted", {}),
            table_list=ListPlace(**data["table_list"]) if data.get("table_list") else None,
            exclude=data.get("exclude", []),
        )

    def answer(self, *, max_concurrency: int, redrives: int, only: Sequence[str] | None = None) -> dict[str, Any]:
        """Return the state machine's data: little, since every byte of it is in the history."""
        names = [spec.name for spec in self.tables]
        if only is not None:
            names = [name for name in names if name in set(only)]
        return {
            "run_id": self.run_id,
            "until": format_timestamp(self.until),
            "max_concurrency": max_concurrency,
            "redrives": redrives,
            "tables": [{"table": name} for name in names],
        }


def choose_tables(
    listed: TableList,
    wanted: RunInput,
    existing: Callable[[], Sequence[str]],
    manifest_of: Callable[[str], Mapping[str, Any] | None],
) -> tuple[list[TableSpec], list[str]]:
    """Apply an execution's input to the table list.

    Parameters
    ----------
    existing : callable
        Returns the database's tables; called only if the list has patterns.
    manifest_of : callable
        Returns another run's manifest, None where there is none.

    Raises
    ------
    InputError
        A name that is not listed.
    UnknownRunError
        ``rerun_failed_of`` names an unknown run, or one that was never planned.
    """
    names = _failed_tables(wanted.rerun_failed_of, manifest_of) if wanted.rerun_failed_of else wanted.tables
    every = listed.resolve(existing() if listed.needs_catalogue() else [])
    if names is None:
        return every, listed.idle(spec.name for spec in every)
    if wanted.rerun_failed_of is None:
        return select_tables(every, names), []
    still_listed = {spec.name for spec in every}
    gone = [name for name in names if name not in still_listed]
    warnings = [f"table {name!r} failed in run {wanted.rerun_failed_of} and is no longer listed" for name in gone]
    return select_tables(every, [name for name in names if name in still_listed]), warnings


def _failed_tables(run_id: str, manifest_of: Callable[[str], Mapping[str, Any] | None]) -> list[str]:
    manifest = manifest_of(run_id)
    if manifest is None:
        raise UnknownRunError(
            f"rerun_failed_of: there is no manifest of a run {run_id!r}. The id is the execution's name; "
            "`rds-to-s3 history` lists them."
        )
    failed = [table["table"] for table in manifest["tables"] if table["status"] == "FAILED"]
    if manifest.get("error") and not failed:
        raise UnknownRunError(
            f"rerun_failed_of: run {run_id!r} failed before it had tables ({manifest['error'].get('message', '')}); "
            "start a new run instead"
        )
    return failed
