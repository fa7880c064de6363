"""A browser driven through the DevTools protocol, over the two pipes that Chromium offers for it.

See https://chromedevtools.github.io/devtools-protocol/ for what can be said and what is answered.
"""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.browser import Browser

ANSWERS_WITHIN = 60.0

# --no-sandbox, for root and for containers; the others keep the browser from talking to anybody of its own accord.
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
# Chromium reads from descriptor 3 and writes to 4.
_WITH_PIPES = ("sh", "-c", 'exec "$@" 3<&0 4>&1 0</dev/null 1>&2', "sh")


class Tab:
    """The one page that a browser shows."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._received = b""
        self._number = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        """What the browser told since the page was opened."""
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        self._process.stdin.flush()
        deadline = time.monotonic() + ANSWERS_WITHIN
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self.events.append(answer)

    def open(self, page: Path) -> None:
        """Show a file, and wait until all of it is there."""
        self.events.clear()
        self.do("Page.navigate", url=page.as_uri())
        deadline = time.monotonic() + ANSWERS_WITHIN
        while "Page.loadEventFired" not in self.told():
            self.events.append(self._next(deadline))

    def told(self) -> list[str]:
        """Return the names of the events since the page was opened."""
        return [event["method"] for event in self.events if "method" in event]

    def run(self, script: str) -> Any:
        """Run a script in the page and return its value."""
        answer = self.do("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def look_at(self, width: int, height: int = 900, *, media: str = "", scheme: str = "light") -> None:
        """Set the window in CSS pixels, the scheme, and the medium if it shall be ``print`` on the screen too."""
        self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.do("Emulation.setEmulatedMedia", media=media, features=features)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key; `code` is Windows' own of it."""
        stroke = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.do("Input.dispatchKeyEvent", type="keyDown", text=text, **stroke)
        self.do("Input.dispatchKeyEvent", type="keyUp", **stroke)

    def screenshot(self) -> bytes:
        """Return what the window shows as PNG."""
        return base64.b64decode(self.do("Page.captureScreenshot", format="png")["data"])

    def pdf(self, **options: Any) -> bytes:
        """Return the page printed."""
        return base64.b64decode(self.do("Page.printToPDF", **options)["data"])

    def _next(self, deadline: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        while b"\0" not in self._received:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._process.stdout], [], [], max(left, 0))
            data = os.read(self._process.stdout.fileno(), 1 << 20) if ready else b""
            assert data, "the browser has ended" if ready else f"the browser does not answer within {ANSWERS_WITHIN} s"
            self._received += data
        message, _, self._received = self._received.partition(b"\0")
        return dict(json.loads(message))


@contextmanager
def open_browser(browser: Browser, directory: Path) -> Iterator[Tab]:
    """Start a browser with a profile of its own in `directory`, where its log is left too."""
    command = [*_WITH_PIPES, browser.program, *_OPTIONS, f"--user-data-dir={directory / 'profile'}"]
    environment = os.environ | browser.environment
    with (directory / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, bufsize=0
        )
    with process:
        try:
            yield Tab(process)
        finally:
            process.terminate()
