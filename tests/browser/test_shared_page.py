"""The page of a conversation: all in it is read, searched and folded as a person would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.builders.shared_pages import hostile_log, page_of
from tests.places import RUNS


@pytest.mark.slow
def test_a_page_is_read_and_searched(browser: Browser, tmp_path: Path) -> None:
    """One page for all: opening a browser's window is what takes the time."""
    page: Any = browser.new_page(viewport={"width": 1200, "height": 800})
    trouble: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    file = tmp_path / "page.html"
    file.write_text(page_of(RUNS / "discarded.jsonl"), encoding="utf-8")
    page.goto(file.as_uri())
    current = "document.querySelector('[aria-current]')?.id"

    def press(*keys: str) -> Any:
        for key in keys:
            page.keyboard.press(key)
        return page.evaluate(current)

    # Turns and events.
    assert press("j") == "t1-1"
    assert page.evaluate("document.activeElement.id") == "t1-1"
    assert press("j", "j", "k") == "t1-2"
    assert press("G") == "t2-12"
    assert press("[") == "t2-4"
    assert press("g", "]") == "t1-7"
    # Folds.
    details = page.locator("#t1-2 details")
    assert details.get_attribute("open") is None
    press("g", "j", "Enter")
    assert details.get_attribute("open") is not None
    assert "<think>New customer." in page.locator("#t1-2 .diff del").text_content()
    press("Enter")
    assert details.get_attribute("open") is None
    # Search: a match in a fold opens it, and Escape takes all marks away.
    press("/")
    page.keyboard.type("timetable WILL tell")
    assert press("Enter") == "t2-2"
    assert page.locator("#found").inner_text() == "1 turn, 1 of 1"
    assert page.locator("mark").first.is_visible()
    page.keyboard.press("/")
    page.keyboard.type("saturday")
    press("Enter")
    assert page.locator("#found").inner_text() == "4 turns, 2 of 4"
    page.evaluate("document.activeElement.blur()")
    assert press("n") == "t2-5"
    assert press("N", "N") == "t2-1"
    before = page.locator("main").text_content()
    press("Escape")
    assert page.locator("mark").count() == 0
    assert page.locator("main").text_content() == before
    page.keyboard.press("/")
    page.keyboard.type("nothing like it")
    assert page.locator("#found").inner_text() == "no match"
    press("Escape")
    # An address leads to a turn.
    page.goto(f"{file.as_uri()}#t2-4")
    assert page.evaluate(current) == "t2-4"
    # Light and dark.
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.keyboard.press("d")
    dark = page.evaluate(ground)
    assert light != dark
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert not page.locator(".bar").is_visible()
    page.emulate_media(media="screen")
    # What a screen reader goes by.
    for role, name in [
        ("navigation", "Sessions and events"), ("main", "Transcript"), ("article", "2:4 provider"),
        ("heading", "Robin → demo"), ("search", ""), ("region", "How it ended"),
    ]:  # fmt: skip
        assert page.get_by_role(role, name=name).count() == 1, role
    # Hostile text does nothing, and is there to be read.
    file.write_text(page_of(hostile_log(tmp_path / "run.jsonl")), encoding="utf-8")
    page.goto(file.as_uri())
    page.keyboard.press("o")
    assert page.title() != "run" and page.title().startswith("<script>")
    assert page.locator("main img, main a, main script, main style").count() == 0
    assert "onerror=" in page.locator("#t1-1 .text").text_content()
    page.keyboard.press("/")
    page.keyboard.type("<img src")
    page.keyboard.press("Enter")
    assert page.locator("#found").inner_text() == "2 turns, 1 of 2"
    assert page.title().startswith("<script>")
    assert not trouble
    assert {url.partition("#")[0] for url in asked} == {file.as_uri()}
    page.close()
