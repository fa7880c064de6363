"""The pages in a real browser: what they ask for, how they fit, and whether everybody can read and operate them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, PdfMargins

from local import browser
from local.errors import LocalSystemError
from rds_to_s3.manifest.overview.page import render_overview
from rds_to_s3.manifest.report import render_report
from rds_to_s3.reported.manifest import Manifest
from tests.support.browsing import Media, Scheme, View, Viewer, viewing
from tests.support.reported_runs import HOSTILE, RUNS
from tests.support.sample_overview import hostile_facts, sample_facts
from tests.support.sample_report import BUCKET, REGION, RUN, earlier_runs

OVERVIEWS = {"overview": sample_facts(), "overview-hostile": hostile_facts(HOSTILE)}
SCHEMES: list[Scheme] = ["light", "dark"]
PHONE, DESK = 360, 1280
MARGINS: PdfMargins = {"top": "0.4in", "right": "0.4in", "bottom": "0.4in", "left": "0.4in"}
SHEET = 718  # A4 less Chromium's own margins, in CSS pixels


@pytest.fixture(scope="module")
def viewer() -> Iterator[Viewer]:
    try:
        program = browser.find()
    except LocalSystemError as error:
        pytest.skip(f"no browser: put chromium or google-chrome on PATH; {error}")
    with viewing(program) as viewer:
        yield viewer


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a bucket, a run's report in it for each of the runs."""
    root = tmp_path_factory.mktemp("bucket")
    for name, run in RUNS.items():
        page = report(root, name)
        page.parent.mkdir(parents=True)
        html = render_report(Manifest.model_validate(run), earlier_runs(), bucket=BUCKET, region=REGION)
        page.write_text(html, encoding="utf-8")
    for name, facts in OVERVIEWS.items():
        page = report(root, name)
        page.parent.mkdir(parents=True)
        page.write_bytes(render_overview(facts).encode(errors="backslashreplace"))
    return root


def report(bucket: Path, name: str) -> Path:
    return bucket / "runs" / name / "report.html"


def open_report(
    viewer: Viewer,
    bucket: Path,
    name: str = "sample",
    width: int = DESK,
    scheme: Scheme = "light",
    media: Media = "screen",
) -> View:
    return viewer.open(report(bucket, name), width, scheme=scheme, media=media)


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")


every_run = pytest.mark.parametrize("name", [*RUNS, *OVERVIEWS])


@every_run
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_asks_for_nothing_but_itself_and_the_console_stays_empty(
    viewer: Viewer, bucket: Path, name: str, scheme: Scheme
) -> None:
    view = open_report(viewer, bucket, name, scheme=scheme)
    unfold(view.page)
    view.page.screenshot()  # what is not painted may not have been asked for yet
    assert view.asked_for == [report(bucket, name).as_uri()]
    assert view.complaints == []


def test_another_page_would_be_caught_at_it(viewer: Viewer, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<img src='picture.png'><script>console.log('ran'); nothing()</script>")
    view = viewer.open(page, DESK)
    assert len(view.asked_for) == 2
    assert sorted(complaint.split()[0] for complaint in view.complaints) == ["error:", "exception:", "log:"]


def test_what_a_name_or_a_message_holds_makes_no_element_in_the_browser(viewer: Viewer, bucket: Path) -> None:
    page = open_report(viewer, bucket, "hostile").page
    assert page.evaluate("document.querySelectorAll('script, img, iframe, link, [onerror]').length") == 0
    assert "<script src='x.js'>" in page.evaluate("document.body.innerText")


def test_the_policy_keeps_even_a_page_that_was_tampered_with_from_the_network(viewer: Viewer, bucket: Path) -> None:
    page = bucket / "runs" / "tampered.html"
    text = report(bucket, "sample").read_text(encoding="utf-8")
    page.write_text(text.replace("<main>", "<main><img src='x.png'/><script>document.title = 'ran'</script>"))
    view = viewer.open(page, DESK)
    assert view.refused == ["csp"] * (len(view.asked_for) - 1) == ["csp"]
    assert view.page.evaluate("document.title") != "ran"


def test_in_a_copy_of_the_bucket_every_link_leads_to_its_file(viewer: Viewer, bucket: Path) -> None:
    page = open_report(viewer, bucket).page
    links = page.evaluate("[...document.links].map(link => link.href)")
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


# Elements that stick out at the right, but for those that lie in something that scrolls by itself.
STICKING_OUT = """
[...document.querySelectorAll('main *')]
  .filter(part => !part.closest('.wide table'))
  .filter(part => part.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(part => part.outerHTML.slice(0, 80))
"""


@every_run
@pytest.mark.parametrize("width", [320, PHONE, 768, DESK])
def test_it_does_not_scroll_sideways(viewer: Viewer, bucket: Path, name: str, width: int) -> None:
    page = open_report(viewer, bucket, name, width).page
    unfold(page)
    assert page.evaluate("document.scrollingElement.scrollWidth") == width
    assert page.evaluate("innerWidth") == width  # a phone zooms out of a page that is too wide
    assert page.evaluate(STICKING_OUT) == []


@pytest.mark.parametrize("name", ["sample", "overview"])
def test_at_a_desk_it_is_centred_and_no_table_needs_scrolling(viewer: Viewer, bucket: Path, name: str) -> None:
    page = open_report(viewer, bucket, name).page
    unfold(page)
    left, right = page.evaluate("(box => [box.left, innerWidth - box.right])(document.body.getBoundingClientRect())")
    assert left == right > 50
    assert page.evaluate("[...document.querySelectorAll('.wide')].every(part => part.scrollWidth <= part.clientWidth)")


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_sections_follow_each_other_without_overlapping(viewer: Viewer, bucket: Path, width: int) -> None:
    page = open_report(viewer, bucket, width=width).page
    boxes = page.evaluate(
        "[...document.querySelectorAll('header, section, footer')].map(part => part.getBoundingClientRect())"
        ".map(box => [box.top, box.bottom])"
    )
    assert len(boxes) == 9
    assert all(bottom <= top for (_, bottom), (top, _) in itertools.pairwise(boxes))


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_every_bar_can_be_seen_and_stays_in_its_plot(viewer: Viewer, bucket: Path, width: int) -> None:
    page = open_report(viewer, bucket, width=width).page
    out = page.evaluate(
        """[...document.querySelectorAll('main svg')].flatMap(plot => {
             const frame = plot.getBoundingClientRect();
             return [...plot.querySelectorAll('rect')].map(bar => bar.getBoundingClientRect())
               .filter(bar => bar.left < frame.left - 1 || bar.right > frame.right + 1 || bar.width < 0.3);
           }).length"""
    )
    assert out == 0


def test_on_a_phone_the_names_that_stay_leave_room_for_what_scrolls(viewer: Viewer, bucket: Path) -> None:
    page = open_report(viewer, bucket, width=PHONE).page
    unfold(page)
    shares = page.evaluate(
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
@pytest.mark.parametrize("media", ["screen", "print"])
def test_every_text_stands_out_from_what_is_behind_it(
    viewer: Viewer, bucket: Path, name: str, scheme: Scheme, media: Media
) -> None:
    page = open_report(viewer, bucket, name, scheme=scheme, media=media).page
    unfold(page)
    seen = page.evaluate(FAINT.replace("LEAST", "4.5"))
    assert seen["texts"] > 20
    assert seen["faint"] == []


def test_the_measure_of_contrast_finds_what_is_faint(viewer: Viewer, bucket: Path) -> None:
    page = open_report(viewer, bucket).page
    assert page.evaluate(FAINT.replace("LEAST", "22"))["faint"]
    page.evaluate("document.querySelector('h1').style.color = '#ccc'")
    assert [said for _, said in page.evaluate(FAINT.replace("LEAST", "4.5"))["faint"]] == [f"Run {RUN}"]


def test_the_page_is_dark_where_the_reader_wants_it_dark_and_white_on_paper(viewer: Viewer, bucket: Path) -> None:
    grounds = {}
    looks: list[tuple[Scheme, Media]] = [("light", "screen"), ("dark", "screen"), ("dark", "print")]
    for look in looks:
        page = open_report(viewer, bucket, scheme=look[0], media=look[1]).page
        grounds[look] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert grounds == {
        ("light", "screen"): "rgb(255, 255, 255)",
        ("dark", "screen"): "rgb(20, 23, 26)",
        ("dark", "print"): "rgb(255, 255, 255)",
    }


def test_the_browser_names_every_part_for_a_screen_reader(viewer: Viewer, bucket: Path) -> None:
    page = open_report(viewer, bucket).page
    devtools = page.context.new_cdp_session(page)
    nodes = [node for node in devtools.send("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes]
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


def walk(page: Page) -> list[dict[str, Any]]:
    """Press Tab until the focus has been everywhere."""
    stops: list[dict[str, Any]] = []
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    for _ in range(300):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop["tag"] == "BODY" or stop in stops[:1]:
            break
        stops.append(stop)
    return stops


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_tab_reaches_everything_that_unfolds_scrolls_or_leads_somewhere(
    viewer: Viewer, bucket: Path, width: int
) -> None:
    page = open_report(viewer, bucket, width=width).page
    page.bring_to_front()
    folded = walk(page)
    shown = page.evaluate(
        "[...document.links].filter(link => link.checkVisibility({contentVisibilityAuto: true})).length"
    )
    summaries = page.evaluate("document.querySelectorAll('summary').length")
    assert len([stop for stop in folded if stop["tag"] == "SUMMARY"]) == summaries > 3
    assert len([stop for stop in folded if stop["tag"] == "A"]) < page.evaluate("document.links.length")
    assert {"Timeline", "Tables"} <= {stop["name"] for stop in folded}

    page = open_report(viewer, bucket, width=width).page
    unfold(page)
    unfolded = walk(page)
    assert len([stop for stop in unfolded if stop["tag"] == "A"]) == page.evaluate("document.links.length") >= shown
    assert {(stop["outline"], stop["width"]) for stop in [*folded, *unfolded]} == {("solid", 3)}


def test_enter_unfolds_and_folds_what_has_the_focus(viewer: Viewer, bucket: Path) -> None:
    page = open_report(viewer, bucket).page
    page.evaluate("document.querySelector('summary').focus()")
    opened = []
    for _ in range(2):
        page.keyboard.press("Enter")
        opened.append(page.evaluate("document.activeElement.parentElement.open"))
    assert opened == [True, False]


def test_the_arrow_keys_scroll_a_table_that_is_too_wide(viewer: Viewer, bucket: Path) -> None:
    page = open_report(viewer, bucket, width=PHONE).page
    page.evaluate("document.querySelector('.tables').focus()")
    page.keyboard.press("ArrowRight")
    page.screenshot()  # a frame later it has moved
    assert page.evaluate("document.querySelector('.tables').scrollLeft") > 0


def test_the_link_to_the_quarantine_unfolds_its_files(viewer: Viewer, bucket: Path) -> None:
    page = open_report(viewer, bucket).page
    page.evaluate("document.querySelector('#warnings ~ ul a').click()")
    page.screenshot()
    assert page.evaluate("document.querySelector(':target').closest('details').open")
    assert page.evaluate("document.querySelector(':target').innerText").startswith("Quarantine: 42 rows")


# --- on paper -----------------------------------------------------------------------------------------------------


def test_on_paper_everything_is_unfolded_and_no_table_is_cut(viewer: Viewer, bucket: Path) -> None:
    for name in (*RUNS, *OVERVIEWS):
        page = open_report(viewer, bucket, name, SHEET, media="print").page
        hidden = "[...document.querySelectorAll('details :is(li, td)')].filter(part => !part.checkVisibility()).length"
        assert page.evaluate(hidden) == 0
        assert page.evaluate("document.scrollingElement.scrollWidth") == SHEET
        assert page.evaluate(
            f"[...document.querySelectorAll('th, td')].every(cell => cell.getBoundingClientRect().right <= {SHEET})"
        )
        assert page.evaluate(
            "[...document.querySelectorAll('.wide')].every(part => getComputedStyle(part).overflowX === 'visible'"
            " && part.scrollWidth <= part.clientWidth)"
        )


def test_a_row_is_not_parted_between_two_sheets_and_heads_come_again(viewer: Viewer, bucket: Path) -> None:
    page = open_report(viewer, bucket, media="print").page
    assert page.evaluate(
        "[...new Set([...document.querySelectorAll('tr')].map(row => getComputedStyle(row).breakInside))]"
    ) == ["avoid"]
    assert page.evaluate("getComputedStyle(document.querySelector('thead')).display") == "table-header-group"


def test_the_printed_page_has_every_link_of_what_was_folded_within_its_sheet(viewer: Viewer, bucket: Path) -> None:
    page = open_report(viewer, bucket).page
    assert page.evaluate("document.querySelector('details:open')") is None
    folded = page.evaluate(
        "[...document.querySelectorAll('details a')].filter(link => !link.closest('.screen')).map(link => link.href)"
    )
    pdf = page.pdf(width="8.27in", height="11.69in", margin=MARGINS).decode("latin-1")
    links = re.findall(r"/Subtype /Link.*?/Rect \[([-\d. ]+)\].*?/URI \((.*?)\)>>", pdf, re.DOTALL)
    sheet = [float(number) for number in re.findall(r"/MediaBox \[([-\d. ]+)\]", pdf)[0].split()]
    assert len(folded) > 30
    assert set(folded) <= {address for _, address in links}
    for place, _ in links:
        left, bottom, right, top = (float(number) for number in place.split())
        assert sheet[0] <= left < right <= sheet[2]
        assert sheet[1] <= bottom < top <= sheet[3]


@pytest.mark.parametrize("media", ["screen", "print"])
def test_on_the_overview_what_needs_attention_stands_out_without_colour(
    viewer: Viewer, bucket: Path, media: Media
) -> None:
    page = open_report(viewer, bucket, "overview", media=media).page
    marks = page.evaluate(
        "[...document.querySelectorAll('.tables tbody tr')]"
        ".map(row => [row.className, row.cells[1].innerText.trim(), getComputedStyle(row.cells[0])])"
        ".map(([name, state, look]) => [name, state, look.borderLeftWidth, look.fontWeight])"
    )
    assert [mark[1] for mark in marks[:3]] == ["✗ failing", "! behind", "… not extracted yet"]
    assert {tuple(mark[2:]) for mark in marks if mark[0] == "needs"} == {("4px", "600")}
    assert {tuple(mark[2:]) for mark in marks if mark[0] != "needs"} == {("0px", "400")}
