"""The page of a conversation, as a text; `tests/browser` opens it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from tests.builders.logs import conversation, session, turn, write_log
from tests.builders.shared_pages import hostile_log, page_of


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
