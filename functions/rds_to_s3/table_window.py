"""One table's share of the run's window: from where it is read, and where its watermark moves to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.select import Segment, quoted, window_segments
from rds_to_s3.plan import PlannedRun
from rds_to_s3.schema import Table
from rds_to_s3.selection import Selection
from rds_to_s3.table_list import TableSpec
from rds_to_s3.table_state import Commit
from rds_to_s3.watermark import Watermark
from rds_to_s3.window import format_timestamp

CLOCK_TOLERANCE_SECONDS = 1.0
_WITHOUT_SIGNS = str.maketrans("", "", "-:")


@dataclass(frozen=True)
class Window:
    """One table's share of the run's window.

    Attributes
    ----------
    read_from : datetime or None
        Rows stamped later are read; None reads everything.
    remember_from : datetime
        Rows stamped later are remembered by digest; also where the next run reads from.
    until : Watermark
        The watermark after the commit.
    uses_tail : bool
        Whether the last commit's digests belong to the watermark that was found.
    """

    watermark: Watermark | None
    read_from: datetime | None
    remember_from: datetime
    until: Watermark
    uses_tail: bool
    warnings: list[str]

    @property
    def stamp(self) -> str:
        """The window's end as keys carry it: whole seconds."""
        return self.until.moment.isoformat("_", "seconds").translate(_WITHOUT_SIGNS)

    def as_dict(self) -> dict[str, str | None]:
        """Return what the manifest's ``window`` shows."""
        after = None if self.watermark is None else format_timestamp(self.watermark.moment)
        return {"after": after, "until": format_timestamp(self.until.moment)}


def earlier(moment: datetime, seconds: int = 0, *, whole_days: bool) -> datetime:
    """Return from where rows of a moment are read: `seconds` before it, and where stamps are days, before its day."""
    try:
        moment -= timedelta(seconds=seconds)
        if whole_days:
            moment = moment.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(microseconds=1)
    except OverflowError:
        return datetime.min
    return moment


def derive_window(
    spec: TableSpec, run: PlannedRun, watermark: Watermark | None, last: Commit | None, *, whole_days: bool
) -> Window:
    """Derive a table's window from the run's bound, its watermark and its last commit.

    Parameters
    ----------
    whole_days : bool
        Whether a cursor column is a DATE: a row of today may still appear under a stamp of this morning's midnight.
    """
    lowered = partial(earlier, whole_days=whole_days)
    bound = run.until
    warnings: list[str] = []
    ours = last is not None and watermark is not None and watermark.text == last.watermark
    if spec.mode == "full":
        end, remember_from = bound, lowered(bound, spec.lookback_seconds)
        if last is not None and (before := datetime.fromisoformat(last.watermark)) >= bound:
            end = before.replace(microsecond=0) + timedelta(seconds=1)
        return Window(watermark, None, remember_from, Watermark.at(end), False, warnings)
    remember_from = lowered(bound, spec.lookback_seconds)
    if watermark is None:
        return Window(None, None, remember_from, Watermark.at(bound), False, warnings)

    until = Watermark.at(bound) if bound >= watermark.moment else watermark
    read_from = lowered(watermark.moment, spec.lookback_seconds)
    if ours and last is not None and last.read_from is not None:
        read_from = datetime.fromisoformat(last.read_from)
        remember_from = max(remember_from, read_from)
        if (stepped := stepped_back(run, last)) > CLOCK_TOLERANCE_SECONDS:
            # Rows written since the step may carry stamps that lie so far below everything read until then. The
            # watermark and the keys never step back: a reader takes files in the order of their keys.
            read_from = lowered(read_from - timedelta(seconds=math.ceil(stepped)))
            remember_from = max(lowered(bound, spec.lookback_seconds), read_from)
            warnings.append(
                f"the server's clock was turned back by {stepped:.0f} s since the last run: rows stamped after "
                f"{format_timestamp(read_from)} are extracted again"
            )
        elif watermark.moment > run.server_now:
            warnings.append(
                f"the watermark {watermark.text} is ahead of the server's clock ({format_timestamp(run.server_now)}): "
                "files carry its stamp until the clock has passed it"
            )
    elif watermark.moment > run.server_now:
        warnings.append(
            f"the watermark {watermark.text} is ahead of the server's clock ({format_timestamp(run.server_now)}): rows "
            f"stamped up to {format_timestamp(remember_from)} that no run has extracted yet are left out; later ones "
            "are extracted, into files that carry its stamp until the clock has passed it"
        )
    else:
        remember_from = max(remember_from, read_from)
    return Window(watermark, read_from, remember_from, until, ours, warnings)


def stepped_back(run: PlannedRun, last: Commit) -> float:
    """Return by how many seconds the server's clock was turned back between two plans, as far as they can tell.

    It may read less than it did; or its lead over the planners' clocks has shrunk, although hours have passed.
    """
    steps = [last.server_utc - run.server_utc]
    lead = run.bound.get("clock_lead")
    if lead is not None and last.clock_lead is not None:
        steps.append(last.clock_lead - lead)
    return max(*steps, 0.0)


def read_segments(
    table: Table,
    selection: Selection,
    window: Window,
    hours_repeat: Callable[[datetime], bool] = lambda _: False,
) -> list[Segment]:
    """Split a window into what each index has in order; see `rds_to_s3.mysql.select.window_segments`.

    Parameters
    ----------
    hours_repeat : callable
        Tells whether an hour has stood twice on the server's clock since a local time. A TIMESTAMP of that hour shows
        the same text both times, and a read could not be taken up again after it: the key's order serves then.
    """
    key = [selection.column(name) for name in table.ordered_key]
    if window.read_from is None:
        return window_segments(
            created=None, modified=None, after=None, key=key, created_index=None, modified_index=None
        )
    in_instants = any(column.data_type == "timestamp" for column in selection.cursor_columns)
    by_key = in_instants and hours_repeat(window.read_from)
    return window_segments(
        created=selection.created,
        modified=selection.modified,
        after=format_timestamp(window.read_from),
        key=key,
        created_index=None if by_key else selection.index_name(table, selection.created),
        modified_index=None if by_key else selection.index_name(table, selection.modified),
    )


def unstamped_rows(connection: Connection, table: Table, selection: Selection, window: Window) -> list[str]:
    """Count the rows that no timestamp can bring into a window."""
    if window.read_from is None or any(not column.nullable for column in selection.cursor_columns):
        return []
    condition = " AND ".join(f"{quoted(column.name)} IS NULL" for column in selection.cursor_columns)
    count = int(connection.row(f"SELECT COUNT(*) AS n FROM {quoted(table.name)} WHERE {condition}")["n"])  # noqa: S608
    if not count:
        return []
    names = " and ".join(column.name for column in selection.cursor_columns)
    return [f"{count} rows have no timestamp ({names} NULL): an incremental run cannot see them after the first"]
