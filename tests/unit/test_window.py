"""The window's end, and one table's window, from readings of clocks alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rds_to_s3.commit.read_as import Settled
from rds_to_s3.commit.state import Commit
from rds_to_s3.extract.scope.window import Window, derive_window, earlier
from rds_to_s3.mysql.server.clock_reading import ClockReading
from rds_to_s3.plan.bound import Bound, decide_bound
from rds_to_s3.plan.planned_run import PlannedRun
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.timestamps import Watermark, format_timestamp
from tests.support.manifests import entry

NOON = datetime(2025, 4, 2, 12, 0, 0, 700_000, UTC).timestamp()
BERLIN, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")


def local_in(zone: Any) -> Callable[[Sequence[float]], list[datetime]]:
    return lambda instants: [datetime.fromtimestamp(instant, zone).replace(tzinfo=None) for instant in instants]


def bound_of(zone: Any = UTC, utc_now: float = NOON, settle: float = 2.0, **reading: Any) -> Bound:
    return decide_bound(
        ClockReading(utc_now, **reading), local_in(zone), settle_seconds=settle, unobserved_settle_seconds=900.0
    )


@pytest.mark.parametrize(
    ("reading", "decided_by", "seconds", "warned"),
    [
        ({}, "clock", 2, ""),
        ({"transaction_age": 60.0}, "transaction", 62, ""),
        ({"statement_age": 30.0}, "statement", 32, ""),
        ({"transaction_age": 60.0, "statement_age": 90.0}, "statement", 92, ""),
        ({"transaction_age": 0.0}, "clock", 2, ""),
        ({"unobserved": "privilege"}, "clock", 900, "PROCESS"),
        ({"unobserved": "stale", "transaction_age": None}, "clock", 900, "innodb_trx"),
        ({"role": "replica", "replica_age": 5.0}, "replica", 905, "replica"),
        ({"role": "replica", "replica_age": 0.0}, "clock", 900, "replica"),
        ({"role": "member", "replica_age": 0.0}, "clock", 900, "group"),
        ({"role": "replica", "replica_age": 5.0, "transaction_age": 50.0}, "transaction", 950, "replica"),
    ],
)
def test_the_window_ends_before_whatever_could_still_commit_an_older_stamp(
    reading: dict[str, Any], decided_by: str, seconds: int, warned: str
) -> None:
    bound = bound_of(**reading)
    assert bound.decided_by == decided_by
    assert bound.until == datetime(2025, 4, 2, 12) - timedelta(seconds=seconds)
    assert (warned in " ".join(bound.warnings)) if warned else bound.warnings == []
    assert bound.as_dict()["decided_by"] == decided_by


def test_the_window_ends_at_a_whole_second_and_never_before_the_epoch() -> None:
    assert bound_of(utc_now=NOON + 0.29).until == datetime(2025, 4, 2, 11, 59, 58)
    assert bound_of(utc_now=100.0, transaction_age=1e9).until == datetime(1970, 1, 1)


def test_the_lead_over_the_planners_clock_is_reported() -> None:
    assert bound_of(observer_utc=NOON - 3).clock_lead == 3.0
    assert bound_of().clock_lead is None


@pytest.mark.parametrize(
    ("zone", "utc", "until"),
    [
        # Berlin falls back at 01:00 UTC: 02:00 to 03:00 is repeated.
        (BERLIN, "2025-10-26 00:00:01", "2025-10-26 01:59:59"),
        (BERLIN, "2025-10-26 00:30:00", "2025-10-26 01:59:59"),
        (BERLIN, "2025-10-26 01:30:00", "2025-10-26 01:59:59"),
        (BERLIN, "2025-10-26 02:00:01", "2025-10-26 01:59:59"),
        (BERLIN, "2025-10-26 02:00:02", "2025-10-26 03:00:00"),
        (BERLIN, "2025-10-26 02:00:09", "2025-10-26 03:00:07"),
        # and forward at 01:00 UTC: 02:00 to 03:00 does not exist.
        (BERLIN, "2025-03-30 01:00:01", "2025-03-30 01:59:59"),
        (BERLIN, "2025-03-30 01:00:02", "2025-03-30 03:00:00"),
        # Lord Howe falls back by half an hour at 15:00 UTC.
        (LORD_HOWE, "2025-04-05 14:50:00", "2025-04-06 01:29:59"),
        (LORD_HOWE, "2025-04-05 15:29:00", "2025-04-06 01:29:59"),
        (LORD_HOWE, "2025-04-05 15:30:05", "2025-04-06 02:00:03"),
    ],
)
def test_where_the_clock_falls_back_the_window_waits_until_the_hour_has_stood_twice(
    zone: Any, utc: str, until: str
) -> None:
    now = datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp()
    bound = bound_of(zone, now)
    assert bound.until == datetime.fromisoformat(until)
    held_back = bound.decided_by == "clock change"
    assert held_back == any("turns its clock back" in warning for warning in bound.warnings)


@given(
    st.integers(int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())),
    st.sampled_from(
        ["Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Asia/Kathmandu", "Africa/Casablanca"]
    ),
    st.floats(0, 5 * 3600),
)
def test_no_later_instant_has_a_local_time_at_or_below_the_windows_end(now: int, zone: str, later: float) -> None:
    local = local_in(ZoneInfo(zone))
    bound = bound_of(ZoneInfo(zone), float(now))
    assert local([now - 1 + later])[0] > bound.until
    assert bound.until <= local([float(now)])[0]


# --- one table's window ---


def run(until: str, *, lead: float | None = 0.0, server_utc: float | None = None) -> PlannedRun:
    end = datetime.fromisoformat(until)
    now = end.replace(tzinfo=UTC).timestamp() + 2
    return PlannedRun(
        run_id="r",
        planned_at=now,
        database="d",
        until=end,
        server_now=end + timedelta(seconds=2),
        server_utc=now if server_utc is None else server_utc,
        bound={"clock_lead": lead},
        tables=[],
    )


def commit_of(planned: PlannedRun, window: Window) -> Commit:
    return Commit(
        run_id="before",
        token="t",
        planned_at=planned.planned_at,
        server_utc=planned.server_utc,
        clock_lead=planned.bound["clock_lead"],
        watermark=window.until.text,
        watermark_before=None,
        read_from=format_timestamp(window.remember_from),
        files=[],
        record=entry(),
        applied=True,
    )


def derive(
    planned: PlannedRun, before: tuple[PlannedRun, Window] | None = None, *, whole_days: bool = False, **spec: Any
) -> Window:
    last = commit_of(*before) if before else None
    mark = before[1].until if before else None
    return derive_window(TableSpec(name="t", **spec), planned, mark, last, whole_days=whole_days)


FIRST = run("2025-04-02 12:00:00")


def test_the_first_window_reads_everything_and_remembers_what_lies_beyond() -> None:
    window = derive(FIRST)
    assert (window.read_from, window.remember_from, window.until.text) == (None, FIRST.until, "2025-04-02 12:00:00")


def test_the_next_window_reads_from_where_the_last_one_ended() -> None:
    later = run("2025-04-02 16:00:00")
    window = derive(later, (FIRST, derive(FIRST)))
    assert (window.read_from, window.remember_from, window.uses_tail) == (FIRST.until, later.until, True)
    assert window.warnings == []


def test_a_bound_that_does_not_move_keeps_the_watermark_and_one_that_fell_does_not_move_it_back() -> None:
    before = (FIRST, derive(FIRST))
    assert derive(FIRST, before).until.text == "2025-04-02 12:00:00"
    fallen = derive(run("2025-04-02 11:50:00", server_utc=FIRST.server_utc + 60), before)
    assert fallen.until.text == "2025-04-02 12:00:00"
    assert fallen.remember_from == FIRST.until


@pytest.mark.parametrize(("until", "warned"), [("2025-04-02 11:58:00", True), ("2025-04-02 16:00:00", False)])
def test_files_of_a_table_that_is_extracted_again_come_after_those_that_it_has(until: str, warned: bool) -> None:
    # The end steps back with the clock, and by five minutes if the start of an open transaction is not known.
    last = commit_of(FIRST, derive(FIRST))
    window = derive_window(TableSpec(name="t"), run(until), None, last, whole_days=False)
    assert (window.read_from, window.until.text) == (None, max(until, "2025-04-02 12:00:00"))
    assert format_timestamp(window.remember_from).startswith(until)
    assert ["ahead" in text for text in window.warnings] == [True] * warned


def test_a_watermark_edited_by_hand_forgets_the_digests() -> None:
    last = commit_of(FIRST, derive(FIRST))
    edited = Watermark.parse(b"2025-04-01 00:00:00.5")
    window = derive_window(TableSpec(name="t"), run("2025-04-02 16:00:00"), edited, last, whole_days=False)
    assert window.read_from == datetime(2025, 4, 1, 0, 0, 0, 500_000)
    assert not window.uses_tail


def test_a_watermark_ahead_of_the_clock_is_warned_about() -> None:
    ahead = Watermark.parse(b"2030-01-01 00:00:00")
    window = derive_window(TableSpec(name="t"), FIRST, ahead, None, whole_days=False)
    assert "ahead of the server's clock" in window.warnings[0]


def test_a_window_begins_no_earlier_than_time_itself() -> None:
    spec = TableSpec(name="t", lookback_seconds=3_000_000_000)
    first = Watermark.parse(b"0001-01-01 00:00:00")
    assert derive_window(spec, FIRST, first, None, whole_days=True).read_from == datetime.min
    assert earlier(datetime.min, whole_days=True) == datetime.min


@pytest.mark.parametrize(("hours", "step"), [(0, 600), (4, 600), (4, 3600), (1, 5)])
def test_a_clock_turned_back_is_noticed_however_long_ago_and_read_behind(hours: int, step: int) -> None:
    before = (FIRST, derive(FIRST))
    until = (FIRST.until + timedelta(hours=hours, seconds=-step)).isoformat(" ")
    window = derive(run(until, lead=-float(step)), before)
    assert window.read_from == FIRST.until - timedelta(seconds=step)
    assert window.remember_from == max(datetime.fromisoformat(until), window.read_from)
    assert window.until.moment >= FIRST.until, "keys sort as the commits came"
    assert "turned back" in window.warnings[0]


def test_a_jitter_below_a_second_and_a_clock_turned_forward_are_no_matter() -> None:
    before = (FIRST, derive(FIRST))
    for lead in (-0.9, 0.9, 7200.0, None):
        window = derive(run("2025-04-02 16:00:00", lead=lead), before)
        assert (window.read_from, window.warnings) == (FIRST.until, [])


def test_lookback_reads_and_remembers_further_down_and_moves_the_watermark_all_the_same() -> None:
    first = derive(FIRST, lookback_seconds=3600)
    assert first.remember_from == FIRST.until - timedelta(hours=1)
    window = derive(run("2025-04-02 16:00:00"), (FIRST, first), lookback_seconds=3600)
    assert (window.read_from, window.until.text) == (first.remember_from, "2025-04-02 16:00:00")


def test_a_date_column_is_read_from_the_beginning_of_its_day() -> None:
    first = derive(FIRST, whole_days=True)
    assert first.remember_from == datetime(2025, 4, 1, 23, 59, 59, 999_999)
    edited = Watermark.parse(b"2025-04-02 08:00:00.123456")
    window = derive_window(TableSpec(name="t"), FIRST, edited, None, whole_days=True)
    assert window.read_from == first.remember_from


def test_a_table_switched_from_full_to_incremental_continues_from_the_full_ones_bound() -> None:
    full = derive(FIRST, mode="full")
    assert (full.read_from, full.remember_from) == (None, FIRST.until)
    again = derive(FIRST, (FIRST, full), mode="full")
    assert again.until.text == "2025-04-02 12:00:01", "a window has a stamp of its own"
    assert derive(run("2025-04-02 16:00:00"), (FIRST, again)).read_from == FIRST.until


@given(
    st.lists(st.tuples(st.integers(0, 7200), st.integers(-2000, 2000)), min_size=1, max_size=12), st.integers(0, 600)
)
def test_whatever_the_clocks_do_windows_leave_no_gap_and_keys_never_step_back(
    moves: list[tuple[int, int]], lookback: int
) -> None:
    clock, lead = FIRST.planned_at, 0.0
    before = (FIRST, derive(FIRST, lookback_seconds=lookback))
    for seconds, step in moves:
        clock += seconds
        lead += step
        until = datetime.fromtimestamp(int(clock + lead) - 2, UTC).replace(tzinfo=None)
        now = run(until.isoformat(" "), lead=lead, server_utc=clock + lead)
        window = derive(now, before, lookback_seconds=lookback)
        # A clock that was turned back since the last run may have stamped rows by as much below its bound.
        unseen = before[1].remember_from + timedelta(seconds=step if step < -1 else 0)
        assert window.read_from is not None
        assert window.read_from <= min(unseen, window.remember_from)
        assert window.until.moment >= before[1].until.moment
        before = (now, window)


@pytest.mark.parametrize(
    ("settled", "read_from", "warned"),
    [
        (None, "2025-04-02 12:00:00", "rows stamped up to 2025-04-02 12:00:00.000000 are not extracted"),
        (Settled(newest=""), None, "everything is read"),
        (Settled(newest="2025-04-02 11:59:50", edge=["00"]), "2025-04-02 11:59:48", "rows stamped after"),
        (Settled(newest="2025-04-02 11:59:50"), "2025-04-02 11:59:48", "up to 2025-04-02 11:59:50 may be extracted"),
    ],
)
def test_another_server_is_read_from_where_the_former_ones_rows_ended_and_never_in_silence(
    settled: Settled | None, read_from: str | None, warned: str
) -> None:
    before = derive(FIRST)
    last = commit_of(FIRST, before).model_copy(update={"settled": settled})
    spec, later = TableSpec(name="t"), run("2025-04-02 16:00:00")
    window = derive_window(spec, later, before.until, last, whole_days=False, moved_from="the former")
    assert window.read_from == (datetime.fromisoformat(read_from) if read_from else None)
    (warning,) = window.warnings
    assert "this is another server than the last run read (the former)" in warning
    assert warned in warning
    assert ("may be extracted again" in warning) == (
        settled is not None and settled.edge is None and settled.newest != ""
    )
