"""What a run would read. Uses the run's own code, and reads no row."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rds_to_s3.aws.mask_key import NO_KEY
from rds_to_s3.bucket_keys import watermark_key
from rds_to_s3.errors import (
    InputError,
    RdsToS3Error,
    SettingsError,
    StateMalformedError,
    TableListError,
    WatermarkMalformedError,
)
from rds_to_s3.extract.proof.ledgers import wants_proof, why_off
from rds_to_s3.extract.ranges.division import divide, is_small, why_one
from rds_to_s3.extract.scope.drift import drift_of, refused_drift
from rds_to_s3.extract.scope.prepared_read import prepare_read
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.stages.deletes import require_key
from rds_to_s3.manifest.report.figures import size
from rds_to_s3.mysql.select import Segment, select_page
from rds_to_s3.mysql.server.identity import read_source
from rds_to_s3.plan.bound import Bound
from rds_to_s3.plan.lists.databases import existing_tables, snapshot_of
from rds_to_s3.plan.lists.limits import readers_that_fit, refuse_too_many
from rds_to_s3.plan.planned_run import PlannedRun, RunInput, choose_tables
from rds_to_s3.plan.read_bound import read_bound
from rds_to_s3.timestamps import Watermark, format_timestamp
from rds_to_s3_ops.deployment.database import database_name
from rds_to_s3_ops.errors import InvalidInputError, NotFoundError, UnreadableError

if TYPE_CHECKING:
    from rds_to_s3.extract.scope.prepared_read import PreparedRead
    from rds_to_s3.mysql.catalogue.schema import Table
    from rds_to_s3.mysql.connection import Connection
    from rds_to_s3.plan.table_list import TableList, TableSpec
    from rds_to_s3_ops.deployment.bucket import Bucket
    from rds_to_s3_ops.deployment.stack import Stack

STATEMENT_SECONDS = 60.0


@dataclass(frozen=True)
class Estimate:
    """The server's EXPLAIN of one SELECT.

    Attributes
    ----------
    index : str or None
    rows : int
        The rows that it returns.
    scans : bool
        Whether it reads every row of the table.
    sorts : bool
        Whether it sorts, because no index has this order.
    """

    index: str | None
    rows: int
    scans: bool = False
    sorts: bool = False

    @classmethod
    def of(cls, as_read: dict[str, Any], unforced: dict[str, Any]) -> Estimate:
        """Read the EXPLAIN of the SELECT, with and without its FORCE INDEX.

        MySQL does not estimate rows for a forced index, and reports one row:
        https://dev.mysql.com/doc/refman/8.4/en/range-optimization.html#equality-range-optimization

        Examples
        --------
        >>> as_read = {"key": "by_date", "type": "range", "rows": 1, "filtered": 100.0, "extra": None}
        >>> Estimate.of(as_read, {"key": None, "type": "ALL", "rows": 200, "filtered": 25.0, "extra": "Using where"})
        Estimate(index='by_date', rows=50, scans=False, sorts=False)
        """
        # If no row can match, the server returns no estimate.
        expected = float(unforced.get("rows") or 0) * float(unforced.get("filtered") or 100.0) / 100
        return cls(
            index=as_read.get("key"),
            rows=round(expected),
            scans=as_read.get("type") in {"ALL", "index"},
            sorts="filesort" in str(as_read.get("extra")),
        )

    @property
    def way(self) -> str:
        """The access path, as the operator sees it."""
        if not self.scans:
            return self.index or "no row can match"
        return f"{self.index}, whole table" if self.index else "no index, whole table"


@dataclass(frozen=True)
class TablePreview:
    """What a run would read of one table.

    Attributes
    ----------
    after, until : str or None
        The window as in the manifest.
    estimates : list of Estimate
        One for each SELECT: a window is read in up to two parts.
    remembered : int
        Row versions that the last run delivered from after its window's end. This run would skip them.
    error : dict or None
        The error of a table that would fail, as in the manifest.
    readers : int
        How many readers would share the read.
    reader_bytes : int or None
        About how many bytes each of several would read.
    why_one : str
        Why a large read would not be shared; empty if it would be, or is small.
    """

    table: str
    mode: str
    format: str
    after: str | None = None
    until: str | None = None
    estimates: list[Estimate] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    remembered: int = 0
    warnings: list[str] = field(default_factory=list)
    error: dict[str, str] | None = None
    readers: int = 1
    reader_bytes: int | None = None
    why_one: str = ""

    @property
    def sharing(self) -> str:
        """Who would share the read, as the operator sees it; empty for a small table."""
        if self.readers == 1:
            return self.why_one
        return f"{self.readers} readers would share it, about {size(self.reader_bytes)} each"

    @property
    def rows(self) -> int | None:
        """The estimated number of rows to read; None if unknown."""
        return None if self.error else sum(estimate.rows for estimate in self.estimates)

    def as_json(self) -> dict[str, Any]:
        """Return what ``plan --json`` prints for it."""
        return {
            "table": self.table,
            "mode": self.mode,
            "format": self.format,
            "window": None if self.until is None else {"after": self.after, "until": self.until},
            "estimated_rows": self.rows,
            "reads": [
                {"index": part.index, "rows": part.rows, "scans": part.scans, "sorts": part.sorts}
                for part in self.estimates
            ],
            "columns": self.columns,
            "readers": self.readers,
            "reader_bytes": self.reader_bytes,
            "why_one_reader": self.why_one or None,
            "remembered_rows": self.remembered,
            "warnings": self.warnings,
            "error": self.error,
        }


@dataclass(frozen=True)
class RunPreview:
    """What a run started now would read."""

    database: str
    bound: Bound
    tables: list[TablePreview]

    @property
    def failed(self) -> list[TablePreview]:
        """The tables that would fail."""
        return [table for table in self.tables if table.error]

    def as_json(self) -> dict[str, Any]:
        """Return what ``plan --json`` prints."""
        return {
            "database": self.database,
            "until": format_timestamp(self.bound.until),
            **self.bound.as_dict(),
            "warnings": self.bound.warnings,
            "tables": [table.as_json() for table in self.tables],
        }


def preview_run(
    connection: Connection, bucket: Bucket, stack: Stack, listed: TableList, names: Sequence[str] | None
) -> RunPreview:
    """Plan a run as PlanRun would now, and let the server EXPLAIN its reads.

    Parameters
    ----------
    connection : Connection
    bucket : Bucket
        The source of watermarks and commits; only read.
    stack : Stack
    listed : TableList
    names : sequence of str, optional
        The only tables to plan.

    Raises
    ------
    NotFoundError
        A name is not listed.
    InvalidInputError
        An execution cannot hold so many tables.
    """
    database = database_name(connection)
    wanted = RunInput(tables=list(names) if names else None)
    try:
        specs, _ = choose_tables(listed, wanted, lambda: existing_tables(connection, database, listed), lambda _: None)
        refuse_too_many([spec.name for spec in specs])
    except InputError as error:
        raise NotFoundError(str(error)) from None
    except TableListError as error:
        raise InvalidInputError(str(error)) from None
    bound = read_bound(
        connection,
        settle_seconds=float(stack.parameters.get("SettleSeconds", 2)),
        unobserved_settle_seconds=float(stack.parameters.get("UnobservedSettleSeconds", 900)),
    )
    run = PlannedRun.make("", time.time(), database, bound, tables=specs, source=read_source(connection))
    has_key = bool(stack.parameters.get("MaskKeySecret"))
    tables = [preview_table(connection, bucket, run, spec, has_mask_key=has_key) for spec in specs]
    return RunPreview(database, bound, tables)


def preview_table(
    connection: Connection, bucket: Bucket, run: PlannedRun, spec: TableSpec, *, has_mask_key: bool = True
) -> TablePreview:
    """Return what a run would read of one table, or the error."""
    try:
        return _preview(connection, bucket, run, spec, has_mask_key=has_mask_key)
    except RdsToS3Error as error:
        failure = {"type": type(error).__name__, "message": str(error)}
    except UnreadableError as error:
        # The error name of a failed run.
        failure = {"type": StateMalformedError.__name__, "message": str(error)}
    return TablePreview(spec.name, spec.mode, spec.format, error=failure)


def _preview(
    connection: Connection, bucket: Bucket, run: PlannedRun, spec: TableSpec, *, has_mask_key: bool
) -> TablePreview:
    watermark = _watermark(bucket, watermark_key(spec.name, spec.format))
    state = bucket.table_state(spec.name, spec.format)
    last = state.commit
    table = snapshot_of(connection, run.database, spec, seconds=STATEMENT_SECONDS)
    prepared = prepare_read(connection, table, spec, run, watermark=watermark, last=last)
    selection, window = prepared.selection, prepared.window
    if selection.is_hashed and not has_mask_key:
        raise SettingsError(NO_KEY)
    estimates = [explain(connection, table.name, selection, part) for part in prepared.segments]
    drift = drift_of(table, selection, last)
    if drift and spec.on_drift == "fail":
        raise refused_drift(spec.name, drift)
    warnings = [*prepared.warnings, *(f"drift: {change.sentence()}" for change in drift)]
    if spec.where is not None:
        warnings.append(f"only rows that fulfil this are extracted: {spec.where}")
    if selection.masked:
        warnings.append(f"masked: {', '.join(f'{name} ({way})' for name, way in selection.masked.items())}")
    if spec.deletes == "track":
        require_key(table, selection.denied)
        warnings.append(f"deletes are tracked: the keys of all rows, about {table.estimated_rows:,}, are read too")
    if proved := _about_proof(spec, table, prepared):
        warnings.append(proved)
    holder = state.held_by_another("", time.time())
    if holder is not None:
        warnings.append(f"run {holder.run_id} is extracting this table now: a run started now would skip it")
    if any(estimate.sorts for estimate in estimates):
        warnings.append("no index has the order of the read: the server sorts the rows")
    readers = _readers(connection, table, spec, prepared, run)
    shown = window.as_entry()
    return TablePreview(
        table=spec.name,
        mode=spec.mode,
        format=spec.format,
        after=shown.after if spec.mode == "incremental" else None,
        until=shown.until,
        estimates=estimates,
        columns=[column.name for column in selection.output],
        remembered=last.tail.count if window.uses_tail and last is not None and last.tail is not None else 0,
        warnings=warnings,
        **readers,
    )


def _readers(
    connection: Connection, table: Table, spec: TableSpec, prepared: PreparedRead, run: PlannedRun
) -> dict[str, Any]:
    """Return how many readers would share the read, and how much each would read, or why only one reads it."""
    if is_small(connection, table, prepared):
        return {}
    most = readers_that_fit(run.tables, spec)
    division, warnings = divide(connection, table, spec, prepared, token="", next_part=lambda: 1, most=most)
    if division is not None:
        return {"readers": division.ranges, "reader_bytes": division.bytes // division.ranges}
    if spec.readers == 1:
        return {"why_one": "one reader reads this table: its readers are 1 in the table list"}
    return {"why_one": why_one(table, prepared) or next(iter(warnings), "")}


def _about_proof(spec: TableSpec, table: Table, prepared: PreparedRead) -> str | None:
    """Say how many runs prove the whole table, or why none does; None where each run does, or none is to."""
    if (reason := why_off(spec, table, prepared)) is not None:
        return f"the proof of this table is off: {reason}"
    whole = table.estimated_rows * table.average_row_bytes
    if not wants_proof(spec) or not prepared.key or whole <= spec.prove_bytes:
        return None
    return (
        f"each run proves {size(spec.prove_bytes)} of it: about {math.ceil(whole / spec.prove_bytes):,} runs for the "
        "whole table (prove_bytes)"
    )


def explain(connection: Connection, table: str, selection: Selection, part: Segment) -> Estimate:
    """Return the server's EXPLAIN for one part of a window."""
    return Estimate.of(
        _explained(connection, select_page(table, selection.select, part, position=None, rows=None)),
        _explained(
            connection, select_page(table, selection.select, Segment(part.condition, ()), position=None, rows=None)
        ),
    )


def _explained(connection: Connection, statement: str) -> dict[str, Any]:
    # The same columns on both: by default MariaDB omits `filtered`, and MySQL may use another format.
    how = "EXPLAIN EXTENDED" if connection.is_mariadb else "EXPLAIN FORMAT=TRADITIONAL"
    return connection.rows(f"{how} {statement}")[0]


def _watermark(bucket: Bucket, key: str) -> Watermark | None:
    stored = bucket.read(key)
    try:
        return Watermark.parse(stored.body) if stored else None
    except ValueError as error:
        raise WatermarkMalformedError(f"s3://{bucket.name}/{key} {error}") from None
