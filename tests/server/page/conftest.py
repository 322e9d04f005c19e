"""A real browser on the page of the server under test."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.api.running import RunningServer
from tests.server.page.browsing import open_page

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


# Module scope: while Playwright runs, no test can run its own event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium. Without it tests are skipped, or fail in CI."""
    chromium = shutil.which("chromium")
    if chromium is None:
        message = "no chromium found; make browser installs it"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, server: RunningServer) -> Iterator[Page]:
    """Open the page in a desktop viewport; its console must stay clean."""
    with open_page(browser, server.url) as page:
        yield page
