"""One table's window: where its read begins, and where its watermark moves to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial

from rds_to_s3.commit.entries import WindowEntry
from rds_to_s3.commit.read_as import ReadAs, short_hash
from rds_to_s3.commit.state import Commit
from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.mysql.catalogue.schema import Table
from rds_to_s3.mysql.server.source import Source
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_clock import TableClock
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.timestamps import Watermark, format_timestamp

CLOCK_TOLERANCE_SECONDS = 1.0
EDGE_SECONDS = 2  # two servers' clocks differ by a second, and a DATETIME without fractions drops one
_MOMENT = timedelta(microseconds=1)
_WITHOUT_SIGNS = str.maketrans("", "", "-:")


@dataclass(frozen=True)
class Window:
    """One table's window in a run.

    Attributes
    ----------
    read_from : datetime or None
        Rows stamped later are read; None reads everything.
    remember_from : datetime
        Rows stamped later are recorded by digest; the next run also reads from here.
    until : Watermark
        The watermark after the commit.
    uses_tail : bool
        Whether the last commit's digests belong to the current watermark.
    clock : TableClock
        All of these are its local times.
    """

    watermark: Watermark | None
    read_from: datetime | None
    remember_from: datetime
    until: Watermark
    uses_tail: bool
    clock: TableClock
    warnings: list[str] = field(default_factory=list)

    @property
    def stamp(self) -> str:
        """The window's end as written in keys: whole seconds."""
        return self.until.moment.isoformat("_", "seconds").translate(_WITHOUT_SIGNS)

    def as_entry(self) -> WindowEntry:
        """Return what the manifest's ``window`` shows."""
        after = None if self.watermark is None else format_timestamp(self.watermark.moment)
        return WindowEntry(after=after, until=format_timestamp(self.until.moment))


def earlier(moment: datetime, seconds: int = 0, *, whole_days: bool) -> datetime:
    """Return the lower end for a moment's rows: `seconds` before it, or before its day where stamps are days."""
    try:
        moment -= timedelta(seconds=seconds)
        if whole_days:
            moment = moment.replace(hour=0, minute=0, second=0, microsecond=0) - _MOMENT
    except OverflowError:
        return datetime.min
    return moment


def moment_of(stamp: str) -> datetime:
    """Read a stamp as the server writes it. A date that is not in the calendar becomes the beginning of its month."""
    try:
        return datetime.fromisoformat(stamp)
    except ValueError:
        year, month = int(stamp[:4]), int(stamp[5:7])
        return datetime(max(year, 1), min(max(month, 1), 12), 1)


def edge_of(newest: str, *, whole_days: bool) -> datetime:
    """Return the lower end of a read of the rows near the newest stamp."""
    return earlier(moment_of(newest), EDGE_SECONDS, whole_days=whole_days)


def derive_window(
    spec: TableSpec,
    run: PlannedRun,
    watermark: Watermark | None,
    last: Commit | None,
    *,
    whole_days: bool,
    moved_from: str | None = None,
    looked_back: datetime | None = None,
) -> Window:
    """Derive a table's window from the run's bound, its watermark and its last commit.

    Parameters
    ----------
    whole_days : bool
        Whether a cursor column is a DATE: a row of today may still appear with the stamp of last midnight.
    moved_from : str, optional
        The server that the last commit was read from, where it is another one with a history of its own.
    looked_back : datetime, optional
        What the table's clock showed `lookback_seconds` before the bound: where it was turned forward since, less than
        the difference of the two local times.
    """
    lowered = partial(earlier, whole_days=whole_days)
    clock = TableClock.of(spec, run)
    bound = clock.until
    remember_from = lowered(bound, spec.lookback_seconds)
    if looked_back is not None:
        remember_from = min(remember_from, lowered(looked_back))
    if spec.mode != "incremental":
        end = bound
        if last is not None and (before := datetime.fromisoformat(last.watermark)) >= bound:
            end = before.replace(microsecond=0) + timedelta(seconds=1)
        return Window(watermark, None, remember_from, Watermark.at(end), False, clock)

    # Keys never step back, even if the clock, the zone or an operator does: a reader takes files in key order.
    reached = Watermark.parse(last.watermark.encode()) if last is not None else None
    until = max((mark for mark in (Watermark.at(bound), watermark, reached) if mark), key=lambda mark: mark.moment)
    ahead = f"the watermark {(watermark or until).text} is ahead of the server's clock ({format_timestamp(clock.now)})"
    stays = f"{ahead}: files have its stamp until the clock has passed it"
    if watermark is None:
        warnings = [stays] if until.moment > clock.now else []
        return Window(None, None, remember_from, until, False, clock, warnings)
    if last is None or watermark.text != last.watermark or last.read_from is None:
        read_from = lowered(watermark.moment, spec.lookback_seconds)
        if watermark.moment <= clock.now:
            return Window(watermark, read_from, max(remember_from, read_from), until, False, clock)
        warning = (
            f"{ahead}: rows stamped up to {format_timestamp(remember_from)} that no run has extracted yet are left "
            "out; later ones are extracted, into files with its stamp until the clock has passed it"
        )
        return Window(watermark, read_from, remember_from, until, False, clock, [warning])

    begin = datetime.fromisoformat(last.read_from)
    # Each of these moves the beginning of the read back, but never the watermark and the keys: a reader takes files in
    # key order.
    back = [
        step
        for step in (
            _clock_step(run, last, begin, whole_days=whole_days),
            _zone_step(clock, last, begin),
            _server_step(moved_from, last, begin, whole_days=whole_days),
        )
        if step is not None
    ]
    warnings = [warning for _, warning in back]
    starts = [moment for moment, _ in back]
    if None in starts:
        return Window(watermark, None, remember_from, until, True, clock, warnings)
    read_from = min([begin, *(moment for moment in starts if moment is not None)])
    if whole_days and (midnight := earlier(read_from + _MOMENT, whole_days=True)) < read_from:
        # The last read ended inside a day, by other columns or types, or by another zone: a later row has its midnight.
        warnings.append(
            f"a cursor column is a DATE, and was none when the last run ended, or in another zone: rows stamped from "
            f"{midnight + _MOMENT:%Y-%m-%d} on are read, and may be extracted again"
        )
        read_from = midnight
    if not back and watermark.moment > clock.now:
        warnings.append(stays)
    return Window(watermark, read_from, max(remember_from, read_from), until, True, clock, warnings)


def _clock_step(
    run: PlannedRun, last: Commit, begin: datetime, *, whole_days: bool
) -> tuple[datetime | None, str] | None:
    """Return the lower end after the server's clock was turned back: rows since then may have stamps so far below."""
    stepped = stepped_back(run, last)
    if stepped <= CLOCK_TOLERANCE_SECONDS:
        return None
    read_from = earlier(begin, math.ceil(stepped), whole_days=whole_days)
    return read_from, (
        f"the server's clock was turned back by {stepped:.0f} s since the last run: rows stamped after "
        f"{format_timestamp(read_from)} are extracted again"
    )


def _zone_step(clock: TableClock, last: Commit, begin: datetime) -> tuple[datetime | None, str] | None:
    """Return the lower end after the zone of the stamps has changed: the earlier of both readings."""
    if last.read_as is None or last.read_as.zone == clock.zone:
        return None
    read_from = min(begin, clock.local(last.read_as.read_from_utc))
    return read_from, (
        f"the zone of the stamps is {clock.zone}, and was {last.read_as.zone} in the last run: rows stamped after "
        f"{format_timestamp(read_from)} are read, and those up to {format_timestamp(begin)} may be extracted again. "
        "To extract rows that came earlier with stamps of another zone: rds-to-s3 rewind"
    )


def _server_step(
    moved_from: str | None, last: Commit, begin: datetime, *, whole_days: bool
) -> tuple[datetime | None, str] | None:
    """Return the lower end on another server: a little before the last row of the former server.

    From there on this server may have rows that the former one never had. The rows of the former server are known by
    their digests (`rds_to_s3.extract.scope.settled`).
    """
    if moved_from is None:
        return None
    if (settled := last.settled) is None:
        return begin, (
            f"this is another server than the last run read ({moved_from}), and that run did not record where its "
            f"rows ended: other rows stamped up to {format_timestamp(begin)} are not extracted. Run rds-to-s3 verify "
            "--source, and rds-to-s3 rewind"
        )
    read_from = None
    begins = "everything is read, rows without a timestamp again"
    if settled.newest:
        read_from = min(edge_of(settled.newest, whole_days=whole_days), begin)
        begins = f"rows stamped after {format_timestamp(read_from)}, where the rows of that server ended, are read"
        if settled.edge is None:
            begins += f", and those up to {settled.newest} may be extracted again"
    return read_from, (
        f"this is another server than the last run read ({moved_from}): {begins}. If it holds other data, or was "
        "restored to an earlier moment, run rds-to-s3 verify --source, and rds-to-s3 rewind"
    )


def moved_from(last: Commit | None, source: Source | None) -> str | None:
    """Return the last commit's server, if this one may have rows that it never had.

    Replicas of one origin have no such rows, with any lag. A server that was promoted has.
    """
    if last is None or last.source is None or source is None:
        return None
    former = Source.from_dict(last.source)
    if former.database == source.database:
        if former.server == source.server or set(former.origins) & set(source.origins):
            return None
        return former.server
    return f"{former.server}, database {former.database}"


def reads_settled(window: Window, last: Commit) -> bool:
    """Return whether a window begins before the end of the last read."""
    return window.read_from is None or format_timestamp(window.read_from) < str(last.read_from)


def stepped_back(run: PlannedRun, last: Commit) -> float:
    """Return by how many seconds the server's clock was turned back between two plans, as far as the plans show.

    Either it reads less than before, or its lead over the planners' clocks has shrunk.
    """
    steps = [last.server_utc - run.server_utc]
    lead = run.bound.get("clock_lead")
    if lead is not None and last.clock_lead is not None:
        steps.append(last.clock_lead - lead)
    return max(*steps, 0.0)


def describe_read(
    table: Table, selection: Selection, spec: TableSpec, window: Window, *, last: Commit | None = None
) -> ReadAs:
    """Describe how a window is read, for the next one to compare with.

    Parameters
    ----------
    last : Commit or None
        Where the key of the masks is not known, it is taken to be that of the last commit.
    """
    # Everything about each column: another collation, for example, is another order of the rows still to be read.
    columns = [asdict(column) for read in selection.select if (column := table.column(read.name))]
    cursors = [column.name for column in selection.cursor_columns]
    masks = {column.name: str(way) for column in selection.columns if (way := selection.masked.get(column.name))}
    key = selection.masks.key_id if selection.masks else None
    if key is None and selection.is_hashed and last is not None and last.read_as is not None:
        key = last.read_as.mask_key
    versions = [columns, cursors, window.clock.zone, *([masks, key] if masks else [])]
    return ReadAs(
        mode=spec.mode,
        lookback_seconds=spec.lookback_seconds,
        created=selection.created.name if selection.created else None,
        modified=selection.modified.name if selection.modified else None,
        zone=window.clock.zone,
        read_from_utc=window.clock.instant(window.remember_from),
        layout=spec.layout,
        versions=short_hash(versions),
        columns=[column.name for column in selection.output],
        where=selection.where_text,
        masks=masks,
        mask_key=key,
    )


def changes_of_settings(now: ReadAs, own: Sequence[str], last: Commit | None, window: Window) -> list[str]:
    """Return warnings about rows that changed settings leave out, deliver twice, or put elsewhere.

    Parameters
    ----------
    own : sequence of str
        The columns' names in the table, in the order of those in the files.
    """
    if last is None or (was := last.read_as) is None:
        return []
    changes = []
    if now.layout != was.layout and now.mode != "full":
        changes.append(
            f"the layout is {now.layout}, and was {was.layout} until {last.watermark}: files up to then stay where "
            "they are, so a reader of one layout does not see the other's files"
        )
    if window.uses_tail and now.versions != was.versions:
        changed = "may be delivered again: the columns that are read, or their types, have changed"
        if last.tail is not None and last.tail.count:
            changes.append(f"{last.tail.count} rows that the last run delivered ahead {changed}")
        if last.settled is not None and last.settled.edge and reads_settled(window, last):
            near = f"{len(last.settled.edge)} rows stamped up to {last.settled.newest}"
            changes.append(f"{near}, where this window begins, {changed}")
    if window.read_from is None:
        return changes
    again = "rds-to-s3 rewind TABLE --all extracts them"
    if (now.modified, now.created) != (was.modified, was.created):
        changes.append(
            f"the cursor columns are {_names(now)}, and were {_names(was)}: rows whose new stamp is not later than "
            f"{format_timestamp(window.read_from)} count as extracted; {again} all again"
        )
    if new := [name for name in now.columns if name not in was.columns]:
        changes.append(f"{', '.join(new)}: rows in earlier files lack this until they change; {again} with it")
    before = dict(zip(was.columns, (str(column["name"]) for column in last.columns), strict=False))
    changes += _changes_of_names(dict(zip(now.columns, own, strict=True)), before)
    changes += _changes_of_masks(now, was)
    if now.lookback_seconds > was.lookback_seconds:
        changes.append(
            f"lookback_seconds grew to {now.lookback_seconds}: it looks back no further than to "
            f"{format_timestamp(window.read_from)} yet; what came late before that: rds-to-s3 rewind"
        )
    return changes


def _changes_of_names(now: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    """Return a warning if a name in the files is of a column that had another name there: readers would mix the two.

    Parameters
    ----------
    now, before : mapping
        The column in the table, by its name in the files.
    """
    columns = set(before.values())
    if mixed := [name for name, own in now.items() if own in columns and before.get(name, own) != own]:
        return [
            f'{", ".join(mixed)}: another column has this name in earlier files, since "rename" was another one. '
            "rds-to-s3 rewind TABLE --all delivers all rows under the new names"
        ]
    return []


def _changes_of_masks(now: ReadAs, was: ReadAs) -> list[str]:
    again = "the proof delivers their rows again, a slice in each run, rds-to-s3 rewind TABLE --all does at once"
    if changed := sorted(name for name in {*now.masks, *was.masks} if now.masks.get(name) != was.masks.get(name)):
        return [f"the masks of {', '.join(changed)} have changed, and earlier files have the values as before: {again}"]
    if now.mask_key != was.mask_key:
        return [f"the key of the masks has changed, and earlier files have hashes with the former key: {again}"]
    return []


def change_of_format(spec: TableSpec, window: Window, last: Commit | None, other: Commit | None) -> list[str]:
    """Return a warning if the table's last format was another one.

    Each format has separate files and a separate watermark.

    Parameters
    ----------
    other : Commit or None
        The last one in the other format.
    """
    if other is None or (last is not None and other.planned_at <= last.planned_at):
        return []
    begins = "everything" if window.read_from is None else f"what is stamped after {window.as_entry().after}"
    return [
        f"the format is {spec.format}, and was another until {other.watermark}: these files continue with {begins}, "
        "which files of the other format may also contain"
    ]


def _names(read: ReadAs) -> str:
    return " and ".join(name for name in (read.modified, read.created) if name) or "none"
