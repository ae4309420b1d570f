"""The page of a conversation, in a real browser: all in it is read there as a person would."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from convtui.log.reader import open_log
from convtui.records.models import ToolCalled, ToolReturned
from convtui.share.conversation import conversation_of
from convtui.share.html.page import html_page
from convtui.share.turn_range import TurnRanges
from tests.browser import chromium
from tests.builders.logs import conversation, ending, session, turn, write_log
from tests.places import RUNS

RUN = "document.title='run'"
HOSTILE = (
    f'<script>{RUN}</script><img src=http://127.0.0.1:9/x onerror="{RUN}"></p></article></main>'
    f'<style>body{{display:none}}</style><a href="javascript:{RUN}">x</a>'
    "\x1b]0;run\x07\u202egnp<!--"
)


def page_of(log: Path) -> str:
    with open_log(log) as opened:
        return html_page(conversation_of(opened, TurnRanges()))


def hostile_log(path: Path) -> Path:
    """Hostile text in all that a page shows."""
    provider = turn(
        2, "provider", HOSTILE, raw=f"raw {HOSTILE}", signal="<script>",
        more=[
            ToolCalled(id="c", name=HOSTILE, arguments={HOSTILE: HOSTILE}),
            ToolReturned(id="c", name=HOSTILE, ok=False, result=HOSTILE, error_kind=HOSTILE),
        ],
    )  # fmt: skip
    records = conversation(
        session(1, HOSTILE, [turn(1, "persona", HOSTILE), provider]),
        end={**ending(), "reason": HOSTILE},
    )
    records[0] = records[0].model_copy(update={"persona": HOSTILE})
    return write_log(path, records)


class _Tags(HTMLParser):
    """Notes the tags of a page, and whether each is closed in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_is_whole_and_has_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = page_of(hostile_log(tmp_path / "run.jsonl"))
    tags = _Tags()
    tags.feed(text)
    assert not tags.open
    names = [name for name, _ in tags.seen]
    assert names.count("script") == names.count("style") == names.count("main") == 1
    assert not {"img", "link", "iframe", "object", "form"} & set(names)
    attributes = [attribute for _, given in tags.seen for attribute in given.items()]
    assert all(str(value).startswith("#") for name, value in attributes if name in ("href", "src"))
    assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert "\x1b" not in text and "\u202e" not in text


def test_a_turn_that_was_asked_again_has_both_attempts(tmp_path: Path) -> None:
    turns = [
        turn(1, "persona", "Hi"),
        turn(2, "provider", "[[ERROR]]", signal="[[ERROR]]", discard="retry"),
        turn(2, "provider", "Hello", attempt=2),
    ]
    log = write_log(tmp_path / "run.jsonl", conversation(session(1, "a", turns)))
    text = page_of(log)
    assert 'id="t1-2"' in text and 'id="t1-2-2"' in text
    assert "<del>[[ERROR]]</del>" in text and "asked again" in text and ">Hello<" in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.mark.slow
def test_in_a_browser(browser: Any, tmp_path: Path) -> None:
    """One page for all: opening a browser's window is what takes the time."""
    page = browser.new_page(viewport={"width": 1200, "height": 800})
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
