"""One headless browser for all tests: the Chromium that is installed, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Its API waits by itself; tests that use it are plain functions, not coroutines.

    It has an event loop of its own in this thread, beside which coroutines cannot be tested: it
    ends with the tests of this folder.
    """
    program = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(_NAMES)} is installed")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=program,
            # The sandbox does not work for root, as whom tests may run in containers.
            args=["--no-sandbox", "--disable-gpu"],
        )
        yield launched
        launched.close()


@pytest.fixture
def window(browser: Browser) -> Iterator[BrowserContext]:
    """A window with nothing in it that earlier tests left: storage, cookies, pages."""
    context = browser.new_context(viewport={"width": 1200, "height": 720})
    yield context
    context.close()
