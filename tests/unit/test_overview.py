"""``runs/index.html``: what it knows of each table after many runs, and what it shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from rds_to_s3.bucket_keys import HISTORY_KEY, INDEX_KEY, manifest_key, plan_key, record_key, report_key
from rds_to_s3.manifest.overview.page import Facts, generation_of, render_overview
from rds_to_s3.manifest.overview.standing import Standings, TableStanding
from rds_to_s3.manifest.write_manifest import write_manifest
from rds_to_s3.plan.table_list import TableSpec
from tests.support.manifests import entry_json, manifest
from tests.support.memory_store import MemoryStore
from tests.support.sample_overview import sample_facts
from tests.unit.test_manifest import record
from tests.unit.test_plan import plan

NOON = datetime(2025, 4, 2, 12, tzinfo=UTC)
WINDOW = {"after": "2025-04-02 08:00:00", "until": "2025-04-02 12:00:00"}
ERROR = {"type": "DatabaseAccessError", "message": "GRANT SELECT first"}
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\x00\x1b\ud800"


def entry(name: str = "orders", status: str = "SUCCEEDED", rows: int = 20, **members: Any) -> dict[str, Any]:
    error = ERROR if status == "FAILED" else None
    return entry_json(name, status, **{"rows": 0 if error else rows, "window": WINDOW, "error": error, **members})


def after(
    before: Standings, *entries: dict[str, Any], hours: float = 0, of_all: bool = True, counted: int | None = None,
    **members: Any,
) -> Standings:  # fmt: skip
    start = NOON + timedelta(hours=hours)
    run = manifest(*entries, **{"run_id": f"run-{hours:g}", "started_at": f"{start:%Y-%m-%dT%H:%M:%SZ}", **members})
    return before.after(run, start.timestamp(), of_all=of_all, counted=counted, now=start)


def shown(standings: Standings, *, hours: float = 0, lags: dict[str, float] | None = None) -> str:
    known = dict.fromkeys(standings.tables, 60.0) if lags is None else lags
    facts = Facts(standings, {}, known, [], 8.0, "food", NOON + timedelta(hours=hours))
    page = render_overview(facts).encode(errors="backslashreplace").decode()
    ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>\n"))
    return page


# --- what it knows ------------------------------------------------------------------------------------------------


def test_a_table_that_fails_is_failing_since_its_first_failure_until_it_is_extracted() -> None:
    known = after(Standings(), entry())
    for hour in (4, 8, 12, 16):
        known = after(known, entry(status="FAILED"), hours=hour)
    table = known.tables["orders"]
    assert (table.failed_runs, table.failing_since) == (4, "2025-04-02T16:00:00Z")
    assert [failure.run_id for failure in table.failures] == ["run-16", "run-12", "run-8"]
    again = after(known, entry(status="FAILED", redrive=1), hours=16, redrives=1, counted=0)
    assert again.tables["orders"].failed_runs == 4
    well = after(again, entry(status="UNCHANGED", rows=0), hours=20).tables["orders"]
    assert (well.failed_runs, well.failing_since, len(well.failures)) == (0, None, 3)


def test_a_skipped_table_stays_as_it_was() -> None:
    failing = after(Standings(), entry(status="FAILED"))
    assert after(failing, entry(status="SKIPPED", rows=0), hours=4).tables == failing.tables | {
        "orders": failing.tables["orders"].model_copy(update={"planned_at": (NOON + timedelta(hours=4)).timestamp()})
    }


def test_a_run_that_others_have_overtaken_changes_only_what_it_counts() -> None:
    known = after(Standings(), entry(status="FAILED"), hours=0)
    known = after(known, entry(), hours=4)
    late = after(known, entry(rows=5, redrive=1), entry("gone", redrive=1), hours=0, redrives=1, counted=0)
    assert set(late.tables) == {"orders"}
    assert (late.tables["orders"].failed_runs, late.tables["orders"].days) == (0, {"2025-04-02": 25})


def test_rows_are_counted_once_whatever_is_written_again() -> None:
    known = after(Standings(), entry(), entry("menu", status="FAILED"))
    retried = after(known, entry(), entry("menu", status="FAILED"), counted=0)
    redriven = after(retried, entry(), entry("menu", rows=7, redrive=1), redrives=1, counted=0)
    assert [redriven.tables[name].days for name in ("orders", "menu")] == [{"2025-04-02": 20}, {"2025-04-02": 7}]


def test_rows_a_day_are_of_a_week_and_without_the_first_extract_of_everything() -> None:
    first = {"after": None, "until": "2025-04-02 12:00:00"}
    known = after(Standings(), entry(rows=1_000_000, window=first))
    assert known.tables["orders"].days == {}
    for hour in range(4, 24 * 20, 4):
        known = after(known, entry(rows=100), hours=hour)
    table = known.tables["orders"]
    assert len(table.days) <= 8
    now = NOON + timedelta(hours=24 * 20)
    assert table.rows_a_day(known.counted_since, now) == pytest.approx(600, rel=0.15)
    assert table.rows_a_day(known.counted_since, NOON + timedelta(hours=23)) is None
    full = after(Standings(), entry(rows=9, mode="full", window=first)).tables["orders"]
    assert full.days == {"2025-04-02": 9}


def test_what_was_last_proved_stays_while_a_new_round_goes_on() -> None:
    proof = {"rows": 5, "healed": 0, "gone": 0, "whole_until": "2025-04-02 12:00:00"}
    known = after(Standings(), entry(proof=proof), entry("menu", proof=None))
    again = after(known, entry(proof=proof | {"whole_until": None}), entry("menu", proof=None), hours=4)
    assert (again.tables["orders"].proves, again.tables["orders"].whole_until) == (True, "2025-04-02 12:00:00")
    assert not again.tables["menu"].proves


def test_a_run_of_all_tables_drops_what_is_no_longer_listed_and_one_of_some_does_not() -> None:
    known = after(Standings(), entry(), entry("menu"))
    assert set(after(known, entry("menu"), hours=4, of_all=False).tables) == {"orders", "menu"}
    assert set(after(known, entry("menu"), hours=4).tables) == {"menu"}
    unplanned = known.after(manifest(status="FAILED"), None, of_all=True, counted=None, now=NOON)
    assert unplanned.tables == known.tables


# --- what it shows ------------------------------------------------------------------------------------------------


def test_a_table_that_is_behind_is_first_and_says_so_in_words() -> None:
    known = after(Standings(), entry("a"), entry("b"), entry("c", status="FAILED"), entry("d"))
    page = shown(known, lags={"a": 60.0, "b": 8 * 3600 + 1.0, "c": 60.0, "left": 9 * 3600.0})
    rows = page[page.index('<h2 id="tables">') :]
    order = [rows.index(f'<th scope="row">{name}</th>') for name in ("c", "b", "left", "d", "a")]
    assert order == sorted(order)
    for name, words in {"c": "failing", "b": "behind", "d": "not extracted yet", "a": "up to date"}.items():
        assert f'<span class="word">{words}</span>' in rows[rows.index(f">{name}</th>") :].partition("</tr>")[0]
    assert rows.count('<tr class="needs">') == 3
    assert "It is 8 h 00 min behind the database, and the limit is 8 h 00 min." in page
    assert "1 failing, 2 behind the limit" in page


def test_a_failing_table_has_its_error_since_when_and_the_next_command() -> None:
    known = after(after(Standings(), entry(status="FAILED")), entry(status="FAILED"), hours=4)
    page = shown(known)
    assert "Failing since 2025-04-02 12:00 UTC, in 2 runs" in page
    assert "GRANT SELECT first" in page
    assert "<code>rds-to-s3 redrive run-4</code>" in page


def test_names_and_messages_become_no_elements() -> None:
    run = after(Standings(), entry(HOSTILE, "FAILED"), entry("b"))
    page = shown(run, lags={HOSTILE: 1e9})
    assert "<img" not in page
    assert "&lt;img" in page


def test_five_hundred_tables_make_a_page_of_less_than_a_megabyte() -> None:
    tables = {f"table_with_a_name_of_some_length_{number}": TableStanding(planned_at=1.0) for number in range(500)}
    assert len(shown(Standings(tables=tables))) < 500_000


def test_the_sample_is_well_formed_and_every_link_is_relative() -> None:
    root = ElementTree.fromstring(render_overview(sample_facts()).removeprefix("<!DOCTYPE html>\n"))
    links = {link.attrib["href"] for link in root.iter("a")}
    assert all(not link.startswith(("/", "http")) for link in links)
    assert "latest.json" in links
    assert not list(root.iter("script"))


# --- how it is written --------------------------------------------------------------------------------------------


class Disturbed(MemoryStore):
    """Lets another run end just before a write."""

    def __init__(self) -> None:
        super().__init__()
        self.before_write: dict[str, Callable[[], None]] = {}
        self.requests = 0

    def get(self, key: str) -> Any:
        self.requests += 1
        return super().get(key)

    def put(self, key: str, body: bytes, **options: Any) -> str:
        self.requests += 1
        if key in self.before_write:
            self.before_write.pop(key)()
        return super().put(key, body, **options)


def planned(store: MemoryStore, run_id: str, tables: list[str], at: float) -> None:
    bound = {"decided_by": "clock", "server_now": "2025-04-02 12:00:02.000005", "settle_seconds": 2.0}
    store.put(
        plan_key(run_id),
        plan(
            tables=[TableSpec(name=name) for name in tables], run_id=run_id, planned_at=at, bound=bound, refused={}
        ).to_json(),
    )
    for table in tables:
        store.put(record_key(run_id, table), json.dumps(record(table)).encode())


def end(store: MemoryStore, run_id: str, tables: list[str]) -> list[BaseException]:
    problems: list[BaseException] = []
    execution = {
        "Id": f"arn:aws:states:eu-central-1:1:execution:m:{run_id}", "Name": run_id,
        "StartTime": "2025-04-02T12:00:00Z", "Input": {"tables": tables},
    }  # fmt: skip
    write_manifest(execution, {}, store, on_problem=problems.append)
    return problems


def links_of(store: MemoryStore) -> set[str]:
    page = store.objects[INDEX_KEY][0].decode()
    return {name for name in ("run-a", "run-b") if f'href="{name}/report.html"' in page}


@pytest.mark.parametrize("key", [HISTORY_KEY, INDEX_KEY])
def test_runs_that_end_at_the_same_time_do_not_lose_each_other_s_entry(key: str) -> None:
    store = Disturbed()
    for number, (run_id, table) in enumerate([("run-a", "orders"), ("run-b", "menu")]):
        planned(store, run_id, [table], 1743595200.0 + number)
    others: list[BaseException] = []
    store.before_write[key] = lambda: others.extend(end(store, "run-b", ["menu"]))
    assert end(store, "run-a", ["orders"]) == others == []
    assert links_of(store) == {"run-a", "run-b"}
    assert set(json.loads(store.objects[HISTORY_KEY][0])["standings"]["tables"]) == {"orders", "menu"}
    page = store.objects[INDEX_KEY][0]
    assert b"orders</th>" in page
    assert b"menu</th>" in page
    assert generation_of(page) == json.loads(store.objects[HISTORY_KEY][0])["standings"]["generation"]


def test_a_fault_in_the_page_is_reported_and_the_run_has_its_manifest_and_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    planned(store, "run-a", ["orders"], 1743595200.0)
    monkeypatch.setattr("rds_to_s3.manifest.overview.write_overview.render_overview", lambda _: 1 / 0)
    problems = end(store, "run-a", ["orders"])
    assert [type(problem) for problem in problems] == [ZeroDivisionError]
    assert manifest_key("run-a") in store.objects
    assert report_key("run-a") in store.objects


def test_the_page_costs_the_same_number_of_requests_for_one_table_and_for_many() -> None:
    costs = []
    for tables in (["t0"], [f"t{number}" for number in range(200)]):
        store = Disturbed()
        planned(store, "run-a", tables, 1743595200.0)
        store.requests = 0
        end(store, "run-a", tables)
        costs.append(store.requests - len(tables))
    assert costs[0] == costs[1] < 25
