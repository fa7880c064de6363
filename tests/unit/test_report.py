"""The run report: what it says, and that any browser, screen reader and printer can say it too."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from rds_to_s3.manifest.report import RUNS_IN_TREND, TABLES_IN_TIMELINE, render_report
from rds_to_s3.reported.manifest import Manifest, RunSummary
from tests.support.sample_report import earlier_runs, sample_manifest
from tests.support.schemas import validate_manifest
from tests.unit.report_pages import (
    ALL_KINDS,
    HEALED,
    HOSTILE,
    PLAN_FAILED,
    WITH_ASIDES,
    Element,
    manifest,
    parsed,
    said,
    section,
    section_text,
    side_file,
    summary_of,
    table,
)


def test_the_run_in_the_docs_pictures_is_one_that_could_be() -> None:
    validate_manifest(sample_manifest())
    kept = summary_of(sample_manifest()).model_dump()
    for run in (earlier.model_dump() for earlier in earlier_runs()):
        assert (run.keys(), run["totals"].keys()) == (kept.keys(), kept["totals"].keys())


def test_it_begins_with_how_the_run_ended() -> None:
    head = said(parsed(manifest(table("menu"), redrives=2)).find(".//header"))
    assert head.startswith("Run run-1 ✓ succeeded on 2025-04-02, redriven twice")
    assert "Tables1none failedRows20Files14.1 kBTook5.0 s12:00:00 to 12:00:05 UTC" in head


def test_it_says_up_to_when_the_data_is_complete_and_what_held_that_back() -> None:
    bound = {"decided_by": "transaction", "server_now": "2025-04-02 12:00:01.5", "settle_seconds": 2}
    head = said(parsed(manifest(table("menu"), bound=bound)).find(".//header"))
    assert (
        "Complete up to2025-04-02 11:59:565.5 s behind the database's clock, held back by the oldest transaction"
        in head
    )


def test_failures_come_with_their_messages_and_the_way_on() -> None:
    told = section_text(parsed(ALL_KINDS), "failures")
    assert "ordersDatabaseAccessError: GRANT SELECT first" in told
    assert "rds-to-s3 rerun run-1" in told


def test_a_run_that_could_not_be_planned_says_why_and_has_no_empty_sections() -> None:
    page = parsed(PLAN_FAILED)
    assert "TableListError: not JSON" in section_text(page, "failures")
    assert "not planned" in said(page.find(".//header"))
    assert [section(page, name) for name in ("timeline", "tables", "files", "warnings")] == [None] * 4


def test_a_redrive_that_could_not_be_planned_is_not_taken_for_the_run() -> None:
    page = parsed(ALL_KINDS | {"redrives": 1, "error": {"type": "TableListError", "message": "not JSON"}})
    told = section_text(page, "failures")
    assert "The redrive could not be plannedTableListError: not JSON" in told
    assert "ordersDatabaseAccessError: GRANT SELECT first" in told


def test_a_good_run_has_no_section_of_failures_or_warnings() -> None:
    page = parsed(manifest(table("menu")))
    assert [section(page, name) for name in ("failures", "warnings")] == [None, None]


def test_warnings_name_their_table_and_count_what_is_in_quarantine() -> None:
    run = manifest(table("menu", warnings=["odd"], quarantined_rows=1200), warnings=["no PROCESS privilege"])
    told = section_text(parsed(run), "warnings")
    assert told == "Warnings no PROCESS privilege menu: odd menu: 1,200 rows broke a check and went into quarantine"


def test_the_tables_say_how_complete_each_is_a_failed_one_only_as_before() -> None:
    never = table("never", "FAILED", window={"after": None, "until": "2025-04-02 11:59:56"})
    rows = parsed(manifest(table("menu"), table("orders", "FAILED"), never)).findall(
        ".//section/div[@aria-label='Tables']//tr"
    )
    assert [said(row[-1]) for row in rows] == [
        "Complete up to", "2025-04-02 08:00:00", "as before this run", "2025-04-02 11:59:56",
    ]  # fmt: skip


def test_a_table_that_several_read_says_how_many() -> None:
    shown = said(parsed(manifest(table("orders", readers=4, seconds=61.0), table("menu"))))
    assert "1 min 01 s, 4 readers" in shown
    assert shown.count("readers") == 1


def test_the_proof_says_what_was_compared_and_found_and_up_to_when_the_table_is_proved() -> None:
    page = parsed(HEALED)
    rows = page.findall(".//section/div[@aria-label='Proof']//tbody/tr")
    assert [[said(cell) for cell in row] for row in rows] == [
        ["orders", "1,500", "✚ 12", "3", "not yet"],
        ["menu", "20", "0", "0", "2025-04-02 11:59:56"],
    ]
    assert "Rows6012 healedFiles3" in said(page.find(".//header"))


def test_where_nothing_is_proved_there_is_no_section_of_it() -> None:
    page = parsed(manifest(table("log", proof=None)))
    assert section(page, "proof") is None
    assert "healed" not in said(page.find(".//header"))


def test_the_timeline_places_each_table_when_its_end_is_known() -> None:
    run = manifest(
        table("late", seconds=1.0, finished_at="2025-04-02T12:00:04.000Z"),
        table("early", seconds=1.0, finished_at="2025-04-02T12:00:02.000Z"),
    )
    bars = parsed(run).findall(".//td[@class='bar']/svg/rect")
    assert [(bar.get("x"), bar.get("width")) for bar in bars] == [("25.00%", "25.00%"), ("75.00%", "25.00%")]


def test_a_table_that_ended_before_its_run_began_by_another_clock_still_has_its_bar() -> None:
    run = manifest(table("early", seconds=1.0, finished_at="2025-04-02T12:00:00.000Z"))
    (bar,) = parsed(run).findall(".//td[@class='bar']/svg/rect")
    assert (bar.get("x"), bar.get("width")) == ("0.00%", "100.00%")


def redriven(*tables: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A run of one pass at noon and one on the next afternoon."""
    return manifest(*tables, redrives=1, finished_at="2025-04-03T14:00:05.000Z", **members)


FIRST = table("menu", seconds=2.0, finished_at="2025-04-02T12:00:04.000Z")
NEXT_DAY = table("orders", seconds=3.0, finished_at="2025-04-03T14:00:04.000Z")


def test_the_times_of_a_run_that_was_redriven_a_day_later_have_their_dates() -> None:
    head = said(parsed(redriven(FIRST, NEXT_DAY)).find(".//header"))
    assert "Took26 h 00 min2025-04-02 12:00:00 to 2025-04-03 14:00:05 UTC, with the wait for the redrive" in head


def test_the_timeline_of_a_redriven_run_leaves_out_the_wait_and_says_when_each_pass_began() -> None:
    region = parsed(redriven(NEXT_DAY, FIRST)).find(".//div[@aria-label='Timeline']")
    assert region is not None
    assert [said(head) for head in region.findall(".//tbody//th")] == [
        "At first, from 2025-04-02 12:00:00 UTC", "menu",
        "After a redrive, from 2025-04-03 14:00:01 UTC", "orders",
    ]  # fmt: skip
    bars = region.findall(".//td[@class='bar']/svg/rect")
    assert [(bar.get("x"), bar.get("width")) for bar in bars] == [("50.00%", "50.00%"), ("0.00%", "75.00%")]


def test_a_run_that_only_its_redrive_could_plan_has_a_timeline_of_that_pass() -> None:
    region = parsed(redriven(NEXT_DAY)).find(".//div[@aria-label='Timeline']")
    assert said(region).startswith("When each table last ran")
    assert "Table0 s3.0 s" in said(region)
    assert "After a redrive, from 2025-04-03 14:00:01 UTC orders" in said(region)


def test_a_run_that_waited_for_itself_keeps_its_waits_in_the_timeline() -> None:
    late = table("orders", seconds=3.0, finished_at="2025-04-02T12:20:00.000Z")
    region = parsed(manifest(FIRST, late)).find(".//div[@aria-label='Timeline']")
    assert "Table0 s20 min 00 s" in said(region)


def test_no_bar_of_the_timeline_leaves_the_plot() -> None:
    short = table("last", seconds=0.001, finished_at="2025-04-02T12:20:00.000Z")
    bars = parsed(manifest(FIRST, short)).findall(".//td[@class='bar']/svg/rect")
    places = [(float((bar.get("x") or "")[:-1]), float((bar.get("width") or "")[:-1])) for bar in bars]
    assert all(left >= 0 and left + width <= 100 for left, width in places)


def test_without_the_ends_the_timeline_compares_how_long_the_tables_took() -> None:
    bars = parsed(manifest(table("a", seconds=1.0), table("b", seconds=2.0))).findall(".//td[@class='bar']/svg/rect")
    assert {(bar.get("x"), bar.get("width")) for bar in bars} == {("0.00%", "50.00%"), ("0.00%", "100.00%")}


def test_a_timeline_of_hundreds_of_tables_keeps_the_failed_and_the_longest() -> None:
    many = [table(f"t{number}", seconds=1 + number) for number in range(500)]
    many[3] = table("broken", "FAILED", seconds=0.1)
    names = [said(row) for row in parsed(manifest(*many)).findall(".//div[@aria-label='Timeline']//tbody//th")]
    assert len(names) == TABLES_IN_TIMELINE
    assert {"broken", "t499"} <= set(names)
    assert "t5" not in names


def test_files_are_linked_from_where_the_report_is_and_in_the_console() -> None:
    name = "näme #1"
    page = parsed(manifest(table(name)), bucket="data", region="eu-west-1")
    file, console = section(page, "files").findall(".//a")  # type: ignore[union-attr]
    assert file.get("href") == "../../n%C3%A4me%20%231/csv/n%C3%A4me%20%231_data_20250402_115956.csv"
    assert said(file) == "s3://data/näme #1/csv/näme #1_data_20250402_115956.csv"
    assert (console.get("href") or "").startswith("https://eu-west-1.console.aws.amazon.com/s3/object/data?region=")


def test_files_of_quarantine_and_of_deletes_are_listed_with_the_data_and_their_rows() -> None:
    run = manifest(WITH_ASIDES)
    page = parsed(run)
    told = section_text(page, "files")
    assert "orders: 1 file, 20 rows, 4.1 kB; 1,200 rows in quarantine; 1 key deleted" in told
    assert "Quarantine: 1,200 rows that broke a check, each with the reason " in told
    assert "orders/quarantine/orders_quarantine.csv1,000 rows, 51 kB" in told
    assert "Deletes: 1 key of rows that are gone orders/deletes/orders_deletes.csv1 row, 9 B" in told
    links = [link.get("href") or "" for link in section(page, "files").findall(".//a")]  # type: ignore[union-attr]
    assert [link.split("/")[3] for link in links] == ["csv", "quarantine", "quarantine", "deletes"]
    assert "Rows201,200 in quarantine, 1 deletedFiles1" in said(page.find(".//header"))


def test_a_table_of_which_only_deletes_are_new_has_its_files_listed() -> None:
    gone = table("orders", rows=0, source_rows=0, files=[], deleted_rows=1, deletes=[side_file("orders", "deletes", 1)])
    assert "orders: 0 files, 0 rows, 0 B; 1 key deleted" in section_text(parsed(manifest(gone)), "files")


def test_the_warning_of_a_quarantine_leads_to_its_files() -> None:
    name = "näme #1"
    files = [side_file(name, "quarantine", 3)]
    page = parsed(manifest(table(name, quarantined_rows=3, quarantine=files)))
    target = (section(page, "warnings").find(".//a").get("href") or "").removeprefix("#")  # type: ignore[union-attr]
    assert said(page.find(f".//section[@aria-labelledby='files']//*[@id='{target}']")).startswith("Quarantine: 3 rows")


def test_the_trend_shows_the_last_runs_oldest_first_and_links_their_reports() -> None:
    earlier = [manifest(table("menu"), run_id=f"run-0{hour}", hour=hour) for hour in range(1, 12)]
    later = manifest(table("menu"), run_id="run-later", hour=13)
    page = parsed(manifest(table("menu")), [*map(summary_of, reversed(earlier)), later])
    rows = page.findall(".//div[@aria-label='Trend']//tbody/tr")
    assert [said(row[0]) for row in rows][:2] == ["run-1 (this one)", "run-011"]
    assert len(rows) == 12
    assert rows[1].find(".//a").get("href") == "../run-011/report.html"  # type: ignore[union-attr]


def test_a_redriven_run_does_not_flatten_the_others_in_the_trend() -> None:
    earlier = [manifest(table("menu"), run_id="run-0", hour=8), redriven(NEXT_DAY, run_id="run-00", hour=9)]
    page = parsed(manifest(table("menu")), map(summary_of, earlier))
    times = page.findall(".//section[@aria-labelledby='trend']//figure")[1]
    assert said(times.find("figcaption")) == "Time; the highest is 5.0 s"
    dashed = ["dasharray" in (bar.get("style") or "") for bar in times.findall(".//rect")]
    assert dashed == [False, True, False]
    assert "has a dashed place instead of a bar of its time" in section_text(page, "trend")
    assert "29 h 00 min, redriven once" in section_text(page, "trend")


def test_a_trend_of_redriven_runs_alone_is_drawn_too() -> None:
    page = parsed(redriven(FIRST), [redriven(FIRST, run_id="run-0", hour=9)])
    assert "Time; the highest is unknown" in section_text(page, "trend")


def test_a_summary_from_before_redrives_were_kept_is_drawn_too() -> None:
    kept = summary_of(manifest(table("menu"), run_id="run-0", hour=9))
    old = RunSummary.model_validate(kept.model_dump(exclude={"redrives"}))
    assert section(parsed(manifest(table("menu")), [old]), "trend") is not None


def test_the_trend_is_of_a_bounded_number_of_runs() -> None:
    earlier = [manifest(table("menu"), run_id=f"run-{number}", hour=1) for number in range(100)]
    page = parsed(manifest(table("menu")), earlier)
    assert len(page.findall(".//div[@aria-label='Trend']//tbody/tr")) == RUNS_IN_TREND


def test_a_run_with_none_before_it_has_no_trend() -> None:
    assert section(parsed(manifest(table("menu"))), "trend") is None


def test_runs_of_no_rows_and_no_time_are_drawn_too() -> None:
    empty = manifest(table("menu", "UNCHANGED", seconds=0.0), finished_at="2025-04-02T12:00:00.000Z")
    parsed(empty, [manifest(table("menu", "UNCHANGED"), run_id="run-0", hour=11)])


# --- that it can be read by everybody -----------------------------------------------------------------------------

PAGES = {
    "all kinds": (ALL_KINDS, [manifest(table("menu"), run_id="run-0", hour=8)]),
    "redriven": (redriven(FIRST, NEXT_DAY), [redriven(FIRST, run_id="run-0", hour=8)]),
    "asides": (manifest(WITH_ASIDES, table("menu", quarantined_rows=0, quarantine=[])), []),
    "healed": (HEALED, []),
    "plan failed": (PLAN_FAILED, []),
    "one table": (manifest(table("menu")), []),
}
every_page = pytest.mark.parametrize(
    "page", [parsed(*arguments, bucket="b", region="r") for arguments in PAGES.values()], ids=PAGES
)


@every_page
def test_it_needs_neither_network_nor_script(page: Element) -> None:
    assert not [item.tag for item in page.iter() if item.tag in {"script", "link", "img", "iframe"} or item.get("src")]
    assert not [name for item in page.iter() for name in item.attrib if name.startswith("on")]
    policy = page.find(".//meta[@http-equiv='Content-Security-Policy']")
    assert policy is not None
    assert (policy.get("content") or "").startswith("default-src 'none'")
    assert "url(" not in (page.findtext(".//style") or "")


@every_page
def test_it_has_a_language_a_title_one_first_heading_and_no_level_skipped(page: Element) -> None:
    assert page.get("lang") == "en"
    assert page.findtext(".//title")
    levels = [int(item.tag[1]) for item in page.iter() if re.fullmatch("h[1-6]", item.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@every_page
def test_tables_have_captions_and_heads_and_scroll_by_keyboard(page: Element) -> None:
    for region in page.findall(".//div[@role='region']"):
        assert (region.get("tabindex"), bool(region.get("aria-label"))) == ("0", True)
        assert said(region.find("./table/caption"))
        assert all(head.get("scope") for head in region.iter("th"))


@every_page
def test_ids_are_unique_and_every_reference_has_its_target(page: Element) -> None:
    ids = [item.get("id") for item in page.iter() if item.get("id")]
    assert len(ids) == len(set(ids))
    assert {item.get("aria-labelledby") for item in page.iter("section")} <= set(ids)


@every_page
def test_drawings_are_named_or_have_their_figures_beside_them(page: Element) -> None:
    for drawing in page.iter("svg"):
        assert drawing.get("aria-hidden") == "true" or (drawing.get("role"), bool(drawing.get("aria-label"))) == (
            "img",
            True,
        )


def test_no_outcome_is_reported_by_colour_alone() -> None:
    page = parsed(ALL_KINDS)
    told = {said(item) for item in page.iter("span") if "state" in (item.get("class") or "").split()}
    assert told == {"✗ failed", "✓ succeeded", "= unchanged", "→ skipped"}
    failed = page.find(".//td[@class='bar']/svg[@class='FAILED']/rect")
    assert failed is not None
    assert "url(#hatch)" in (failed.get("style") or "")


def test_healed_rows_are_told_by_a_sign_and_by_weight_too() -> None:
    (healed,) = parsed(HEALED).findall(".//strong[@class='healed']")
    assert said(healed) == "✚ 12"


def luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    channels = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("place", [0, 1, 2], ids=["light", "dark", "print"])
def test_text_stands_out_from_its_background(place: int) -> None:
    style = parsed(ALL_KINDS).findtext(".//style") or ""
    colours = dict(re.findall(r"--(\w+):#([0-9a-f]{3,6})", style.split(":root{")[place + 1].split("}")[0]))
    assert {"page", "band", "ink", "soft", "good", "bad", "quiet", "link"} <= set(colours)
    for ground in ("page", "band"):
        for text in ("ink", "soft", "good", "bad", "quiet", "link"):
            light, dark = sorted((luminance(colours[ground]), luminance(colours[text])), reverse=True)
            # WCAG 2.2, 1.4.3: 4.5 to 1 for text of this size.
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_whatever_a_name_or_message_holds_stays_text() -> None:
    # As much of it as a link can name: a lone surrogate is in no key.
    linked = table(HOSTILE[:-1], quarantined_rows=1, quarantine=[side_file(HOSTILE[:-1], "quarantine", 1)])
    hostile = Manifest.model_validate(ALL_KINDS | {"tables": [*ALL_KINDS["tables"], linked]})
    menu, orders = hostile.tables[:2]
    assert orders.error is not None
    hostile.run_id = menu.table = orders.error.message = HOSTILE
    menu.files[0].key = "a&b\"<'/c"
    page = parsed(hostile, bucket="b", region="r")
    assert not list(page.iter("img"))
    assert HOSTILE[:35] in section_text(page, "failures")


def test_five_hundred_tables_make_a_page_of_less_than_a_megabyte() -> None:
    many = manifest(*[table(f"a_table_with_a_long_name_{number:03}") for number in range(500)])
    assert len(render_report(Manifest.model_validate(many), bucket="b" * 60, region="ap-southeast-1")) < 1_000_000


def test_one_long_run_is_cut_instead_of_flattening_the_others() -> None:
    runs = [RunSummary.model_validate(manifest(table("menu"), run_id=f"run-{hour}", hour=hour)) for hour in range(8)]
    for number, run in enumerate(runs):
        run.totals.rows = 1_000_000 if number == 3 else 1_000
    figure = parsed(manifest(table("menu")), runs).findall(".//section[@aria-labelledby='trend']//figure")[0]
    heights = [float(bar.attrib["height"]) for bar in figure.iter("rect")]
    assert sorted(heights)[-1] == 100
    assert sorted(heights)[1] == 25
    assert len([bar for bar in figure.iter("line") if bar.get("class") == "cut"]) == 1


def test_the_report_links_its_execution_and_the_log_of_its_run() -> None:
    run = Manifest.model_validate(manifest(table("menu")))
    page = render_report(run, bucket="b", region="eu-west-1", log_group="/aws/lambda/food")
    assert f"eu-west-1#/v2/executions/details/{run.execution_arn}" in page
    assert "log-group/$252Faws$252Flambda$252Ffood/log-events$3FfilterPattern$3D$22run-1$22" in page
    assert "console.aws" not in render_report(run)
