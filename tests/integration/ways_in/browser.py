"""A real Chromium for tests of the page: one that the machine has, without a window."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
DESKTOP, PHONE = (1280, 900), (360, 740)  # pixels
# Read before a fixture hides our variables from the tests.
REQUIRED = os.environ.get("SCRIPTORIUM_TEST_BROWSER") == "required"
SCREENSHOTS = os.environ.get("SCRIPTORIUM_SCREENSHOTS")


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser with a new profile. Without one the test is skipped, or fails where required."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        message = f"no {', '.join(NAMES)} is installed (Debian: apt-get install {NAMES[0]})"
        pytest.fail(message) if REQUIRED else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """One page with everything it complained about, and an album of what it looked like."""

    page: Page
    album: Path
    complaints: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()  # parts of complaints that the test provokes

    def __post_init__(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))

    def _heard(self, message: ConsoleMessage) -> None:
        # A breach of the content security policy is a console error too.
        if message.type in ("error", "warning"):
            text = f"{message.type}: {message.text} {message.location.get('url', '')}"
            if not any(part in text for part in self.expected):
                self.complaints.append(text)

    def picture(self, name: str, *, whole: bool = False) -> None:
        """A screenshot; also where SCRIPTORIUM_SCREENSHOTS says."""
        for directory in (self.album, Path(SCREENSHOTS)) if SCREENSHOTS else (self.album,):
            directory.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=directory / f"{name}.png", full_page=whole)

    def wait_until(self, expression: str, seconds: float = 60.0) -> None:
        """Until that is true in the page; its policy forbids Playwright's own way, an eval."""
        deadline = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"It never became true: {expression}"
            self.page.wait_for_timeout(30)  # milliseconds

    def accessibility_violations(self) -> list[str]:
        """What axe finds wrong with the page as it is now."""
        from axe_playwright_python.sync_playwright import Axe

        found: dict[str, Any] = Axe().run(self.page).response
        return [
            f"{violation['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]


@contextmanager
def visit(
    browser: Browser,
    address: str,
    album: Path,
    size: tuple[int, int] = DESKTOP,
    **context: Any,
) -> Iterator[Visit]:
    """The page at that address; that it complained of nothing is checked at the end."""
    width, height = size
    opened = browser.new_context(
        viewport={"width": width, "height": height}, locale="en-GB", **context
    )
    opened.set_default_timeout(60_000)  # milliseconds
    visitor = Visit(opened.new_page(), album)
    try:
        visitor.page.goto(address)
        yield visitor
        assert visitor.complaints == [], visitor.complaints
    finally:
        opened.close()
