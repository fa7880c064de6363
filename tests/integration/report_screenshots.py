"""The pictures of the run report in ``docs/images``: ``make report-screenshots``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from local import browser
from rds_to_s3.manifest.report import render_report
from rds_to_s3.reported.manifest import Manifest
from tests.support.browsing import Media, Scheme, viewing
from tests.support.sample_report import BUCKET, REGION, earlier_runs, sample_manifest

IMAGES = Path(__file__).parents[2] / "docs" / "images"
# A4 with margins of 1 cm, at 96 dots an inch; as far as the first sheet goes.
PAPER, MARGIN = (794, 1035), 38
PICTURES: dict[str, tuple[tuple[int, int], Media, Scheme]] = {
    "report.png": ((1040, 2350), "screen", "light"),
    "report-phone-dark.png": ((390, 1800), "screen", "dark"),
    "report-print.png": (PAPER, "print", "light"),
}


def main() -> int:
    """Take them anew."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(
            render_report(Manifest.model_validate(sample_manifest()), earlier_runs(), bucket=BUCKET, region=REGION)
        )
        with viewing(browser.find(print)) as viewer:
            for name, ((width, height), media, scheme) in PICTURES.items():
                shown = viewer.open(page, width, height, media=media, scheme=scheme).page
                if media == "print":
                    shown.evaluate(f"document.body.style.padding = '{MARGIN}px'")
                shown.screenshot(path=IMAGES / name)
                sys.stdout.write(f"{IMAGES / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
