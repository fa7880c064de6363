"""The pictures of the pages in ``docs/images``: ``make report-screenshots``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from local import browser
from rds_to_s3.manifest.overview.page import render_overview
from rds_to_s3.manifest.report import render_report
from rds_to_s3.reported.manifest import Manifest
from tests.support.browsing import Media, Scheme, Viewer, viewing
from tests.support.sample_overview import sample_facts
from tests.support.sample_report import BUCKET, REGION, earlier_runs, sample_manifest

IMAGES = Path(__file__).parents[2] / "docs" / "images"
# A4 with margins of 1 cm, at 96 dots an inch; as far as the first sheet goes.
PAPER, MARGIN = (794, 1035), 38
Picture = tuple[tuple[int, int], Media, Scheme]
PICTURES: dict[str, dict[str, Picture]] = {
    "report.html": {
        "report.png": ((1040, 2350), "screen", "light"),
        "report-phone-dark.png": ((390, 1800), "screen", "dark"),
        "report-print.png": (PAPER, "print", "light"),
    },
    "index.html": {
        "index.png": ((1180, 1500), "screen", "light"),
        "index-phone-dark.png": ((390, 1500), "screen", "dark"),
        "index-print.png": (PAPER, "print", "light"),
    },
}


def pages() -> dict[str, str]:
    """Return the samples."""
    report = render_report(
        Manifest.model_validate(sample_manifest()),
        earlier_runs(),
        bucket=BUCKET,
        region=REGION,
        log_group="/aws/lambda/food",
    )
    return {"report.html": report, "index.html": render_overview(sample_facts())}


def take(viewer: Viewer, page: Path, picture: Picture) -> bytes:
    """Return one picture of a page."""
    (width, height), media, scheme = picture
    shown = viewer.open(page, width, height, media=media, scheme=scheme).page
    if media == "print":
        shown.evaluate(f"document.body.style.padding = '{MARGIN}px'")
    return shown.screenshot()


def main() -> int:
    """Take them anew."""
    with tempfile.TemporaryDirectory() as folder, viewing(browser.find(print)) as viewer:
        for name, html in pages().items():
            page = Path(folder) / name
            page.write_text(html, encoding="utf-8")
            for file, picture in PICTURES[name].items():
                (IMAGES / file).write_bytes(take(viewer, page, picture))
                sys.stdout.write(f"{IMAGES / file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
