"""One headless browser for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser import chromium


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Its API waits by itself; tests that use it are plain functions, not coroutines.

    It has an event loop of its own in this thread, beside which coroutines cannot be tested: it
    ends with the tests of this folder.
    """
    with chromium() as browser:
        yield browser


@pytest.fixture
def window(browser: Browser) -> Iterator[BrowserContext]:
    """A window with nothing in it that earlier tests left: storage, cookies, pages."""
    context = browser.new_context(viewport={"width": 1200, "height": 720})
    yield context
    context.close()
