"""`convtui serve` in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from convtui.config.paths import write_state
from convtui.log.reader import open_log
from tests.browser.serving import ServedPage, drawn_colours, logs_of, serving

pytestmark = [pytest.mark.slow, pytest.mark.real_processes]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The hint for newcomers was seen already."""
    write_state(tmp_path / "state" / "state.json", {"hinted": True})
    return tmp_path


def test_the_picker_opens_and_a_reload_keeps_what_is_open(
    window: BrowserContext, home: Path
) -> None:
    with serving(home) as (_, address):
        shown = ServedPage(window, address)
        shown.until("persona", "provider", "Start")
        assert drawn_colours(shown.page.screenshot(), window) > 20, "the terminal is drawn"
        shown.press("?")
        shown.until("Start the conversation")
        shown.page.reload()
        shown.until("Start the conversation")
        shown.press("Escape")
        shown.until("Robin (demo) talks to demo")
        shown.press("q")
        shown.page.wait_for_selector("#ended.shown")
        shown.press("Enter")  # the button has the focus
        shown.until("Robin (demo) talks to demo")
        assert shown.problems == []
        assert all(url.startswith(address) for url in shown.requests), "nothing leaves the page"


def test_the_demo_runs_to_its_end_across_a_reload(window: BrowserContext, home: Path) -> None:
    with serving(home, "demo", "--speed", "20", "--paused") as (_, address):
        shown = ServedPage(window, address)
        shown.until("HELD")
        shown.press("n")
        shown.until("I just got a text")
        shown.page.reload()
        shown.until("I just got a text", "HELD")
        shown.page.set_viewport_size({"width": 900, "height": 500})
        shown.press("Space")
        shown.until("HELD at 1:", "let it end")
        shown.press("Enter")
        shown.until("HELD at 2:", "let it end")
        shown.press("Enter")
        shown.until("ENDED")
        [log] = logs_of(home)
        shown.press("q")
        shown.page.wait_for_selector("#ended.shown")
        shown.until("next:")
        with open_log(log) as run:
            assert run.transcript.trailer is not None
            assert run.transcript.trailer["termination"]["by"] == "responder"
        assert shown.problems == []


def test_who_has_no_token_and_other_pages_are_refused(window: BrowserContext, home: Path) -> None:
    with serving(home, "demo") as (_, address):
        origin, token = address.rsplit("/", 2)[0], address.rsplit("/", 2)[1]
        page = window.new_page()
        refused = page.goto(origin)
        assert refused is not None
        assert refused.status == 403
        assert token not in page.content()
        # A page of another origin, even if it knows the address.
        other = f"http://localhost:{origin.rsplit(':', 1)[1]}/{token}/"
        page.goto(other)
        result = page.evaluate(
            """(url) => new Promise((done) => {
                const socket = new WebSocket(url);
                socket.onopen = () => done("open");
                socket.onerror = () => done("refused");
            })""",
            f"ws{address.removeprefix('http')}ws/{'0' * 32}",
        )
        assert result == "refused"
        assert logs_of(home) == []
