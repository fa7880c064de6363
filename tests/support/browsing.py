"""Pages in a browser, as somebody with a phone or at a desk sees them, or on paper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from local.browser import Browser as Program

Scheme = Literal["light", "dark"]
Media = Literal["screen", "print"]
PHONES_ARE_NARROWER_THAN = 600
# For root and for containers; and nobody is talked to of the browser's own accord.
_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic"]


@dataclass
class View:
    """A page, and what came of opening it.

    Attributes
    ----------
    asked_for : list of str
        The addresses of all requests.
    refused : list of str
        Why requests failed.
    complaints : list of str
        What the console got, and exceptions that nobody caught.
    """

    page: Page
    asked_for: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def note_request(self, request: Request) -> None:
        self.asked_for.append(request.url)

    def note_failure(self, request: Request) -> None:
        self.refused.append(request.failure or "")

    def note_message(self, message: ConsoleMessage) -> None:
        self.complaints.append(f"{message.type}: {message.text}")

    def note_exception(self, error: Exception) -> None:
        self.complaints.append(f"exception: {error}")


class Viewer:
    """Shows one page after the other."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def open(
        self, file: Path, width: int, height: int = 900, *, scheme: Scheme = "light", media: Media = "screen"
    ) -> View:
        """Show a file in a window of that many CSS pixels, in place of what was shown."""
        for context in self._browser.contexts:
            context.close()
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            is_mobile=width < PHONES_ARE_NARROWER_THAN,
            color_scheme=scheme,
        )
        view = View(context.new_page())
        view.page.on("request", view.note_request)
        view.page.on("requestfailed", view.note_failure)
        view.page.on("console", view.note_message)
        view.page.on("pageerror", view.note_exception)
        if media == "print":  # the other is what it is anyhow, and would be what `Page.pdf` prints
            view.page.emulate_media(media=media)
        view.page.goto(file.as_uri())
        return view


@contextmanager
def viewing(program: Program) -> Iterator[Viewer]:
    """Start the browser, which is none of Playwright's own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program.program, args=_OPTIONS, env=dict(program.environment)
        )
        try:
            yield Viewer(browser)
        finally:
            browser.close()
