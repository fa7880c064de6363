"""The run report in a real browser: what it asks for, how it fits, and whether everybody can read and operate it."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from local import browser
from local.errors import LocalSystemError
from rds_to_s3.manifest.report import render_report
from rds_to_s3.reported.manifest import Manifest
from tests.support.devtools import Tab, open_browser
from tests.support.sample_report import BUCKET, REGION, RUN, earlier_runs, sample_manifest

HOSTILE = "</style><script src='x.js'>console.log('ran')</script><img src=x onerror=console.log(1)>\"'&\x00\ud800"
SCHEMES = ["light", "dark"]
PHONE, DESK = 360, 1280
SHEET = 718  # A4 less Chromium's own margins, in CSS pixels
TAB, ENTER, RIGHT = ("Tab", 9), ("Enter", 13, "\r"), ("ArrowRight", 39)

# --- the pages ----------------------------------------------------------------------------------------------------


def hostile() -> dict[str, Any]:
    run = copy.deepcopy(sample_manifest())
    run["tables"][0]["table"] = run["tables"][-1]["error"]["message"] = run["warnings"][0] = HOSTILE
    run["tables"][1]["files"][0]["key"] = "a/<img src=x>\"'&.csv"
    return run


def unplanned() -> dict[str, Any]:
    error = {"type": "TableListError", "message": "not JSON"}
    totals = dict.fromkeys(("tables", "succeeded", "failed", "rows", "files", "bytes"), 0)
    return sample_manifest() | {"tables": [], "totals": totals, "window_end": None, "bound": None, "error": error}


def of_many_tables() -> dict[str, Any]:
    """A run of many tables with long names, of one word or of several, at work for hours and nobody knows when."""
    run = sample_manifest()
    run["tables"] = [
        {key: value for key, value in table.items() if key != "finished_at"} | {"table": name, "seconds": 4_980.0}
        for number in range(6)
        for table in run["tables"]
        for name in (
            f"a_table_with_a_long_name_{number}_{table['table']}",
            f"ATableOfLongName{number}X{table['table']}" * 2,
        )
    ]
    return run


RUNS = {"sample": sample_manifest(), "unplanned": unplanned(), "many": of_many_tables(), "hostile": hostile()}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    try:
        program = browser.find()
    except LocalSystemError as error:
        pytest.skip(f"no browser: put chromium or google-chrome on PATH; {error}")
    with open_browser(program, tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a bucket, a run's report in it for each of the runs."""
    root = tmp_path_factory.mktemp("bucket")
    for name, run in RUNS.items():
        page = report(root, name)
        page.parent.mkdir(parents=True)
        html = render_report(Manifest.model_validate(run), earlier_runs(), bucket=BUCKET, region=REGION)
        page.write_text(html, encoding="utf-8")
    return root


def report(bucket: Path, name: str) -> Path:
    return bucket / "runs" / name / "report.html"


def open_report(
    tab: Tab, bucket: Path, name: str = "sample", width: int = DESK, scheme: str = "light", media: str = ""
) -> None:
    tab.look_at(width, scheme=scheme, media=media)
    tab.open(report(bucket, name))


def unfold(tab: Tab) -> None:
    tab.run("document.querySelectorAll('details').forEach(part => part.open = true)")


every_run = pytest.mark.parametrize("name", RUNS)

# --- what it asks for ---------------------------------------------------------------------------------------------


def asked_for(tab: Tab) -> list[str]:
    return [event["params"]["request"]["url"] for event in tab.events if event["method"] == "Network.requestWillBeSent"]


def complaints(tab: Tab) -> list[str]:
    return [
        name for name in tab.told() if name in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}
    ]


@every_run
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_asks_for_nothing_but_itself_and_the_console_stays_empty(
    tab: Tab, bucket: Path, name: str, scheme: str
) -> None:
    open_report(tab, bucket, name, scheme=scheme)
    unfold(tab)
    tab.screenshot()  # what is not painted may not have been asked for yet
    assert asked_for(tab) == [report(bucket, name).as_uri()]
    assert complaints(tab) == []


def test_another_page_would_be_caught_at_it(tab: Tab, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<img src='picture.png'><script>console.log('ran'); nothing()</script>")
    tab.open(page)
    assert len(asked_for(tab)) == 2
    assert {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"} <= set(complaints(tab))


def test_what_a_name_or_a_message_holds_makes_no_element_in_the_browser(tab: Tab, bucket: Path) -> None:
    open_report(tab, bucket, "hostile")
    assert tab.run("document.querySelectorAll('script, img, iframe, link, [onerror]').length") == 0
    assert "<script src='x.js'>" in tab.run("document.body.innerText")


def test_the_policy_keeps_even_a_page_that_was_tampered_with_from_the_network(tab: Tab, bucket: Path) -> None:
    page = bucket / "runs" / "tampered.html"
    text = report(bucket, "sample").read_text(encoding="utf-8")
    page.write_text(text.replace("<main>", "<main><img src='x.png'/><script>document.title = 'ran'</script>"))
    tab.open(page)
    failures = [event["params"] for event in tab.events if event["method"] == "Network.loadingFailed"]
    assert [failure["blockedReason"] for failure in failures] == ["csp"] * (len(asked_for(tab)) - 1) == ["csp"]
    assert tab.run("document.title") != "ran"


def test_in_a_copy_of_the_bucket_every_link_leads_to_its_file(tab: Tab, bucket: Path) -> None:
    open_report(tab, bucket)
    links = tab.run("[...document.links].map(link => link.href)")
    local = {unquote(link.removeprefix(f"{bucket.as_uri()}/")) for link in links if link.startswith("file:")}
    files = {
        file["key"]
        for table in RUNS["sample"]["tables"]
        for kind in ("files", "quarantine", "deletes")
        for file in table.get(kind, [])
    }
    reports = {f"runs/{run.run_id}/report.html" for run in earlier_runs()}
    own = {"runs/sample/manifest.json", "runs/sample/report.html#quarantine-customer"}
    assert local == files | reports | own


# --- how it fits --------------------------------------------------------------------------------------------------

# Elements that stick out at the right, but for those that lie in something that scrolls by itself.
STICKING_OUT = """
[...document.querySelectorAll('main *')]
  .filter(part => !part.closest('.wide table'))
  .filter(part => part.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(part => part.outerHTML.slice(0, 80))
"""


@every_run
@pytest.mark.parametrize("width", [320, PHONE, 768, DESK])
def test_it_does_not_scroll_sideways(tab: Tab, bucket: Path, name: str, width: int) -> None:
    open_report(tab, bucket, name, width)
    unfold(tab)
    assert tab.run("document.scrollingElement.scrollWidth") == width
    assert tab.run("innerWidth") == width  # a phone zooms out of a page that is too wide
    assert tab.run(STICKING_OUT) == []


def test_at_a_desk_it_is_centred_and_no_table_needs_scrolling(tab: Tab, bucket: Path) -> None:
    open_report(tab, bucket)
    unfold(tab)
    left, right = tab.run("(box => [box.left, innerWidth - box.right])(document.body.getBoundingClientRect())")
    assert left == right > 50
    assert tab.run("[...document.querySelectorAll('.wide')].every(part => part.scrollWidth <= part.clientWidth)")


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_sections_follow_each_other_without_overlapping(tab: Tab, bucket: Path, width: int) -> None:
    open_report(tab, bucket, width=width)
    boxes = tab.run(
        "[...document.querySelectorAll('header, section, footer')].map(part => part.getBoundingClientRect())"
        ".map(box => [box.top, box.bottom])"
    )
    assert len(boxes) == 8
    assert all(bottom <= top for (_, bottom), (top, _) in itertools.pairwise(boxes))


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_every_bar_can_be_seen_and_stays_in_its_plot(tab: Tab, bucket: Path, width: int) -> None:
    open_report(tab, bucket, width=width)
    out = tab.run(
        """[...document.querySelectorAll('main svg')].flatMap(plot => {
             const frame = plot.getBoundingClientRect();
             return [...plot.querySelectorAll('rect')].map(bar => bar.getBoundingClientRect())
               .filter(bar => bar.left < frame.left - 1 || bar.right > frame.right + 1 || bar.width < 0.3);
           }).length"""
    )
    assert out == 0


def test_on_a_phone_the_names_that_stay_leave_room_for_what_scrolls(tab: Tab, bucket: Path) -> None:
    open_report(tab, bucket, width=PHONE)
    unfold(tab)
    shares = tab.run(
        "[...document.querySelectorAll('.wide')].map(part => "
        "part.querySelector('th[scope=row]').getBoundingClientRect().width / part.clientWidth)"
    )
    assert max(shares) < 0.6


# --- that everybody can read it -----------------------------------------------------------------------------------

# Texts whose colour does not stand out from what is behind them: [contrast, text]. The formula is WCAG 2.2's.
FAINT = """
(() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = colour => parts(colour).slice(0, 3)
    .map(value => value / 255).map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
  const clear = colour => parts(colour)[3] === 0;
  const ground = part => {
    while (part && clear(getComputedStyle(part).backgroundColor)) part = part.parentElement;
    return part ? getComputedStyle(part).backgroundColor : 'rgb(255, 255, 255)';
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  const found = [];
  let texts = 0;
  while (walker.nextNode()) {
    const part = walker.currentNode.parentElement;
    const said = walker.currentNode.data.trim();
    if (!said || part.tagName === 'title') continue;
    texts += 1;
    const ratio = contrast(getComputedStyle(part).color, ground(part));
    if (!(ratio >= LEAST)) found.push([ratio, said]);
  }
  const bars = [...document.querySelectorAll('main rect')]
    .map(bar => [contrast(getComputedStyle(bar).stroke, ground(bar.closest('td, figure'))), 'bar'])
    .filter(([ratio]) => !(ratio >= 3));
  return {texts, faint: [...found, ...bars]};
})()
"""


@every_run
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("media", ["", "print"], ids=["screen", "print"])
def test_every_text_stands_out_from_what_is_behind_it(
    tab: Tab, bucket: Path, name: str, scheme: str, media: str
) -> None:
    open_report(tab, bucket, name, scheme=scheme, media=media)
    unfold(tab)
    seen = tab.run(FAINT.replace("LEAST", "4.5"))
    assert seen["texts"] > 20
    assert seen["faint"] == []


def test_the_measure_of_contrast_finds_what_is_faint(tab: Tab, bucket: Path) -> None:
    open_report(tab, bucket)
    assert tab.run(FAINT.replace("LEAST", "22"))["faint"]
    tab.run("document.querySelector('h1').style.color = '#ccc'")
    assert [said for _, said in tab.run(FAINT.replace("LEAST", "4.5"))["faint"]] == [f"Run {RUN}"]


def test_the_page_is_dark_where_the_reader_wants_it_dark_and_white_on_paper(tab: Tab, bucket: Path) -> None:
    grounds = {}
    for look in (("light", ""), ("dark", ""), ("dark", "print")):
        open_report(tab, bucket, scheme=look[0], media=look[1])
        grounds[look] = tab.run("getComputedStyle(document.body).backgroundColor")
    assert grounds == {
        ("light", ""): "rgb(255, 255, 255)",
        ("dark", ""): "rgb(20, 23, 26)",
        ("dark", "print"): "rgb(255, 255, 255)",
    }


def test_the_browser_names_every_part_for_a_screen_reader(tab: Tab, bucket: Path) -> None:
    open_report(tab, bucket)
    tab.do("Accessibility.enable")
    nodes = [node for node in tab.do("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes]
    tab.do("Accessibility.disable")
    must_have = {"heading", "link", "table", "region", "image", "DisclosureTriangle", "columnheader", "rowheader"}
    assert must_have <= {role for role, _ in named}
    assert [role for role, name in named if role in must_have and not name] == []
    assert ("rowheader", "menu") in named


# --- by keyboard --------------------------------------------------------------------------------------------------

FOCUSED = """
(part => ({
  tag: part.tagName, name: part.getAttribute('aria-label') || part.innerText,
  outline: getComputedStyle(part).outlineStyle, width: parseFloat(getComputedStyle(part).outlineWidth),
}))(document.activeElement)
"""


def walk(tab: Tab) -> list[dict[str, Any]]:
    """Press Tab until the focus has been everywhere."""
    stops: list[dict[str, Any]] = []
    tab.run("document.activeElement.blur(); scrollTo(0, 0)")
    for _ in range(300):
        tab.press(*TAB)
        stop = tab.run(FOCUSED)
        if stop["tag"] == "BODY" or stop in stops[:1]:
            break
        stops.append(stop)
    return stops


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_tab_reaches_everything_that_unfolds_scrolls_or_leads_somewhere(tab: Tab, bucket: Path, width: int) -> None:
    open_report(tab, bucket, width=width)
    tab.do("Page.bringToFront")
    folded = walk(tab)
    shown = tab.run("[...document.links].filter(link => link.checkVisibility({contentVisibilityAuto: true})).length")
    summaries = tab.run("document.querySelectorAll('summary').length")
    assert len([stop for stop in folded if stop["tag"] == "SUMMARY"]) == summaries > 3
    assert len([stop for stop in folded if stop["tag"] == "A"]) < tab.run("document.links.length")
    assert {"Timeline", "Tables"} <= {stop["name"] for stop in folded}

    open_report(tab, bucket, width=width)
    unfold(tab)
    unfolded = walk(tab)
    assert len([stop for stop in unfolded if stop["tag"] == "A"]) == tab.run("document.links.length") >= shown
    assert {(stop["outline"], stop["width"]) for stop in [*folded, *unfolded]} == {("solid", 3)}


def test_enter_unfolds_and_folds_what_has_the_focus(tab: Tab, bucket: Path) -> None:
    open_report(tab, bucket)
    tab.run("document.querySelector('summary').focus()")
    opened = []
    for _ in range(2):
        tab.press(*ENTER)
        opened.append(tab.run("document.activeElement.parentElement.open"))
    assert opened == [True, False]


def test_the_arrow_keys_scroll_a_table_that_is_too_wide(tab: Tab, bucket: Path) -> None:
    open_report(tab, bucket, width=PHONE)
    tab.run("document.querySelector('.tables').focus()")
    tab.press(*RIGHT)
    tab.screenshot()  # a frame later it has moved
    assert tab.run("document.querySelector('.tables').scrollLeft") > 0


def test_the_link_to_the_quarantine_unfolds_its_files(tab: Tab, bucket: Path) -> None:
    open_report(tab, bucket)
    tab.run("document.querySelector('#warnings ~ ul a').click()")
    tab.screenshot()
    assert tab.run("document.querySelector(':target').closest('details').open")
    assert tab.run("document.querySelector(':target').innerText").startswith("Quarantine: 42 rows")


# --- on paper -----------------------------------------------------------------------------------------------------


def test_on_paper_everything_is_unfolded_and_no_table_is_cut(tab: Tab, bucket: Path) -> None:
    for name in RUNS:
        open_report(tab, bucket, name, SHEET, media="print")
        hidden = "[...document.querySelectorAll('details :is(li, td)')].filter(part => !part.checkVisibility()).length"
        assert tab.run(hidden) == 0
        assert tab.run("document.scrollingElement.scrollWidth") == SHEET
        assert tab.run(
            f"[...document.querySelectorAll('th, td')].every(cell => cell.getBoundingClientRect().right <= {SHEET})"
        )
        assert tab.run(
            "[...document.querySelectorAll('.wide')].every(part => getComputedStyle(part).overflowX === 'visible'"
            " && part.scrollWidth <= part.clientWidth)"
        )


def test_a_row_is_not_parted_between_two_sheets_and_heads_come_again(tab: Tab, bucket: Path) -> None:
    open_report(tab, bucket, media="print")
    assert tab.run(
        "[...new Set([...document.querySelectorAll('tr')].map(row => getComputedStyle(row).breakInside))]"
    ) == ["avoid"]
    assert tab.run("getComputedStyle(document.querySelector('thead')).display") == "table-header-group"


def test_the_printed_page_has_every_link_of_what_was_folded_within_its_sheet(tab: Tab, bucket: Path) -> None:
    open_report(tab, bucket)
    assert tab.run("document.querySelector('details:open')") is None
    folded = tab.run(
        "[...document.querySelectorAll('details a')].filter(link => !link.closest('.screen')).map(link => link.href)"
    )
    pdf = tab.pdf(paperWidth=8.27, paperHeight=11.69).decode("latin-1")
    links = re.findall(r"/Subtype /Link.*?/Rect \[([-\d. ]+)\].*?/URI \((.*?)\)>>", pdf, re.DOTALL)
    sheet = [float(number) for number in re.findall(r"/MediaBox \[([-\d. ]+)\]", pdf)[0].split()]
    assert len(folded) > 30
    assert set(folded) <= {address for _, address in links}
    for place, _ in links:
        left, bottom, right, top = (float(number) for number in place.split())
        assert sheet[0] <= left < right <= sheet[2]
        assert sheet[1] <= bottom < top <= sheet[3]
